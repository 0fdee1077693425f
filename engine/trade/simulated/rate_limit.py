"""How much may be asked of a venue in a time."""

from __future__ import annotations


class RateLimit:
    """Weight that may be spent in each window of time.

    Parameters
    ----------
    weight_max : in one window, > 0
    window_s : length of a window, > 0
    """

    def __init__(self, weight_max: int, window_s: float) -> None:
        self.weight_max = weight_max
        self.window_s = window_s
        self.used = 0
        self._window = -1

    def charge(self, weight: int, monotonic_s: float) -> float | None:
        """Spend weight; return the seconds to wait instead when there is not enough."""
        window = int(monotonic_s // self.window_s)
        if window != self._window:
            self._window, self.used = window, 0
        if self.used + weight > self.weight_max:
            return (window + 1) * self.window_s - monotonic_s
        self.used += weight
        return None
