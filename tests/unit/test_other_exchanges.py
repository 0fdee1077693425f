"""The port on exchanges unlike Binance: contracts, other ways to find an order, a dead-man."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from engine.clock import FakeClock
from engine.errors import OrderStateUnknown, VenueRejected
from engine.trade.keys import Keys, Redactor
from engine.trade.live import CcxtExchange
from engine.trade.orders import OrderState, Purpose, Side, client_id_of
from tests.venues.live_account import BTC, limit, order, stop

D = Decimal
S = OrderState
VENUE_BTC = "BTC/USDT:USDT"
MARKET = {
    "symbol": VENUE_BTC,
    "base": "BTC",
    "quote": "USDT",
    "linear": True,
    "contractSize": "0.01",
    "precision": {"amount": "1", "price": "0.1"},
    "limits": {"amount": {"min": "1"}, "cost": {"min": None}},
}
FEATURES = {
    "createOrder": {"triggerPrice": True},
    "fetchOpenOrders": {"symbolRequired": True, "trigger": False},
    "fetchMyTrades": {"limit": 100},
}


class FakeClient:
    """A ccxt client that counts in contracts and finds no order by our id."""

    def __init__(self, **has: Any) -> None:
        self.has: dict[str, Any] = {"fetchClosedOrders": True, "cancelAllOrdersAfter": True} | has
        self.features = {"swap": {"linear": FEATURES}}
        self.precisionMode = ccxt.TICK_SIZE
        self.id = "bybit"
        self.urls = {"www": "https://www.bybit.com"}
        self.options = {"recvWindow": 5000}
        self.open: list[dict[str, Any]] = []
        self.closed: list[dict[str, Any]] = []
        self.calls: list[tuple[Any, ...]] = []
        self.positions: list[dict[str, Any]] = []
        self.cancels = True
        self.market: dict[str, Any] = MARKET

    async def load_markets(self, again: bool) -> dict[str, Any]:
        return {VENUE_BTC: self.market}

    async def create_order(self, *arguments: Any) -> dict[str, Any]:
        self.calls.append(arguments)
        params = arguments[5]
        made = {
            "id": f"id-{len(self.calls)}",
            "clientOrderId": params["clientOrderId"],
            "symbol": VENUE_BTC,
            "side": arguments[2],
            "amount": str(arguments[3]),
            "filled": "0",
            "status": "open",
            "timestamp": len(self.calls),
            "triggerPrice": params.get("triggerPrice"),
            "reduceOnly": params.get("reduceOnly"),
        }
        self.open.append(made)
        return {"id": made["id"]}

    async def cancel_order(self, number: str, symbol: str, params: dict[str, Any]) -> None:
        self.calls.append(("cancel", number, symbol))
        if self.cancels:
            self.end(number, "canceled")

    def end(self, number: str, status: str, filled: str = "0") -> None:
        made = next(order for order in self.open if order["id"] == number)
        self.open.remove(made)
        self.closed.append({**made, "status": status, "filled": filled})

    async def fetch_open_orders(self, symbol: str | None, *_: Any) -> list[dict[str, Any]]:
        self.calls.append(("open", symbol))
        return self.open

    async def fetch_closed_orders(self, *_: Any) -> list[dict[str, Any]]:
        return self.closed

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def unexpected(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            return {"fetch_positions": self.positions, "fetch_balance": {"total": {}}}.get(name)

        if not name.startswith(("fetch_", "cancel_all")):
            raise AttributeError(name)
        return unexpected


def exchange(client: FakeClient, name: str = "bybit-perp") -> CcxtExchange:
    return CcxtExchange(
        "live", name, client, FakeClock(1000), Redactor(Keys("", "")), symbols=(BTC,)
    )


async def test_orders_are_found_by_looking_through_the_lists() -> None:
    client = FakeClient()
    venue = exchange(client)
    placed = await venue.submit(limit("a", "90", qty_base=D("0.05")))
    assert (placed.venue_id, placed.qty_base) == ("id-1", D("0.05"))
    assert client.calls[0][3] == 5.0
    other = exchange(client)
    found = await other.find_order(BTC, "pk-a")
    assert found is not None
    assert (found.venue_id, found.state) == ("id-1", S.ACCEPTED)
    client.end("id-1", "closed", filled="5")
    ended = await other.find_order(BTC, "pk-a")
    assert ended is not None
    assert (ended.state, ended.filled_base) == (S.FILLED, D("0.05"))
    assert await other.find_order(BTC, "pk-b") is None


async def test_cancel_goes_by_the_exchanges_number() -> None:
    client = FakeClient()
    await exchange(client).submit(limit("a", "90", qty_base=D("0.05")))
    assert (await exchange(client).cancel(BTC, "pk-a")).state is S.CANCELED
    assert ("cancel", "id-1", VENUE_BTC) in client.calls
    client.cancels = False
    await exchange(client).submit(limit("b", "90", qty_base=D("0.05")))
    with pytest.raises(OrderStateUnknown, match="still open: ask again"):
        await exchange(client).cancel(BTC, "pk-b")


async def test_open_orders_are_asked_for_symbol_by_symbol_where_they_must() -> None:
    client = FakeClient()
    venue = exchange(client)
    await venue.submit(stop("a", "80", qty_base=D("0.05")))
    (seen,) = await venue.open_orders()
    assert (seen.stop_price, seen.reduce_only, seen.qty_base) == (D("80.0"), True, D("0.05"))
    assert [call for call in client.calls if call[0] == "open"] == [("open", VENUE_BTC)]
    assert client.calls[0][5]["triggerDirection"] == "descending"


async def test_ids_are_spelled_as_the_exchange_wants_them_and_are_ours_again() -> None:
    client = FakeClient(fetchOrder=None)
    client_id = client_id_of("live", "s1", BTC, 1, Purpose.ENTRY, 0)
    asked = replace(limit("a", "90", qty_base=D("0.05")), client_id=client_id)
    placed = await exchange(client, "okx-perp").submit(asked)
    assert client.calls[0][5]["clientOrderId"] == client_id.replace("-", "")
    assert placed.client_id == client_id
    other = exchange(client, "okx-perp")
    assert [seen.client_id for seen in await other.open_orders()] == [client_id]
    found = await exchange(client, "okx-perp").find_order(BTC, client_id)
    assert found is not None
    assert found.client_id == client_id


async def test_a_symbol_that_is_not_traded_now_takes_no_orders_and_lets_go_of_them() -> None:
    client = FakeClient()
    venue = exchange(client)
    await venue.submit(limit("a", "90", qty_base=D("0.05")))
    paused = exchange(client)
    client.market = {**MARKET, "active": False}
    assert await paused.instruments() == {}
    with pytest.raises(VenueRejected, match="does not trade BTC/USDT now: check the symbol"):
        await paused.submit(limit("b", "90", qty_base=D("0.05")))
    assert (await paused.cancel(BTC, "pk-a")).state is S.CANCELED


async def test_quantities_between_contracts_are_refused() -> None:
    with pytest.raises(VenueRejected, match=r"not a multiple of 0\.01"):
        await exchange(FakeClient()).submit(limit("a", "90", qty_base=D("0.055")))


async def test_positions_are_told_in_base_currency_and_signed() -> None:
    client = FakeClient()
    client.positions = [
        {"symbol": VENUE_BTC, "contracts": "12", "side": "short", "entryPrice": "101"},
        {"symbol": "ETH/USDT:USDT", "contracts": "3", "side": "long", "contractSize": "0.1"},
        {"symbol": "SOL/USDT:USDT", "contracts": "0", "side": None},
    ]
    positions = (await exchange(client).account_view()).positions
    assert {name: held.signed_base for name, held in positions.items()} == {
        BTC: D("-0.12"),
        "ETH/USDT:USDT": D("0.3"),
    }


async def test_both_sides_of_one_symbol_are_told_as_what_they_come_to() -> None:
    client = FakeClient()
    client.positions = [
        {"symbol": VENUE_BTC, "contracts": "12", "side": "short"},
        {"symbol": VENUE_BTC, "contracts": "2", "side": "long"},
    ]
    positions = (await exchange(client).account_view()).positions
    assert positions[BTC].signed_base == D("-0.10")


async def test_dead_man_timer_is_told_in_ms() -> None:
    client = FakeClient()
    venue = exchange(client)
    assert venue.capabilities.dead_man
    await venue.refresh_dead_man(60_000)
    assert client.calls == [("cancel_all_orders_after", 60_000)]
    assert not exchange(FakeClient(cancelAllOrdersAfter=None)).capabilities.dead_man


async def test_perpetual_orders_are_not_sized_in_quote_currency() -> None:
    venue = exchange(FakeClient())
    assert not venue.capabilities.notional_orders
    with pytest.raises(VenueRejected, match="quote currency is for spot"):
        await venue.submit(order("a", qty_base=None, notional_quote=D(100)))


async def test_an_exchange_without_a_receive_window_is_waited_for_longer() -> None:
    client = FakeClient()
    assert exchange(client).capabilities.forgets_after_ms == 5_000
    client.options.clear()
    assert exchange(client).capabilities.forgets_after_ms == 60_000


async def test_exits_leave_whatever_they_are_worth() -> None:
    client = FakeClient()
    leaving = order("a", qty_base=D("0.01"), side=Side.SELL, purpose=Purpose.EXIT)
    assert (await exchange(client).submit(leaving)).reduce_only
    assert client.calls[0][5]["reduceOnly"] is True
