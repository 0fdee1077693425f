"""Processes of one runtime: found by a mark in their environment, measured, ended.

Never anybody else's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

MARK_VARIABLE = "PADDOCK_OWNER"
# Of the folder that Ray's processes of one runtime keep their sockets and logs in.
FOLDER_PREFIX = "paddock-"
_TERM_GRACE_S = 4.0
_KILL_GRACE_S = 5.0


def mark_of(home: Path) -> str:
    """Return the 12 hex digits that mark every process of the runtime of `home`."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]


def owned(mark: str) -> list[psutil.Process]:
    """Return the living processes whose environment carries `mark`, oldest first."""
    found: list[tuple[float, psutil.Process]] = []
    for process in psutil.process_iter():
        try:
            if not _carries(process, mark):
                continue
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append((process.create_time(), process))
        except (psutil.Error, OSError):
            # Gone in the meantime, or another user's: not ours either way.
            continue
    return [process for _, process in sorted(found, key=lambda pair: (pair[0], pair[1].pid))]


class Census:
    """Find owned processes again and again, reading each environment only once."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._known: dict[tuple[int, float], bool] = {}

    def pids(self) -> list[int]:
        """Return the pids that carry the mark now."""
        seen: dict[tuple[int, float], bool] = {}
        for process in psutil.process_iter():
            try:
                key = (process.pid, process.create_time())
                is_ours = self._known.get(key)
                if is_ours is None:
                    is_ours = _carries(process, self._mark)
            except (psutil.Error, OSError):
                continue
            seen[key] = is_ours
        self._known = seen
        return [pid for (pid, _), is_ours in seen.items() if is_ours]


def end(processes: Iterable[psutil.Process], grace_s: float = _TERM_GRACE_S) -> list[int]:
    """Ask processes to end, insist after `grace_s`.

    And return the pids still alive (normally none).
    """
    waiting = list(processes)
    for process in waiting:
        _signal(process, insist=False)
    _, waiting = psutil.wait_procs(waiting, timeout=grace_s)
    for process in waiting:
        _signal(process, insist=True)
    _, alive = psutil.wait_procs(waiting, timeout=_KILL_GRACE_S)
    return [process.pid for process in alive]


def end_all(mark: str, grace_s: float = _TERM_GRACE_S, rounds: int = 5) -> list[int]:
    """End everything that carries `mark`, this process left out; return survivors."""
    for _ in range(rounds):
        processes = _others(mark)
        if not processes:
            return []
        end(processes, grace_s)
        time.sleep(0.05)
    return [process.pid for process in _others(mark)]


def is_running(pid: int, started_at: int, tolerance_ms: int = 1_000) -> bool:
    """Tell whether `pid` is the process that began at `started_at` (UTC ms), not a later one."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        began_at = round(process.create_time() * 1000)
        return bool(abs(began_at - started_at) <= tolerance_ms)
    except psutil.Error:
        return False


def memory_bytes(pid: int) -> int:
    """Return the proportional share of memory (PSS) of a process, 0 when it is gone.

    Shared pages are divided among their users, so that the sum over processes counts them once.
    """
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        usage = psutil.Process(pid).memory_full_info()
        return int(getattr(usage, "pss", usage.rss))
    except psutil.Error:
        return 0


def _carries(process: psutil.Process, mark: str) -> bool:
    # Read raw: a process that sets its title overwrites the beginning of its environment, and a
    # parser that stops at the first gap would find nothing of the rest.
    try:
        raw = Path(f"/proc/{process.pid}/environ").read_bytes()
    except FileNotFoundError:
        return bool(process.environ().get(MARK_VARIABLE) == mark)
    if f"{MARK_VARIABLE}={mark}".encode() in raw.split(b"\0"):
        return True
    # The title may even have covered the mark: Ray's own helpers then show by the logs they write.
    return b"RAY_" in raw and _writes_in(process.pid, f"/{FOLDER_PREFIX}{mark}/")


def _writes_in(pid: int, folder: str) -> bool:
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if folder in str(handle.readlink()):
                return True
    return False


def _others(mark: str) -> list[psutil.Process]:
    return [process for process in owned(mark) if process.pid != os.getpid()]


def _signal(process: psutil.Process, *, insist: bool) -> None:
    try:
        if insist:
            process.kill()
        else:
            process.terminate()
    except psutil.Error:
        return
