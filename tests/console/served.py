"""A real `paddock serve` for tests: its process, its link, and who runs below it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Ended:
    """How a server ended."""

    code: int
    said: str
    emitted: str


class Served:
    """Start a server on a free port over a home; end it, and whatever it left, at the end."""

    def __init__(self, home: Path, folder: Path, *options: str, **environment: str) -> None:
        self.home = home
        self._out = folder / "serve.out"
        self._err = folder / "serve.err"
        env = {**os.environ, "PADDOCK_PATHS__HOME": str(home), "LOGNAME": "ana", **environment}
        command = [sys.executable, "-m", "console.cli", "serve", "--port", "0", "--no-runtime"]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = psutil.Popen(
                [*command, *options],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=env,
            )
        self._seen: set[psutil.Process] = set()
        self.link = self._first_link()

    @property
    def address(self) -> str:
        """Return where it is served, without the token."""
        return self.link.partition("/?")[0]

    @property
    def token(self) -> str:
        return self.link.partition("token=")[2]

    def consoles(self) -> list[psutil.Process]:
        """Return the consoles that run for its pages."""
        found = [p for p in self.process.children(recursive=True) if _is_console(p)]
        self._seen.update(found)
        return found

    def end(self, number: int = signal.SIGTERM) -> Ended:
        self.process.send_signal(number)
        code = self.process.wait(timeout=PATIENCE_S)
        return Ended(int(code), self._err.read_text(), self._out.read_text())

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        left = {*self._seen, self.process}
        if self.process.is_running():
            left.update(self.consoles())
        for process in left:
            if process.is_running():
                process.kill()
        psutil.wait_procs(left, timeout=PATIENCE_S)

    def _first_link(self) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            lines = self._out.read_text().splitlines()
            if lines:
                return lines[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"never served: {self._err.read_text()}")


def _is_console(process: psutil.Process) -> bool:
    try:
        return "console.serve_child" in process.cmdline()
    except psutil.NoSuchProcess:
        return False
