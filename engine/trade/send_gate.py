"""The last question before an order leaves: may it, now.

Asked after everything was written down and right before the send. Whatever cannot be proved refuses
what adds exposure; what only reduces it always passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from engine.clock import Clock
from engine.risk.latch import Latch, TradingState
from engine.trade.lease import Lease
from engine.trade.orders import OrderRequest

RATE_WINDOW_S = 60.0
_WHO = "gateway"


class SendGate:
    """Latch, lease, reconciliation and order rate of one account.

    Parameters
    ----------
    latch : read from the disk at every question, so that any shell can close it
    rate_per_minute : int, > 0, orders that add exposure; one more halts the account

    Attributes
    ----------
    why_unreconciled : str, why journal and exchange are not known to agree, empty when they are
    """

    def __init__(self, latch: Latch, lease: Lease, clock: Clock, rate_per_minute: int) -> None:
        self.latch = latch
        self.lease = lease
        self._clock = clock
        self._rate_per_minute = rate_per_minute
        self._sent_s: deque[float] = deque()
        self.why_unreconciled = "the account was not reconciled yet"

    def why_refused(self, request: OrderRequest) -> str:
        """Say why the order may not leave now, empty when it may."""
        if not request.adds_exposure:
            return ""
        reading = self.latch.read()
        if reading.state is TradingState.REDUCING:
            return f"reducing: no new exposure until armed again ({reading.detail})"
        if reading.state is not TradingState.ACTIVE:
            return f"halted: {reading.detail}"
        return self.why_unreconciled or self.lease.why_stale() or self._why_too_fast()

    def count(self, request: OrderRequest) -> None:
        """Count an order that leaves now."""
        if request.adds_exposure:
            self._sent_s.append(self._clock.monotonic_s())

    def remember(self, sent_at: Iterable[int]) -> None:
        """Count the orders that an earlier life of the gateway sent, so that dying is no way out.

        Parameters
        ----------
        sent_at : UTC ms of each order that added exposure
        """
        now_at, now_s = self._clock.now_at(), self._clock.monotonic_s()
        ages_s = sorted((max(0, now_at - at) / 1000 for at in sent_at), reverse=True)
        self._sent_s.extend(now_s - age_s for age_s in ages_s if age_s < RATE_WINDOW_S)

    def _why_too_fast(self) -> str:
        now_s = self._clock.monotonic_s()
        while self._sent_s and now_s - self._sent_s[0] >= RATE_WINDOW_S:
            self._sent_s.popleft()
        if len(self._sent_s) < self._rate_per_minute:
            return ""
        reason = (
            f"more than {self._rate_per_minute} orders that add exposure within a minute:"
            " a strategy runs wild"
        )
        outcome = self.latch.halt(_WHO, reason, self._clock.now_at())
        words = "halted" if outcome.is_halted else "NOT HALTED, the latch cannot be written"
        return f"{words}: {reason}"
