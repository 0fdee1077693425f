from __future__ import annotations

import random

import pytest

from actors.chunks import ChunkBook
from engine.errors import InvariantError


def drained(book: ChunkBook[int], breaks: set[int], deaths: set[int] = frozenset()) -> tuple:
    """Work everything off with two workers; return (done, given up, most chunks alone)."""
    done: list[int] = []
    given_up: list[int] = []
    n_calls = 0
    while not book.is_finished:
        for worker in ("a", "b"):
            chunk = book.take(worker)
            if chunk is None:
                continue
            n_calls += 1
            if deaths & set(chunk.items):
                lost = book.lost(worker, "died")
                given_up += [lost[0]] if lost else []
            elif breaks & set(chunk.items):
                poison = book.failed(worker, chunk, "broke")
                given_up += [poison[0]] if poison else []
            else:
                done += chunk.items
                book.finished(worker, chunk, len(chunk.items) / 100)
    return done, given_up, n_calls


def filled(n: int, n_workers: int = 2, target_s: float = 0.5) -> ChunkBook[int]:
    book: ChunkBook[int] = ChunkBook(n_workers, n, target_s)
    book.add(range(n))
    book.complete()
    return book


def test_every_item_is_handed_out_exactly_once() -> None:
    done, given_up, _ = drained(filled(1_000), set())
    assert sorted(done) == list(range(1_000))
    assert given_up == []


@pytest.mark.parametrize("poison", [{0}, {999}, {17, 18}, {5, 500, 998}])
def test_poison_that_raises_is_given_up_and_nothing_else(poison: set[int]) -> None:
    done, given_up, _ = drained(filled(1_000), poison)
    assert sorted(given_up) == sorted(poison)
    assert sorted(done) == sorted(set(range(1_000)) - poison)


@pytest.mark.parametrize("poison", [{0}, {640}, {17, 400}])
def test_poison_that_kills_its_worker_is_given_up_and_nothing_else(poison: set[int]) -> None:
    done, given_up, _ = drained(filled(1_000), set(), poison)
    assert sorted(given_up) == sorted(poison)
    assert sorted(done) == sorted(set(range(1_000)) - poison)


def test_a_chunk_that_fails_once_is_tried_again_whole() -> None:
    book = filled(100)
    chunk = book.take("a")
    assert chunk is not None
    assert book.failed("a", chunk, "broke") is None
    again = book.take("a")
    assert again is chunk
    assert again.is_suspect


def test_a_suspect_chunk_is_alone_with_its_worker() -> None:
    book = filled(100)
    first, second = book.take("a"), book.take("a")
    assert first is not None
    assert second is not None
    book.failed("a", first, "broke")
    assert book.take("a") is None, "the worker still holds another chunk"
    book.finished("a", second, 0.1)
    assert book.take("a") is first
    assert book.take("a") is None, "nothing may wait behind a suspect"


def test_a_dead_worker_is_blamed_for_what_it_worked_on_and_not_for_what_waited() -> None:
    book = filled(100)
    working, waiting = book.take("a"), book.take("a")
    assert working is not None
    assert waiting is not None
    book.lost("a", "died")
    assert (working.failures, waiting.failures) == (1, 0)
    assert not waiting.is_suspect


def test_a_worker_holds_at_most_two_chunks() -> None:
    book = filled(1_000)
    assert book.take("a") is not None
    assert book.take("a") is not None
    assert book.take("a") is None
    assert book.take("b") is not None


def test_chunks_take_the_time_they_are_meant_to() -> None:
    book = filled(100_000, target_s=0.5)
    for _ in range(12):
        chunk = book.take("a")
        assert chunk is not None
        book.finished("a", chunk, len(chunk.items) / 1_000)
    chunk = book.take("a")
    assert chunk is not None
    assert len(chunk.items) == pytest.approx(500, rel=0.02)


def test_the_last_chunks_are_small_so_that_all_workers_end_together() -> None:
    book = filled(1_000, target_s=10.0)
    sizes = []
    while (chunk := book.take("a")) is not None:
        sizes.append(len(chunk.items))
        book.finished("a", chunk, len(chunk.items) / 100)
    assert sum(sizes) == 1_000
    assert max(sizes) <= 125
    assert sizes[-1] <= 5


def test_a_cut_forgets_what_nobody_has_begun() -> None:
    book = filled(1_000)
    chunk = book.take("a")
    assert chunk is not None
    book.cut()
    assert book.take("b") is None
    assert not book.is_finished
    book.finished("a", chunk, 0.1)
    assert book.is_finished


def test_a_book_is_not_finished_before_its_source_is() -> None:
    book: ChunkBook[int] = ChunkBook(2, 10, 0.5)
    assert not book.is_finished
    book.complete()
    assert book.is_finished


def test_a_chunk_nobody_gave_out_cannot_come_back() -> None:
    book = filled(10)
    chunk = book.take("a")
    assert chunk is not None
    with pytest.raises(InvariantError, match="which it does not hold"):
        book.finished("b", chunk, 0.1)


def test_random_failures_lose_nothing() -> None:
    draw = random.Random(3)
    book = filled(500)
    done: list[int] = []
    given_up: list[int] = []
    while not book.is_finished:
        worker = draw.choice("ab")
        chunk = book.take(worker)
        if chunk is None:
            continue
        if draw.random() < 0.2:
            poison = book.failed(worker, chunk, "broke")
            given_up += [poison[0]] if poison else []
        else:
            done += chunk.items
            book.finished(worker, chunk, 0.05)
    assert sorted(done + given_up) == list(range(500))
