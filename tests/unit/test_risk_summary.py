"""The limits as lines: what is used of each, at 70 and 90 percent, and what is unknown."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from engine.risk.breakers import BreakerState
from engine.risk.groups import Groups
from engine.risk.risk_model import RiskModel
from engine.risk.summary import (
    LimitLine,
    LimitState,
    book_risk,
    breached,
    limit_lines,
    value_text,
)
from engine.risk.view import RiskView, TradePlan
from tests.risk_values import LIMITS, NOW_AT, SYMBOLS, held, marked, quiet_model, view_with, waiting

NAMES = (
    "risk_per_trade_frac",
    "position_frac",
    "strategy_frac",
    "group_frac",
    "leverage_max",
    "correlation_max",
    "value_at_risk_frac",
    "position_loss_frac",
    "position_age_close_s",
    "daily_loss_frac",
    "weekly_loss_frac",
    "monthly_loss_frac",
    "drawdown_reduce_frac",
    "drawdown_stop_frac",
    "drawdown_flatten_frac",
)


def lines_of(view: RiskView) -> dict[str, LimitLine]:
    return {line.name: line for line in limit_lines(view, LIMITS)}


def test_an_empty_account_uses_nothing_of_any_limit() -> None:
    lines = lines_of(view_with())
    assert tuple(lines) == NAMES
    assert {line.share for line in lines.values()} == {0.0}
    assert {line.state for line in lines.values()} == {LimitState.OK}
    assert breached(lines.values()) == ()


@pytest.mark.parametrize(
    ("notional", "state"),
    [
        ("699.9", LimitState.OK),
        ("700", LimitState.WARN),
        ("899.9", LimitState.WARN),
        ("900", LimitState.CRITICAL),
        ("1100", LimitState.CRITICAL),
    ],
)
def test_seventy_percent_warns_and_ninety_is_critical(notional: str, state: LimitState) -> None:
    line = lines_of(view_with(holdings=[held(notional)]))["position_frac"]
    assert line.share == pytest.approx(float(notional) / 1_000)
    assert line.state is state


def test_the_largest_of_each_kind_is_shown_with_its_name() -> None:
    view = view_with(
        holdings=[held(200), held(-300, "ETH/USDT"), held(100, "ETH/USDT", "b")],
        pending=[waiting(50, "SOL/USDT", "b")],
        groups=Groups.of(["large=BTC,ETH"]),
    )
    lines = lines_of(view)
    assert lines["position_frac"].detail == "ETH/USDT 400.00 USDT"
    assert lines["strategy_frac"].detail == "a 500.00 USDT"
    assert lines["group_frac"].detail == "large 600.00 USDT"
    assert lines["leverage_max"].value == pytest.approx(0.065)
    assert lines["risk_per_trade_frac"].detail == "ETH/USDT of a, stop 2 %"
    assert lines["risk_per_trade_frac"].value == pytest.approx(0.0006)


def test_the_two_positions_that_move_together_most_are_named() -> None:
    between = np.array([[1.0, 0.3, -0.9], [0.3, 1.0, 0.0], [-0.9, 0.0, 1.0]])
    holdings = [held(100), held(100, "ETH/USDT"), held(-100, "SOL/USDT")]
    view = view_with(holdings=holdings, model=quiet_model(correlation=between))
    line = lines_of(view)["correlation_max"]
    assert (line.value, line.detail) == (0.9, "BTC/USDT and SOL/USDT")
    assert breached([line]) == (line,)


def test_positions_that_hedge_each_other_have_a_negative_correlation() -> None:
    between = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    holdings = [held(100), held(-100, "ETH/USDT")]
    line = lines_of(view_with(holdings=holdings, model=quiet_model(correlation=between)))[
        "correlation_max"
    ]
    assert (line.value, line.state) == (-0.8, LimitState.OK)


def test_the_worst_and_the_oldest_position_are_shown() -> None:
    holdings = [held(100, entry="102"), held(100, "ETH/USDT", opened_at=NOW_AT - 5_400_000)]
    lines = lines_of(view_with(holdings=holdings))
    assert lines["position_loss_frac"].value == pytest.approx(2 / 102)
    assert lines["position_age_close_s"].value == 5_400.0
    assert lines["position_age_close_s"].state is LimitState.WARN
    assert value_text(lines["position_age_close_s"]) == "1.5 h / 2 h"


def test_a_position_without_an_age_limit_uses_nothing_of_it() -> None:
    holdings = [held(100, opened_at=NOW_AT - 10**10)]
    line = lines_of(view_with(holdings=holdings, plans={"a": TradePlan(0.02)}))[
        "position_age_close_s"
    ]
    assert (line.share, line.state) == (0.0, LimitState.OK)
    assert math.isinf(line.limit)


def test_a_tripped_breaker_is_critical_although_its_loss_is_won_back() -> None:
    state = BreakerState()
    for equity in (10_000, 9_400):
        for record in state.observe(Decimal(equity), NOW_AT, LIMITS):
            state = state.apply(record, NOW_AT)
    line = lines_of(view_with(breakers=state))["daily_loss_frac"]
    assert (line.value, line.state) == (0.0, LimitState.CRITICAL)
    assert "tripped at 6 %" in line.detail
    assert line.title == "daily loss"


def test_breakers_do_not_stand_in_the_way_of_rearming_and_exposure_does() -> None:
    lines = lines_of(view_with(holdings=[held(1_001)], breakers=marked(Decimal(20_000))))
    assert lines["drawdown_flatten_frac"].share > 1.0
    names = {line.name for line in breached(lines.values())}
    assert names == {"position_frac", "strategy_frac"}


def test_what_is_unknown_is_critical_and_says_why() -> None:
    lines = lines_of(view_with(holdings=[held(100), held(100, "ETH/USDT")], prices={}))
    for name in NAMES[:8]:
        assert math.isnan(lines[name].value), name
        assert lines[name].state is LimitState.CRITICAL
    assert "no price of BTC/USDT, ETH/USDT" in lines["value_at_risk_frac"].detail
    assert value_text(lines["position_frac"]) == "unknown / 10 %"


def test_an_account_of_unknown_worth_says_so() -> None:
    lines = lines_of(view_with(holdings=[held(100)], equity_quote=None))
    assert lines["position_frac"].detail == "equity is unknown USDT"
    assert lines["daily_loss_frac"].state is LimitState.CRITICAL


def test_a_strategy_whose_stop_nobody_knows_makes_the_risk_unknown() -> None:
    line = lines_of(view_with(holdings=[held(100)], plans={}))["risk_per_trade_frac"]
    assert (line.state, line.detail) == (LimitState.CRITICAL, "no stop of strategy a is known")


def test_without_a_model_an_empty_book_has_no_value_at_risk_and_a_full_one_an_unknown_one() -> None:
    empty = replace(view_with(), model=None)
    assert lines_of(empty)["value_at_risk_frac"].value == 0.0
    line = lines_of(replace(view_with(holdings=[held(100)]), model=None))["value_at_risk_frac"]
    assert (line.state, line.detail) == (LimitState.CRITICAL, "no history of returns was read")


def test_numbers_carry_their_unit() -> None:
    lines = lines_of(view_with(holdings=[held(300)]))
    assert value_text(lines["position_frac"]) == "3 % / 10 %"
    assert value_text(lines["leverage_max"]) == "0.03x / 3x"
    assert value_text(lines["correlation_max"]) == "0.00 / 0.70"


# The book


def test_what_is_at_stake_by_hand() -> None:
    moves = np.zeros((100, 3))
    moves[::10, 0] = -0.25
    model = RiskModel(SYMBOLS, NOW_AT, moves, moves * 2, np.eye(3))
    view = view_with(
        holdings=[
            replace(held(800), stop_base=Decimal(3), stop_price=Decimal(95)),
            held(-200, "ETH/USDT"),
        ],
        model=model,
    )
    risk = book_risk(view, LIMITS, maintenance_frac=0.01)
    assert (risk.gross_quote, risk.net_quote, risk.unprotected_quote) == (1_000, 600, 700)
    assert risk.concentration == pytest.approx(0.8**2 + 0.2**2)
    assert risk.liquidation_frac == pytest.approx(10 - 0.01)
    assert risk.losses is not None
    assert risk.losses.historical_quote == pytest.approx(200.0)
    assert risk.losses.drawn_quote == pytest.approx(400.0)
    assert risk.losses.historical_shortfall_quote == pytest.approx(200.0)
    assert risk.losses.shortfall_quote == pytest.approx(400.0)


def test_a_book_without_prices_or_history_says_what_it_does_not_know() -> None:
    risk = book_risk(view_with(holdings=[held(100)], prices={}), LIMITS)
    assert (risk.gross_quote, risk.net_quote, risk.unprotected_quote) == (None, None, None)
    assert math.isnan(risk.liquidation_frac)
    assert risk.losses is None
    assert risk.why_unmeasured == "no price of BTC/USDT"


def test_an_empty_book_has_nothing_at_stake() -> None:
    risk = book_risk(view_with(), LIMITS)
    assert (risk.gross_quote, risk.unprotected_quote) == (0, 0)
    assert math.isinf(risk.liquidation_frac)
    assert risk.losses is not None
    assert risk.losses.value_at_risk_quote == 0.0
