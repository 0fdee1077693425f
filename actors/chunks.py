"""Who works on what: chunks sized by measured speed, failures counted, poison isolated.

Pure account keeping, without input or output. A chunk that fails is tried once more, alone on its
worker; a chunk that fails twice is split in halves, until the candidate that breaks it stands alone
and is given up with its error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from engine.errors import InvariantError

T = TypeVar("T")
_MAX_ITEMS = 5_000
_SMOOTHING = 0.5
# A chunk at the end is at most this share of what is left for each worker, so that all end
# together.
_TAIL_SHARE = 0.25
_FIRST_SHARE = 0.04
# Less work than this is not worth a message and a transaction.
_LEAST_S = 0.03
_TRIES = 2


@dataclass(slots=True, eq=False)
class Chunk(Generic[T]):
    """Some items that travel together.

    Attributes
    ----------
    failures : how often it failed
    is_suspect : it, or the chunk it was cut from, failed: it runs alone on its worker, so that a
        death is its own
    """

    id: int
    items: tuple[T, ...]
    failures: int = 0
    is_suspect: bool = False


@dataclass(slots=True)
class _Desk(Generic[T]):
    """What one worker has in hand, in the order it was given."""

    chunks: deque[Chunk[T]] = field(default_factory=deque)


class ChunkBook(Generic[T]):
    """Hand out items in chunks and keep account of them until each is done or given up.

    Parameters
    ----------
    n_workers : > 0
    total : items there will be, to size the first and the last chunks
    target_s : work that one chunk should take
    in_hand : chunks a worker may hold: the one it works on and those that wait, so that it never
        does
    """

    def __init__(self, n_workers: int, total: int, target_s: float, in_hand: int = 2) -> None:
        self._n_workers = max(1, n_workers)
        self._left = total
        self._target_s = target_s
        self._in_hand = in_hand
        self._rate: float | None = None
        self._fresh: deque[T] = deque()
        self._again: deque[Chunk[T]] = deque()
        self._desks: dict[str, _Desk[T]] = {}
        self._next_id = 0
        self._is_complete = False

    @property
    def n_buffered(self) -> int:
        """Return the number of items that wait for their first worker."""
        return len(self._fresh)

    @property
    def is_finished(self) -> bool:
        """Whether every item is done or given up, and none will be added."""
        return self._is_complete and not self._fresh and not self._again and not self.n_out

    @property
    def n_out(self) -> int:
        """Return the number of chunks in workers' hands."""
        return sum(len(desk.chunks) for desk in self._desks.values())

    @property
    def rate_per_s(self) -> float | None:
        """Return the smoothed speed of one worker, items a second, None before the first chunk."""
        return self._rate

    def add(self, items: Iterable[T]) -> None:
        """Put more items in the queue."""
        self._fresh.extend(items)

    def complete(self) -> None:
        """Say that no more items will be added."""
        self._is_complete = True

    def cut(self) -> None:
        """Forget what nobody has begun; what is in hand still counts."""
        self._fresh.clear()
        self._again.clear()
        self._is_complete = True

    def take(self, worker: str) -> Chunk[T] | None:
        """Return the next chunk for `worker`, None when there is none for it now."""
        desk = self._desks.setdefault(worker, _Desk()).chunks
        if len(desk) >= self._in_hand or any(chunk.is_suspect for chunk in desk):
            return None
        if self._again and self._again[0].is_suspect:
            if desk:
                return None
            chunk = self._again.popleft()
        elif self._again:
            chunk = self._again.popleft()
        elif self._fresh:
            size = min(self._size(), len(self._fresh))
            chunk = Chunk(self._new_id(), tuple(self._fresh.popleft() for _ in range(size)))
        else:
            return None
        desk.append(chunk)
        return chunk

    def finished(self, worker: str, chunk: Chunk[T], busy_s: float) -> None:
        """Close a chunk that took `busy_s` of work."""
        self._remove(worker, chunk)
        self._left = max(0, self._left - len(chunk.items))
        if busy_s > 0 and chunk.items:
            measured = len(chunk.items) / busy_s
            old = measured if self._rate is None else self._rate
            self._rate = old + _SMOOTHING * (measured - old)

    def failed(self, worker: str, chunk: Chunk[T], error: str) -> tuple[T, str] | None:
        """Take back a chunk that raised.

        Return the item to give up, if this was its last chance.
        """
        self._remove(worker, chunk)
        chunk.failures += 1
        chunk.is_suspect = True
        if chunk.failures < _TRIES:
            self._again.append(chunk)
            return None
        if len(chunk.items) == 1:
            self._left = max(0, self._left - 1)
            return chunk.items[0], error
        half = len(chunk.items) // 2
        for part in (chunk.items[:half], chunk.items[half:]):
            self._again.append(Chunk(self._new_id(), part, is_suspect=True))
        return None

    def lost(self, worker: str, error: str) -> tuple[T, str] | None:
        """Take back everything a dead worker held.

        Only what it worked on, the oldest, is blamed.
        """
        desk = self._desks.setdefault(worker, _Desk()).chunks
        if not desk:
            return None
        oldest = desk[0]
        for chunk in list(desk)[1:]:
            self._remove(worker, chunk)
            self._again.appendleft(chunk)
        return self.failed(worker, oldest, error)

    def hand_back(self, worker: str, chunk: Chunk[T]) -> None:
        """Take back a chunk that nobody is to blame for."""
        self._remove(worker, chunk)
        self._again.appendleft(chunk)

    def _size(self) -> int:
        share = self._left / self._n_workers
        if self._rate is None:
            return max(1, min(_MAX_ITEMS, int(share * _FIRST_SHARE) or 1))
        by_time = self._rate * self._target_s
        least = self._rate * _LEAST_S
        return max(1, int(min(by_time, max(share * _TAIL_SHARE, least), _MAX_ITEMS)))

    def _remove(self, worker: str, chunk: Chunk[T]) -> None:
        desk = self._desks.setdefault(worker, _Desk()).chunks
        try:
            desk.remove(chunk)
        except ValueError:
            raise InvariantError(
                f"{worker} returned chunk {chunk.id}, which it does not hold"
            ) from None

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id
