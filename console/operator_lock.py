"""One console at a time acts on a home; the others look."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from pathlib import Path

LOCK_FILE = "operator.lock"


class OperatorLock:
    """Hold the lock of a home until the process ends, however it ends.

    The kernel lets go of it: a crash leaves nothing to clean up. May be taken twice by one
    process; owns the file.

    Parameters
    ----------
    home : Path
    """

    def __init__(self, home: Path) -> None:
        self._path = home / LOCK_FILE
        self._handle: int | None = None

    def take(self, who: str, now_at: int) -> str:
        """Return why this console may only look, empty when it may act.

        A lock that cannot be made for want of space or rights keeps nobody from acting: it is
        about two consoles, and flattening must work on a full disk.
        """
        if self._handle is not None:
            return ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return ""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return f"{self._holder()} acts on this home already"
        except OSError:
            os.close(handle)
            return ""
        self._handle = handle
        told = {"pid": os.getpid(), "who": who, "host": socket.gethostname(), "since_at": now_at}
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(told).encode(), 0)
        return ""

    def release(self) -> None:
        """Let another console act."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _holder(self) -> str:
        try:
            told = json.loads(self._path.read_bytes())
            return f"the console of {told['who']} (pid {told['pid']} on {told['host']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another console"
