"""Effects, outcomes, limits and charts as the console words them."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.block_chart import block_rows
from console.effects import flatten_cost, flatten_symbol_lines
from console.limit_use import limit_bar, limit_colour, limit_share
from console.outcomes import Outcomes
from console.screens.orders_text import gain_frac, slippage_frac
from console.screens.typed import TypedQuestion, is_complete
from engine.store.account_detail import LimitUse
from engine.store.commands import CommandRow
from tests.console.filled_trading import POSITIONS, STOP, fill_row, position


def _command(number: int, status: str, result: object = None, reason: str = "") -> CommandRow:
    ended_at = None if status in ("waiting", "taken") else 9
    return CommandRow(number, 1, "ana", "order.cancel", {}, status, 2, ended_at, result, reason)


def test_flattening_costs_commission_and_slippage_of_the_whole_notional() -> None:
    cost = flatten_cost(POSITIONS, 0.0015)
    assert cost.n_orders == 2
    assert cost.notional_quote == Decimal("549.4813")
    assert cost.cost_quote == Decimal("549.4813") * Decimal("0.0015")
    assert (cost.cost_bp, cost.n_unmarked) == (15.0, 0)


def test_strategies_that_hold_one_symbol_are_flattened_by_one_order() -> None:
    two = (POSITIONS[0], replace(POSITIONS[0], strategy_id="other"))
    assert flatten_cost(two, 0.001).n_orders == 1


def test_a_position_without_a_price_is_said_to_be_missing_from_the_cost() -> None:
    unmarked = replace(POSITIONS[0], mark_price=None, notional_quote=None)
    assert flatten_cost([unmarked], 0.001).n_unmarked == 1
    lines = flatten_symbol_lines("BTC/USDT", [unmarked], [STOP], 0.001)
    assert "▲ 1 of them have no known price: the cost is more" in lines


def test_a_short_is_bought_back() -> None:
    lines = flatten_symbol_lines("ETH/USDT", [POSITIONS[1]], [], 0.001)
    assert lines[0].startswith("buy 0.052 ETH at market, reduce-only")


def test_gain_is_a_fraction_of_what_was_paid() -> None:
    assert gain_frac(position("A/B", "2", "100", "103", None)) == pytest.approx(0.03)
    assert gain_frac(position("A/B", "-2", "100", "103", None)) == pytest.approx(-0.03)


def test_mean_slippage_is_weighted_by_notional_and_leaves_out_what_cannot_be_measured() -> None:
    small = replace(fill_row(1, "101"), reference_price=Decimal(100))
    large = replace(
        small,
        fill=replace(small.fill, qty_base=Decimal(18), price=Decimal(100)),
    )
    unknown = replace(small, reference_price=None)
    notional = 6 * 101
    assert slippage_frac([small, large, unknown]) == pytest.approx(
        0.01 * notional / (notional + 1800)
    )
    assert slippage_frac([unknown]) is None


def test_an_outcome_is_told_once_and_only_for_what_this_console_asked() -> None:
    outcomes = Outcomes()
    outcomes.expect(4)
    assert outcomes.settled([_command(4, "taken"), _command(3, "done")]) == []
    answered = [_command(4, "refused", reason="it has ended")]
    assert outcomes.settled(answered) == [
        ("order.cancel (request 4): refused, it has ended", "warn")
    ]
    assert outcomes.settled(answered) == []


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"from": "paper", "to": "live"}, ", paper → live"),
        ({"state": "canceled"}, ", canceled"),
        ({}, ""),
        (None, ""),
        (7, ""),
    ],
)
def test_a_result_is_told_in_words(result: object, words: str) -> None:
    outcomes = Outcomes()
    outcomes.expect(4)
    [(sentence, level)] = outcomes.settled([_command(4, "done", result)])
    assert (sentence, level) == (f"order.cancel (request 4): done{words}", "ok")


@pytest.mark.parametrize(
    ("value", "share", "colour"),
    [
        (0.0, 0.0, "$success"),
        (0.699, 0.699, "$success"),
        (0.7, 0.7, "$warning"),
        (-0.7, 0.7, "$warning"),
        (0.9, 0.9, "$error"),
        (1.0, 1.0, "bold #ffffff on $halt"),
    ],
)
def test_a_limit_warns_at_70_and_is_critical_at_90_percent(
    value: float, share: float, colour: str
) -> None:
    found = limit_share(LimitUse("x", value, 1.0, "fraction"))
    assert found == pytest.approx(share)
    assert limit_colour(found) == colour


@pytest.mark.parametrize(
    ("share", "drawn"),
    [
        (None, "░░░░"),
        (0.0, "░░░░"),
        (0.1, "▍░░░"),
        (0.5, "██░░"),
        (0.99, "████"),
        (1.0, "████"),
        (3.0, "████"),
    ],
)
def test_a_limits_bar_has_eighths(share: float | None, drawn: str) -> None:
    assert limit_bar(share, 4) == drawn


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_limit_that_is_not_known_has_no_share(value: float | None) -> None:
    assert limit_share(LimitUse("x", value, 0.1, "fraction")) is None
    assert limit_colour(None) == "$muted"


@given(st.lists(st.floats(-1e6, 1e6), max_size=200), st.integers(0, 80), st.integers(0, 9))
def test_a_chart_fits_its_room_and_leaves_no_gap(
    values: list[float], width: int, height: int
) -> None:
    rows = block_rows(values, width, height)
    if not values or not width or not height:
        assert rows == []
        return
    assert len(rows) == height
    assert {len(row) for row in rows} == {min(width, len(values))}
    assert " " not in rows[-1]


def test_a_chart_ends_with_the_last_value_and_reaches_top_and_bottom() -> None:
    rows = block_rows([0.0, 1.0, 2.0, 3.0], 4, 2)
    assert rows == ["  ▃█", "▁▆██"]


@pytest.mark.parametrize(
    ("name", "reason", "why_not", "is_yes"),
    [
        ("paper", "because", "", True),
        (" paper ", "because", "", True),
        ("Paper", "because", "", False),
        ("pape", "because", "", False),
        ("paper", "  ", "", False),
        ("paper", "because", "not green", False),
    ],
)
def test_only_the_whole_name_and_a_reason_are_a_yes(
    name: str, reason: str, why_not: str, is_yes: bool
) -> None:
    question = TypedQuestion("t", [], "v", "paper", asks_reason=True, why_not=why_not)
    assert is_complete(question, name, reason) is is_yes
