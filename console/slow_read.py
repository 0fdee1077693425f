"""Read from the store what may take long, while everything else stays fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.clock import Clock

T = TypeVar("T")

PATIENCE_S = 0.5
PAUSE = 10
"""So many times as long as a read took, nothing is read again for the same question."""


class SlowRead(Generic[T]):
    """One thing that is read, at most once at a time; its last answer meanwhile.

    A look at the store waits `PATIENCE_S` for it and then goes on without: whether anything is
    wrong must be seen at once, however many strategies there are to sort. One event loop owns it.

    Parameters
    ----------
    clock : Clock
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._task: asyncio.Task[_Answer[T]] | None = None
        self._answer: _Answer[T] | None = None

    async def latest(
        self,
        read: Callable[[], Awaitable[T]],
        *,
        every_s: float,
        question: object = None,
        state: object = None,
    ) -> T | None:
        """Return the newest answer to a question, None while there is none.

        Parameters
        ----------
        every_s : so long an answer to the same question in the same state serves, infinity for ever
        question : what is asked; the answer to another one is of no use
        state : what the answer depends on; that of another state serves until it is read again

        Raises
        ------
        PaddockError, OSError : whatever reading raised.
        """
        self._collect()
        if self._task is None and self._is_due(question, state, every_s):
            self._task = asyncio.create_task(self._read(read, question, state))
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=PATIENCE_S)
            self._collect()
        answer = self._answer
        return answer.value if answer is not None and answer.question == question else None

    async def stop(self) -> None:
        """End what is under way, before the store is closed, and forget what was read."""
        task, self._task, self._answer = self._task, None, None
        if task is not None:
            task.cancel()
            # However it ends: nobody waits for its answer any more.
            await asyncio.gather(task, return_exceptions=True)

    def _is_due(self, question: object, state: object, every_s: float) -> bool:
        answer = self._answer
        if answer is None or answer.question != question:
            return True
        rest_s = PAUSE * answer.spent_s
        wait_s = max(every_s, rest_s) if answer.state == state else rest_s
        return self._clock.monotonic_s() - answer.read_s >= wait_s

    async def _read(
        self, read: Callable[[], Awaitable[T]], question: object, state: object
    ) -> _Answer[T]:
        began_s = self._clock.monotonic_s()
        value = await read()
        now_s = self._clock.monotonic_s()
        return _Answer(value, question, state, now_s, now_s - began_s)

    def _collect(self) -> None:
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            self._answer = task.result()


@dataclass(frozen=True, slots=True)
class _Answer(Generic[T]):
    """What was read: for what, when (monotonic s), and how long it took (s)."""

    value: T
    question: object
    state: object
    read_s: float
    spent_s: float
