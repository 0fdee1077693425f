"""Who gives way to whom on a machine that is busy."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# What computes in bulk gives way to what records, watches, trades, and is looked at.
COMPUTING = frozenset({"backtester", "feeder", "generator", "learner"})


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
