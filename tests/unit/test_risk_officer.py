"""The risk officer: one verdict from all rules, in order, with all numbers."""

from __future__ import annotations

import math
import statistics
import time
from decimal import Decimal

import numpy as np
import pytest

from engine.risk.breakers import BreakerState
from engine.risk.officer import RiskOfficer
from engine.risk.risk_model import RiskModel
from engine.risk.view import RiskView, TradePlan
from engine.trade.orders import Purpose, Side
from engine.trade.record_json import plain, rebuilt
from engine.trade.records import VerdictRecord
from tests.risk_values import (
    LIMITS,
    NOW_AT,
    OPEN,
    PLAN,
    entry_of,
    exit_of,
    held,
    marked,
    quiet_model,
    view_with,
    waiting,
)

OFFICER = RiskOfficer(LIMITS)
ORDER_OF_RULES = (
    "equity_quote",
    "daily_loss_frac",
    "weekly_loss_frac",
    "monthly_loss_frac",
    "drawdown_reduce_frac",
    "drawdown_stop_frac",
    "drawdown_flatten_frac",
    "stop_frac",
    "risk_per_trade_frac",
    "position_frac",
    "strategy_frac",
    "group_frac",
    "leverage_max",
    "correlation_max",
    "value_at_risk_frac",
    "position_loss_frac",
    "position_age_close_s",
)
NOTHING_KNOWN = RiskView("paper", "USDT", NOW_AT, None)


def test_an_order_within_every_limit_passes_as_asked_with_all_numbers() -> None:
    verdict = OFFICER.judge(entry_of(500), view_with())
    assert verdict.allowed
    assert (verdict.qty_base, verdict.notional_quote, verdict.reason) == (None, None, "")
    assert tuple(rule.rule for rule in verdict.rules) == ORDER_OF_RULES
    assert all(rule.passed and rule.message for rule in verdict.rules)
    assert not any(math.isnan(rule.value) for rule in verdict.rules)


def test_a_refusal_names_every_rule_that_refused_and_keeps_the_other_numbers() -> None:
    verdict = OFFICER.judge(entry_of(1_100), view_with())
    assert not verdict.allowed
    assert [r.rule for r in verdict.rules if not r.passed] == ["position_frac", "strategy_frac"]
    assert verdict.reason == (
        "BTC/USDT: 11 % of equity (1,100.00 USDT of 10,000.00 USDT), limit 10 %; "
        "strategy a: 11 % of equity (1,100.00 USDT of 10,000.00 USDT), limit 5 %"
    )
    assert tuple(rule.rule for rule in verdict.rules) == ORDER_OF_RULES


def test_an_order_is_sized_down_before_the_other_rules_are_asked() -> None:
    view = view_with(plans={"a": TradePlan(0.5)})
    verdict = OFFICER.judge(entry_of(5_000), view)
    assert verdict.allowed
    assert verdict.qty_base == 4
    by_name = {rule.rule: rule for rule in verdict.rules}
    assert by_name["risk_per_trade_frac"].value == 0.25
    assert by_name["position_frac"].value == 0.04
    assert verdict.reason == by_name["risk_per_trade_frac"].message


def test_an_order_sized_by_notional_is_answered_in_notional() -> None:
    view = view_with(plans={"a": TradePlan(0.5)})
    verdict = OFFICER.judge(entry_of(5_000, by_notional=True), view)
    assert (verdict.qty_base, verdict.notional_quote) == (None, Decimal(400))


@pytest.mark.parametrize("purpose", [p for p in Purpose if not p.adds_exposure])
@pytest.mark.parametrize("view", [NOTHING_KNOWN, view_with(equity_quote=Decimal(-5))])
def test_what_reduces_exposure_passes_whatever_is_unknown_or_broken(
    purpose: Purpose, view: RiskView
) -> None:
    request = exit_of(10_000_000, purpose=purpose) if purpose is not Purpose.TARGET else None
    request = request or exit_of(1, purpose=Purpose.STOP)
    verdict = OFFICER.judge(request, view)
    assert verdict.allowed
    assert verdict.qty_base is None
    assert [rule.rule for rule in verdict.rules] == ["reduce_only"]


def test_of_an_account_of_which_nothing_is_known_nothing_passes() -> None:
    verdict = OFFICER.judge(entry_of(1), NOTHING_KNOWN)
    assert not verdict.allowed
    unknown = [rule.rule for rule in verdict.rules if math.isnan(rule.value)]
    assert unknown == [
        name
        for name in ORDER_OF_RULES
        if name not in ("correlation_max", "position_loss_frac", "position_age_close_s")
    ]


def test_the_first_entry_into_an_empty_book_passes() -> None:
    assert OFFICER.judge(entry_of(500), view_with(holdings=[], pending=[])).allowed


def test_the_first_day_without_a_mark_refuses_and_says_why() -> None:
    verdict = OFFICER.judge(entry_of(1), view_with(breakers=BreakerState()))
    assert not verdict.allowed
    assert "the account has no worth to compare with" in verdict.reason


def test_a_tripped_breaker_refuses() -> None:
    view = view_with(breakers=marked(Decimal(10_527)))
    verdict = OFFICER.judge(entry_of(1), view)
    assert [r.rule for r in verdict.rules if not r.passed] == ["daily_loss_frac"]


def test_a_position_that_is_about_to_be_closed_is_not_enlarged() -> None:
    losing = view_with(holdings=[held(100, entry="106")])
    verdict = OFFICER.judge(entry_of(1), losing)
    assert [r.rule for r in verdict.rules if not r.passed] == ["position_loss_frac"]
    aged = view_with(holdings=[held(100, opened_at=NOW_AT - 7_200_000)])
    verdict = OFFICER.judge(entry_of(1), aged)
    assert [r.rule for r in verdict.rules if not r.passed] == ["position_age_close_s"]


def test_a_losing_position_may_be_reversed() -> None:
    losing = view_with(holdings=[held(100, entry="106")])
    assert OFFICER.judge(entry_of(50, side=Side.SELL), losing).allowed


def test_a_verdict_survives_the_journal() -> None:
    request = entry_of(100_000)
    verdict = OFFICER.judge(request, view_with(model=quiet_model(("ETH/USDT",))))
    assert any(math.isnan(rule.value) for rule in verdict.rules)
    read = rebuilt(VerdictRecord, plain(VerdictRecord(request, verdict)))
    assert plain(read) == plain(VerdictRecord(request, verdict))


def test_the_same_question_has_the_same_answer() -> None:
    view = view_with(holdings=[held(321)], pending=[waiting(55, "ETH/USDT", "b")])
    assert OFFICER.judge(entry_of(77), view) == OFFICER.judge(entry_of(77), view)


def test_judging_with_fifty_positions_takes_well_under_a_millisecond() -> None:
    symbols = tuple(f"C{i}/USDT" for i in range(50))
    rng = np.random.default_rng(0)
    covariance = 0.03**2 * (0.5 * np.eye(50) + 0.5)
    history = rng.multivariate_normal(np.zeros(50), covariance, 365)
    drawn = rng.multivariate_normal(np.zeros(50), covariance, 2_000)
    model = RiskModel(symbols, NOW_AT, history, drawn, np.corrcoef(history.T))
    view = view_with(
        holdings=[held("123.456789", s, f"s{i}") for i, s in enumerate(symbols)],
        pending=[waiting("12.3456", s, f"s{i}") for i, s in enumerate(symbols[:10])],
        prices={s: Decimal("100.123") for s in symbols},
        plans={f"s{i}": PLAN for i in range(50)},
        model=model,
    )
    officer, request = RiskOfficer(OPEN), entry_of(100, "C7/USDT", "s7")
    assert officer.judge(request, view).allowed
    took_s = []
    for _ in range(100):
        started = time.perf_counter()
        officer.judge(request, view)
        took_s.append(time.perf_counter() - started)
    # Measured 0.25 ms; the best of many, because other tests run on the same cores.
    assert min(took_s) < 0.001, statistics.median(took_s)
