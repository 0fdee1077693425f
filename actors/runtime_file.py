"""Who runs on a home.

An exclusive lock for the runtime's life, and `runtime.json` for everyone else.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from actors.owned_processes import is_running
from engine.errors import RuntimeUnavailable

LOCK_NAME = "runtime.lock"
FILE_NAME = "runtime.json"


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """What `runtime.json` says.

    Attributes
    ----------
    pid : the driver
    started_at : UTC ms at which the driver's process began; with the pid it names one process
    ready_at : UTC ms at which every actor answered
    ray_address : host:port of the head
    namespace : of the named actors
    mark : carried by every process of this runtime in its environment
    workers : backtesters
    private : started for one command, ends with it
    """

    pid: int
    started_at: int
    ready_at: int
    ray_address: str
    namespace: str
    version: str
    host: str
    mark: str
    temp_dir: str
    workers: int
    private: bool


class HomeLock:
    """Hold a home for one runtime; the kernel lets go of it when the process ends, however it ends.

    Raises
    ------
    RuntimeUnavailable : the home cannot be written, or another runtime holds it.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / LOCK_NAME
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise RuntimeUnavailable(
                f"home {home} cannot be written: {reason}; name another in [paths] home",
                home=str(home),
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._holder()
            os.close(self._handle)
            raise RuntimeUnavailable(
                f"a runtime{holder} already runs on home {home}: stop it with `paddock down`",
                home=str(home),
            ) from error
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let go of the home; the file stays, so that nobody can lock a deleted one."""
        os.close(self._handle)

    def __enter__(self) -> HomeLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _holder(self) -> str:
        text = os.pread(self._handle, 32, 0).decode(errors="replace").strip()
        return f" (pid {text})" if text.isdigit() else ""


def read_facts(home: Path) -> RuntimeFacts | None:
    """Return what `runtime.json` says, None when it is missing or cannot be read."""
    try:
        return RuntimeFacts(**json.loads((home / FILE_NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def running_facts(home: Path) -> RuntimeFacts | None:
    """Return the facts of the runtime that is alive on this machine, None when there is none."""
    facts = read_facts(home)
    if facts is None or not is_running(facts.pid, facts.started_at):
        return None
    return facts


def write_facts(home: Path, facts: RuntimeFacts) -> None:
    """Publish the facts: readers see the old file or the new one, never half of it."""
    target = home / FILE_NAME
    fresh = target.with_suffix(".json.new")
    fresh.write_text(json.dumps(asdict(facts), indent=1) + "\n")
    fresh.replace(target)


def remove_facts(home: Path) -> None:
    """Say that nothing runs here any more."""
    (home / FILE_NAME).unlink(missing_ok=True)
