"""How far a stage is: counted here, written to the store a few times a second."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from actors.writer import Writer
from engine.clock import Clock

_WRITE_S = 0.35
_WINDOW_S = 6.0


class Meter:
    """Count a stage's units and keep its row up to date.

    Parameters
    ----------
    done, failed, total : where the stage stands, which after a restart is not 0
    """

    def __init__(
        self,
        writer: Writer,
        clock: Clock,
        cycle_id: int,
        stage: str,
        *,
        total: int,
        done: int = 0,
        failed: int = 0,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._cycle_id = cycle_id
        self._stage = stage
        self.total = total
        self.done = done
        self.failed = failed
        self.note = ""
        self._marks: deque[tuple[float, int]] = deque([(clock.monotonic_s(), done)])
        self._begun = (clock.monotonic_s(), done)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Meter:
        await self.save()
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
        await self.save(final=True)

    def add(self, done: int, failed: int = 0) -> None:
        """Count units that came to their end."""
        self.done += done
        self.failed += failed

    def rate_per_s(self) -> float | None:
        """Return units a second over the last seconds, None before the first."""
        now_s = self._clock.monotonic_s()
        self._marks.append((now_s, self.done))
        while len(self._marks) > 2 and now_s - self._marks[0][0] > _WINDOW_S:
            self._marks.popleft()
        return _slope(self._marks[0], self._marks[-1])

    def mean_rate_per_s(self) -> float | None:
        """Return units a second since the stage was begun by this process."""
        return _slope(self._begun, (self._clock.monotonic_s(), self.done))

    async def save(self, *, final: bool = False) -> None:
        """Write the stage's row."""
        columns: dict[str, Any] = {
            "done": self.done,
            "total": self.total,
            "failed": self.failed,
            "rate_per_s": self.mean_rate_per_s() if final else self.rate_per_s(),
            "updated_at": self._clock.now_at(),
        }
        if self.note:
            columns["note"] = self.note
        await self._writer.write("save_stage", self._cycle_id, self._stage, **columns)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_S)
            await self.save()


def _slope(first: tuple[float, int], last: tuple[float, int]) -> float | None:
    spent_s = last[0] - first[0]
    return (last[1] - first[1]) / spent_s if spent_s > 0 and last[1] > first[1] else None
