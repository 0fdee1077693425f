"""The ccxt adapter on a test's own exchange, and orders to send through it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from engine.clock import Clock, SystemClock
from engine.trade.keys import Keys, Redactor
from engine.trade.live import CcxtExchange
from engine.trade.live_client import trading_client
from engine.trade.orders import OrderRequest, OrderType, Purpose, Side
from tests.venues.trading_desk import API_KEY, SECRET

BTC = "BTC/USDT"
D = Decimal


class ShiftedClock(SystemClock):
    """A machine whose clock is off."""

    def __init__(self, shift_ms: int) -> None:
        self._shift_ms = shift_ms

    def now_at(self) -> int:
        return super().now_at() + self._shift_ms


class MinuteClock(SystemClock):
    """A machine whose monotonic clock a test moves on."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._ahead_s


@asynccontextmanager
async def account_at(
    url: str,
    *,
    is_perp: bool = False,
    keys: Keys | None = None,
    clock: Clock | None = None,
    timeout_s: float = 0.5,
    window_ms: int = 5_000,
) -> AsyncIterator[CcxtExchange]:
    """Open the adapter on a loopback address."""
    keys = keys or Keys(API_KEY, SECRET)
    clock = clock or SystemClock()
    name = "binance-perp" if is_perp else "binance"
    client = trading_client(name, keys, clock, api_url=url, timeout_s=timeout_s, is_paced=False)
    client.timeout_on_exit = 0
    client.options["recvWindow"] = window_ms
    exchange = CcxtExchange("paper", name, client, clock, Redactor(keys))
    try:
        yield exchange
    finally:
        await exchange.close()


def order(number: str, **changes: Any) -> OrderRequest:
    """Return a market order to buy one BTC, or what is changed about it."""
    purpose = changes.pop("purpose", Purpose.ENTRY)
    values: dict[str, Any] = {
        "client_id": f"pk-{number}",
        "account": "paper",
        "strategy_id": "s1",
        "symbol": BTC,
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "purpose": purpose,
        "qty_base": Decimal(1),
        "reduce_only": purpose is not Purpose.ENTRY,
        "bar_at": 0,
        "created_at": 0,
        "reference_price": Decimal(100),
    }
    return OrderRequest(**(values | changes))


def limit(number: str, price: str, **changes: Any) -> OrderRequest:
    """Return a limit order."""
    return order(number, type=OrderType.LIMIT, price=Decimal(price), **changes)


def stop(number: str, price: str, **changes: Any) -> OrderRequest:
    """Return a stop that protects a long position."""
    return order(
        number,
        type=OrderType.STOP,
        purpose=Purpose.STOP,
        side=Side.SELL,
        stop_price=Decimal(price),
        **changes,
    )
