"""The lease of an account: what adds exposure is sent only while somebody vouches for it.

The watchdog renews it through the trader, and the trader only lets it once its newest
reconciliation is clean; so a fresh lease says that the watchdog lives, the trader answers, and
journal and exchange agree. A value in the gateway's own process, by the monotonic clock: a file
would outlive the process that earned it, and a wall clock can be set.

Survives a crash: nothing, on purpose: a new process must earn it anew. May run twice: renewing.
"""

from __future__ import annotations

import math

from engine.clock import Clock


class Lease:
    """How long ago the account was vouched for.

    Parameters
    ----------
    clock : Clock, its monotonic side is read
    life_s : float, s, > 0, how long one renewal lasts
    """

    def __init__(self, clock: Clock, life_s: float) -> None:
        self._clock = clock
        self.life_s = life_s
        self._renewed_s: float | None = None

    def renew(self) -> None:
        """Begin its life anew."""
        self._renewed_s = self._clock.monotonic_s()

    def age_s(self) -> float:
        """Return the seconds since it was renewed, infinite when it never was."""
        if self._renewed_s is None:
            return math.inf
        return self._clock.monotonic_s() - self._renewed_s

    def why_stale(self) -> str:
        """Say why it does not hold, empty while it does."""
        age_s = self.age_s()
        # Written so that an age that is not a number is stale.
        if 0.0 <= age_s < self.life_s:
            return ""
        if age_s == math.inf:
            return "the lease was never renewed: nobody vouches for the account yet"
        return f"the lease is {age_s:.1f} s old, and it lasts {self.life_s:g} s"
