"""Reads wait for the exchange's rate limit; sends do not."""

from __future__ import annotations

import asyncio

import pytest

from engine.clock import FakeClock
from engine.trade.pace import BURST_S, CREDIT_S, Pace, sending, urgent


class Asleep(FakeClock):
    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


def paced(clock: Asleep) -> Pace:
    return Pace(10.0, clock, sleep=clock.sleep)


async def test_a_burst_goes_at_once_and_what_follows_at_the_rate() -> None:
    clock = Asleep()
    pace = paced(clock)
    for _ in range(round(10 * BURST_S) + 1):
        await pace(1.0)
    assert clock.monotonic_s() == 0.0
    for _ in range(50):
        await pace(1.0)
    assert clock.monotonic_s() == pytest.approx(5.0, abs=0.11)


async def test_idle_time_is_credited_up_to_the_burst() -> None:
    clock = Asleep()
    pace = paced(clock)
    await pace(100.0)
    await pace(1.0)
    assert clock.monotonic_s() == pytest.approx(8.0)
    clock.advance(1000.0)
    began_s = clock.monotonic_s()
    for _ in range(21):
        await pace(1.0)
    assert clock.monotonic_s() == began_s
    await pace()
    assert clock.monotonic_s() > began_s


async def test_sends_never_wait_and_the_reads_after_them_pay() -> None:
    clock = Asleep()
    pace = paced(clock)
    waiting = asyncio.create_task(pace(1.0))
    await waiting
    with sending():
        for _ in range(100):
            await pace(1.0)
    assert clock.monotonic_s() == 0.0
    await pace(1.0)
    assert clock.monotonic_s() == pytest.approx(8.1)


async def test_a_send_does_not_wait_behind_reads() -> None:
    clock = Asleep()
    sleeping = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        await sleeping.wait()
        clock.advance(100.0)

    pace = Pace(10.0, clock, sleep=sleep)
    await pace(1000.0)
    read = asyncio.create_task(pace(1.0))
    await asyncio.sleep(0)

    async def send() -> None:
        with sending():
            await pace(1.0)

    await asyncio.wait_for(send(), 1.0)
    assert not read.done()
    sleeping.set()
    await read


async def test_the_kill_switch_does_not_wait() -> None:
    pace = Pace(0.001, Asleep(), waits=False)
    for _ in range(100):
        await pace(10.0)


async def test_urgent_reads_go_ahead_of_those_that_wait_until_their_credit_is_used() -> None:
    clock = Asleep()
    pace = paced(clock)
    with sending():
        await pace(10.0 * BURST_S + 30.0)
    waiting = asyncio.create_task(pace(1.0))
    with urgent():
        await pace(10.0 * CREDIT_S - 30.0)
        assert clock.monotonic_s() <= 3.0
        assert not waiting.done()
        before_s = clock.monotonic_s()
        await pace(1.0)
        await pace(1.0)
        assert clock.monotonic_s() > before_s
    await waiting
    assert clock.monotonic_s() > 4.0
