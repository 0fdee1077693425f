"""The position monitor: sees to it that no loss, no age and no missed stop is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from actors.ports import Peer
from actors.roster import OnFailure, PartSpec, PeerOf, trader_names
from engine.clock import Clock
from engine.errors import PaddockError
from engine.trade.account_runner import watched
from engine.trade.position_watch import Sighting

LOOK_S = 0.25
IDLE_S = 0.75
_CALL_S = 5.0


class PositionMonitor:
    """Judge the positions of every account, from a process of its own.

    Survives a crash: nothing; what was seen of a position is seen again. While it is silent for two
    seconds the trader applies the rules itself.
    May run twice: every wish; the trader holds it against the book as it stands then.
    Owns: nothing.
    """

    def __init__(
        self, spec: PartSpec, peer_of: PeerOf, clock: Clock, on_failure: OnFailure
    ) -> None:
        self._traders = [peer_of(name) for name in trader_names(spec.config.trading)]
        self._limits = spec.config.limits
        self._on_failure = on_failure
        self._seen: dict[str, dict[tuple[str, str], Sighting]] = {}
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
        """Return how many positions it sees."""
        detail = {
            "positions": sum(len(seen) for seen in self._seen.values()),
            "wishes": self._n_wishes,
            "silent": sorted(self._silent),
        }
        return ("busy" if detail["positions"] else "idle"), detail

    async def look(self, trader: Peer) -> None:
        """Look once at an account."""
        seen = await trader.call("positions_to_watch", timeout_s=_CALL_S)
        if seen is None:
            self._seen.pop(trader.name, None)
            return
        before = self._seen.get(trader.name, {})
        wishes, self._seen[trader.name] = watched(seen, before, self._limits)
        if wishes:
            self._n_wishes += len(wishes)
            await trader.call("carry_out_positions", wishes, timeout_s=_CALL_S)

    async def _keep(self, trader: Peer) -> None:
        try:
            while True:
                try:
                    await self.look(trader)
                    self._silent.pop(trader.name, None)
                except PaddockError as exc:
                    # Another process of the trader has another monotonic clock.
                    self._seen.pop(trader.name, None)
                    self._silent[trader.name] = exc.message
                await asyncio.sleep(LOOK_S if self._seen.get(trader.name) else IDLE_S)
        except Exception as error:
            await self._on_failure(error)
