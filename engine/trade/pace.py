"""The pace of requests to one exchange: reads wait their turn, what is sent never does.

ccxt's own limiter is one queue: a stop would wait behind the polls of ten symbols. Here sends and
cancels go at once and are charged for; the reads after them wait for what they cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from engine.clock import Clock

BURST_S = 2.0
"""Unused pace is kept for so long."""

_TICK_S = 0.001
_IS_SENDING: ContextVar[bool] = ContextVar("paddock_is_sending", default=False)


@contextmanager
def sending() -> Iterator[None]:
    """Let the requests of this task inside the block go without waiting."""
    token = _IS_SENDING.set(True)
    try:
        yield
    finally:
        _IS_SENDING.reset(token)


class Pace:
    """A bucket of request costs that fills at the exchange's rate.

    Parameters
    ----------
    costs_per_s : float, > 0, what ccxt's costs may add up to in a second
    clock : its monotonic side is read
    waits : False lets everything go at once
    sleep : coroutine function of seconds
    """

    def __init__(
        self,
        costs_per_s: float,
        clock: Clock,
        *,
        waits: bool = True,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._costs_per_s = costs_per_s
        self._clock = clock
        self._waits = waits
        self._sleep = sleep
        self._left = costs_per_s * BURST_S
        self._filled_s = clock.monotonic_s()
        self._turn = asyncio.Lock()

    async def __call__(self, cost: float | None = None) -> None:
        """Return when a request of this cost may go."""
        charge = 1.0 if cost is None else float(cost)
        if not self._waits or _IS_SENDING.get():
            self._left -= charge
            return
        async with self._turn:
            self._fill()
            while self._left < 0:
                await self._sleep(max(_TICK_S, -self._left / self._costs_per_s))
                self._fill()
            self._left -= charge

    def _fill(self) -> None:
        now_s = self._clock.monotonic_s()
        earned = max(0.0, now_s - self._filled_s) * self._costs_per_s
        self._left = min(self._left + earned, self._costs_per_s * BURST_S)
        self._filled_s = now_s
