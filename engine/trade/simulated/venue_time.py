"""The venue's clock: simulated time that runs at its own pace and never backwards."""

from __future__ import annotations

from engine.clock import Clock


class VenueTime:
    """Simulated time: a start, and `speed` times what has passed since.

    Parameters
    ----------
    start_at : simulated instant of now, UTC ms
    speed : simulated seconds a second, > 0
    clock : this machine's

    Notes
    -----
    It stands still while nobody runs it. A restart begins at the mark that was reserved on the
    disk, which no answer before has passed.
    """

    def __init__(self, start_at: int, speed: float, clock: Clock) -> None:
        self._start_at = start_at
        self._speed = speed
        self._clock = clock
        self._started_s = clock.monotonic_s()

    @property
    def speed(self) -> float:
        """Return simulated seconds a second."""
        return self._speed

    def now_at(self) -> int:
        """Return the simulated instant, UTC ms."""
        passed_s = self._clock.monotonic_s() - self._started_s
        return self._start_at + int(passed_s * self._speed * 1000)

    def monotonic_s(self) -> float:
        """Return seconds of this machine, for limits that count real time."""
        return self._clock.monotonic_s()
