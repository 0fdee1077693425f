from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest

from engine.errors import DataError
from engine.select.evidence import judge_returns
from engine.select.gates import live
from engine.select.paper_track import paper_track
from engine.settings import LiveGate
from engine.types import MS_PER_DAY


@dataclass(frozen=True)
class Trade:
    exit_at: int
    pnl_quote: Decimal


def trade(day: float, pnl: str) -> Trade:
    return Trade(int(day * MS_PER_DAY), Decimal(pnl))


def test_trades_count_on_the_day_they_end() -> None:
    made = [trade(2.5, "-22"), trade(0.1, "60"), trade(0.9, "40"), trade(4.0, "10.78")]
    track = paper_track(made, 1000.0, 0, 5 * MS_PER_DAY)
    np.testing.assert_allclose(track.daily, [0.1, 0.0, -0.02, 0.0, 0.01])
    assert track.n_days == 5
    assert track.metrics["total_return"] == pytest.approx(0.08878)
    assert track.metrics["max_drawdown"] == pytest.approx(0.02)
    assert track.metrics["n_trades"] == 4.0
    assert track.metrics["win_rate"] == 0.75
    assert track.metrics["profit_factor"] == pytest.approx(110.78 / 22)


def test_what_ended_outside_the_time_is_left_out() -> None:
    made = [trade(0.9, "100"), trade(1.0, "10"), trade(3.0, "100")]
    track = paper_track(made, 1000.0, MS_PER_DAY, 3 * MS_PER_DAY)
    np.testing.assert_allclose(track.daily, [0.01, 0.0])


def test_a_record_without_trades_or_time_proves_nothing() -> None:
    empty = paper_track([], 1000.0, 0, 10 * MS_PER_DAY)
    assert empty.metrics["total_return"] == 0.0
    assert np.isnan(empty.metrics["win_rate"])
    evidence = judge_returns(empty.daily, 3, 3.0)
    verdict = live(
        {},
        empty.metrics,
        LiveGate(),
        paper_deflated_sharpe=evidence.deflated_sharpe,
        paper_days=empty.n_days,
        paper_days_needed=evidence.min_days,
    )
    assert not any(
        rule.passed
        for rule in verdict.rules
        if rule.where == "paper"
        and rule.name in ("total_return", "deflated_sharpe", "track_record")
    )
    assert paper_track([], 1000.0, 5, 5).n_days == 0


def test_more_lost_than_there_was_is_all_lost() -> None:
    track = paper_track([trade(0.5, "-1200"), trade(1.5, "5")], 1000.0, 0, 2 * MS_PER_DAY)
    np.testing.assert_allclose(track.daily, [-1.0, 0.0])
    assert track.metrics["max_drawdown"] == 1.0


def test_no_capital_no_record() -> None:
    for capital in (0.0, -1.0, float("nan")):
        with pytest.raises(DataError):
            paper_track([], capital, 0, 1)
