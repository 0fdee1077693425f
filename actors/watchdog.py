"""The watchdog: sees to it that every part answers, and tells what all of them cost in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.owned_processes import Census, memory_bytes
from actors.ports import Peer, PeerLost
from actors.roster import TRADER, OnFailure, PartSpec, PeerOf, kind_of, part_names
from actors.writer import Writer
from engine.clock import Clock
from engine.errors import PaddockError

_LOOK_S = 3.0
_MEMORY_S = 10.0
_ANSWER_S = 10.0
_VOUCH_S = 3.0
# Longer than the longest pause a healthy part can take, such as loading bars on a busy machine.
HUNG_S = 60.0


@dataclass(slots=True)
class _Seen:
    """What was last seen of a part."""

    pid: int = 0
    began_at: int = 0
    answered_s: float = 0.0
    is_silent: bool = False


class Watchdog:
    """Watch the other parts.

    Survives a crash: nothing; it begins to look again.
    May run twice: everything; ending a part that hangs costs a restart.
    Owns: nothing.
    """

    def __init__(
        self, spec: PartSpec, peer_of: PeerOf, clock: Clock, on_failure: OnFailure
    ) -> None:
        trading = spec.config.trading
        parts = part_names(spec.workers, is_private=not spec.scheduled, trading=trading)
        names = [name for name in parts if name != spec.name]
        self._traders = [name for name in names if kind_of(name) == TRADER]
        self._peers: dict[str, Peer] = {name: peer_of(name) for name in names}
        self._seen = {name: _Seen(answered_s=time.monotonic()) for name in names}
        self._writer = Writer(peer_of("recorder"), clock)
        self._census = Census(spec.mark)
        self._limit_bytes = spec.config.runtime.memory_limit_mb * 2**20
        self._on_failure = on_failure
        self._memory_bytes = 0
        self._peak_bytes = 0
        self._n_processes = 0
        self._is_over = False
        self._hung: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to look."""
        for work in (self._watch(), self._weigh(), self._vouch()):
            self._tasks.append(asyncio.create_task(self._guard(work)))

    async def stop(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return the memory of all processes.

        And alert while a part is silent or memory is over its limit.
        """
        silent = sorted(name for name, seen in self._seen.items() if seen.is_silent)
        detail = {
            "memory_bytes": self._memory_bytes,
            "memory_peak_bytes": self._peak_bytes,
            "memory_limit_bytes": self._limit_bytes,
            "processes": self._n_processes,
            "silent": silent,
        }
        return ("alert" if silent or self._is_over else "idle"), detail

    async def memory(self) -> dict[str, int]:
        """Return the memory of all processes, now and at its peak, in bytes."""
        await self._weigh_once()
        return {"bytes": self._memory_bytes, "peak_bytes": self._peak_bytes}

    async def take_hung(self) -> list[str]:
        """Return the parts that have not answered for a minute, once.

        The driver ends their processes.
        """
        hung, self._hung = self._hung, []
        return hung

    async def _watch(self) -> None:
        while True:
            await asyncio.gather(*(self._look(name) for name in self._peers))
            await asyncio.sleep(_LOOK_S)

    async def _vouch(self) -> None:
        """Renew the leases of the accounts, through traders that are reconciled and answer.

        What a trader says against it shows in its own pulse.
        """
        while self._traders:
            calls = (self._peers[name].call("vouch", timeout_s=_VOUCH_S) for name in self._traders)
            await asyncio.gather(*calls, return_exceptions=True)
            await asyncio.sleep(_VOUCH_S)

    async def _look(self, name: str) -> None:
        seen = self._seen[name]
        try:
            facts = await self._peers[name].call("ping", timeout_s=_ANSWER_S)
        except PaddockError as error:
            if not seen.is_silent:
                seen.is_silent = True
                await self._tell("warn", "actor.silent", name, f"{name} is silent: {error.message}")
            if time.monotonic() - seen.answered_s > HUNG_S:
                seen.answered_s = time.monotonic()
                self._hung.append(name)
            return
        seen.answered_s = time.monotonic()
        is_new = seen.began_at not in (0, facts["began_at"])
        if is_new:
            message = f"{name} was restarted (pid {seen.pid} → {facts['pid']})"
            await self._tell("warn", "actor.restarted", name, message)
        elif seen.is_silent:
            await self._tell("info", "actor.back", name, f"{name} answers again")
        seen.is_silent = False
        seen.pid, seen.began_at = facts["pid"], facts["began_at"]

    async def _weigh(self) -> None:
        while True:
            await self._weigh_once()
            is_over = self._memory_bytes > self._limit_bytes
            if is_over != self._is_over:
                self._is_over = is_over
                words = "is over" if is_over else "is back under"
                level = "warn" if is_over else "info"
                message = (
                    f"memory of all processes, {self._memory_bytes / 2**20:,.0f} MiB, {words}"
                    f" the limit of {self._limit_bytes / 2**20:,.0f} MiB"
                )
                await self._tell(level, "runtime.memory", "", message)
            await asyncio.sleep(_MEMORY_S)

    async def _weigh_once(self) -> None:
        total, n_processes = await asyncio.to_thread(self._weight_of_all)
        self._memory_bytes, self._n_processes = total, n_processes
        self._peak_bytes = max(self._peak_bytes, total)

    async def _tell(self, level: str, kind: str, subject: str, message: str) -> None:
        try:
            await self._writer.tell(level, kind, message, subject=subject)
        except PeerLost:
            # The recorder is away for long: the driver sees that itself.
            return

    async def _guard(self, work: Any) -> None:
        try:
            await work
        except Exception as error:
            await self._on_failure(error)

    def _weight_of_all(self) -> tuple[int, int]:
        pids = self._census.pids()
        return sum(memory_bytes(pid) for pid in pids), len(pids)
