"""A clock that stands still until it is run, on which tasks may sleep: latency without waiting."""

from __future__ import annotations

import asyncio
import heapq

# Turns of the event loop given to whoever was woken, before time goes on.
_TURNS = 50


class Timeline:
    """A fake clock whose sleepers wake in the order of their times.

    Parameters
    ----------
    now_at : first UTC instant, ms

    Notes
    -----
    `run_to` and `run_for` belong to one driver; everything else that waits does so by `sleep`.
    """

    def __init__(self, now_at: int = 0) -> None:
        self._now_at = now_at
        self._start_at = now_at
        self._n_sleepers = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_at(self) -> int:
        """Return the instant it was run to, UTC ms."""
        return self._now_at

    def monotonic_s(self) -> float:
        """Return the seconds it was run for."""
        return (self._now_at - self._start_at) / 1000

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been run this far."""
        wakes = asyncio.get_running_loop().create_future()
        self._n_sleepers += 1
        due_at = self._now_at + max(1, round(seconds * 1000))
        heapq.heappush(self._sleepers, (due_at, self._n_sleepers, wakes))
        await wakes

    async def run_to(self, at: int) -> None:
        """Move the clock to an instant, waking everyone on the way."""
        await _give_way()
        while self._sleepers and self._sleepers[0][0] <= at:
            due_at, _, wakes = heapq.heappop(self._sleepers)
            self._now_at = max(self._now_at, due_at)
            if not wakes.done():
                wakes.set_result(None)
            await _give_way()
        self._now_at = max(self._now_at, at)
        await _give_way()

    async def run_for(self, seconds: float) -> None:
        """Move the clock forward by `seconds` (>= 0)."""
        await self.run_to(self._now_at + round(seconds * 1000))


async def _give_way() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
