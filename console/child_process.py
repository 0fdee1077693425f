"""One command of `paddock` in a process of its own, so that the screen waits for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from console.session import Session


class ChildProcess:
    """Run a command once and read the JSON that it prints.

    Parameters
    ----------
    session : Session
    arguments : of `paddock`, after its own options
    """

    def __init__(self, session: Session, arguments: Sequence[str]) -> None:
        self.is_running = False
        self.problem = ""
        self.is_stopped = False
        self._session = session
        self._arguments = tuple(arguments)
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> Any:
        """Run it to its end and return what it told; None with the reason in `problem`."""
        if self._session.is_recorded:
            self.problem = "this is a recording: nothing is run"
            return None
        self.is_running = True
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                env=child_environment(self._session),
            )
            output, talk = await self._process.communicate()
        except OSError as exc:
            self.problem = f"it could not be started: {exc.strerror or exc}"
            return None
        finally:
            self.is_running = False
        return self._told(output, talk)

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self.is_stopped = True
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def _told(self, output: bytes, talk: bytes) -> Any:
        if self.is_stopped:
            self.problem = "stopped"
            return None
        try:
            # A command that found something wrong still tells what it found.
            return json.loads(output)
        except ValueError:
            lines = talk.decode(errors="replace").strip().splitlines()
            self.problem = lines[-1].removeprefix("paddock: ") if lines else "it told nothing"
            return None

    def _command(self) -> list[str]:
        path = self._session.config_path
        chosen = [] if path is None else ["--config", str(path)]
        return [sys.executable, "-m", "console.cli", *chosen, *self._arguments]


def child_environment(session: Session) -> dict[str, str]:
    """Return the environment of a child: the same modules, and the same home."""
    root = str(Path(__file__).resolve().parents[1])
    found = os.environ.get("PYTHONPATH", "")
    return {
        **os.environ,
        "PYTHONPATH": f"{root}{os.pathsep}{found}" if found else root,
        "PADDOCK_PATHS__HOME": str(session.home),
    }
