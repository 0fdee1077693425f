"""Dust of the other side, carried into a trade that is no larger."""

from __future__ import annotations

from decimal import Decimal

from engine.trade.exchange import Fill
from engine.trade.orders import Side
from engine.trade.round_trips import RoundTrips

D = Decimal


def fill(number: int, side: Side, qty: str) -> Fill:
    return Fill(str(number), f"o{number}", "BTC/USDT", side, D(qty), D(100), D(0), "USDT", number)


def test_carried_dust_may_use_up_the_next_entry_whole() -> None:
    trips = RoundTrips("paper", "s1", "BTC/USDT", lambda base, price: abs(base) < D("0.001"))
    for one in (
        fill(1, Side.SELL, "1"),
        fill(2, Side.BUY, "0.9995"),
        fill(3, Side.BUY, "0.0005"),
        fill(4, Side.SELL, "1"),
    ):
        trips.count(one, "exit")
    assert trips.signed_base == -1
    assert [trip.qty_base for trip in trips.closed] == [D(1), D("0.0005")]
    assert trips.closed[1].exit == 100
