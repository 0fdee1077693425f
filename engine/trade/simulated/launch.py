"""Start, find and stop the simulated exchange of a home, from anywhere.

The process is in a session of its own and carries no mark of the runtime, so neither the end of
Ray, nor that of the console, nor a kill switch takes it along.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from engine.errors import RuntimeUnavailable
from engine.settings import Config
from engine.trade.simulated.endpoint import Endpoint, exchange_folder, read_endpoint

MODULE = "engine.trade.simulated.process"
LOG_NAME = "exchange.log"
_LOCK_NAME = "exchange.lock"
# Variables by which runtimes find what belongs to them (actors/owned_processes.py).
_MARKS = ("PADDOCK_OWNER",)
_LET_GO = '"$@" >>"$0" 2>&1 & echo $!'
_POLL_S = 0.05
_ANSWER_S = 2.0
_STOP_S = 10.0


def running(home: Path) -> Endpoint | None:
    """Return where the exchange of a home answers, None when none runs or answers.

    Notes
    -----
    Takes some milliseconds, two seconds when it hangs.
    """
    endpoint = read_endpoint(home)
    if endpoint is None or not _is_held(home) or not _answers(endpoint):
        return None
    return endpoint


def ensure_running(
    config: Config,
    config_path: Path | None = None,
    *,
    timeout_s: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Endpoint:
    """Return where the exchange of a home answers, starting it when none runs.

    May run twice, and at the same time: only one process is left.

    Parameters
    ----------
    config : its [paths] home, [market], [generated], [simulated] and [backtest] count
    config_path : the file the process reads; by default the one that it finds itself

    Raises
    ------
    RuntimeUnavailable : it ended, or did not answer within `timeout_s`; its last words are told.
    """
    home = config.paths.home
    found = running(home)
    if found is not None:
        return found
    pid = _start(config, config_path)
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = running(home)
        if found is not None:
            return found
        if not _is_alive(pid) and not _is_held(home):
            raise RuntimeUnavailable(
                f"the simulated exchange did not start: {_last_words(home)} "
                f"(log: {exchange_log(home)})"
            )
        sleep(_POLL_S)
    raise RuntimeUnavailable(
        f"the simulated exchange did not answer within {timeout_s:g} s: see {exchange_log(home)}"
    )


def stop(home: Path, *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Stop the exchange of a home; False when none ran. Its orders and positions stay.

    Raises
    ------
    RuntimeUnavailable : it did not stop.
    """
    if not _is_held(home):
        return False
    deadline_s = time.monotonic() + _STOP_S
    told: set[int] = set()
    while _is_held(home) or any(_is_alive(pid) for pid in told):
        # One that was just being started may follow the one that was told.
        endpoint = read_endpoint(home)
        if endpoint is not None and endpoint.pid not in told:
            told.add(endpoint.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(endpoint.pid, signal.SIGTERM)
        if time.monotonic() > deadline_s:
            raise RuntimeUnavailable(
                f"the simulated exchange of {home} did not stop: see {exchange_log(home)}"
            )
        sleep(_POLL_S)
    return True


def exchange_log(home: Path) -> Path:
    """Return the file that the exchange's output goes to."""
    return home / "logs" / LOG_NAME


def _start(config: Config, config_path: Path | None) -> int:
    """Start the process and return its id.

    A shell lets go of it at once, so that it is nobody's child here: whoever started it neither
    waits for it nor leaves a zombie behind.
    """
    home = config.paths.home
    log = exchange_log(home)
    command = [sys.executable, "-m", MODULE, "--home", str(home)]
    if config_path is not None:
        command += ["--config", str(config_path)]
    environment = {k: v for k, v in os.environ.items() if k not in _MARKS}
    environment.update(_overrides(config))
    root = str(Path(__file__).resolve().parents[3])
    paths = [root, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(  # noqa: S603 - our own program, our own arguments
            ["/bin/sh", "-c", _LET_GO, str(log), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            env=environment,
            check=True,
        )
        return int(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as exc:
        raise RuntimeUnavailable(
            f"the simulated exchange cannot be started: {exc}: make {home} writable"
        ) from exc


def _is_alive(pid: int) -> bool:
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


def _overrides(config: Config) -> dict[str, str]:
    # What was changed on the caller's command line is not in the file that the process reads.
    told = {}
    for section in ("market", "generated", "simulated", "backtest", "cycle"):
        values = getattr(config, section).model_dump(mode="json")
        for key, value in values.items():
            told[f"PADDOCK_{section.upper()}__{key.upper()}"] = json.dumps(value)
    told["PADDOCK_PATHS__STORE"] = json.dumps(str(config.paths.store))
    return told


def _is_held(home: Path) -> bool:
    path = exchange_folder(home) / _LOCK_NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _answers(endpoint: Endpoint) -> bool:
    root = "/fapi/v1" if endpoint.market_type == "perp" else "/api/v3"
    try:
        with urllib.request.urlopen(f"{endpoint.url}{root}/ping", timeout=_ANSWER_S) as answer:  # noqa: S310 - our own loopback address
            return int(answer.status) == 200
    except urllib.error.HTTPError:
        # It is there, and refuses by plan or by its limits.
        return True
    except (OSError, ValueError):
        return False


def _last_words(home: Path) -> str:
    try:
        lines = exchange_log(home).read_bytes()[-8_192:].decode(errors="replace").splitlines()
    except OSError:
        return "it left no log"
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1].removeprefix("paddock: ") if spoken else "it left no log"
