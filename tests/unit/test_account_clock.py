"""The exchange's time between two answers of the exchange."""

from __future__ import annotations

import pytest

from engine.clock import FakeClock
from engine.trade.account_clock import AccountClock


def told(clock: AccountClock, local: FakeClock, venue_at: int) -> None:
    clock.set(venue_at, local.monotonic_s(), local.monotonic_s())


def test_before_the_first_answer_it_is_this_machines() -> None:
    local = FakeClock(1_000)
    assert AccountClock(local).now_at() == 1_000


def test_it_goes_on_from_what_the_exchange_said() -> None:
    local = FakeClock(1_000)
    clock = AccountClock(local)
    told(clock, local, 50_000)
    local.advance(1.5)
    assert clock.now_at() == 51_500
    assert clock.monotonic_s() == 1.5


@pytest.mark.parametrize("rate", [1, 60, 600])
def test_the_pace_is_measured(rate: int) -> None:
    local = FakeClock()
    clock = AccountClock(local)
    told(clock, local, 0)
    for second in range(1, 6):
        local.advance(1.0)
        told(clock, local, second * 1000 * rate)
    assert clock.rate == rate
    local.advance(0.5)
    assert clock.now_at() == 5_500 * rate
    assert clock.local_s(60_000) == pytest.approx(60 / rate)


def test_a_given_pace_holds_until_it_is_measured() -> None:
    local = FakeClock()
    clock = AccountClock(local, 60.0)
    told(clock, local, 0)
    local.advance(1.0)
    assert clock.now_at() == 60_000


def test_the_answer_is_of_the_middle_between_question_and_answer() -> None:
    local = FakeClock()
    clock = AccountClock(local)
    local.advance(10.0)
    clock.set(100_000, 9.0, 10.0)
    assert clock.now_at() == 100_500


def test_a_small_correction_backwards_stands_still() -> None:
    local = FakeClock()
    clock = AccountClock(local)
    told(clock, local, 100_000)
    local.advance(1.0)
    assert clock.now_at() == 101_000
    told(clock, local, 100_990)
    assert clock.now_at() == 101_000
    local.advance(0.02)
    assert clock.now_at() == 101_010


def test_a_clock_that_was_set_back_is_followed() -> None:
    local = FakeClock()
    clock = AccountClock(local)
    told(clock, local, 100_000)
    assert clock.now_at() == 100_000
    told(clock, local, 40_000)
    assert clock.now_at() == 40_000
