"""Where a replay stands: a point of recorded time that moves at a speed, or stands still."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class PlayHead:
    """A position in recorded time; every method is given the seconds of a monotonic clock.

    Parameters
    ----------
    times : of the pictures, UTC ms, not falling
    now_s : when it starts to move
    speed : recorded seconds a second
    """

    def __init__(self, times: Sequence[int], now_s: float, speed: float = 1.0) -> None:
        self._times = times
        self._at = float(times[0])
        self._since_s = now_s
        self.speed = speed
        self.is_playing = True

    def at(self, now_s: float) -> int:
        """Return the position, UTC ms: never past the last picture."""
        moved = (now_s - self._since_s) * 1000 * self.speed if self.is_playing else 0.0
        return int(min(self._at + moved, self._times[-1]))

    def number(self, now_s: float) -> int:
        """Return the picture at the position, from 0."""
        return max(0, bisect_right(self._times, self.at(now_s)) - 1)

    def is_at_end(self, now_s: float) -> bool:
        """Return whether the last picture is reached."""
        return self.at(now_s) >= self._times[-1]

    def wait_s(self, now_s: float) -> float | None:
        """Return the seconds until the next picture; None when none comes by itself."""
        number = self.number(now_s)
        if not self.is_playing or number >= len(self._times) - 1:
            return None
        return max(0.0, (self._times[number + 1] - self.at(now_s)) / 1000 / self.speed)

    def toggle(self, now_s: float) -> None:
        """Stand still, or move on; from the end, move on from the start."""
        if self.is_at_end(now_s):
            self.jump(self._times[0], now_s)
            self.is_playing = True
            return
        self.jump(self.at(now_s), now_s)
        self.is_playing = not self.is_playing

    def jump(self, at: int, now_s: float) -> None:
        """Go to a position, held within the recording, and move or stand still as before."""
        self._at = float(min(max(at, self._times[0]), self._times[-1]))
        self._since_s = now_s

    def step(self, n: int, now_s: float) -> None:
        """Go n pictures on, or back, and stand still."""
        number = min(max(self.number(now_s) + n, 0), len(self._times) - 1)
        self.is_playing = False
        self.jump(self._times[number], now_s)

    def set_speed(self, speed: float, now_s: float) -> None:
        """Move at another speed from here on; held within the slowest and the fastest."""
        self.jump(self.at(now_s), now_s)
        self.speed = min(max(speed, SPEEDS[0]), SPEEDS[-1])

    def change_speed(self, steps: int, now_s: float) -> None:
        """Move at the next faster speed, or the next slower one."""
        place = min(range(len(SPEEDS)), key=lambda place: abs(SPEEDS[place] - self.speed))
        self.set_speed(SPEEDS[min(max(place + steps, 0), len(SPEEDS) - 1)], now_s)
