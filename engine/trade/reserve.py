"""Disk space kept back, so that exits can be written down when the disk is full."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

RESERVE_FILE = "reserve"
FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
_STEP_BYTES = 64 * 1024


class Reserve:
    """A file of allocated blocks that is given back to the disk bit by bit.

    Survives a crash: the file is as long as what is left of it. May run twice: filling a full one
    changes nothing.

    Parameters
    ----------
    folder : Path
    n_bytes : int
        What is kept back, >= 0.
    """

    def __init__(self, folder: Path, n_bytes: int) -> None:
        self._path = folder / RESERVE_FILE
        self._n_bytes = n_bytes
        self._left_bytes = self._measure()

    @property
    def is_whole(self) -> bool:
        """Return whether all of it is there."""
        return self._left_bytes >= self._n_bytes

    @property
    def left_bytes(self) -> int:
        """Return what is left."""
        return self._left_bytes

    def fill(self) -> bool:
        """Allocate what is missing; return whether it is whole now. Never raises."""
        if self.is_whole:
            return True
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            handle = os.open(self._path, flags, 0o600)
        except OSError:
            return False
        try:
            _allocate(handle, self._n_bytes)
            os.fsync(handle)
        except OSError:
            # A refused allocation may have taken what there was: that belongs to exits.
            with contextlib.suppress(OSError):
                os.ftruncate(handle, self._left_bytes)
        else:
            self._left_bytes = self._n_bytes
        finally:
            os.close(handle)
        return self.is_whole

    def spend(self, n_bytes: int) -> bool:
        """Give at least `n_bytes` back to the disk; return False when nothing was left."""
        if self._left_bytes <= 0:
            return False
        steps = -(-max(n_bytes, 1) // _STEP_BYTES)
        left = max(0, self._left_bytes - steps * _STEP_BYTES)
        try:
            os.truncate(self._path, left)
        except OSError:
            # Where it cannot be shortened it can still go whole.
            left = 0
            with contextlib.suppress(OSError):
                self._path.unlink()
        self._left_bytes = left
        return True

    def _measure(self) -> int:
        try:
            found = self._path.lstat()
        except OSError:
            return 0
        # A file with holes holds nothing back.
        return min(found.st_size, found.st_blocks * 512)


def _allocate(handle: int, n_bytes: int) -> None:
    try:
        os.posix_fallocate(handle, 0, n_bytes)
    except OSError as exc:
        if exc.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        # A file system that cannot allocate is given bytes that it cannot pack.
        for offset in range(0, n_bytes, _STEP_BYTES):
            text = os.urandom(min(_STEP_BYTES, n_bytes - offset))
            if os.pwrite(handle, text, offset) != len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from exc
