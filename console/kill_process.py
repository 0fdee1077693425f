"""The kill switch's own process: `paddock cancel|flatten|rearm|drill`, heard line by line.

Straight to the exchange: no actor and no database is on its path. It lives in a session of its own
and speaks into memory rather than into a pipe, so that neither a console that ends nor a disk that
is full stops it half way.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from console.kill_port import Verb
from console.session import Session
from engine.errors import RuntimeUnavailable
from engine.trade.accounts import ALL
from engine.trade.kill_step import Step

_LOOK_S = 0.02
_STATES = ("ok", "moving", "failed")
_READ_BYTES = 1 << 16


class KillProcess:
    """Start one process for each act.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def act(self, verb: Verb, accounts: Sequence[str], reason: str) -> AsyncIterator[Step]:
        """Start it and yield its steps as they come.

        Raises
        ------
        OSError : it could not be started.
        RuntimeUnavailable : it ended badly without a step that says why.
        """
        command = self._command(verb, accounts, reason)
        with _memory() as heard, _memory() as talk:
            process = await asyncio.to_thread(_start, command, heard, talk)
            lines = _Lines(heard)
            has_failed = False
            while True:
                # Asked before reading: what was written before the end is read after it.
                code = process.poll()
                for line in lines.new():
                    step = step_of(line)
                    if step is not None:
                        has_failed = has_failed or step.state == "failed"
                        yield step
                if code is not None:
                    break
                await asyncio.sleep(_LOOK_S)
            if code and not has_failed:
                raise RuntimeUnavailable(_last_words(talk) or f"it ended with code {code}")

    def _command(self, verb: Verb, accounts: Sequence[str], reason: str) -> list[str]:
        path = self._session.config_path
        chosen = [] if path is None else ["--config", str(path)]
        return [sys.executable, "-m", "console.cli", *chosen, *arguments_of(verb, accounts, reason)]


def arguments_of(verb: Verb, accounts: Sequence[str], reason: str) -> list[str]:
    """Return the command that an act is; what it must be told was typed in the console."""
    account = accounts[0] if len(accounts) == 1 else ALL
    where = ["--account", account, "--reason", reason, "--json"]
    return {
        "cancel": ["cancel", *where],
        "cancel stops": ["cancel", "--stops", *where],
        "flatten": ["flatten", "--yes", *where],
        "rearm": ["rearm", "--confirm", account, *where],
        "drill": ["drill", "--json"],
    }[verb]


def step_of(line: str) -> Step | None:
    """Return the step that a line tells, None when it tells none."""
    try:
        told = json.loads(line)
        if not isinstance(told, dict) or told.get("state") not in _STATES:
            return None
        return Step(
            account=str(told.get("account", "")),
            name=str(told["name"]),
            state=told["state"],
            words=str(told.get("words", "")),
            done=int(told.get("done") or 0),
            total=int(told.get("total") or 0),
            spent_ms=float(told.get("spent_ms") or 0.0),
        )
    except (ValueError, TypeError, KeyError):
        return None


class _Lines:
    """Whole lines of a file that another process writes, from the start."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._at = 0
        self._rest = b""

    def new(self) -> list[str]:
        """Return the lines that were finished since the last look."""
        while part := os.pread(self._handle, _READ_BYTES, self._at):
            self._at += len(part)
            self._rest += part
        *whole, self._rest = self._rest.split(b"\n")
        return [line.decode(errors="replace") for line in whole]


@contextlib.contextmanager
def _memory() -> Any:
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("paddock-kill")
    else:
        handle, name = tempfile.mkstemp(prefix="paddock-kill-")
        Path(name).unlink()
    try:
        yield handle
    finally:
        os.close(handle)


def _start(command: list[str], heard: int, talk: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 our own interpreter and our own command
        command,
        stdin=subprocess.DEVNULL,
        stdout=heard,
        stderr=talk,
        start_new_session=True,
        env=_environment(),
    )


def _environment() -> Mapping[str, str]:
    # The working directory may be anywhere; the command is found beside the console.
    root = str(Path(__file__).resolve().parents[1])
    found = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{found}" if found else root}


def _last_words(handle: int) -> str:
    lines = os.pread(handle, _READ_BYTES, 0).decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("paddock: ") if lines else ""
