"""A terminal that is written to but not there, and the times at which it was."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from textual.drivers.headless_driver import HeadlessDriver

from console.app import PaddockApp
from console.app_messages import Taken

_LEAST_CHARACTERS = 24
"""Shorter writes place the cursor or begin an update; nothing is seen of them."""


class PaintingDriver(HeadlessDriver):
    """Every picture is made down to its last escape sequence, and then dropped."""

    on_write: Callable[[], None] | None = None

    @property
    def is_headless(self) -> bool:
        """Say that somebody looks, so that pictures are made at all."""
        return False

    def write(self, data: str) -> None:
        """Take a piece of a picture."""
        if self.on_write is not None and len(data) >= _LEAST_CHARACTERS:
            self.on_write()


class MeasuredApp(PaddockApp):
    """A console that measures how long each poll keeps its loop: taken in, and painted.

    By the clock, and by the processor time of its own thread, which other processes do not touch.
    """

    poll_ms: list[float]
    poll_cpu_ms: list[float]

    def on_paddock_app_taken(self, message: Taken) -> None:
        """Take a snapshot in, and paint at once what would be painted with the next frame."""
        message.prevent_default()
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        super().on_paddock_app_taken(message)
        self.screen._on_timer_update()
        self.poll_ms.append((time.perf_counter() - began_s) * 1000)
        self.poll_cpu_ms.append((time.thread_time() - began_cpu_s) * 1000)


def summary(times_ms: Sequence[float], prefix: str = "") -> dict[str, float]:
    """Return the median, the 99th percentile and the largest, in ms; empty for none."""
    if not times_ms:
        return {}
    ranked = sorted(times_ms)
    return {
        f"{prefix}n": len(ranked),
        f"{prefix}median_ms": round(statistics.median(ranked), 2),
        f"{prefix}p99_ms": round(ranked[min(len(ranked) - 1, int(len(ranked) * 0.99))], 2),
        f"{prefix}max_ms": round(ranked[-1], 2),
    }
