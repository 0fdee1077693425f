"""The latch: what the two files mean, and what halting and arming do to them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import TradingHalted
from engine.risk.latch import ARMED_FILE, HALT_FILE, REDUCE_FILE, Latch, LatchCause, TradingState


@pytest.fixture
def latch(tmp_path: Path) -> Latch:
    return Latch(tmp_path / "halt", account="paper", host="desk", epoch=3)


@pytest.fixture
def armed(latch: Latch) -> Latch:
    latch.arm("ana", "start", now_at=1_000)
    return latch


def test_folder_that_does_not_exist_is_halted_as_not_armed(latch: Latch) -> None:
    reading = latch.read()
    assert reading.state is TradingState.HALTED
    assert reading.cause is LatchCause.NOT_ARMED


def test_armed_account_is_active_and_names_who_armed_it(armed: Latch) -> None:
    reading = armed.read()
    assert (reading.state, reading.cause) == (TradingState.ACTIVE, LatchCause.ARMED)
    assert (reading.who, reading.reason, reading.at) == ("ana", "start", 1_000)
    assert not armed.is_halted()


def test_halt_removes_armed_and_creates_halt(armed: Latch) -> None:
    outcome = armed.halt("ana", "F9", now_at=2_000)
    assert outcome.is_halted
    assert outcome.is_new
    assert outcome.problems == ()
    assert [path.name for path in armed.folder.iterdir()] == [HALT_FILE]
    assert json.loads((armed.folder / HALT_FILE).read_text()) == {
        "who": "ana",
        "reason": "F9",
        "at": 2_000,
    }


def test_halting_twice_keeps_the_first_record(armed: Latch) -> None:
    armed.halt("ana", "first", now_at=2_000)
    second = armed.halt("bob", "second", now_at=3_000)
    assert not second.is_new
    assert (second.reading.who, second.reading.reason, second.reading.at) == ("ana", "first", 2_000)


def test_halting_a_home_that_was_never_armed_latches_it(latch: Latch) -> None:
    outcome = latch.halt("ana", "F9", now_at=2_000)
    assert outcome.is_new
    assert outcome.reading.cause is LatchCause.HALT_FILE


def test_missing_armed_file_alone_halts(armed: Latch) -> None:
    (armed.folder / ARMED_FILE).unlink()
    assert armed.is_halted()


def test_empty_halt_file_made_by_a_shell_alone_halts(armed: Latch) -> None:
    (armed.folder / HALT_FILE).touch()
    reading = armed.read()
    assert (reading.state, reading.cause) == (TradingState.HALTED, LatchCause.HALT_FILE)
    assert (reading.who, reading.at) == ("", None)


def test_halt_that_is_a_folder_halts(armed: Latch) -> None:
    (armed.folder / HALT_FILE).mkdir()
    assert armed.read().cause is LatchCause.HALT_FILE


def test_halt_that_is_a_dangling_link_halts(armed: Latch) -> None:
    (armed.folder / HALT_FILE).symlink_to("nowhere")
    assert armed.read().cause is LatchCause.HALT_FILE


def test_reduce_allows_no_new_exposure_and_halt_beats_it(armed: Latch) -> None:
    outcome = armed.reduce("ana", "news", now_at=2_000)
    assert outcome.reading.state is TradingState.REDUCING
    assert (armed.folder / REDUCE_FILE).exists()
    assert not outcome.is_halted
    assert armed.halt("ana", "F9", now_at=3_000).is_halted


def test_reduce_leaves_a_halted_account_halted(latch: Latch) -> None:
    assert latch.reduce("ana", "news", now_at=2_000).is_halted
    assert not latch.folder.exists()


def test_arming_after_halt_and_reduce_is_active_again(armed: Latch) -> None:
    armed.reduce("ana", "news", now_at=2_000)
    armed.halt("ana", "F9", now_at=3_000)
    assert armed.arm("ana", "reconciled", now_at=4_000).state is TradingState.ACTIVE
    assert [path.name for path in armed.folder.iterdir()] == [ARMED_FILE]


def test_arming_over_a_halt_that_cannot_be_removed_is_refused(armed: Latch) -> None:
    (armed.folder / HALT_FILE).mkdir()
    with pytest.raises(TradingHalted, match="stays halted"):
        armed.arm("ana", "again", now_at=4_000)
    assert armed.is_halted()


@pytest.mark.parametrize(
    "change", [{"account": "live"}, {"host": "other"}, {"epoch": 2}, {"epoch": "3"}, {"epoch": 3.0}]
)
def test_armed_file_of_another_account_host_or_epoch_halts(
    armed: Latch, change: dict[str, object]
) -> None:
    path = armed.folder / ARMED_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    reading = armed.read()
    assert (reading.state, reading.cause) == (TradingState.HALTED, LatchCause.FOREIGN)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff", '{"account": ', "[" * 4000])
def test_armed_file_that_is_not_an_object_halts(armed: Latch, text: str) -> None:
    (armed.folder / ARMED_FILE).write_bytes(text.encode("latin-1"))
    assert armed.is_halted()


def test_armed_file_longer_than_allowed_halts(armed: Latch) -> None:
    path = armed.folder / ARMED_FILE
    path.write_text(path.read_text() + " " * 5000)
    assert armed.read().cause is LatchCause.UNREADABLE


def test_armed_file_that_is_a_link_halts(armed: Latch) -> None:
    path = armed.folder / ARMED_FILE
    real = armed.folder / "real"
    path.rename(real)
    path.symlink_to(real)
    assert armed.read().cause is LatchCause.UNREADABLE


def test_opening_the_latch_needs_the_standard_library_only() -> None:
    code = "import sys, engine.risk.latch; print(sorted(m.split('.')[0] for m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "pydantic", "ray", "textual", "sqlalchemy"} & set(eval(done.stdout))  # noqa: S307


def test_halting_is_done_within_five_milliseconds(latch: Latch) -> None:
    times_s = []
    for i in range(20):
        latch.arm("ana", "again", now_at=i)
        start_s = time.perf_counter()
        latch.halt("ana", "F9", now_at=i)
        times_s.append(time.perf_counter() - start_s)
    # The best of twenty: the machine may be busy, the latch may not be slow.
    assert min(times_s) < 0.005
