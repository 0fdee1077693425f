"""A clock that stands still until it is run, and goes on as soon as nobody has anything to do."""

from __future__ import annotations

import asyncio
import heapq
from typing import Any


class QuickTimeline:
    """A fake clock whose sleepers wake in the order of their times.

    As `engine/trade/simulated/timeline.py`, but instead of a fixed number of turns the event loop
    gets as many as it needs: its queue of ready callbacks is looked at.
    """

    def __init__(self, now_at: int) -> None:
        self._now_at = now_at
        self._start_at = now_at
        self._n_sleepers = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_at(self) -> int:
        return self._now_at

    def monotonic_s(self) -> float:
        return (self._now_at - self._start_at) / 1000

    async def sleep(self, seconds: float) -> None:
        wakes = asyncio.get_running_loop().create_future()
        self._n_sleepers += 1
        due_at = self._now_at + max(1, round(seconds * 1000))
        heapq.heappush(self._sleepers, (due_at, self._n_sleepers, wakes))
        await wakes

    async def run_to(self, at: int) -> None:
        await self._give_way()
        while self._sleepers and self._sleepers[0][0] <= at:
            due_at, _, wakes = heapq.heappop(self._sleepers)
            if wakes.done():
                continue
            self._now_at = max(self._now_at, due_at)
            wakes.set_result(None)
            await self._give_way()
        self._now_at = max(self._now_at, at)
        await self._give_way()

    async def run_for(self, seconds: float) -> None:
        await self.run_to(self._now_at + round(seconds * 1000))

    async def _give_way(self) -> None:
        loop: Any = asyncio.get_running_loop()
        await asyncio.sleep(0)
        while loop._ready:  # noqa: ASYNC110 - there is no event for an idle loop
            await asyncio.sleep(0)
