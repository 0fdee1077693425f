"""One account at a scripted venue, and the orders that tests of the gateway send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.clock import FakeClock
from engine.risk.latch import Latch
from engine.risk.verdict import RiskVerdict
from engine.trade.gateway import Gateway, OrderNews
from engine.trade.journal import Journal
from engine.trade.lease import Lease
from engine.trade.orders import OrderRequest, OrderState, OrderType, Purpose, Side
from engine.trade.records import OrderRecord
from engine.trading_settings import Orders
from tests.venues.scripted_venue import ScriptedVenue

D = Decimal
S = OrderState


@dataclass
class Desk:
    """One account: a venue, and a gateway that may die and begin again."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(1_700_000_000_000))
    judge: Callable[[OrderRequest], RiskVerdict] | None = None
    settings: Orders = field(default_factory=Orders)
    news: list[OrderNews] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.venue = ScriptedVenue(self.clock)
        self.latch = Latch(self.folder / "halt", "paper", "here")
        self.latch.arm("test", "begin", self.clock.now_at())

    async def begin(self) -> Gateway:
        self.journal = Journal.open(self.folder / "paper", "paper")
        self.lease = Lease(self.clock, self.settings.lease_s)
        self.gateway = Gateway(
            "paper",
            self.venue,
            self.journal,
            self.latch,
            self.clock,
            self.lease,
            self.judge,
            self.settings,
        )
        self.gateway.on_news = self.news.append
        self.gateway.on_trouble = lambda kind, words: self.troubles.append(f"{kind}: {words}")
        await self.gateway.start()
        self.lease.renew()
        return self.gateway

    async def die(self) -> None:
        """End as by kill -9: nothing is finished, the journal's lock goes."""
        for task in list(self.gateway._sending.values()):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.journal.close()

    def state(self, client_id: str) -> OrderState:
        return self.gateway.book.orders[client_id].state

    def states(self, client_id: str) -> list[str]:
        return [
            line.record.state.value
            for line in self.journal.read()
            if isinstance(line.record, OrderRecord) and line.record.client_id == client_id
        ]

    def wait(self, seconds: float) -> None:
        """Let time pass while the watchdog renews the lease."""
        self.clock.advance(seconds)
        self.lease.renew()


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncIterator[Desk]:
    """Let an account begin, and die at the end."""
    made = Desk(folder)
    await made.begin()
    yield made
    await made.die()


def entry(client_id: str = "pk-entry", **changes: Any) -> OrderRequest:
    values: dict[str, Any] = {
        "client_id": client_id,
        "account": "paper",
        "strategy_id": "s1",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "purpose": Purpose.ENTRY,
        "qty_base": D("0.1"),
        "reduce_only": False,
        "bar_at": 1_699_999_800_000,
        "created_at": 1_700_000_000_000,
        "reference_price": D(50_000),
    }
    return OrderRequest(**{**values, **changes})


def leaving(client_id: str = "pk-exit", **changes: Any) -> OrderRequest:
    values = {"side": Side.SELL, "purpose": Purpose.EXIT, "reduce_only": True}
    return entry(client_id, **{**values, **changes})


def stop(client_id: str = "pk-stop", **changes: Any) -> OrderRequest:
    values = {"type": OrderType.STOP, "purpose": Purpose.STOP, "stop_price": D(49_000)}
    return leaving(client_id, **{**values, **changes})
