"""A sample of the fault plans; `python -m tests.chaos.fault_runs` lives through a thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.fault_runs import run_plan


@pytest.mark.parametrize("seed", range(1, 13))
def test_no_fault_plan_breaks_a_law(seed: int) -> None:
    outcome = run_plan(seed)
    assert outcome.broken == []
    assert outcome.n_orders > 0


@pytest.mark.parametrize("seed", range(1, 5))
def test_no_fault_plan_on_real_bars_and_ticks_breaks_a_law(seed: int, shared_market: Path) -> None:
    outcome = run_plan(seed, shared_market)
    assert outcome.broken == []
    assert outcome.n_orders > 0
