"""Measure contenders side by side on one core, so that a noisy machine disturbs all alike.

The clock that counts is the processor time of this process: on one pinned core with nobody else it
equals the wall clock, and where others share the core it leaves their turns out. Wall times are
kept beside it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run took, seconds."""

    cpu_s: float
    wall_s: float


class Stopwatch:
    """Runs from the moment it is made."""

    def __init__(self) -> None:
        self._cpu_s = time.process_time()
        self._wall_s = time.perf_counter()

    def read(self) -> Taken:
        """Return what has been taken so far."""
        return Taken(time.process_time() - self._cpu_s, time.perf_counter() - self._wall_s)


Contender = Callable[[], Taken]
"""Run once and return the time that counts; what it needs beforehand it makes unmeasured."""


def pin_to_one_core() -> int:
    """Keep this process, and every thread it starts from now on, on its last allowed core."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def alternate(contenders: Mapping[str, Contender], n_rounds: int) -> dict[str, list[Taken]]:
    """Run the contenders in turn, `n_rounds` times; return what each took, by name."""
    taken: dict[str, list[Taken]] = {name: [] for name in contenders}
    for _ in range(n_rounds):
        for name, run in contenders.items():
            taken[name].append(run())
    return taken


def middle(taken: list[Taken]) -> Taken:
    """Return the medians of some runs."""
    return Taken(median(one.cpu_s for one in taken), median(one.wall_s for one in taken))


def median_of(run: Contender, n: int) -> Contender:
    """Return a contender whose one run is the median of `n`."""
    return lambda: middle([run() for _ in range(n)])


def ratio(theirs: list[Taken], ours: list[Taken]) -> float:
    """Return how many times longer they took: the median over rounds of theirs / ours."""
    return median(a.cpu_s / b.cpu_s for a, b in zip(theirs, ours, strict=True))
