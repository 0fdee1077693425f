"""The runtime as seen from outside: is it alive, start it, stop it.

The runtime is a process of its own. It announces itself in `<home>/runtime.json`, and its
conductor beats in the store; both together mean alive. Nothing here imports what runs inside it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import RuntimeUnavailable, StoreError

RUNTIME_MODULE = "actors.runtime"
RUNTIME_FILE = "runtime.json"
ALIVE_WITHIN_MS = 3_000
_POLL_S = 0.1
_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class RuntimeFile:
    """What a running runtime wrote about itself.

    Attributes
    ----------
    pid : int
    started_at : int, UTC ms; 0 when it did not say
    host : str
    ray_address, version : str, empty when it did not say
    """

    pid: int
    started_at: int
    host: str
    ray_address: str
    version: str


@dataclass(frozen=True, slots=True)
class RuntimeView:
    """The runtime at one instant.

    Attributes
    ----------
    word : "alive", "silent" (its process is there, its conductor is not), "dead" (it left its
        file behind) or "down"
    file : RuntimeFile, None when it is down
    beat_at : int, UTC ms of the conductor's last beat, None before the first
    """

    word: str
    file: RuntimeFile | None
    beat_at: int | None

    @property
    def is_alive(self) -> bool:
        """Return whether commands will be answered."""
        return self.word == "alive"


def read_runtime_file(home: Path) -> RuntimeFile | None:
    """Return what the runtime of this home wrote, None when there is no readable file."""
    try:
        values = json.loads((home / RUNTIME_FILE).read_bytes())
        return RuntimeFile(
            pid=int(values["pid"]),
            started_at=int(values.get("started_at") or 0),
            host=str(values.get("host", "")),
            ray_address=str(values.get("ray_address", "")),
            version=str(values.get("version", "")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def view_runtime(home: Path, beat_at: int | None, now_at: int) -> RuntimeView:
    """Judge the runtime of a home from its file, its process and its conductor's last beat."""
    file = read_runtime_file(home)
    if file is None:
        return RuntimeView("down", None, beat_at)
    if not is_process_alive(file.pid):
        return RuntimeView("dead", file, beat_at)
    if beat_at is None or now_at - beat_at > ALIVE_WITHIN_MS:
        return RuntimeView("silent", file, beat_at)
    return RuntimeView("alive", file, beat_at)


def is_process_alive(pid: int) -> bool:
    """Return whether a process runs under this id; a zombie does not."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state != b"Z"


def runtime_log(home: Path) -> Path:
    """Return the file that the runtime's output goes to."""
    return home / "logs" / "runtime.log"


def start_runtime(
    home: Path,
    config_path: Path | None,
    options: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a detached runtime that outlives its starter; it is not ready yet.

    Parameters
    ----------
    options : further options of the runtime's own command line
    settings : environment variables that override its configuration

    Raises
    ------
    StoreError : the home cannot be written.
    """
    log = runtime_log(home)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - our own program, our own arguments
                _runtime_command("up", config_path, options),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=_environment(settings or {}),
            )
    except OSError as exc:
        raise StoreError(
            f"the home {home} cannot be written: {exc.strerror or exc}: choose another with "
            "PADDOCK_PATHS__HOME, or make it writable",
            home=str(home),
        ) from exc


async def wait_until_alive(
    process: subprocess.Popen[bytes],
    home: Path,
    beat_at: Callable[[], Awaitable[int | None]],
    now_at: Callable[[], int],
    timeout_s: float,
) -> RuntimeView:
    """Wait until the runtime answers.

    Raises
    ------
    RuntimeUnavailable : it ended first, or took longer than `timeout_s`.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        view = view_runtime(home, await beat_at(), now_at())
        if view.is_alive:
            return view
        if process.poll() not in (None, 0):
            raise RuntimeUnavailable(
                f"the runtime did not start: {last_line(runtime_log(home))} "
                f"(log: {runtime_log(home)})",
                returncode=process.returncode,
            )
        if asyncio.get_running_loop().time() > deadline:
            raise RuntimeUnavailable(
                f"the runtime was not ready after {timeout_s:g} s: see {runtime_log(home)}, or "
                "raise [runtime] start_timeout_s"
            )
        await asyncio.sleep(_POLL_S)


async def stop_runtime(config_path: Path | None) -> None:
    """Stop the runtime of a home, gracefully first.

    Raises
    ------
    RuntimeUnavailable : it did not stop.
    """
    process = await asyncio.create_subprocess_exec(
        *_runtime_command("down", config_path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env=_environment({}),
    )
    try:
        _, talk = await asyncio.wait_for(process.communicate(), _STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        raise RuntimeUnavailable(
            f"the runtime did not stop within {_STOP_TIMEOUT_S:g} s: run `paddock down` again"
        ) from None
    if process.returncode:
        lines = talk.decode(errors="replace").strip().splitlines()
        reason = lines[-1].removeprefix("paddock: ") if lines else f"exit code {process.returncode}"
        raise RuntimeUnavailable(f"the runtime did not stop: {reason}")


def last_line(path: Path) -> str:
    """Return the last line of a log that says something, or that there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8_192))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return "it left no log"
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1].removeprefix("paddock: ") if spoken else "it left no log"


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    # The working directory may be anywhere; the runtime is found beside the console.
    root = str(Path(__file__).resolve().parents[1])
    found = os.environ.get("PYTHONPATH", "")
    return {
        **os.environ,
        **settings,
        "PYTHONPATH": f"{root}{os.pathsep}{found}" if found else root,
    }


def _runtime_command(verb: str, config_path: Path | None, options: Sequence[str] = ()) -> list[str]:
    chosen = [] if config_path is None else ["--config", str(config_path)]
    return [sys.executable, "-m", RUNTIME_MODULE, verb, *chosen, *options]
