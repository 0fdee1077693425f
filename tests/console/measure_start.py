"""Measure the time to the console's first picture: `python -m tests.console.measure_start [HOME]`.

Not a test: one JSON line. The console is started as a person starts it, in a terminal of 120x36,
and ended as soon as its second row is there. Without a home it is an empty one.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil

from tests.console.painting import summary

N_STARTS = 7
_PATIENCE_S = 30.0
_WORDS = b"Overview"


def first_picture_ms(home: Path) -> tuple[float, float]:
    """Return the ms from the start to the first picture, and the processor time spent until then.

    Raises
    ------
    TimeoutError : no picture came.
    """
    command = [sys.executable, "-m", "console.cli", "--no-runtime"]
    environment = {
        **os.environ,
        "PADDOCK_PATHS__HOME": str(home),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }
    began_s = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, command, environment)  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    seen = b""
    try:
        while _WORDS not in seen:
            ready, _, _ = select.select([terminal], [], [], _PATIENCE_S)
            if not ready:
                raise TimeoutError(f"no picture came: {seen[-300:]!r}")
            seen += os.read(terminal, 65_536)
        spent_ms = (time.perf_counter() - began_s) * 1000
        times = psutil.Process(pid).cpu_times()
        return spent_ms, (times.user + times.system) * 1000
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "home"
        starts = [first_picture_ms(home) for _ in range(N_STARTS)]
    line = {
        **summary([wall for wall, _ in starts]),
        **summary([cpu for _, cpu in starts], "cpu_"),
        "load": round(os.getloadavg()[0], 2),
    }
    sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
