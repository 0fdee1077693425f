"""Who gives way to whom on a machine that is busy."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# What computes in bulk gives way to what keeps the books of it, and both to what watches, trades
# and is looked at: a cycle is never in a hurry.
_COMPUTING = frozenset({"backtester", "feeder", "generator", "learner"})
_KEEPING_BOOKS = frozenset({"conductor", "recorder"})


def niceness(kind: str, worker_nice: int) -> int:
    """Return how far a part of that kind steps back, 0 for not at all.

    Parameters
    ----------
    worker_nice : of those that compute, 0 to 19
    """
    if kind in _COMPUTING:
        return worker_nice
    return worker_nice // 3 if kind in _KEEPING_BOOKS else 0


def step_back(nice: int) -> None:
    """Give way to everything else: every thread of this process, and its session.

    Linux keeps a priority for each thread. Where it groups processes by session (autogroup), those
    only count inside the group: so the process gets a session of its own, and that steps back too.
    """
    for thread in Path("/proc/self/task").iterdir():
        # A thread may end in the meantime, and an inherited priority may be lower still.
        with contextlib.suppress(OSError):
            if os.getpriority(os.PRIO_PROCESS, int(thread.name)) < nice:
                os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)
    # Refused where the session's leader is gone, or the kernel has no such groups.
    with contextlib.suppress(OSError):
        if os.getpgrp() == os.getpid():
            # The leader of a process group may not found a session: join the parent's group first.
            os.setpgid(0, os.getsid(0))
        os.setsid()
        Path("/proc/self/autogroup").write_text(str(nice))
