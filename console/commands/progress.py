"""Stage bars on stderr while a cycle runs; silent when stderr is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from console.states import set_aside_word

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from engine.store.cycles import StageRow


class StageBars:
    """One bar a stage: done, total, rate, time left, failures."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._cycle_id = 0

    def __enter__(self) -> StageBars:
        if sys.stderr.isatty():
            self._progress = _progress()
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the bars as they are and give the terminal back."""
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.stop()

    def show(self, cycle_id: int, wave: int, stages: Sequence[StageRow]) -> None:
        """Draw the stages of a cycle; another cycle's bars start anew."""
        if self._progress is None:
            return
        if cycle_id != self._cycle_id:
            for task in self._tasks.values():
                self._progress.remove_task(task)
            self._tasks = {}
            self._cycle_id = cycle_id
        prefix = f"wave {wave} " if wave else ""
        for stage in stages:
            if stage.name not in self._tasks:
                self._tasks[stage.name] = self._progress.add_task(
                    "", total=None, start=False, rate="", left="", note=""
                )
            aside = f"{stage.failed:,} {set_aside_word(stage.name)[0]}"
            self._progress.update(
                self._tasks[stage.name],
                description=f"{prefix}{stage.name}",
                completed=stage.done,
                total=stage.total or None,
                rate=f"{stage.rate_per_s:,.0f}/s" if stage.rate_per_s else "",
                left=_left(stage),
                note=aside if stage.failed else stage.note,
            )
            if stage.status == "running" and stage.started_at is not None:
                self._progress.start_task(self._tasks[stage.name])


def _left(stage: StageRow) -> str:
    from console.format import duration

    if stage.status != "running" or not stage.rate_per_s or stage.total <= stage.done:
        return ""
    return f"eta {duration((stage.total - stage.done) / stage.rate_per_s * 1000)}"


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )
