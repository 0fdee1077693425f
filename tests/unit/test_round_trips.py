from __future__ import annotations

from decimal import Decimal

import pytest

from engine.trade.exchange import Fill
from engine.trade.orders import Side
from engine.trade.round_trips import RoundTrips

D = Decimal


def trips(lot: str = "0.001") -> RoundTrips:
    return RoundTrips("paper", "s", "BTC/USDT", lambda qty, _price: abs(qty) < D(lot))


def fill(
    n: int,
    side: Side,
    qty: str,
    price: str,
    fee: str = "0",
    asset: str = "USDT",
    order: str = "o-1",
    at: int = 0,
) -> Fill:
    return Fill(str(n), order, "BTC/USDT", side, D(qty), D(price), D(fee), asset, at or n)


def test_a_long_from_entry_to_exit() -> None:
    book = trips()
    book.count(fill(1, Side.BUY, "2", "100", "0.2"), "signal")
    assert book.open is not None
    assert book.open.entry == D(100)
    assert book.open.equity_quote(D(110)) == D("19.8")
    book.count(fill(2, Side.SELL, "2", "110", "0.22", order="x"), "target")
    (done,) = book.closed
    assert (done.side, done.entry, done.exit, done.qty_base) == (Side.BUY, D(100), D(110), D(2))
    assert done.pnl_quote == D("19.58")
    assert done.net_return == pytest.approx(19.58 / 200.2)
    assert (done.reason, done.entry_id, done.entry_at, done.exit_at) == ("target", "o-1", 1, 2)
    assert book.realized_quote == D("19.58")
    assert book.open is None


def test_a_short_gains_when_the_price_falls() -> None:
    book = trips()
    book.count(fill(1, Side.SELL, "1", "100", "0.1"), "")
    book.count(fill(2, Side.BUY, "1", "90", "0.09", order="x"), "stop")
    assert book.closed[0].pnl_quote == D("9.81")
    assert book.closed[0].side is Side.SELL


def test_fills_in_parts_make_one_trade_at_mean_prices() -> None:
    book = trips()
    book.count(fill(1, Side.BUY, "1", "100"), "")
    book.count(fill(2, Side.BUY, "3", "104"), "")
    book.count(fill(3, Side.SELL, "1", "110", order="x"), "stop")
    assert book.closed == []
    book.count(fill(4, Side.SELL, "3", "114", order="x"), "stop")
    (done,) = book.closed
    assert (done.entry, done.exit, done.qty_base) == (D(103), D(113), D(4))
    assert done.pnl_quote == D(40)


def test_a_fee_taken_in_base_lowers_what_is_held_and_the_gain() -> None:
    book = trips()
    book.count(fill(1, Side.BUY, "1", "100", "0.001", "BTC"), "")
    assert book.signed_base == D("0.999")
    book.count(fill(2, Side.SELL, "0.999", "110", "0.1", order="x"), "signal")
    assert book.closed[0].pnl_quote == D("0.999") * 110 - 100 - D("0.1")


def test_dust_ends_a_trade_and_is_carried_at_its_cost_into_the_next() -> None:
    book = trips(lot="0.01")
    book.count(fill(1, Side.BUY, "1", "100", "0.004", "BTC"), "")
    book.count(fill(2, Side.SELL, "0.99", "100", order="x"), "signal")
    (done,) = book.closed
    assert book.signed_base == D("0.006")
    # What is left counts at what it cost, so that the fee alone was lost.
    assert done.pnl_quote == D("-0.4")
    book.count(fill(3, Side.BUY, "1", "120", order="o-2"), "")
    assert book.open is not None
    assert book.open.signed_base == D("1.006")
    book.count(fill(4, Side.SELL, "1.006", "120", order="y"), "signal")
    assert book.closed[1].pnl_quote == D("0.006") * 20
    assert book.realized_quote == sum(trip.pnl_quote for trip in book.closed)


def test_a_crumb_of_an_entry_is_no_trade_and_the_next_entry_takes_it_along() -> None:
    book = trips(lot="0.01")
    book.count(fill(1, Side.BUY, "0.005", "100"), "")
    book.count(fill(2, Side.BUY, "1", "102", order="o-2"), "")
    assert book.open is not None
    assert (book.open.entry_ids, book.open.entry_base) == (("o-2",), D(1))
    assert book.open.signed_base == D("1.005")


def test_two_entries_of_one_trade_are_both_named() -> None:
    book = trips()
    book.count(fill(1, Side.BUY, "1", "100"), "")
    book.count(fill(2, Side.BUY, "1", "100", order="o-2"), "")
    assert book.open is not None
    assert book.open.entry_ids == ("o-1", "o-2")


def test_a_fill_through_zero_closes_all_and_opens_the_rest() -> None:
    book = trips()
    book.count(fill(1, Side.BUY, "1", "100"), "")
    book.count(fill(2, Side.SELL, "3", "110", "0.33", order="late"), "unexpected")
    assert book.closed[0].pnl_quote == D(10) - D("0.11")
    assert book.open is not None
    assert (book.open.side, book.open.signed_base) == (-1, D(-2))
    assert book.open.entry_ids == ("late",)


def test_kelly_counts_wins_and_losses_in_order() -> None:
    book = trips()
    for n, price in enumerate(("110", "90", "105")):
        book.count(fill(3 * n + 1, Side.BUY, "1", "100", order=f"e{n}"), "")
        book.count(fill(3 * n + 2, Side.SELL, "1", price, order=f"x{n}"), "signal")
    assert (book.returns.n_trades, book.returns.n_wins) == (3, 2)
    assert book.returns.win_sum == pytest.approx(0.15)
    assert book.returns.loss_sum == pytest.approx(0.10)
