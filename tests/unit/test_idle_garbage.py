"""Garbage of the console: looked for while nobody types, and never left for long."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from console.idle_garbage import LONGEST_S, PAUSE_S, IdleGarbage
from engine.clock import FakeClock

# What earlier tests left lying about is found here, by the collections that are looked at.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def the_collector_is_left_as_it_was() -> Iterator[None]:
    """Undo what the console does to a process of its own."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class _Knot:
    """What only a collection frees."""

    def __init__(self) -> None:
        self.me = self


def _knot() -> weakref.ref[_Knot]:
    return weakref.ref(_Knot())


def test_nothing_is_collected_before_it_begins() -> None:
    clock = FakeClock(0)
    garbage = IdleGarbage(clock)
    clock.advance(2 * LONGEST_S)
    assert not garbage.look()


def test_a_quiet_moment_collects_and_the_next_waits() -> None:
    clock = FakeClock(0)
    garbage = IdleGarbage(clock)
    garbage.begin()
    knot = _knot()
    clock.advance(PAUSE_S)
    assert garbage.look()
    assert knot() is None
    clock.advance(1.0)
    assert not garbage.look()


def test_who_types_is_not_interrupted_before_the_longest_wait_has_passed() -> None:
    clock = FakeClock(0)
    garbage = IdleGarbage(clock)
    garbage.begin()
    collected_after = []
    for second in range(1, 2 * int(LONGEST_S) + 1):
        clock.advance(1.0)
        garbage.key_pressed()
        if garbage.look():
            collected_after.append(second)
    assert collected_after == [int(LONGEST_S), 2 * int(LONGEST_S)]


def test_the_collector_itself_makes_no_full_collection_any_more() -> None:
    garbage = IdleGarbage(FakeClock(0))
    before = gc.get_threshold()
    garbage.begin()
    young, middle, old = gc.get_threshold()
    assert (young, middle) == before[:2]
    assert old > 1_000_000
