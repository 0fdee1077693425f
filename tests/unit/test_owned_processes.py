from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from actors.owned_processes import (
    MARK_VARIABLE,
    Census,
    end_all,
    is_running,
    memory_bytes,
    owned,
)

MARK = f"test-{os.getpid()}"
# What a program does that sets its own title: the old beginning of the environment is overwritten.
TITLED = """
import ctypes, sys
stat = open("/proc/self/stat").read().rpartition(")")[2].split()
first = int(stat[47])
ctypes.memset(first, 0, 24)
print("ready", flush=True)
sys.stdin.read()
"""
# The same, so long a title that it covers the mark; its log shows whose it is.
COVERED = """
import ctypes, os, sys
from pathlib import Path
folder = Path(os.environ["LOGS"]) / ("paddock-" + os.environ["PADDOCK_OWNER"])
folder.mkdir(exist_ok=True)
log = (folder / "agent.log").open("w")
stat = open("/proc/self/stat").read().rpartition(")")[2].split()
raw = Path("/proc/self/environ").read_bytes()
ctypes.memset(int(stat[47]) + raw.index(b"PADDOCK_OWNER"), 0, 20)
print("ready", flush=True)
sys.stdin.read()
"""
PLAIN = "import sys; print('ready', flush=True); sys.stdin.read()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + PLAIN


def started(program: str, mark: str = MARK) -> subprocess.Popen[str]:
    environment = {
        "AAAAAAAAAAAAAAAA": "first of all",
        **os.environ,
        MARK_VARIABLE: mark,
        "LOGS": tempfile.gettempdir(),
        "RAY_AUTH_MODE": "token",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture(
    params=[PLAIN, TITLED, COVERED, STUBBORN], ids=["plain", "titled", "covered", "stubborn"]
)
def marked(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    process = started(request.param)
    yield process
    process.kill()
    process.communicate()
    shutil.rmtree(Path(tempfile.gettempdir()) / f"paddock-{MARK}", ignore_errors=True)


def test_a_marked_process_is_found_whatever_title_it_gave_itself(
    marked: subprocess.Popen[str],
) -> None:
    assert [process.pid for process in owned(MARK)] == [marked.pid]
    assert Census(MARK).pids() == [marked.pid]
    assert memory_bytes(marked.pid) > 0


def test_a_marked_process_is_ended_even_if_it_will_not(marked: subprocess.Popen[str]) -> None:
    assert end_all(MARK, grace_s=0.2) == []
    assert not psutil.pid_exists(marked.pid)
    assert owned(MARK) == []


def test_somebody_elses_process_is_left_alone() -> None:
    other = started(PLAIN, mark=f"{MARK}-longer")
    try:
        assert end_all(MARK) == []
        assert other.poll() is None
    finally:
        other.kill()
        other.communicate()


def test_a_process_is_named_by_its_pid_and_its_beginning() -> None:
    began_at = round(psutil.Process().create_time() * 1000)
    assert is_running(os.getpid(), began_at)
    assert not is_running(os.getpid(), began_at - 60_000)
    assert not is_running(2**22 + 1, began_at)
