"""The console as a process of its own on a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
ALTERNATE_ON, ALTERNATE_OFF = b"\x1b[?1049h", b"\x1b[?1049l"
CURSOR_ON = b"\x1b[?25h"
MOUSE_OFF = b"\x1b[?1000l"


class Terminal:
    """Run a command on a terminal of its own, and read what it writes.

    Parameters
    ----------
    arguments : of python
    environment : changes to this process's; None takes a variable away
    size : columns, rows
    """

    def __init__(
        self,
        arguments: list[str],
        environment: dict[str, str | None] | None = None,
        size: tuple[int, int] = (120, 36),
    ) -> None:
        self._master, self._slave = pty.openpty()
        self.resize(size)
        self.before = termios.tcgetattr(self._slave)
        self.written = b""
        wanted: dict[str, str | None] = {
            **os.environ,
            "TERM": "xterm-256color",
            "PYTHONPATH": str(ROOT),
            "COLORTERM": None,
            "NO_COLOR": None,
            "LC_ALL": None,
            "LC_CTYPE": None,
            "LANG": "C.UTF-8",
            # Whoever shares tests out among processes fixes the width of theirs.
            "COLUMNS": None,
            "LINES": None,
            **(environment or {}),
        }
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={name: value for name, value in wanted.items() if value is not None},
            start_new_session=True,
            preexec_fn=self._own,
        )

    def _own(self) -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # Tests that run in the background may be deaf to these, and so would their children be.
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)

    def resize(self, size: tuple[int, int]) -> None:
        """Change the size; who runs on the terminal is told by a signal."""
        packed = struct.pack("HHHH", size[1], size[0], 0, 0)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, packed)

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def read(self, wait_s: float = 0.1) -> None:
        """Take in what is there."""
        while select.select([self._master], [], [], wait_s)[0]:
            try:
                got = os.read(self._master, 65536)
            except OSError:
                return
            if not got:
                return
            self.written += got
            wait_s = 0.0

    def until(self, words: bytes, *, since: int = 0) -> None:
        """Wait until these bytes were written."""
        end_s = time.monotonic() + PATIENCE_S
        while words not in self.written[since:]:
            if time.monotonic() > end_s or self.process.poll() is not None:
                self.read()
                if words in self.written[since:]:
                    return
                raise AssertionError(f"never came: {words!r}\n{self.written[-800:]!r}")
            self.read()

    def until_ended(self) -> int:
        """Wait until the process has ended, and return how."""
        end_s = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            if time.monotonic() > end_s:
                raise AssertionError(f"it does not end\n{self.written[-800:]!r}")
            self.read()
        self.read()
        return int(self.process.returncode)

    def now(self) -> list[Any]:
        """Return the terminal's modes."""
        return termios.tcgetattr(self._slave)

    def is_as_before(self) -> bool:
        """Return whether the terminal has its modes, screen, cursor and mouse back."""
        after = self.written.rpartition(ALTERNATE_ON)[2]
        back = all(words in after for words in (ALTERNATE_OFF, CURSOR_ON, MOUSE_OFF))
        return back and self.now() == self.before

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1

    def close(self) -> None:
        """End what still runs, and let go of the terminal."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for number in (self._master, self._slave):
            if number >= 0:
                os.close(number)
