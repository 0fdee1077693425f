"""Loss and age of a position, each limit from both sides."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from engine.risk.position_rules import (
    OVERDUE_S,
    PositionAction,
    judge_position,
    position_age,
    position_loss,
)
from engine.risk.view import Holding, TradePlan
from tests.risk_values import LIMITS, NOW_AT, held

SHORT_LIVED = TradePlan(0.02, holding_s=1_800.0)
LONG_LIVED = TradePlan(0.02, holding_s=86_400.0)
NO_TIME_STOP = TradePlan(0.02)


def aged(seconds: float, notional: int = 100) -> Holding:
    return held(notional, opened_at=NOW_AT - round(seconds * 1000))


def action(
    holding: Holding, price: str | None = "100", plan: TradePlan | None = SHORT_LIVED
) -> PositionAction:
    mark = None if price is None else Decimal(price)
    return judge_position(holding, mark, plan, NOW_AT, LIMITS).action


@pytest.mark.parametrize(
    ("notional", "price", "expected"),
    [
        (100, "95.01", PositionAction.HOLD),
        (100, "95", PositionAction.CLOSE),
        (100, "150", PositionAction.HOLD),
        (-100, "104.99", PositionAction.HOLD),
        (-100, "105", PositionAction.CLOSE),
        (-100, "50", PositionAction.HOLD),
    ],
)
def test_a_position_is_closed_at_a_loss_of_five_percent_and_not_below(
    notional: int, price: str, expected: PositionAction
) -> None:
    assert action(held(notional), price) is expected


def test_the_loss_names_both_prices_and_the_limit() -> None:
    rule = position_loss(held(100), Decimal(90), LIMITS)
    assert (rule.rule, rule.value, rule.limit) == ("position_loss_frac", 0.1, 0.05)
    assert rule.message == ("BTC/USDT of a: loss 10 % of notional (entry 100, now 90), limit 5 %")


@pytest.mark.parametrize("price", [None, "NaN", "0", "-5"])
def test_a_position_without_a_price_is_warned_about_and_not_closed(price: str | None) -> None:
    verdict = judge_position(
        held(100), None if price is None else Decimal(price), SHORT_LIVED, NOW_AT, LIMITS
    )
    assert verdict.action is PositionAction.WARN
    assert "no mark price" in verdict.reason
    assert math.isnan(verdict.rules[0].value)


def test_a_position_without_an_entry_price_is_warned_about() -> None:
    holding = Holding("a", "BTC/USDT", Decimal(1), opened_at=NOW_AT)
    verdict = judge_position(holding, Decimal(100), SHORT_LIVED, NOW_AT, LIMITS)
    assert verdict.action is PositionAction.WARN
    assert "no entry price" in verdict.reason


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (3_599.999, PositionAction.HOLD),
        (3_600, PositionAction.WARN),
        (7_199.999, PositionAction.WARN),
        (7_200, PositionAction.CLOSE),
    ],
)
def test_a_position_meant_to_be_short_is_warned_at_one_hour_and_closed_at_two(
    age_s: float, expected: PositionAction
) -> None:
    assert action(aged(age_s)) is expected


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (7_200, PositionAction.HOLD),
        (86_400, PositionAction.HOLD),
        (86_400 + OVERDUE_S - 0.001, PositionAction.HOLD),
        (86_400 + OVERDUE_S, PositionAction.CLOSE),
    ],
)
def test_a_position_meant_to_be_long_is_its_own_time_stops_and_closed_when_that_failed(
    age_s: float, expected: PositionAction
) -> None:
    assert action(aged(age_s), plan=LONG_LIVED) is expected


@pytest.mark.parametrize(("holding_s", "limit_s"), [(7_199.0, 7_200.0), (7_200.0, 7_260.0)])
def test_two_hours_tell_short_from_long(holding_s: float, limit_s: float) -> None:
    plan = TradePlan(0.02, holding_s=holding_s)
    assert position_age(aged(1), plan, NOW_AT, LIMITS).limit == limit_s


@pytest.mark.parametrize("plan", [NO_TIME_STOP, None])
def test_a_position_that_declares_no_time_may_stay(plan: TradePlan | None) -> None:
    assert action(aged(10**7), plan=plan) is PositionAction.HOLD
    assert math.isinf(position_age(aged(1), plan, NOW_AT, LIMITS).limit)


def test_a_position_of_unknown_age_is_warned_about() -> None:
    assert action(held(100, opened_at=None)) is PositionAction.WARN


def test_a_position_from_the_future_has_no_age_yet() -> None:
    assert position_age(aged(-60), SHORT_LIVED, NOW_AT, LIMITS).value == 0.0


def test_a_known_loss_closes_although_the_age_is_unknown() -> None:
    assert action(held(100, opened_at=None), "90") is PositionAction.CLOSE
