"""The journal of an account: an append-only, hash-chained file that is synced before it answers.

Several appends may share one sync: what was appended unsynced counts only once `sync` returned.

Survives a crash: everything that was synced. A line that a crash tore was never
acknowledged; it is moved aside when the journal is opened again. Anything else that does not fit
the chain refuses to open. May run twice: opening; a second writer is refused by a lock on the file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import DataError, StoreError
from engine.trade.journal_file import (
    START,
    Place,
    chain,
    damaged,
    lines_from,
    unfinished_end,
    verify_journal,
)
from engine.trade.journal_line import JournalLine, encoded, is_torn
from engine.trade.records import JOURNAL_FORMAT, GenesisRecord, NoteRecord, Record
from engine.trade.reserve import FULL_ERRNOS, Reserve

__all__ = ["JOURNAL_FILE", "Journal", "JournalLine", "Recovery", "verify_journal"]

JOURNAL_FILE = "journal.jsonl"
_INDEX_EVERY = 1024


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening did about a line that a crash tore.

    Attributes
    ----------
    kept_in : where the torn bytes lie now, None when the disk had no room for them
    n_bytes : how many
    seq : the number the line would have had
    """

    kept_in: Path | None
    n_bytes: int
    seq: int


class Journal:
    """The one writer of an account's journal; made by `Journal.open`.

    Attributes
    ----------
    path : Path
    recovery : what a crash had left, None when the file was whole
    """

    def __init__(self, path: Path, handle: int, reserve: Reserve) -> None:
        self.path = path
        self.recovery: Recovery | None = None
        self._handle: int | None = handle
        self._reserve = reserve
        self._lock = threading.Lock()
        self._end = START
        self._synced = START
        self._unsynced: list[tuple[Record, int]] = []
        # The place of every 1,024th line, so that reading on from a line need not start at the top.
        self._index: list[Place] = []
        self._is_beyond_repair = False

    @classmethod
    def open(
        cls,
        folder: Path,
        account: str,
        *,
        reserve_bytes: int = 1 << 20,
        now_at: int | None = None,
    ) -> Journal:
        """Open the journal in `folder`, or begin one.

        Parameters
        ----------
        account : str
            Whose journal it is; that of another account is refused.
        reserve_bytes : int
            Disk space kept back for exits.
        now_at : int, optional
            UTC ms, for the genesis line and the note of a recovery; by default the machine's clock.

        Raises
        ------
        DataError : damaged, or another account's; names file, line, seq and remedy.
        StoreError : another process writes it, or the folder cannot be written.
        """
        now_at = time.time_ns() // 1_000_000 if now_at is None else now_at
        path = folder / JOURNAL_FILE
        handle = _opened(path)
        journal = cls(path, handle, Reserve(folder, reserve_bytes))
        try:
            journal._load()
            journal._begin(account, now_at)
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def last_seq(self) -> int:
        """Return the number of the last line."""
        return self._end.seq - 1

    @property
    def last_hash(self) -> str:
        """Return the hash of the last line."""
        return self._end.previous_hash

    @property
    def is_reserve_whole(self) -> bool:
        """Return whether the space for exits is all there; entries are refused while it is not."""
        return self._reserve.is_whole

    @property
    def n_unsynced(self) -> int:
        """Return how many of the last lines were not synced yet."""
        return len(self._unsynced)

    def append(
        self,
        records: Sequence[Record],
        now_at: int,
        *,
        essential: bool = False,
        synced: bool = True,
    ) -> int:
        """Write records down, all with one write and one sync; return the last line's seq.

        When it raises, none of them is in the file. When the sync was what failed, the lines that
        were not synced before are not in it either: `n_unsynced` is 0 then.

        Parameters
        ----------
        now_at : int, UTC ms
        synced : bool
            False leaves the sync, which is of everything before it too, to who appends or syncs
            next.
        essential : bool
            Exits, cancels, fills, states: what must be written on a full disk too. It may spend the
            reserve; what is not essential is refused until the reserve is whole again.

        Raises
        ------
        StoreError : nothing could be written: the disk is full or failing, or the journal closed.
        InvariantError : a record that cannot be written as a line.
        """
        with self._lock:
            if records:
                self._append(records, now_at, is_essential=essential, is_synced=synced)
            return self.last_seq

    def sync(self, *, essential: bool = False) -> None:
        """Sync what was not synced yet; nothing is done when all of it was.

        Raises
        ------
        StoreError : as `append` does.
        """
        with self._lock:
            if self._unsynced:
                self._append((), 0, is_essential=essential)

    def read(self, after_seq: int = 0) -> Iterator[JournalLine]:
        """Yield the lines after `after_seq` (-1 begins with genesis), as far as they go now.

        Raises
        ------
        DataError : the file was changed since it was opened.
        """
        end = self._end
        wanted = max(0, after_seq + 1)
        if wanted >= end.seq:
            return
        place = self._index[wanted // _INDEX_EVERY]
        for line, _ in lines_from(self.path, place, end.offset):
            if line.seq >= wanted:
                yield line

    def __iter__(self) -> Iterator[JournalLine]:
        """Yield every line after genesis."""
        return self.read()

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                os.close(handle)

    def _load(self) -> None:
        for place in chain(self.path, START):
            if self._end.seq % _INDEX_EVERY == 0:
                self._index.append(self._end)
            self._end = place
        self._synced = self._end
        size = os.fstat(self._open_handle()).st_size
        if size > self._end.offset:
            self._mend(size - self._end.offset)

    def _mend(self, n_bytes: int) -> None:
        if not is_torn(unfinished_end(self.path, self._end.offset)):
            raise damaged(self.path, self._end, "it does not end in its newline: it was changed")
        kept_in = self._kept_aside(n_bytes)
        if kept_in is None and self._reserve.spend(n_bytes):
            kept_in = self._kept_aside(n_bytes)
        try:
            os.ftruncate(self._open_handle(), self._end.offset)
            os.fsync(self._open_handle())
        except OSError as exc:
            raise _unwritable(self.path, exc) from exc
        self.recovery = Recovery(kept_in, n_bytes, self._end.seq)

    def _kept_aside(self, n_bytes: int) -> Path | None:
        """Copy the torn end beside the journal; None when the disk is full."""
        for n in range(1, 1000):
            aside = self.path.with_name(f"{self.path.name}.torn-{self._end.seq}-{n}")
            try:
                with self.path.open("rb") as source, aside.open("xb") as copy:
                    source.seek(self._end.offset)
                    left = n_bytes
                    while left and (part := source.read(min(left, 1 << 16))):
                        copy.write(part)
                        left -= len(part)
                    copy.flush()
                    os.fsync(copy.fileno())
            except FileExistsError:
                continue
            except OSError as exc:
                with contextlib.suppress(OSError):
                    aside.unlink()
                if exc.errno in FULL_ERRNOS:
                    return None
                raise _unwritable(aside, exc) from exc
            return aside
        raise StoreError(f"{self.path.parent} is full of torn ends: look through them and remove")

    def _begin(self, account: str, now_at: int) -> None:
        self._reserve.fill()
        if not self._end.seq:
            genesis = GenesisRecord(account, JOURNAL_FORMAT, now_at)
            self._append([genesis], now_at, is_essential=True)
            _sync_folder(self.path.parent)
            # The account's folder is new as well, and so may the one it lies in be; whoever may not
            # read those above cannot have made them.
            for folder in self.path.parent.parents[:2]:
                with contextlib.suppress(OSError):
                    _sync_folder(folder)
        first = next(self.read(-1)).record
        if not isinstance(first, GenesisRecord):
            raise damaged(self.path, START, "it does not say whose journal this is")
        if first.account != account:
            raise DataError(
                f"{self.path} is the journal of account {first.account}, not of {account}: "
                f"give {account} a folder of its own",
                path=str(self.path),
            )
        if first.format != JOURNAL_FORMAT:
            raise DataError(
                f"{self.path} has format {first.format}, this version reads {JOURNAL_FORMAT}: "
                "open it with the version that wrote it",
                path=str(self.path),
            )
        if self.recovery is not None:
            self._append([_told(self.recovery)], now_at, is_essential=True)

    def _append(
        self,
        records: Sequence[Record],
        now_at: int,
        *,
        is_essential: bool,
        is_synced: bool = True,
    ) -> None:
        handle = self._open_handle()
        if not is_essential and not self._reserve.fill():
            raise StoreError(
                f"{self.path}: no room for the reserve that exits need ({self._reserve.left_bytes} "
                "bytes are left of it): nothing new is opened until the disk has space again",
                path=str(self.path),
                is_full=True,
            )
        unwritten = [(record, now_at) for record in records]
        while True:
            text, places = self._encoded(unwritten)
            n_bytes = places[-1].offset - self._synced.offset
            try:
                self._write(handle, text)
                self._index.extend(p for p in places[:-1] if p.seq % _INDEX_EVERY == 0)
                self._end = places[-1]
                self._unsynced.extend(unwritten)
                unwritten = []
                if is_synced:
                    self._sync(handle)
                return
            except OSError as exc:
                if not unwritten:
                    # The sync failed, and took all of these out of the file.
                    unwritten, self._unsynced = self._unsynced, []
                is_full = exc.errno in FULL_ERRNOS
                if is_full and is_essential and self._reserve.spend(n_bytes):
                    continue
                raise _unwritable(self.path, exc) from exc

    def _encoded(self, records: Sequence[tuple[Record, int]]) -> tuple[bytes, list[Place]]:
        """Return the next lines, the place of each, and the place behind them."""
        end, text, places = self._end, bytearray(), [self._end]
        for record, at in records:
            line, digest = encoded(end.seq, end.previous_hash, at, record)
            text += line
            end = Place(end.offset + len(line), end.seq + 1, digest)
            places.append(end)
        return bytes(text), places

    def _write(self, handle: int, text: bytes) -> None:
        """Write; when that fails, cut the file back to where it began."""
        try:
            n_written = os.write(handle, text) if text else 0
            if n_written != len(text):
                # A plain file takes less than it is given only where there is no more room.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._cut(handle, self._end)
            raise

    def _sync(self, handle: int) -> None:
        """Sync; when that fails, cut the file back to what was acknowledged."""
        try:
            os.fsync(handle)
        except OSError:
            self._cut(handle, self._synced)
            raise
        self._synced = self._end
        self._unsynced.clear()

    def _cut(self, handle: int, place: Place) -> None:
        try:
            os.ftruncate(handle, place.offset)
        except OSError:
            self._is_beyond_repair = True
        self._end = place
        while self._index and self._index[-1].seq >= place.seq:
            self._index.pop()

    def _open_handle(self) -> int:
        if self._handle is None:
            raise StoreError(f"{self.path} is closed: nothing can be written", path=str(self.path))
        if self._is_beyond_repair:
            raise StoreError(
                f"{self.path}: a failed write could not be taken back: restart the trader, which "
                "opens the journal anew",
                path=str(self.path),
            )
        return self._handle


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, flags, 0o600)
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever replaced the file in between holds another lock.
        is_same = os.path.samestat(os.fstat(handle), path.stat())
        _sync_folder(path.parent)
    except BlockingIOError as exc:
        os.close(handle)
        raise StoreError(
            f"{path} is being written by another process: one account has one gateway; stop the "
            "other one first",
            path=str(path),
            is_in_use=True,
        ) from exc
    except OSError as exc:
        os.close(handle)
        raise _unwritable(path, exc) from exc
    if not is_same:
        os.close(handle)
        raise StoreError(f"{path} was replaced while it was opened: open it again", path=str(path))
    return handle


def _unwritable(path: Path, error: OSError) -> StoreError:
    is_full = error.errno in FULL_ERRNOS
    remedy = "make room on the disk" if is_full else "look at the disk and at the folder's owner"
    return StoreError(
        f"{path} cannot be written: {error.strerror or error}: {remedy}",
        path=str(path),
        is_full=is_full,
    )


def _told(recovery: Recovery) -> NoteRecord:
    where = (
        f"moved to {recovery.kept_in.name}" if recovery.kept_in else "not kept: the disk is full"
    )
    return NoteRecord(
        "journal.recovered",
        f"a crash had torn line {recovery.seq + 1} ({recovery.n_bytes} bytes); it was {where}",
        {
            "n_bytes": recovery.n_bytes,
            "kept_in": recovery.kept_in.name if recovery.kept_in else None,
        },
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
