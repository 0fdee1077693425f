"""One version on one symbol: its state, bar after bar, and what it decided last."""

from __future__ import annotations

import asyncio

import numpy as np

from engine.deploy.worker_client import Signal, WorkerClient
from engine.errors import PaddockError
from engine.types import Bars

AT_ONCE_BARS = 3
"""Bars that may be missing and are still asked for before an order has to leave."""


class Replica:
    """Hand a version the bars it has not seen, in order, with the state of the one before.

    The state begins with the first bar of the history, as the engine's indicators do; where that
    moves on, it is built anew.

    Attributes
    ----------
    newest : the answer at bar `at`
    at : UTC ms of the open of the newest bar it has answered for, None before the first
    """

    def __init__(self, lookback_bars: int, building: asyncio.Semaphore) -> None:
        self.newest: Signal | None = None
        self.at: int | None = None
        self._state = "null"
        self._start_at: int | None = None
        self._lookback_bars = lookback_bars
        self._building = building
        self._task: asyncio.Task[None] | None = None
        self.problem: PaddockError | None = None

    async def answer(self, bars: Bars, client: WorkerClient) -> Signal | None:
        """Return its answer at the newest bar; None while it is still at earlier ones.

        Raises
        ------
        PaddockError : what the client raised, now or while the state was being built.
        """
        if self.problem is not None:
            problem, self.problem = self.problem, None
            raise problem
        if self._task is not None and not self._task.done():
            return None
        first_at = int(bars.timestamp[0])
        if self._start_at != first_at:
            self._start_at, self.at, self._state, self.newest = first_at, None, "null", None
        begin = self._next(bars)
        if len(bars) - begin > AT_ONCE_BARS:
            self._task = asyncio.create_task(self.build(bars, begin, client))
            return None
        for i in range(begin, len(bars)):
            await self.step(bars, i, client)
        return self.newest

    async def stop(self) -> None:
        """Build no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def build(self, bars: Bars, begin: int, client: WorkerClient) -> None:
        """Hand it the bars from index `begin` on; what goes wrong is raised by the next answer."""
        try:
            for i in range(begin, len(bars)):
                async with self._building:
                    await self.step(bars, i, client)
        except PaddockError as exc:
            self.problem = exc

    async def step(self, bars: Bars, i: int, client: WorkerClient) -> None:
        """Hand it bar `i`, the one after the last it has seen."""
        window = bars.slice(max(0, i + 1 - self._lookback_bars), i + 1)
        signal = await client.signal(window, self._state)
        self.newest, self._state, self.at = signal, signal.state, int(bars.timestamp[i])

    def _next(self, bars: Bars) -> int:
        return 0 if self.at is None else int(np.searchsorted(bars.timestamp, self.at, "right"))
