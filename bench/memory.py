"""Memory of this process and everything it started, shared pages counted once."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_KIB = 1024


def pss_bytes(pids: list[int]) -> int:
    """Return the proportional set size of some processes together; those that ended count 0."""
    return sum(_pss_of(pid) for pid in pids)


def own_tree() -> list[int]:
    """Return the ids of this process and all its descendants."""
    me = psutil.Process()
    return [me.pid, *(child.pid for child in me.children(recursive=True))]


class PeakMemory:
    """Watch the whole tree's memory while a block runs.

    Attributes
    ----------
    peak_bytes : the largest sum seen
    """

    def __init__(self, every_s: float = 0.5) -> None:
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        """Begin watching."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, pss_bytes(own_tree()))
            if self._over.wait(self._every_s):
                return


def _pss_of(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    for row in text.splitlines():
        if row.startswith("Pss:"):
            return int(row.split()[1]) * _KIB
    return 0
