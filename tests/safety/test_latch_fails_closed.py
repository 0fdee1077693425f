"""The latch under faults: whatever breaks, the account reads as halted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.risk.latch import ARMED_FILE, HALT_FILE, Latch, LatchCause, TradingState


@pytest.fixture
def armed(tmp_path: Path) -> Latch:
    latch = Latch(tmp_path / "halt", account="paper", host="desk")
    latch.arm("ana", "start", now_at=1)
    return latch


def _fail(number: int) -> object:
    def fail(*args: object, **kwargs: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


def test_folder_replaced_by_a_file_halts(armed: Latch) -> None:
    for path in armed.folder.iterdir():
        path.unlink()
    armed.folder.rmdir()
    armed.folder.write_text("not a folder")
    assert armed.read().cause is LatchCause.UNREADABLE
    assert armed.halt("ana", "F9", now_at=2).is_halted


def test_folder_that_is_a_loop_of_links_halts(tmp_path: Path) -> None:
    folder = tmp_path / "halt"
    folder.symlink_to(folder)
    assert Latch(folder, "paper", "desk").read().cause is LatchCause.UNREADABLE


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_folder_without_permissions_halts(armed: Latch) -> None:
    armed.folder.chmod(0)
    try:
        assert armed.is_halted()
    finally:
        armed.folder.chmod(0o700)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_any_error_of_the_disk_while_reading_halts(
    armed: Latch, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "open", _fail(number))
    assert armed.read().cause is LatchCause.UNREADABLE
    monkeypatch.undo()
    monkeypatch.setattr(Path, "lstat", _fail(number))
    assert armed.is_halted()


def test_full_disk_still_halts_and_says_what_was_not_written(
    armed: Latch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", _fail(errno.ENOSPC))
    outcome = armed.halt("ana", "F9", now_at=2)
    assert outcome.is_halted
    assert outcome.reading.cause is LatchCause.HALT_FILE
    assert "No space left" in outcome.problems[0]
    assert [path.name for path in armed.folder.iterdir()] == [HALT_FILE]


def test_disk_without_room_for_a_name_still_halts(
    armed: Latch, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def open_without_creating(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", open_without_creating)
    outcome = armed.halt("ana", "F9", now_at=2)
    assert outcome.reading.cause is LatchCause.NOT_ARMED
    assert outcome.is_halted
    assert outcome.is_new
    assert len(outcome.problems) == 2


def test_process_that_may_write_no_byte_still_halts(armed: Latch) -> None:
    code = f"""
import resource, signal
from pathlib import Path
from engine.risk.latch import Latch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
outcome = Latch(Path({str(armed.folder)!r}), "paper", "desk").halt("ana", "F9", 2)
raise SystemExit(0 if outcome.is_halted and outcome.problems else 1)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0
    assert armed.read().cause is LatchCause.HALT_FILE


def test_armed_file_that_cannot_be_removed_is_overruled_by_halt(
    armed: Latch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "unlink", _fail(errno.EPERM))
    outcome = armed.halt("ana", "F9", now_at=2)
    assert (armed.folder / ARMED_FILE).exists()
    assert outcome.reading.cause is LatchCause.HALT_FILE
    assert "was not removed" in outcome.problems[0]


def test_read_only_folder_is_told_in_words_when_nothing_can_be_done(
    armed: Latch, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def open_for_reading(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_WRONLY | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system")
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", open_for_reading)
    monkeypatch.setattr(Path, "unlink", _fail(errno.EROFS))
    outcome = armed.halt("ana", "F9", now_at=2)
    assert not outcome.is_halted
    assert outcome.reading.state is TradingState.ACTIVE
    assert len(outcome.problems) == 3


def test_reduce_that_cannot_be_written_halts_instead(
    armed: Latch, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def open_but_no_mark(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and "REDUCE" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", open_but_no_mark)
    assert armed.reduce("ana", "news", now_at=2).is_halted


def test_crash_after_every_step_of_arming_leaves_it_halted(
    armed: Latch, monkeypatch: pytest.MonkeyPatch
) -> None:
    armed.reduce("ana", "news", now_at=2)
    armed.halt("ana", "F9", now_at=3)
    for broken in ("rename", "unlink"):
        monkeypatch.setattr(Path, broken, _fail(errno.EIO))
        with pytest.raises(Exception, match="stays halted"):
            armed.arm("ana", "again", now_at=4)
        monkeypatch.undo()
        assert armed.is_halted()


def test_pipe_in_place_of_armed_does_not_block(armed: Latch) -> None:
    (armed.folder / ARMED_FILE).unlink()
    os.mkfifo(armed.folder / ARMED_FILE)
    assert armed.read().cause is LatchCause.UNREADABLE
