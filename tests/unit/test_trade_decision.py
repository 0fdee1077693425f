from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backtest.rules import Rules
from engine.errors import NonFiniteError, StrategyError
from engine.trade.decision import ClosedBar, Decision, decimal_of, decision_of_answer
from engine.trade.entry_size import TradeReturns, wanted_size
from engine.trade.exit_levels import exit_levels, with_defaults

OWN = Rules(stop_frac=0.02, target_frac=0.06, size_frac=0.5)


def test_a_worker_s_hold_decides_nothing_and_flat_leaves_both_sides() -> None:
    assert decision_of_answer({"intent": "hold"}, 5, OWN) == Decision(5)
    flat = decision_of_answer({"intent": "flat", "stop": None}, 5, OWN)
    assert flat.leaves(1) and flat.leaves(-1) and flat.side == 0


def test_an_entry_names_its_exits_and_takes_the_rest_from_the_strategy() -> None:
    answer = {"intent": "short", "stop": 0.01, "target": None, "max_bars": 12, "size": 0.25}
    decision = decision_of_answer(answer, 5, OWN)
    assert decision.side == -1
    assert decision.rules == Rules(stop_frac=0.01, target_frac=0.06, max_bars=12, size_frac=0.25)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"intent": "LONG"},
        {"intent": ["long"]},
        {"intent": "long", "stop": 0},
        {"intent": "long", "stop": -0.01},
        {"intent": "long", "stop": 1.5},
        {"intent": "long", "stop": "0.01"},
        {"intent": "long", "size": True},
        {"intent": "long", "size": 3.1},
        {"intent": "long", "target": math.inf},
        {"intent": "long", "trailing": math.nan},
        {"intent": "long", "max_bars": -1},
    ],
)
def test_an_answer_that_makes_no_sense_quarantines_the_strategy(answer: dict[str, object]) -> None:
    with pytest.raises(StrategyError):
        decision_of_answer(answer, 5, OWN)


def test_a_bar_without_a_price_is_refused() -> None:
    for price in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(NonFiniteError):
            ClosedBar(0, 100.0, 101.0, price, 100.0)


def test_decimals_read_back_as_the_float_they_came_from() -> None:
    rng = np.random.default_rng(1)
    for value in np.exp(rng.standard_normal(1000) * 20):
        assert float(decimal_of(value)) == value


def test_the_tighter_stop_wins_and_a_short_s_levels_mirror_a_long_s() -> None:
    rules = Rules(stop_frac=0.02, target_frac=0.06, trailing_frac=0.01)
    at_entry = exit_levels(rules, 1, 100.0, 100.0)
    assert (at_entry.stop, at_entry.fixed, at_entry.target) == (99.0, 98.0, 106.0)
    assert exit_levels(rules, 1, 100.0, 110.0).stop == 110.0 * 0.99
    short = exit_levels(rules, -1, 100.0, 90.0)
    assert (short.stop, short.fixed, short.target) == (90.0 * 1.01, 102.0, 94.0)


def test_a_short_s_target_below_zero_is_none() -> None:
    rules = Rules(stop_frac=0.02, target_frac=1.5)
    assert exit_levels(rules, -1, 100.0, 100.0).target is None


def test_defaults_are_attached_only_where_no_stop_is_named() -> None:
    assert with_defaults(Rules(), 0.02, 0.06) == Rules(stop_frac=0.02, target_frac=0.06)
    own = Rules(stop_frac=0.01)
    assert with_defaults(own, 0.02, 0.06) == own
    assert with_defaults(Rules(target_frac=0.1), 0.02, 0.06).target_frac == 0.1


def test_kelly_halves_at_first_and_then_follows_the_trades() -> None:
    rules = Rules(size_frac=0.8, kelly=True)
    past = TradeReturns()
    assert wanted_size(rules, None, past) == 0.4
    for _ in range(20):
        past.count(-0.01)
    assert wanted_size(rules, None, past) == pytest.approx(0.08)
    only_wins = TradeReturns()
    for _ in range(20):
        only_wins.count(0.01)
    assert wanted_size(rules, None, only_wins) == 0.8
    mixed = TradeReturns()
    for i in range(20):
        mixed.count(0.02 if i % 2 else -0.019)
    half_kelly = 0.5 * (0.5 / 0.019 - 0.5 / 0.02)
    assert wanted_size(rules, None, mixed) == pytest.approx(half_kelly)
    assert math.isnan(wanted_size(Rules(), math.nan, past))
