"""The clock port: everything that needs the time is given one of these."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tell the time, wall and monotonic."""

    def now_at(self) -> int:
        """Return the UTC instant in ms since 1970."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds from an arbitrary start that never run backwards."""
        ...


class SystemClock:
    """Read the machine's clocks."""

    def now_at(self) -> int:
        """Return the UTC instant in ms since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return seconds of the machine's monotonic clock."""
        return time.monotonic()


class FakeClock:
    """Stand still until told to move; for tests and fast replays.

    Parameters
    ----------
    now_at : int
        First UTC instant, ms since 1970.
    """

    def __init__(self, now_at: int = 0) -> None:
        self._now_at = now_at
        self._monotonic_s = 0.0

    def now_at(self) -> int:
        """Return the instant it was set or advanced to, UTC ms."""
        return self._now_at

    def monotonic_s(self) -> float:
        """Return the seconds advanced so far."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds` (>= 0)."""
        if seconds < 0:
            raise ValueError("a clock does not run backwards")
        self._now_at += round(seconds * 1000)
        self._monotonic_s += seconds
