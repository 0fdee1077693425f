"""How far a replay is, on stderr, and the pace it is kept to."""

from __future__ import annotations

import asyncio
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from engine.types import timeframe_ms

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ReplayProgress:
    """One bar on a terminal, nothing elsewhere.

    Parameters
    ----------
    timeframe : of the bars that are replayed
    speed : simulated seconds a second, None as fast as it goes
    """

    def __init__(self, timeframe: str, speed: float | None) -> None:
        self._timeframe = timeframe
        self._bar_s = 0.0 if speed is None else timeframe_ms(timeframe) / 1000 / speed
        self._began_s = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ReplayProgress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=32),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._progress.start()
            self._task = self._progress.add_task(f"{self._timeframe} bars", total=None)
        self._began_s = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    async def step(self, n_done: int, n_total: int) -> None:
        """Show that a bar is done, and wait until the next may begin."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=n_done, total=n_total)
        early_s = self._began_s + n_done * self._bar_s - time.monotonic()
        if early_s > 0:
            await asyncio.sleep(early_s)
