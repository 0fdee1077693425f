"""The order monitor: sees to it that no order lingers, from a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from actors.ports import Peer
from actors.roster import OnFailure, PartSpec, PeerOf, trader_names
from engine.clock import Clock
from engine.errors import PaddockError
from engine.trade.order_watch import watch_orders

LOOK_S = 0.25
IDLE_S = 0.75
_CALL_S = 5.0


class OrderMonitor:
    """Judge the open orders of every account.

    Survives a crash: nothing; the rules need no memory. While it is silent for two seconds the
    trader applies them itself.
    May run twice: every wish; the trader holds it against the book as it stands then.
    Owns: nothing.
    """

    def __init__(
        self, spec: PartSpec, peer_of: PeerOf, clock: Clock, on_failure: OnFailure
    ) -> None:
        self._traders = [peer_of(name) for name in trader_names(spec.config.trading)]
        self._on_failure = on_failure
        self._n_open: dict[str, int] = {}
        self._n_wishes = 0
        self._silent: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to look."""
        self._tasks = [asyncio.create_task(self._keep(trader)) for trader in self._traders]

    async def stop(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return how many orders it sees."""
        detail = {
            "orders": sum(self._n_open.values()),
            "wishes": self._n_wishes,
            "silent": sorted(self._silent),
        }
        return ("busy" if detail["orders"] else "idle"), detail

    async def look(self, trader: Peer) -> int:
        """Look once at an account and return how many orders it has open."""
        seen = await trader.call("orders_to_watch", timeout_s=_CALL_S)
        if seen is None:
            return 0
        wishes = watch_orders(seen.orders, seen.prices, seen.now_at, seen.terms)
        if wishes:
            self._n_wishes += len(wishes)
            await trader.call("carry_out_orders", wishes, timeout_s=_CALL_S)
        return len(seen.orders)

    async def _keep(self, trader: Peer) -> None:
        try:
            while True:
                try:
                    self._n_open[trader.name] = await self.look(trader)
                    self._silent.pop(trader.name, None)
                except PaddockError as exc:
                    self._silent[trader.name] = exc.message
                    self._n_open[trader.name] = 0
                await asyncio.sleep(LOOK_S if self._n_open[trader.name] else IDLE_S)
        except Exception as error:
            await self._on_failure(error)
