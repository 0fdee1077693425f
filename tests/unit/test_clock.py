from __future__ import annotations

import time

import pytest

from engine.clock import Clock, FakeClock, SystemClock


def test_the_system_clock_tells_utc_milliseconds() -> None:
    before = time.time()
    now_at = SystemClock().now_at()
    after = time.time()
    assert isinstance(now_at, int)
    assert int(before * 1000) <= now_at <= after * 1000


def test_the_monotonic_clock_never_runs_backwards() -> None:
    clock = SystemClock()
    readings = [clock.monotonic_s() for _ in range(100)]
    assert readings == sorted(readings)


def test_a_fake_clock_stands_still_until_told_to_move() -> None:
    clock = FakeClock(1_000)
    assert (clock.now_at(), clock.monotonic_s()) == (1_000, 0.0)
    assert (clock.now_at(), clock.monotonic_s()) == (1_000, 0.0)


def test_advancing_moves_both_faces_of_a_fake_clock() -> None:
    clock = FakeClock(1_000)
    clock.advance(1.5)
    clock.advance(0.25)
    assert (clock.now_at(), clock.monotonic_s()) == (2_750, 1.75)


def test_a_fake_clock_does_not_run_backwards() -> None:
    clock = FakeClock(1_000)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-0.001)
    assert clock.now_at() == 1_000


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()])
def test_both_clocks_fit_the_port(clock: Clock) -> None:
    assert isinstance(clock.now_at(), int)
    assert isinstance(clock.monotonic_s(), float)
