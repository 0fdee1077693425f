"""The kernel against the reference simulator: every trade, equity point and metric.

The default run takes some dozens of genomes; `PADDOCK_REFERENCE_GENOMES=2000`, or
`python -m tests.reference.compare 2000`, takes more.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backtest.costs import Costs
from engine.backtest.run import BacktestSettings
from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Direction,
    Exits,
    Genome,
    StrategyType,
)
from tests.reference.compare import Outcome, compare, differences, engine_run, make_case, simulate
from tests.reference.simulator import Account, Simulator

N_GENOMES = int(os.environ.get("PADDOCK_REFERENCE_GENOMES", "64"))
BATCH = 16
FILLS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "fills.json").read_text(encoding="utf-8")
)["cases"]


def _agree(outcomes: list[Outcome]) -> None:
    found = [text for outcome in outcomes for text in outcome.differences]
    assert not found, "\n".join(found)
    # An agreement about nothing would prove nothing.
    assert sum(len(outcome.run.account.closed) for outcome in outcomes) > 10 * len(outcomes)


@pytest.mark.parametrize("first", range(0, N_GENOMES, BATCH))
def test_engine_agrees_with_the_reference_on_real_and_rough_bars(
    first: int, shared_market: Path
) -> None:
    _agree([compare(make_case(i, shared_market)) for i in range(first, first + BATCH)])


def test_engine_agrees_with_the_reference_where_real_bars_are_absent() -> None:
    _agree([compare(make_case(i, None)) for i in range(5_000, 5_000 + BATCH)])


def test_engine_agrees_with_the_reference_on_ruin() -> None:
    wild = [i for i in range(56, 1_500) if i // 8 % 8 == 7 and i % 2][:48]
    outcomes = [compare(make_case(i, None, 600)) for i in wild]
    _agree(outcomes)
    ruined = [o for o in outcomes if any(f.reason == "ruin" for f in o.run.account.closed)]
    assert len(ruined) >= 3
    assert all(o.metrics["total_return"] == -1.0 for o in ruined)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(10_000, 2**31), st.integers(1, 300))
def test_engine_agrees_with_the_reference_on_short_histories(index: int, n_bars: int) -> None:
    assert compare(make_case(index, None, n_bars)).differences == []


def test_comparison_notices_a_commission_wrong_by_one_part_in_ten_million() -> None:
    case = make_case(5, None)
    assert (case.settings.costs, case.timeframe) == (Costs(), "5m")
    other = replace(case, settings=BacktestSettings(costs=Costs(0.001 * (1.0 + 1e-7))))
    result, (run, metrics) = engine_run(case), simulate(other)
    found = " ".join(differences(result, run, metrics, 300_000))
    for name in ("trade 0", "equity[", "final_equity_quote", "commission_quote", "sharpe"):
        assert name in found


class _Given(Simulator):
    """The simulator with the decisions of a case in place of a genome's."""

    def __init__(self, case: dict[str, Any], genome: Genome) -> None:
        columns = {name: [float(row[name]) for row in case["bars"]] for name in case["bars"][0]}
        times = [300_000 * bar for bar in range(len(case["bars"]))]
        costs = case.get("commission", 0.0), case.get("slippage", 0.0)
        super().__init__(genome, columns, times, 300_000, 10_000.0, *costs)
        self.case = case

    def wanted(self, bar: int) -> int:
        if "signals" in self.case:
            return {"long": 1, "short": -1, None: 0}[self.case["signals"][bar]]
        side = -1 if self.case.get("side") == "short" else 1
        return side if bar in _bars_of(self.case, "enter_at_close") else 0

    def leaves(self, side: int, bar: int) -> bool:
        return bar in _bars_of(self.case, "exit_at_close")

    def size(self, account: Account, decided_at: int) -> float:
        return 1.0


def _bars_of(case: dict[str, Any], name: str) -> list[int]:
    value = case.get(name, [])
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("case", FILLS, ids=[case["name"] for case in FILLS])
def test_reference_gives_the_known_answer(case: dict[str, Any]) -> None:
    never = Condition(left=BarOperand(field="close"), op="<", right=ConstantOperand(value=0.0))
    genome = Genome(
        type=StrategyType.HYBRID,
        timeframe="5m",
        direction=Direction.LONG,
        long_entry=(never,),
        exits=Exits(
            stop_frac=case.get("stop", 0.5),
            target_frac=case.get("target"),
            trailing_frac=case.get("trailing"),
            max_bars=case.get("max_bars"),
        ),
    )
    run = _Given(case, genome).run(0, len(case["bars"]))
    expected = dict(case["expected"])
    is_open = expected.pop("open", None)
    growth = expected.pop("equity_return", None)
    trades = expected.pop("trades", None)
    if isinstance(trades, int):
        assert len(run.account.closed) == trades
    wanted = trades if isinstance(trades, list) else [expected] if expected else []
    found = [*run.account.closed[: len(wanted)], *([run.account.held] if is_open else [])]
    for fill, want in zip(found, [*wanted, *([is_open] if is_open else [])], strict=True):
        for key, value in want.items():
            got = getattr(fill, key)
            if key == "side":
                assert got == (1 if value == "long" else -1)
            else:
                assert got == (value if key == "reason" else pytest.approx(value, rel=1e-9)), key
    if growth is not None:
        assert run.equity[-1] / run.equity[0] - 1.0 == pytest.approx(growth, rel=1e-9)
