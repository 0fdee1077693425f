"""Absurd quotes are held back, and a crash is not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.clock import FakeClock
from engine.trade.exchange import Ticker
from engine.trade.quote_filter import LIFE_S, QuoteFilter

D = Decimal


def quotes(price: str, bid: str | None = None, symbol: str = "BTC/USDT") -> Ticker:
    return Ticker(symbol, D(bid or price), D(price), D(price), 0)


@pytest.fixture
def believed() -> QuoteFilter:
    made = QuoteFilter(FakeClock())
    made.take(quotes("100"))
    assert made.take(quotes("100")) is not None
    return made


def test_the_first_price_is_believed_when_seen_again() -> None:
    quiet = QuoteFilter(FakeClock())
    assert quiet.take(quotes("100")) is None
    assert quiet.take(quotes("101")) is not None


@pytest.mark.parametrize("price", ["1", "50", "200", "10000", "89.9", "110.1"])
def test_a_bad_tick_costs_one_look(believed: QuoteFilter, price: str) -> None:
    assert believed.take(quotes(price)) is None
    assert believed.take(quotes("101")) is not None


def test_a_crash_is_confirmed_by_the_next_look(believed: QuoteFilter) -> None:
    assert believed.take(quotes("60")) is None
    assert believed.take(quotes("58")) is not None
    assert believed.take(quotes("100")) is None


def test_two_bad_ticks_that_differ_confirm_nothing(believed: QuoteFilter) -> None:
    assert believed.take(quotes("1")) is None
    assert believed.take(quotes("10000")) is None


def test_an_old_doubt_confirms_nothing() -> None:
    clock = FakeClock()
    slow = QuoteFilter(clock)
    slow.take(quotes("100"))
    clock.advance(LIFE_S + 0.1)
    assert slow.take(quotes("100")) is None


@pytest.mark.parametrize("bad", [quotes("NaN"), quotes("0"), quotes("-1"), quotes("100", "101")])
def test_what_is_no_quote_is_never_believed(bad: Ticker) -> None:
    made = QuoteFilter(FakeClock())
    assert made.take(bad) is None
    assert made.take(bad) is None


def test_symbols_do_not_vouch_for_each_other(believed: QuoteFilter) -> None:
    assert believed.take(quotes("100", symbol="ETH/USDT")) is None
