"""What takes long to read comes when it comes: nothing waits for it, and it leaves others time."""

from __future__ import annotations

import asyncio
import math

import pytest

from console import slow_read
from console.slow_read import PAUSE, SlowRead
from engine.clock import FakeClock
from engine.errors import StoreError


@pytest.fixture(autouse=True)
def patience_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait no half second for what never comes."""
    monkeypatch.setattr(slow_read, "PATIENCE_S", 0.01)


class _Library:
    """Answers that come when they are let go."""

    def __init__(self, clock: FakeClock, takes_s: float = 0.0) -> None:
        self._clock = clock
        self._takes_s = takes_s
        self.opened = asyncio.Event()
        self.opened.set()
        self.asked: list[str] = []

    async def read(self, name: str = "") -> str:
        """Answer, in time."""
        self.asked.append(name)
        await self.opened.wait()
        self._clock.advance(self._takes_s)
        return f"{name}{len(self.asked)}"


async def test_an_answer_serves_until_it_is_old() -> None:
    clock = FakeClock()
    library, slow = _Library(clock), SlowRead[str](clock)
    assert await slow.latest(library.read, every_s=10.0) == "1"
    clock.advance(9.9)
    assert await slow.latest(library.read, every_s=10.0) == "1"
    clock.advance(0.1)
    assert await slow.latest(library.read, every_s=10.0) == "2"


async def test_nobody_waits_for_a_read_that_takes_long() -> None:
    clock = FakeClock()
    library, slow = _Library(clock), SlowRead[str](clock)
    library.opened.clear()
    assert await slow.latest(library.read, every_s=10.0) is None
    assert await slow.latest(library.read, every_s=10.0) is None
    library.opened.set()
    assert await slow.latest(library.read, every_s=10.0) == "1"
    clock.advance(10.0)
    library.opened.clear()
    # The old answer is better than none while the next one is under way.
    assert await slow.latest(library.read, every_s=10.0) == "1"
    assert len(library.asked) == 2
    library.opened.set()
    assert await slow.latest(library.read, every_s=10.0) == "2"


async def test_a_read_takes_a_tenth_of_the_time_at_most() -> None:
    clock = FakeClock()
    library, slow = _Library(clock, takes_s=2.0), SlowRead[str](clock)
    for second in range(100):
        await slow.latest(library.read, every_s=1.0, state=second)
        clock.advance(1.0)
    assert len(library.asked) == math.ceil(100 / (2.0 * PAUSE))


async def test_what_is_quick_is_read_again_as_soon_as_its_state_changes() -> None:
    clock = FakeClock()
    library, slow = _Library(clock), SlowRead[str](clock)
    assert await slow.latest(library.read, every_s=math.inf, state="running") == "1"
    clock.advance(9_999.0)
    assert await slow.latest(library.read, every_s=math.inf, state="running") == "1"
    assert await slow.latest(library.read, every_s=math.inf, state="done") == "2"


async def test_the_answer_to_another_question_is_none() -> None:
    clock = FakeClock()
    library, slow = _Library(clock, takes_s=5.0), SlowRead[str](clock)

    async def ask(name: str) -> str | None:
        return await slow.latest(lambda: library.read(name), every_s=10.0, question=name)

    assert await ask("a") == "a1"
    library.opened.clear()
    # Another question does not wait for the pace of the first, and one is read at a time.
    assert await ask("b") is None
    assert await ask("c") is None
    assert library.asked == ["a", "b"]
    library.opened.set()
    assert await ask("c") is None
    assert await ask("c") == "c3"


async def test_what_fails_is_told_and_tried_again() -> None:
    clock = FakeClock()
    slow = SlowRead[str](clock)

    async def fail() -> str:
        raise StoreError("the store is locked")

    with pytest.raises(StoreError, match="locked"):
        await slow.latest(fail, every_s=10.0)
    assert await slow.latest(_Library(clock).read, every_s=10.0) == "1"


async def test_a_read_ends_before_the_store_is_closed() -> None:
    clock = FakeClock()
    library, slow = _Library(clock), SlowRead[str](clock)
    library.opened.clear()
    await slow.latest(library.read, every_s=10.0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await slow.stop()
    assert all(task.done() for task in others)
    assert len(others) == 1
    library.opened.set()
    assert await slow.latest(library.read, every_s=10.0) == "2"
