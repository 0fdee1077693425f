"""A venue in memory that does what a test says, message by message."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from engine.clock import FakeClock
from engine.errors import OrderStateUnknown, VenueRejected, VenueUnavailable
from engine.trade.exchange import (
    AccountView,
    Capabilities,
    Fill,
    Ticker,
    VenueOrder,
    VenuePosition,
)
from engine.trade.instrument import ZERO, Instrument
from engine.trade.orders import OrderRequest, OrderState, OrderType
from engine.types import Bars

D = Decimal
BTC = Instrument("BTC/USDT", "spot", D("0.01"), D("0.0001"), D("0.0001"), D(10))
OPEN = (OrderState.ACCEPTED, OrderState.PARTIAL)


class ScriptedVenue:
    """Hold orders and fills; `script` says what becomes of the next calls of a method.

    An outcome is `ok`; `lost`: done, and the answer lost; `never`: lost before it arrived;
    `unavailable`: nothing happened; `rejected`; `twice`: arrives twice, the second is refused;
    `hangs`: done, no answer for ever. Orders rest; market orders fill at once at `price` unless
    `rests` is set.
    """

    def __init__(self, clock: FakeClock, account: str = "paper") -> None:
        self.clock = clock
        self.account = account
        self.capabilities = Capabilities(True, True, True, False, forgets_after_ms=5_000)
        self.listed = {BTC.symbol: BTC}
        self.price = D(50_000)
        self.orders: dict[str, VenueOrder] = {}
        self.trades: list[Fill] = []
        self.balances: dict[str, Decimal] = {"USDT": D(100_000)}
        self.script: dict[str, list[str]] = {}
        self.calls: list[tuple[str, str]] = []
        self.rests = False
        self.hides_fills = False
        self.is_pushing = False
        self.pushed: asyncio.Queue[Exception | None] = asyncio.Queue()
        """What `changed` returns on, or raises."""
        self.is_terse = False
        """Orders are told without their fills."""

    # What a test does

    def will(self, method: str, *outcomes: str) -> None:
        self.script.setdefault(method, []).extend(outcomes)

    def fill(self, client_id: str, qty: Decimal, price: Decimal | None = None) -> None:
        order = self.orders[client_id]
        self._trade(order, qty, self.price if price is None else price)

    def arrive(self, request: OrderRequest) -> None:
        """Let a request that was on its way arrive."""
        self._place(request)

    def foreign_trade(self, side: str, qty: Decimal) -> None:
        from engine.trade.orders import Side

        self._book(
            Fill(
                f"x{len(self.trades)}",
                "",
                "BTC/USDT",
                Side(side),
                qty,
                self.price,
                ZERO,
                "USDT",
                self.clock.now_at(),
            )
        )

    def sent(self, method: str = "submit") -> list[str]:
        return [subject for name, subject in self.calls if name == method]

    # The port

    async def instruments(self) -> Mapping[str, Instrument]:
        self._outcome("instruments", "")
        return self.listed

    async def now_at(self) -> int:
        self._outcome("now_at", "")
        return self.clock.now_at()

    async def submit(self, request: OrderRequest) -> VenueOrder:
        outcome = self._outcome("submit", request.client_id)
        await asyncio.sleep(0)
        if outcome == "never":
            raise OrderStateUnknown("the request was lost")
        if outcome == "rejected":
            raise VenueRejected("insufficient balance")
        if request.client_id in self.orders:
            raise VenueRejected("duplicate order id")
        order = self._place(request)
        if outcome == "lost":
            raise OrderStateUnknown("the answer was lost")
        if outcome == "twice":
            raise VenueRejected("duplicate order id")
        if outcome == "breaks":
            raise KeyError("orderId")
        if outcome == "hangs":
            await asyncio.Event().wait()
        return order

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        outcome = self._outcome("cancel", client_id)
        await asyncio.sleep(0)
        if outcome == "never":
            raise OrderStateUnknown("the request was lost")
        order = self.orders.get(client_id)
        if order is None or order.state not in OPEN:
            raise VenueRejected("unknown order")
        self.orders[client_id] = replace(order, state=OrderState.CANCELED)
        if outcome == "lost":
            raise OrderStateUnknown("the answer was lost")
        return self._told(self.orders[client_id])

    async def find_order(self, symbol: str, client_id: str) -> VenueOrder | None:
        self._outcome("find_order", client_id)
        order = self.orders.get(client_id)
        return None if order is None else self._told(order)

    async def open_orders(self, symbol: str | None = None) -> Sequence[VenueOrder]:
        self._outcome("open_orders", symbol or "")
        return [self._told(o) for o in self.orders.values() if o.state in OPEN]

    async def fills(self, symbol: str, since_at: int) -> Sequence[Fill]:
        self._outcome("fills", symbol)
        if self.hides_fills:
            return []
        return [f for f in self.trades if f.symbol == symbol and f.at >= since_at]

    async def account_view(self) -> AccountView:
        self._outcome("account_view", "")
        held = self.balances.get("BTC", ZERO)
        positions = {"BTC/USDT": VenuePosition("BTC/USDT", held)} if held else {}
        return AccountView(self.clock.now_at(), dict(self.balances), positions)

    async def ticker(self, symbol: str) -> Ticker:
        self._outcome("ticker", symbol)
        return Ticker(symbol, self.price, self.price, self.price, self.clock.now_at())

    async def closed_bars(self, symbol: str, timeframe: str, since_at: int) -> Bars:
        none = np.zeros(0)
        return Bars(none.astype(np.int64), none, none, none, none, none)

    async def refresh_dead_man(self, timeout_ms: int) -> None:
        raise VenueRejected("no such timer")

    async def changed(self) -> None:
        if error := await self.pushed.get():
            raise error

    async def close(self) -> None:
        return

    # Inside

    def _outcome(self, method: str, subject: str) -> str:
        self.calls.append((method, subject))
        outcomes = self.script.get(method)
        outcome = outcomes.pop(0) if outcomes else "ok"
        if outcome == "unavailable":
            raise VenueUnavailable("no connection")
        return outcome

    def _place(self, request: OrderRequest) -> VenueOrder:
        qty = request.qty_base or (request.notional_quote or ZERO) / self.price
        order = VenueOrder(
            client_id=request.client_id,
            venue_id=str(len(self.orders) + 1),
            symbol=request.symbol,
            side=request.side,
            state=OrderState.ACCEPTED,
            qty_base=qty,
            filled_base=ZERO,
            reduce_only=request.reduce_only,
            price=request.price,
            stop_price=request.stop_price,
            at=self.clock.now_at(),
        )
        self.orders[request.client_id] = order
        if request.type is OrderType.MARKET and not self.rests:
            self._trade(order, qty, self.price)
        return self._told(self.orders[request.client_id])

    def _trade(self, order: VenueOrder, qty: Decimal, price: Decimal) -> None:
        fee = qty * price * D("0.001")
        fill = Fill(
            str(len(self.trades) + 1),
            order.client_id,
            order.symbol,
            order.side,
            qty,
            price,
            fee,
            "USDT",
            self.clock.now_at(),
        )
        self._book(fill)
        filled = order.filled_base + qty
        state = OrderState.FILLED if filled >= order.qty_base else OrderState.PARTIAL
        self.orders[order.client_id] = replace(order, filled_base=filled, state=state)

    def _book(self, fill: Fill) -> None:
        self.trades.append(fill)
        signed = fill.qty_base * fill.side.sign
        self.balances["BTC"] = self.balances.get("BTC", ZERO) + signed
        self.balances["USDT"] -= signed * fill.price + fill.fee

    def _told(self, order: VenueOrder) -> VenueOrder:
        if self.hides_fills or self.is_terse:
            return order
        fills = tuple(f for f in self.trades if f.client_id == order.client_id)
        return replace(order, fills=fills)
