"""The position monitor's rules, each from both sides of its limit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.risk.view import Holding, TradePlan
from engine.trade.exchange import Ticker
from engine.trade.position_watch import (
    GIVE_UP_AFTER_S,
    PROTECT_AFTER_S,
    Close,
    CloseCause,
    Protect,
    Sighting,
    Warn,
    Watched,
    watch_position,
)
from engine.trading_settings import Limits

D = Decimal
HELD = Holding("s1", "BTC/USDT", D(2), D(100), 0, stop_base=D(2), stop_price=D(90))
LONG = Watched(HELD)
SHORT = Watched(replace(HELD, signed_base=D(-2), stop_price=D(110)))
NEAR_LONG = Watched(replace(HELD, stop_price=D(97)))
NEAR_SHORT = Watched(replace(SHORT.holding, stop_price=D(103)))
HOUR_MS = 3_600_000


def naked(covered: str = "0", wanted: str | None = None) -> Watched:
    """Return a position that a stop covers in part or not at all."""
    price = HELD.stop_price if D(covered) else None
    held = replace(HELD, stop_base=D(covered), stop_price=price)
    return Watched(held, wanted_stop=None if wanted is None else D(wanted))


def look(
    position: Watched,
    price: str | None = "100",
    *,
    at: int = 0,
    now_s: float = 0.0,
    seen: Sighting | None = None,
) -> tuple[list[Any], Sighting]:
    ticker = None if price is None else Ticker("BTC/USDT", D(price), D(price), D(price), at)
    wishes, now = watch_position(position, ticker, at, now_s, seen or Sighting(), Limits())
    return list(wishes), now


def causes(position: Watched, price: str | None = "100", **given: Any) -> list[CloseCause]:
    return [wish.cause for wish in look(position, price, **given)[0] if isinstance(wish, Close)]


@pytest.mark.parametrize(("price", "n"), [("95.01", 0), ("95", 1), ("94", 1), ("120", 0)])
def test_a_long_that_loses_five_percent_is_closed(price: str, n: int) -> None:
    assert causes(LONG, price) == [CloseCause.LIMIT] * n


@pytest.mark.parametrize(("price", "n"), [("104.99", 0), ("105", 1), ("80", 0)])
def test_a_short_that_loses_five_percent_is_closed(price: str, n: int) -> None:
    assert causes(SHORT, price) == [CloseCause.LIMIT] * n


def test_a_loss_is_what_closing_would_bring_not_the_last_trade() -> None:
    bad_tick = Ticker("BTC/USDT", D(99), D(101), D(50), 0)
    wishes, _ = watch_position(LONG, bad_tick, 0, 0.0, Sighting(), Limits())
    assert wishes == ()


@pytest.mark.parametrize(("position", "price"), [(NEAR_LONG, "97"), (NEAR_SHORT, "103")])
def test_a_stop_that_the_venue_misses_for_a_second_is_executed_by_us(
    position: Watched, price: str
) -> None:
    wishes, seen = look(position, price, now_s=10.0)
    assert wishes == []
    wishes, seen = look(position, price, now_s=10.99, seen=seen)
    assert wishes == []
    assert causes(position, price, now_s=11.0, seen=seen) == [CloseCause.STOP_MISSED]


def test_a_price_that_comes_back_from_the_stop_begins_anew() -> None:
    _, seen = look(NEAR_LONG, "97", now_s=10.0)
    _, seen = look(NEAR_LONG, "98", now_s=10.5, seen=seen)
    assert causes(NEAR_LONG, "97", now_s=11.2, seen=seen) == []


def test_without_a_stop_at_the_venue_nobody_is_waited_for() -> None:
    assert causes(naked(wanted="97"), "97", now_s=10.0) == [CloseCause.STOP_MISSED]
    assert causes(naked(wanted="97"), "97.01", now_s=10.0) == []


def test_a_touched_stop_stays_touched_while_there_are_no_quotes() -> None:
    _, seen = look(NEAR_LONG, "97", now_s=10.0)
    assert causes(NEAR_LONG, None, now_s=11.0, seen=seen) == [CloseCause.STOP_MISSED]


@pytest.mark.parametrize("covered", ["0", "1.9"])
def test_a_position_without_full_protection_is_protected_then_closed(covered: str) -> None:
    position = naked(covered)
    wishes, seen = look(position, now_s=100.0)
    assert wishes == []
    wishes, seen = look(position, now_s=100.0 + PROTECT_AFTER_S, seen=seen)
    assert [type(wish) for wish in wishes] == [Protect]
    assert causes(position, now_s=99.9 + GIVE_UP_AFTER_S, seen=seen) == []
    late_s = 100.0 + GIVE_UP_AFTER_S
    assert causes(position, now_s=late_s, seen=seen) == [CloseCause.UNPROTECTED]
    _, seen = look(LONG, now_s=101.0, seen=seen)
    assert seen.naked_s is None


def test_where_no_stop_can_rest_a_position_lives_on_and_its_stop_is_watched_at_once() -> None:
    position = replace(naked(wanted="97"), rests_stops=False)
    _, seen = look(position)
    late_s = 10 * GIVE_UP_AFTER_S
    assert look(position, now_s=late_s, seen=seen)[0] == []
    assert causes(position, "97", now_s=late_s, seen=seen) == [CloseCause.STOP_MISSED]


def test_where_no_stop_can_rest_a_position_without_a_known_one_is_closed() -> None:
    position = replace(naked(), rests_stops=False)
    _, seen = look(position)
    assert causes(position, now_s=GIVE_UP_AFTER_S, seen=seen) == [CloseCause.UNPROTECTED]


@pytest.mark.parametrize(
    ("holding_s", "at", "expected"),
    [
        (600.0, HOUR_MS - 1, []),
        (600.0, HOUR_MS, [Warn]),
        (600.0, 2 * HOUR_MS, [Close]),
        (7_199.0, 2 * HOUR_MS, [Close]),
        (7_200.0, 2 * HOUR_MS, []),
        (7_200.0, 2 * HOUR_MS + 60_000, [Close]),
        (86_400.0, 23 * HOUR_MS, []),
        (None, 100 * HOUR_MS, []),
    ],
)
def test_a_position_that_outlives_what_its_strategy_declares_is_closed(
    holding_s: float | None, at: int, expected: list[type]
) -> None:
    plan = TradePlan(stop_frac=0.02, holding_s=holding_s)
    wishes, _ = look(replace(LONG, plan=plan), at=at)
    assert [type(wish) for wish in wishes] == expected


def test_an_age_is_warned_about_once() -> None:
    short_lived = replace(LONG, plan=TradePlan(stop_frac=0.02, holding_s=600.0))
    wishes, seen = look(short_lived, at=HOUR_MS)
    assert len(wishes) == 1
    assert look(short_lived, at=HOUR_MS + 5_000, seen=seen)[0] == []


def test_what_is_already_leaving_is_not_closed_twice() -> None:
    assert causes(replace(LONG, leaving_base=D(2)), "80") == []
    assert causes(replace(LONG, leaving_base=D("1.9")), "80") == [CloseCause.LIMIT]


def test_dust_is_left_alone() -> None:
    assert look(replace(naked(), is_dust=True), "10", at=100 * HOUR_MS)[0] == []


def test_an_orphan_is_closed() -> None:
    assert causes(replace(LONG, is_orphan=True)) == [CloseCause.ORPHAN]
