"""What lies between an account and its exchange while misfortune is planned."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from engine.errors import VenueUnavailable
from engine.trade.exchange import Capabilities, VenueOrder
from engine.trade.orders import OrderRequest
from engine.trade.simulated.book_order import VenueEvent
from engine.trade.simulated.exchange import SimulatedExchange
from engine.trade.simulated.faults import NO_FAULTS, Fault, FaultKind, FaultPlan, Faults


@dataclass
class Switch:
    """Faults that can be turned off, and that are counted by kind as they happen.

    Attributes
    ----------
    met : how many messages met each kind; of an outage or a wrong clock, how many looks at it did
    """

    plan: FaultPlan
    is_on: bool = True
    met: Counter[str] = field(default_factory=Counter)

    def of_request(self, n: int) -> Fault | None:
        return self._counted(self._now.of_request(n))

    def of_news(self, n: int) -> Fault | None:
        return self._counted(self._now.of_news(n))

    def is_out(self, at: int) -> bool:
        is_out = self._now.is_out(at)
        self.met[FaultKind.OUTAGE.value] += is_out
        return is_out

    def skew_ms(self, at: int) -> int:
        skew_ms = self._now.skew_ms(at)
        self.met[FaultKind.CLOCK_SKEW.value] += bool(skew_ms)
        return skew_ms

    def price_factor(self, n: int) -> Decimal:
        factor = self._now.price_factor(n)
        self.met[FaultKind.BAD_TICK.value] += factor != 1
        return factor

    def _counted(self, fault: Fault | None) -> Fault | None:
        if fault is not None:
            self.met[fault.kind.value] += 1
        return fault

    @property
    def _now(self) -> Faults:
        return self.plan if self.is_on else NO_FAULTS


class Wire:
    """An exchange as one life of a gateway reaches it: its requests outlive it.

    Parameters
    ----------
    exchange : SimulatedExchange
    switch : of its faults
    now_at : the venue's time where it tells of changes by itself, until an outage breaks the
        channel; None where it tells nothing
    """

    def __init__(
        self,
        exchange: SimulatedExchange,
        switch: Switch,
        now_at: Callable[[], int] | None,
    ) -> None:
        self._exchange = exchange
        self._switch = switch
        self._now_at = now_at
        self._on_way: set[asyncio.Task[Any]] = set()
        self._word = asyncio.Event()
        exchange.on_news = self._hear if now_at is not None else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    @property
    def capabilities(self) -> Capabilities:
        return replace(self._exchange.capabilities, pushes=self._now_at is not None)

    @property
    def is_pushing(self) -> bool:
        return self._now_at is not None and not self._switch.is_out(self._now_at())

    async def changed(self) -> None:
        await self._word.wait()
        self._word.clear()
        if not self.is_pushing:
            raise VenueUnavailable("the channel broke")

    async def submit(self, request: OrderRequest) -> VenueOrder:
        order: VenueOrder = await self._outliving(self._exchange.submit(request))
        return order

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        order: VenueOrder = await self._outliving(self._exchange.cancel(symbol, client_id))
        return order

    def _hear(self, _: VenueEvent) -> None:
        self._word.set()

    async def _outliving(self, work: Any) -> Any:
        task = asyncio.ensure_future(work)
        self._on_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._on_way.discard(task)
        if not task.cancelled():
            task.exception()
