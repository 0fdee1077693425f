"""The clock of an account: its exchange's instants, carried on by this machine's steady clock.

A simulated exchange may run sixty times as fast as the world; a real one differs by milliseconds.
Bars close, orders age and days begin by the exchange's time; how long we ourselves are late is of
the monotonic clock, which this one passes on unchanged.
"""

from __future__ import annotations

from engine.clock import Clock

STEP_BACK_MS = 5_000
"""A correction backwards up to so much makes the clock stand still until it has been caught up."""
RATE_SPAN_S = 0.2
"""A shorter stretch measures the way to the exchange more than its pace."""
_WHOLE_FRAC = 0.02


class AccountClock:
    """Tell the exchange's time.

    Parameters
    ----------
    local : this machine's clock
    rate : exchange seconds a second, > 0, until it was measured

    Notes
    -----
    Until the first `set` it is this machine's.
    """

    def __init__(self, local: Clock, rate: float = 1.0) -> None:
        self._local = local
        self._rate = rate
        self._set_s: float | None = None
        self._set_at = 0
        self._first: tuple[int, float] | None = None
        self._newest_at = 0

    @property
    def rate(self) -> float:
        """Return exchange seconds a second."""
        return self._rate

    def now_at(self) -> int:
        """Return the exchange's instant, UTC ms; it never runs backwards by a little."""
        if self._set_s is None:
            return self._local.now_at()
        passed_ms = (self._local.monotonic_s() - self._set_s) * 1000 * self._rate
        at = self._set_at + round(passed_ms)
        if self._newest_at - STEP_BACK_MS * max(1.0, self._rate) <= at < self._newest_at:
            return self._newest_at
        self._newest_at = at
        return at

    def monotonic_s(self) -> float:
        """Return this machine's monotonic seconds."""
        return self._local.monotonic_s()

    def local_s(self, exchange_ms: float) -> float:
        """Return how many of this machine's seconds a stretch of the exchange's time takes."""
        return exchange_ms / 1000 / self._rate

    def set(self, venue_at: int, asked_s: float, answered_s: float) -> None:
        """Take what the exchange said, somewhere between a question and its answer.

        Parameters
        ----------
        venue_at : UTC ms
        asked_s, answered_s : monotonic seconds
        """
        middle_s = (asked_s + answered_s) / 2
        if self._first is None:
            self._first = (venue_at, middle_s)
        else:
            self._measure(venue_at, middle_s)
        self._set_at, self._set_s = venue_at, middle_s

    def _measure(self, venue_at: int, now_s: float) -> None:
        first_at, first_s = self._first or (venue_at, now_s)
        span_s = now_s - first_s
        if span_s < RATE_SPAN_S:
            return
        measured = (venue_at - first_at) / 1000 / span_s
        nearest = max(1.0, float(round(measured)))
        if abs(measured - nearest) <= _WHOLE_FRAC * nearest:
            self._rate = nearest
        elif measured > 0:
            self._rate = measured
        # A venue that stood still, or was set, is measured anew from here.
        if not 0.5 <= measured / self._rate <= 2.0:
            self._first = (venue_at, now_s)
