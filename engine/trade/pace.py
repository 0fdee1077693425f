"""The pace of requests to one exchange: reads wait their turn, what is sent never does.

ccxt's own limiter is one queue: a stop would wait behind the polls of ten symbols. Here sends and
cancels go at once and are charged for; the reads after them wait for what they cost. Reads that
stops rest on go ahead of the others, and on credit: a busy account must not become blind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from engine.clock import Clock

BURST_S = 2.0
"""Unused pace is kept for so long."""

CREDIT_S = 4.0
"""So much pace may be used ahead by reads that stops rest on.

With the burst it is a tenth of a minute's, and ours stays that much below what exchanges allow.
"""

_TICK_S = 0.001
_IS_SENDING: ContextVar[bool] = ContextVar("paddock_is_sending", default=False)
_IS_URGENT: ContextVar[bool] = ContextVar("paddock_is_urgent", default=False)


@contextmanager
def sending() -> Iterator[None]:
    """Let the requests of this task inside the block go without waiting."""
    token = _IS_SENDING.set(True)
    try:
        yield
    finally:
        _IS_SENDING.reset(token)


@contextmanager
def urgent() -> Iterator[None]:
    """Let the reads of this task inside the block go ahead of other reads."""
    token = _IS_URGENT.set(True)
    try:
        yield
    finally:
        _IS_URGENT.reset(token)


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
        self._urgent_turn = asyncio.Lock()

    async def __call__(self, cost: float | None = None) -> None:
        """Return when a request of this cost may go."""
        charge = 1.0 if cost is None else float(cost)
        if not self._waits or _IS_SENDING.get():
            self._left -= charge
            return
        is_urgent = _IS_URGENT.get()
        credit = self._costs_per_s * CREDIT_S if is_urgent else 0.0
        async with self._urgent_turn if is_urgent else self._turn:
            self._fill()
            while self._left < -credit:
                await self._sleep(max(_TICK_S, -(self._left + credit) / self._costs_per_s))
                self._fill()
            self._left -= charge

    def _fill(self) -> None:
        now_s = self._clock.monotonic_s()
        earned = max(0.0, now_s - self._filled_s) * self._costs_per_s
        self._left = min(self._left + earned, self._costs_per_s * BURST_S)
        self._filled_s = now_s
