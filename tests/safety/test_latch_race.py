"""From the latch on, nothing that adds exposure leaves, however many try; what reduces does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

import pytest

from engine.clock import FakeClock
from engine.risk.latch import HALT_FILE, Latch
from engine.trade.accounts import account_latch
from engine.trade.gateway import Gateway
from engine.trade.journal import Journal
from engine.trade.lease import Lease
from engine.trade.orders import OrderState, Purpose, Side
from engine.trading_settings import Orders
from tests.venues.live_account import order
from tests.venues.scripted_venue import ScriptedVenue

N_PROCESSES = 4
N_AFTER = 3_200
LEAST_ENTRIES_AFTER = 10_000


@pytest.fixture
def memory() -> Iterator[Path]:
    """Return a folder in memory where there is one: ten thousand syncs are not the question."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(mkdtemp(prefix="paddock-race-", dir=place))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _racer(repo_root: Path, name: str, latch: Latch, memory: Path) -> subprocess.Popen[str]:
    command = [
        *(sys.executable, "-m", "tests.safety.racing_gateway", name, str(latch.folder)),
        *(str(memory / name), str(memory / "latched"), str(N_AFTER)),
    ]
    return subprocess.Popen(command, cwd=repo_root, stdout=subprocess.PIPE, text=True)


def test_ten_thousand_racing_entries_of_four_processes_are_refused(
    repo_root: Path, tmp_path: Path, memory: Path
) -> None:
    latch = Latch(tmp_path / "halt", "paper", "here")
    latch.arm("ana", "race", 1)
    racers = [_racer(repo_root, f"r{number}", latch, memory) for number in range(N_PROCESSES)]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "READY\n"
        began_ns = time.monotonic_ns()
        outcome = latch.halt("ana", "race", 2)
        latched_ns = time.monotonic_ns()
        (memory / "latched").touch()
        told = [json.loads(racer.communicate(timeout=200)[0]) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert outcome.is_halted
    entries = [pair for one in told for pair in one["entries"]]
    exits = [pair for one in told for pair in one["exits"]]
    after = [left for began, left in entries if began > latched_ns]
    late = [left for _, left in entries if left is not None and left > latched_ns]
    print(
        f"latched in {(latched_ns - began_ns) / 1e6:.2f} ms; {len(entries):,} entries tried, "
        f"{len(after):,} after the latch, {len(late)} of those before it left later; "
        f"{len(exits):,} exits"
    )
    assert len(after) >= LEAST_ENTRIES_AFTER
    assert after.count(None) == len(after), "an entry left after the latch"
    # Asked and sent without a pause: only what was between the two then may still have left.
    assert len(late) <= N_PROCESSES
    assert all(left is not None for _, left in exits), "an exit was refused"
    assert any(left is not None for began, left in entries if began < began_ns)


def test_halting_takes_milliseconds(tmp_path: Path) -> None:
    spent_ms = []
    for number in range(200):
        latch = account_latch(tmp_path / str(number), "paper")
        latch.arm("ana", "time", 1)
        began_s = time.perf_counter()
        assert latch.halt("ana", "time", 2).is_halted
        spent_ms.append((time.perf_counter() - began_s) * 1000)
    print(f"latch: median {median(spent_ms):.2f} ms, max {max(spent_ms):.2f} ms")


@dataclass
class Broken:
    """A way for the latch's folder to be of no use."""

    name: str
    breaks: Callable[[Latch, pytest.MonkeyPatch], object]


def _fail_to_read(_latch: Latch, patch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    patch.setattr("engine.risk.latch.Latch._is_present", fail)


def _fill_disk_and_halt(latch: Latch, patch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    patch.setattr("engine.risk.latch.Latch._create", fail)
    patch.setattr("engine.risk.latch.Latch._create_surely", lambda *_: ["the disk is full"])
    assert latch.halt("ana", "full disk", 2).is_halted


def _make_unwritable_and_halt(latch: Latch, patch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    patch.setattr("engine.risk.latch.Latch._remove", fail)
    (latch.folder / HALT_FILE).touch()
    assert latch.halt("ana", "unwritable", 2).is_halted


BROKEN = [
    Broken("missing", lambda latch, _: shutil.rmtree(latch.folder)),
    Broken("unreadable", _fail_to_read),
    Broken("unwritable", _make_unwritable_and_halt),
    Broken("full disk", _fill_disk_and_halt),
    Broken(
        "foreign",
        lambda latch, _: Latch(latch.folder, "paper", "another host").arm("bo", "restored", 2),
    ),
    Broken(
        "restored",
        lambda latch, _: Latch(latch.folder, "paper", "here", 1).arm("bo", "restored", 2),
    ),
    Broken("a shell's", lambda latch, _: (latch.folder / HALT_FILE).touch()),
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
async def test_a_folder_of_no_use_halts_the_gateway_and_lets_exits_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Broken
) -> None:
    clock = FakeClock(1_700_000_000_000)
    latch = Latch(tmp_path / "halt", "paper", "here")
    latch.arm("ana", "begin", clock.now_at())
    lease = Lease(clock, 30.0)
    journal = Journal.open(tmp_path / "paper", "paper", reserve_bytes=4096)
    gateway = Gateway("paper", ScriptedVenue(clock), journal, latch, clock, lease, None, Orders())
    await gateway.start()
    lease.renew()
    first = await gateway.submit(order("first"))
    assert first.state is not OrderState.REJECTED
    broken.breaks(latch, monkeypatch)
    refused = await gateway.submit(order("second"))
    assert refused.state is OrderState.REJECTED
    assert "halted" in refused.reason
    leaving = order("third", purpose=Purpose.EXIT, side=Side.SELL)
    assert (await gateway.submit(leaving)).state is not OrderState.REJECTED
    await gateway.close()
