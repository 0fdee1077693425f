"""A Ray head of this home's own: its own ports, folder and token; started and ended as processes.

Nothing here imports Ray: the head is started with Ray's command, and ended by the mark that its
processes carry. An unknown cluster is therefore never joined and never stopped.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from actors.owned_processes import FOLDER_PREFIX, MARK_VARIABLE, end, owned
from engine.errors import RuntimeUnavailable

TOKEN_NAME = "ray.token"  # noqa: S105
PROJECT = Path(__file__).resolve().parents[1]
# Ray's workers take 10002-19999, and the kernel lends out 32768 and up.
_PORTS = range(20_000, 32_000)
_PORT_OPTIONS = (
    "--port",
    "--node-manager-port",
    "--object-manager-port",
    "--dashboard-agent-grpc-port",
    "--dashboard-agent-listen-port",
    "--runtime-env-agent-port",
    "--metrics-export-port",
    "--dashboard-port",
    "--ray-client-server-port",
)
# A Unix socket's path holds 107 bytes, and Ray's own part takes about 70 of them.
_LONGEST_FOLDER = 36
_ONE_THREAD = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Head:
    """A head that was started.

    Attributes
    ----------
    address : host:port for those who connect
    temp_dir : its sockets, sessions and logs
    """

    address: str
    temp_dir: Path


def ray_environment(home: Path, mark: str) -> dict[str, str]:
    """Return the variables that the head, its workers and the driver run with.

    Token authentication stays on, no usage statistics are sent, computing threads are one a
    process,
    and every process carries the mark of its runtime.
    """
    values = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(home / TOKEN_NAME),
        "RAY_USAGE_STATS_ENABLED": "0",
        # A record of every call is kept by the head otherwise, some hundred megabytes of them.
        "RAY_task_events_report_interval_ms": "0",
        # Ray makes every worker nice; here those that compute are, and see to it themselves.
        "RAY_worker_niceness": "0",
        "PYTHONUNBUFFERED": "1",
        # Memory that threads have freed goes back, instead of staying in an arena for each.
        "MALLOC_ARENA_MAX": "2",
        MARK_VARIABLE: mark,
    }
    values.update(dict.fromkeys(_ONE_THREAD, "1"))
    paths = [str(PROJECT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    values["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return values


def ensure_token(home: Path) -> Path:
    """Return the file with the home's Ray token, readable by its owner only.

    Make it when missing.
    """
    path = home / TOKEN_NAME
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        path.chmod(0o600)
        return path
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
    return path


def temp_folder(mark: str) -> Path:
    """Return the short folder that Ray keeps this runtime's sockets and sessions in."""
    roots = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108
    name = f"{FOLDER_PREFIX}{mark}"
    short = [root / name for root in roots if len(str(root / name)) <= _LONGEST_FOLDER]
    return short[0] if short else roots[-1] / name


def start_head(
    home: Path,
    mark: str,
    *,
    n_cpus: int,
    object_store_mb: int,
    dashboard: bool,
    timeout_s: float,
) -> Head:
    """Start a head and return its address.

    Raises
    ------
    RuntimeUnavailable : Ray's command failed or took longer than `timeout_s`; its last words are
        in the message.
    """
    folder = temp_folder(mark)
    shutil.rmtree(folder, ignore_errors=True)
    ports = _free_ports(len(_PORT_OPTIONS))
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head"]
    for option, port in zip(_PORT_OPTIONS, ports, strict=True):
        command += [option, str(port)]
    command += ["--min-worker-port", "0", "--max-worker-port", "0", "--no-monitor"]
    command += ["--num-cpus", str(n_cpus), "--num-gpus", "0"]
    command += ["--object-store-memory", str(object_store_mb * 2**20)]
    command += ["--include-dashboard", str(dashboard).lower(), "--include-log-monitor", "false"]
    command += ["--temp-dir", str(folder), "--disable-usage-stats"]
    environment = {**os.environ, **ray_environment(home, mark)}
    try:
        done = subprocess.run(  # noqa: S603
            command,
            env=environment,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeUnavailable(
            f"Ray did not start within {timeout_s:g} s: is the machine overloaded?"
        ) from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()
        reason = last[-1] if last else f"exit code {done.returncode}"
        raise RuntimeUnavailable(f"Ray did not start: {reason}")
    _end_client_server(mark)
    return Head(f"{_own_address()}:{ports[0]}", folder)


def remove_folder(mark: str) -> None:
    """Delete what a head that has ended left in its folder."""
    shutil.rmtree(temp_folder(mark), ignore_errors=True)


def _end_client_server(mark: str) -> None:
    """End the door for remote clients, which Ray opens unasked and nothing here uses."""
    doors = []
    for process in owned(mark):
        with contextlib.suppress(psutil.Error):
            if "ray.util.client.server" in process.cmdline():
                doors.append(process)
    end(doors)


def _own_address() -> str:
    # Ray's head listens on every address of this machine, the loopback one included.
    return "127.0.0.1"


def _free_ports(n: int) -> list[int]:
    """Return `n` free ports, drawn at random so that two starts do not race."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == n:
            return found
    raise RuntimeUnavailable("no free ports between 20000 and 32000: stop something that uses them")
