"""What every test may ask for, and what no test may do."""

from __future__ import annotations

import faulthandler
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
SHARED_MARKET = ROOT.parent / "shared" / "market"
UNIT = ROOT / "tests" / "unit"
BASH = shutil.which("bash") or "bash"

# Numba's cache knows only the file a function stands in: without the scripts' key, stale code would
# be tested. Set before anything of the engine is imported.
if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = subprocess.run(
        [BASH, "-c", 'source scripts/setup.sh; use_compiled_kernels; printf %s "$NUMBA_CACHE_DIR"'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout

# The timeout of a test is a signal, which a task may swallow: past this the whole run ends, and the
# stacks say where.
HUNG_S = 900.0

# How long an example takes says more of the machine than of the code: speed has benchmarks.
# The same tree gets the same verdict; `scripts/test --hypothesis-profile explore` looks further.
settings.register_profile("paddock", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("paddock")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """End a run that hangs: one test, its set-up and its end included."""
    faulthandler.dump_traceback_later(HUNG_S, exit=True, file=sys.__stderr__)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """Return the folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def shared_market() -> Path:
    """Return the folder of real bars beside the project, or skip."""
    if not SHARED_MARKET.is_dir():
        pytest.skip("no real bars here: ../shared/market is absent")
    return SHARED_MARKET


@pytest.fixture(scope="session", autouse=True)
def isolated_home() -> Iterator[Path]:
    """Give the whole session, and Ray's access token, a home of its own.

    Token authentication stays on, usage statistics stay off, no cluster is joined by accident and
    the operator's own settings do not reach a test. The path is short: Ray's sockets need that.
    """
    real_home = Path.home()
    home = Path(tempfile.mkdtemp(prefix="paddock-"))
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("PADDOCK_"):
                patch.delenv(name)
        for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            patch.delenv(name, raising=False)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # What is downloaded or compiled once is still found.
        patch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or f"{real_home}/.cache")
        patch.setenv("HOME", str(home))
        yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def unit_tests_stay_alone(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Refuse Ray and every network but this machine's own inside tests/unit."""
    if UNIT not in request.path.parents:
        yield
        return
    _refuse_network(monkeypatch)
    if "ray" in sys.modules:
        monkeypatch.setattr("ray.init", _refuse_ray)
    yield
    ray: Any = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()
        pytest.fail("a unit test started Ray: test the plain class instead")


def _refuse_ray(*_args: object, **_kwargs: object) -> None:
    pytest.fail("a unit test called ray.init: test the plain class instead")


def _refuse_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex
    lookup = socket.getaddrinfo

    def checked(address: Any) -> Any:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if not _is_here(host):
            pytest.fail(f"a unit test reached for the network: {host}")
        return address

    monkeypatch.setattr(socket.socket, "connect", lambda s, a: connect(s, checked(a)))
    monkeypatch.setattr(socket.socket, "connect_ex", lambda s, a: connect_ex(s, checked(a)))

    def checked_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        checked((host,))
        return lookup(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", checked_lookup)


def _is_here(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback or ip_address(name).is_unspecified
    except ValueError:
        return False
