"""The lease holds for its life, and not a moment longer."""

from __future__ import annotations

import math

from engine.clock import FakeClock
from engine.trade.lease import Lease


def test_a_lease_that_was_never_renewed_does_not_hold() -> None:
    lease = Lease(FakeClock(), 30.0)
    assert lease.age_s() == math.inf
    assert "never renewed" in lease.why_stale()


def test_a_lease_holds_for_its_life_and_not_longer() -> None:
    clock = FakeClock()
    lease = Lease(clock, 30.0)
    lease.renew()
    assert lease.why_stale() == ""
    clock.advance(29.999)
    assert lease.why_stale() == ""
    clock.advance(0.001)
    assert "30.0 s old" in lease.why_stale()
    lease.renew()
    assert lease.why_stale() == ""


def test_a_clock_that_runs_backwards_does_not_lengthen_it() -> None:
    class Wild(FakeClock):
        at_s = 100.0

        def monotonic_s(self) -> float:
            return self.at_s

    clock = Wild()
    lease = Lease(clock, 30.0)
    lease.renew()
    clock.at_s = 50.0
    assert lease.why_stale() != ""
    clock.at_s = math.nan
    assert lease.why_stale() != ""
