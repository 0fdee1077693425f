"""Keep every worker busy: hand out chunks, take results, survive workers that die.

Knows nothing of Ray.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from actors.chunks import Chunk, ChunkBook
from actors.gate import Gate
from actors.ports import Peer, PeerLost
from engine.errors import InvariantError, PaddockError, StoreError

T = TypeVar("T")
_CHUNK_TIMEOUT_S = 300.0
_RETURN_POLL_S = 0.25
_PING_TIMEOUT_S = 5.0
_MOST_BURIED_IN_A_ROW = 50


@dataclass(frozen=True, slots=True)
class ChunkReport:
    """What a worker says of a chunk.

    Attributes
    ----------
    n_done, n_failed : items; failed ones count as done as well
    busy_s : time spent computing, without waiting for others
    n_bars : bars simulated
    fields : sums of whatever else the job counts
    """

    n_done: int
    n_failed: int = 0
    busy_s: float = 0.0
    n_bars: int = 0
    fields: dict[str, int] = field(default_factory=dict)


Send = Callable[[Peer, tuple[T, ...]], Awaitable[ChunkReport]]
GiveUp = Callable[[T, str], Awaitable[None]]
OnReport = Callable[[ChunkReport], None]


class Dispatcher(Generic[T]):
    """Push the pages of a source through a pool of workers.

    Parameters
    ----------
    workers : the pool
    book : account of who has what
    gate : holds and cuts
    send : runs one chunk on one worker; safe to repeat
    give_up : records an item that breaks whoever touches it
    on_report : told of each finished chunk
    end_worker : ends the process of a worker that does not answer
    buffer : items read ahead of the workers
    """

    def __init__(
        self,
        workers: Sequence[Peer],
        book: ChunkBook[T],
        gate: Gate,
        send: Send[T],
        give_up: GiveUp[T],
        on_report: OnReport,
        end_worker: Callable[[str], Awaitable[None]],
        buffer: int = 20_000,
    ) -> None:
        self._workers = workers
        self._book = book
        self._gate = gate
        self._send = send
        self._give_up = give_up
        self._on_report = on_report
        self._end_worker = end_worker
        self._buffer = buffer
        self._changed = asyncio.Condition()
        self._n_buried_in_a_row = 0

    async def run(self, pages: AsyncIterator[Sequence[T]]) -> None:
        """Return when every item is done or given up, or the gate was cut and what was out is back.

        Raises
        ------
        PaddockError : the source or the record of an item failed; what is recorded stays.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_gate())
            feeding = group.create_task(self._feed(pages))
            serving = [group.create_task(self._serve(worker)) for worker in self._workers]
            await asyncio.wait([feeding, *serving], return_when=asyncio.ALL_COMPLETED)
            self._gate_watch_over = True
            await self._tell()

    _gate_watch_over = False

    async def _watch_gate(self) -> None:
        was_cut = False
        while not self._gate_watch_over:
            if self._gate.is_cut and not was_cut:
                was_cut = True
                self._book.cut()
                await self._tell()
            with contextlib.suppress(TimeoutError):
                async with self._changed:
                    await asyncio.wait_for(self._changed.wait(), 0.2)

    async def _feed(self, pages: AsyncIterator[Sequence[T]]) -> None:
        async for page in pages:
            if self._gate.is_cut:
                break
            self._book.add(page)
            await self._tell()
            async with self._changed:
                await self._changed.wait_for(
                    lambda: self._book.n_buffered < self._buffer or self._gate.is_cut
                )
        self._book.complete()
        await self._tell()

    async def _serve(self, worker: Peer) -> None:
        out: dict[asyncio.Task[ChunkReport], Chunk[T]] = {}
        try:
            while True:
                await self._gate.passed()
                while (chunk := self._book.take(worker.name)) is not None:
                    sending = asyncio.ensure_future(self._send(worker, chunk.items))
                    out[sending] = chunk
                    await self._tell()
                if not out:
                    if self._book.is_finished:
                        return
                    async with self._changed:
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self._changed.wait(), 0.5)
                    continue
                done, _ = await asyncio.wait(
                    out, timeout=_CHUNK_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
                )
                await self._settle(worker, out, done)
                await self._tell()
        finally:
            for task in out:
                task.cancel()

    async def _settle(
        self,
        worker: Peer,
        out: dict[asyncio.Task[ChunkReport], Chunk[T]],
        done: set[asyncio.Task[ChunkReport]],
    ) -> None:
        if not done:
            await self._end_worker(worker.name)
            error = f"no answer within {_CHUNK_TIMEOUT_S:g} s"
            await self._lose(worker, out, PeerLost(f"{worker.name}: {error}"))
            return
        for task in done:
            failure = task.exception()
            if isinstance(failure, PeerLost):
                await self._lose(worker, out, failure)
                return
            chunk = out.pop(task)
            if failure is None:
                report = task.result()
                self._n_buried_in_a_row = 0
                self._book.finished(worker.name, chunk, report.busy_s)
                self._on_report(report)
            elif isinstance(failure, StoreError) or not isinstance(failure, PaddockError):
                # The store or our own code, not the candidates: the stage must know.
                self._book.hand_back(worker.name, chunk)
                raise failure
            else:
                await self._bury(self._book.failed(worker.name, chunk, failure.message))

    async def _lose(
        self,
        worker: Peer,
        out: dict[asyncio.Task[ChunkReport], Chunk[T]],
        failure: PeerLost,
    ) -> None:
        for task in out:
            task.cancel()
        out.clear()
        await self._bury(self._book.lost(worker.name, failure.message))
        await self._tell()
        while not self._book.is_finished:
            with contextlib.suppress(PaddockError):
                await worker.call("ping", timeout_s=_PING_TIMEOUT_S)
                return
            await asyncio.sleep(_RETURN_POLL_S)

    async def _bury(self, poison: tuple[T, str] | None) -> None:
        if poison is None:
            return
        self._n_buried_in_a_row += 1
        if self._n_buried_in_a_row > _MOST_BURIED_IN_A_ROW:
            raise InvariantError(
                f"{self._n_buried_in_a_row} candidates in a row broke the workers, so the fault is "
                f"not theirs: {poison[1]}"
            )
        await self._give_up(*poison)
        self._on_report(ChunkReport(n_done=1, n_failed=1))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def gather_reports(tasks: Sequence[Awaitable[Any]]) -> list[Any]:
    """Await all and return their results in order."""
    return list(await asyncio.gather(*tasks))
