"""Re-arming: every check from both sides, and what is not known is not green."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from engine.store.account_detail import AccountDetail, BreakerState, LimitUse
from engine.store.accounts import AccountRow
from engine.trade.journal_file import JournalReport
from engine.trade.rearm import RearmFacts, rearm_checks

NOW_AT = 1_800_000_000_000
D = Decimal
DETAIL = AccountDetail(
    limits=(
        LimitUse("position_frac", 0.08, 0.10, "fraction of equity"),
        LimitUse("position_age_close_s", None, 7200.0, "s", is_hard=False),
        LimitUse("drawdown_stop_frac", 0.16, 0.15, "fraction of peak"),
    ),
    breakers=(BreakerState("daily_loss", False), BreakerState("drawdown_stop", True, "16 %")),
)
ROW = AccountRow(
    name="live",
    mode="live",
    venue="bybit",
    market_label="LIVE",
    quote_asset="USDT",
    equity_quote=D(1000),
    balance_quote=D(1000),
    day_start_quote=D(1000),
    week_start_quote=D(1000),
    month_start_quote=D(1000),
    peak_quote=D(1000),
    drawdown_frac=0.0,
    unprotected_quote=D(0),
    gross_quote=D(0),
    net_quote=D(0),
    latch_state="HALTED",
    latch_cause="halt file",
    lease_age_s=1.0,
    reconcile_state="clean",
    reconcile_words="",
    clock_skew_ms=120,
    last_bar_at=None,
    updated_at=NOW_AT - 500,
    detail=DETAIL,
)
FACTS = RearmFacts(
    account="live",
    now_at=NOW_AT,
    runtime="alive",
    beat_at=NOW_AT - 400,
    row=ROW,
    journal=JournalReport(812, True, "", None, None, "aa"),
)


def red(facts: RearmFacts) -> dict[str, str]:
    return {check.name: check.words for check in rearm_checks(facts) if not check.passed}


def row(**changes: object) -> RearmFacts:
    return replace(FACTS, row=replace(ROW, **changes))  # type: ignore[arg-type]


def detail(**changes: object) -> RearmFacts:
    return row(detail=replace(DETAIL, **changes))  # type: ignore[arg-type]


def test_all_green_and_each_with_its_number() -> None:
    words = {check.name: check.words for check in rearm_checks(FACTS)}
    assert red(FACTS) == {}
    assert words["runtime is up"] == "alive, last sign of life 0.4 s ago"
    assert words["gateway reports"] == "0.5 s ago, at most 10 s"
    assert words["positions reconciled"] == "clean; 0 orders unknown"
    assert words["no limit breached"] == "1 of 1 hold"
    assert words["journal whole"] == "812 lines"
    assert words["clock agrees"] == "the exchange's is +0.12 s from ours, at most 1 s"


def test_nothing_known_is_nothing_green() -> None:
    assert set(red(RearmFacts("live", NOW_AT))) == {c.name for c in rearm_checks(FACTS)}


RED: list[tuple[RearmFacts, str, str]] = [
    (replace(FACTS, runtime="silent"), "runtime is up", "silent"),
    (replace(FACTS, runtime="down", beat_at=None), "runtime is up", "no sign of life"),
    (replace(FACTS, store_problem="locked"), "runtime is up", "not known: locked"),
    (row(updated_at=NOW_AT - 10_001), "gateway reports", "10.0 s ago"),
    (
        row(reconcile_state="differs", reconcile_words="BTC 1 vs 2"),
        "positions reconciled",
        "1 vs 2",
    ),
    (row(reconcile_state="pending"), "positions reconciled", "pending"),
    (detail(n_unknown=2), "positions reconciled", "2 orders unknown"),
    (detail(limits=()), "no limit breached", "no limits were told"),
    (
        detail(limits=(LimitUse("leverage_max", 3.01, 3.0, "notional / equity"),)),
        "no limit breached",
        "leverage_max 3.01 over 3",
    ),
    (
        detail(limits=(LimitUse("correlation_max", None, 0.7, "correlation"),)),
        "no limit breached",
        "not known: correlation_max",
    ),
    (
        detail(breakers=(BreakerState("daily_loss", True, "lets go at midnight"),)),
        "no limit breached",
        "lets go at midnight, which re-arming does not end",
    ),
    (
        replace(FACTS, journal=JournalReport(7, False, "it was changed", 8, 7, "")),
        "journal whole",
        "7 lines; line 8: it was changed",
    ),
    (replace(FACTS, journal=None, journal_problem="no such file"), "journal whole", "no such file"),
    (row(clock_skew_ms=-1001), "clock agrees", "-1.00 s"),
    (row(clock_skew_ms=None), "clock agrees", "not known"),
]


@pytest.mark.parametrize(("facts", "name", "words"), RED, ids=[f"{n}: {w}" for _, n, w in RED])
def test_one_red_check_is_named_with_its_number(facts: RearmFacts, name: str, words: str) -> None:
    found = red(facts)
    assert list(found) == [name]
    assert words in found[name]


def test_both_sides_of_each_number() -> None:
    assert red(row(updated_at=NOW_AT - 10_000)) == {}
    assert red(row(clock_skew_ms=1000)) == {}
    at_limit = detail(limits=(LimitUse("leverage_max", 3.0, 3.0, "notional / equity"),))
    assert red(at_limit) == {}


def test_breakers_that_re_arming_ends_do_not_stand_in_its_way() -> None:
    assert red(detail(breakers=(BreakerState("weekly_loss", True, "15.2 %"),))) == {}


def test_paper_has_a_time_of_its_own() -> None:
    facts = replace(row(clock_skew_ms=None), account="paper")
    assert red(facts) == {}
