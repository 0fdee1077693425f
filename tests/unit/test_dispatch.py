from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from actors.chunks import ChunkBook
from actors.dispatch import ChunkReport, Dispatcher
from actors.gate import Gate
from actors.ports import PeerLost
from engine.errors import InvariantError, StoreError


class FakeWorker:
    """A worker in this process that can be made to break or die."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[int] = []
        self.deadly: set[int] = set()
        self.broken: set[int] = set()
        self.is_dead = False
        self.n_out = self.n_out_most = 0
        self.error: Exception | None = None

    async def call(self, method: str, *args: Any, timeout_s: float = 1.0) -> Any:
        if method == "ping":
            self.is_dead = False
            return {}
        if self.is_dead:
            raise PeerLost(f"{self.name} is down")
        self.n_out += 1
        self.n_out_most = max(self.n_out_most, self.n_out)
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            return self._worked(args[0])
        finally:
            self.n_out -= 1

    def _worked(self, items: Sequence[int]) -> ChunkReport:
        if self.error is not None:
            raise self.error
        if self.deadly & set(items):
            self.is_dead = True
            raise PeerLost(f"{self.name} is down")
        if self.broken & set(items):
            raise InvariantError("a bug met this candidate")
        self.seen += items
        return ChunkReport(n_done=len(items), busy_s=len(items) / 1000)


async def pages(n: int, size: int = 50) -> AsyncIterator[Sequence[int]]:
    for start in range(0, n, size):
        yield range(start, min(n, start + size))


class Scene:
    def __init__(self, n: int, workers: Sequence[FakeWorker]) -> None:
        self.n = n
        self.workers = workers
        self.given_up: list[tuple[int, str]] = []
        self.reports: list[ChunkReport] = []
        self.gate = Gate()
        self.ended: list[str] = []

    async def run(self) -> None:
        async def send(worker: Any, items: tuple[int, ...]) -> ChunkReport:
            return await worker.call("work", items)

        async def give_up(item: int, error: str) -> None:
            self.given_up.append((item, error))

        async def end_worker(name: str) -> None:
            self.ended.append(name)

        book: ChunkBook[int] = ChunkBook(len(self.workers), self.n, 0.05)
        dispatcher = Dispatcher(
            self.workers, book, self.gate, send, give_up, self.reports.append, end_worker, 100
        )
        await asyncio.wait_for(dispatcher.run(pages(self.n)), 20)

    @property
    def seen(self) -> list[int]:
        return sorted(item for worker in self.workers for item in worker.seen)


async def test_all_work_is_done_once_and_counted() -> None:
    scene = Scene(1_000, [FakeWorker("a"), FakeWorker("b")])
    await scene.run()
    assert scene.seen == list(range(1_000))
    assert sum(report.n_done for report in scene.reports) == 1_000
    assert all(worker.n_out_most == 2 for worker in scene.workers), "no worker ever waits"


async def test_a_candidate_that_breaks_its_worker_is_given_up_with_the_error() -> None:
    scene = Scene(300, [FakeWorker("a"), FakeWorker("b")])
    for worker in scene.workers:
        worker.broken = {42}
    await scene.run()
    assert scene.given_up == [(42, "a bug met this candidate")]
    assert scene.seen == [i for i in range(300) if i != 42]
    assert sum(report.n_failed for report in scene.reports) == 1


async def test_a_candidate_that_kills_its_worker_is_given_up_and_the_others_are_not() -> None:
    scene = Scene(200, [FakeWorker("a"), FakeWorker("b")])
    for worker in scene.workers:
        worker.deadly = {7}
    await scene.run()
    assert [item for item, _ in scene.given_up] == [7]
    assert set(scene.seen) == set(range(200)) - {7}


async def test_a_worker_that_dies_once_costs_nothing() -> None:
    first, second = FakeWorker("a"), FakeWorker("b")
    first.deadly = {3}
    scene = Scene(200, [first, second])

    async def heal() -> None:
        while not first.is_dead:  # noqa: ASYNC110 - the store has no event
            await asyncio.sleep(0)
        first.deadly = set()

    healing = asyncio.create_task(heal())
    await scene.run()
    await healing
    assert scene.given_up == []
    assert set(scene.seen) == set(range(200))


async def test_a_refusing_store_ends_the_stage_and_blames_no_candidate() -> None:
    worker = FakeWorker("a")
    worker.error = StoreError("store: the disk is full")
    scene = Scene(10, [worker])
    with pytest.raises(ExceptionGroup) as caught:
        await scene.run()
    assert caught.group_contains(StoreError, match="the disk is full")
    assert scene.given_up == []


async def test_a_fault_that_meets_every_candidate_ends_the_stage() -> None:
    scene = Scene(1_000, [FakeWorker("a"), FakeWorker("b")])
    for worker in scene.workers:
        worker.broken = set(range(200, 1_000))
    with pytest.raises(ExceptionGroup) as caught:
        await scene.run()
    assert caught.group_contains(InvariantError, match="the fault is not theirs: a bug met")
    assert len(scene.given_up) < 200


async def test_a_held_gate_hands_out_nothing_until_released() -> None:
    worker = FakeWorker("a")
    scene = Scene(100, [worker])
    scene.gate.hold()
    running = asyncio.create_task(scene.run())
    for _ in range(50):
        await asyncio.sleep(0)
    before = list(worker.seen)
    scene.gate.release()
    await running
    assert before == []
    assert scene.seen == list(range(100))


async def test_a_cut_gate_ends_with_what_is_there() -> None:
    worker = FakeWorker("a")
    scene = Scene(100_000, [worker])

    async def cut() -> None:
        while len(worker.seen) < 500:  # noqa: ASYNC110 - the store has no event
            await asyncio.sleep(0)
        scene.gate.cut()

    cutting = asyncio.create_task(cut())
    await scene.run()
    await cutting
    assert 500 <= len(worker.seen) < 100_000
