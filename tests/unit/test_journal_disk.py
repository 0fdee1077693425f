"""The journal when the disk refuses: nothing half written, and room kept for exits."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.trade import reserve
from engine.trade.journal import Journal, verify_journal
from engine.trade.records import NoteRecord
from engine.trade.reserve import RESERVE_FILE, Reserve

RESERVE_BYTES = 1 << 18


def note(n: int) -> NoteRecord:
    return NoteRecord("test", f"note {n}")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    opened = Journal.open(tmp_path, "paper", reserve_bytes=RESERVE_BYTES, now_at=1)
    opened.append([note(1)], 2)
    return opened


def refusing(code: int, times: int) -> Callable[[int, bytes], int]:
    """Write half of what is given and refuse, so many times."""
    write, left = os.write, [times]

    def refuse(handle: int, text: bytes) -> int:
        if left[0] <= 0:
            return write(handle, text)
        left[0] -= 1
        write(handle, text[: len(text) // 2])
        raise OSError(code, os.strerror(code))

    return refuse


def test_entry_on_a_full_disk_is_refused_whole(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = journal.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refusing(errno.ENOSPC, 1))
        with pytest.raises(StoreError, match="make room on the disk") as caught:
            journal.append([note(2), note(3)], 3)
    assert caught.value.fields["is_full"] is True
    assert journal.path.read_bytes() == before
    assert journal.is_reserve_whole
    assert journal.append([note(4)], 4) == 2
    assert verify_journal(journal.path).is_whole
    journal.close()


def test_exit_on_a_full_disk_spends_the_reserve_and_entries_wait_until_it_is_whole(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refusing(errno.ENOSPC, 2))
        assert journal.append([note(2)], 3, essential=True) == 2
        assert not journal.is_reserve_whole

        def full(*_: int) -> None:
            raise OSError(errno.ENOSPC, "no space")

        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(StoreError, match="no room for the reserve"):
            journal.append([note(3)], 4)
        assert journal.append([note(3)], 4, essential=True) == 3
    assert journal.append([note(4)], 5) == 4
    assert journal.is_reserve_whole
    assert (journal.path.parent / RESERVE_FILE).stat().st_size == RESERVE_BYTES
    journal.close()


def test_exit_is_refused_when_nothing_of_the_reserve_is_left(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = journal.path.read_bytes()
    monkeypatch.setattr(os, "write", refusing(errno.ENOSPC, 1_000))
    with pytest.raises(StoreError, match="No space left"):
        journal.append([note(2)], 3, essential=True)
    assert journal.path.read_bytes() == before
    assert not journal.is_reserve_whole
    journal.close()


def test_failing_sync_acknowledges_nothing_and_the_next_append_follows_the_last_whole_line(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = journal.path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="look at the disk"):
            journal.append([note(2)], 3, essential=True)
    assert journal.path.read_bytes() == before
    assert journal.is_reserve_whole
    assert journal.append([note(3)], 4) == 2
    assert verify_journal(journal.path).is_whole
    journal.close()


def test_appends_share_a_sync_that_takes_them_all_back_when_it_fails(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = journal.path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal.append([note(2)], 3, synced=False)
    journal.append([note(3)], 4, synced=False)
    assert journal.n_unsynced == 2
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match="look at the disk"):
            journal.sync()
    assert journal.n_unsynced == 0
    assert journal.path.read_bytes() == before
    assert [line.at for line in journal] == [2]
    assert journal.append([note(4)], 5) == 2
    assert verify_journal(journal.path).is_whole
    journal.close()


def test_a_write_that_fails_leaves_what_waits_for_its_sync(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append([note(2)], 3, synced=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refusing(errno.ENOSPC, 1))
        with pytest.raises(StoreError, match="make room"):
            journal.append([note(3)], 4)
    assert journal.n_unsynced == 1
    journal.sync()
    assert journal.n_unsynced == 0
    assert [line.at for line in journal] == [2, 3]
    assert verify_journal(journal.path).is_whole
    journal.close()


def test_a_sync_on_a_full_disk_spends_the_reserve_and_writes_everything_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, left = os.fsync, [1]

    def full_once(handle: int) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    journal.append([note(2)], 3, synced=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_once)
        assert journal.append([note(3)], 4, essential=True) == 3
    assert journal.n_unsynced == 0
    assert not journal.is_reserve_whole
    assert [line.at for line in journal] == [2, 3, 4]
    assert verify_journal(journal.path).is_whole
    journal.close()


def test_lines_that_were_cut_back_are_not_looked_for_in_a_long_journal(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal.append([note(n) for n in range(2, 1_500)], 3, synced=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError):
            journal.sync()
    journal.append([note(n) for n in range(2_000, 4_000)], 4)
    assert next(journal.read(1_200)).seq == 1_201
    assert sum(1 for _ in journal) == 2_001
    journal.close()


def test_write_that_cannot_be_taken_back_closes_the_journal_until_it_is_opened_anew(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refusing(errno.EIO, 1))
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(StoreError):
            journal.append([note(2)], 3, essential=True)
    with pytest.raises(StoreError, match="restart the trader"):
        journal.append([note(2)], 3, essential=True)
    journal.close()
    again = Journal.open(journal.path.parent, "paper", reserve_bytes=RESERVE_BYTES, now_at=4)
    assert again.recovery is not None
    assert again.append([note(2)], 5) == 3
    again.close()


def test_reserve_holds_real_blocks_and_gives_them_back_in_steps(tmp_path: Path) -> None:
    kept = Reserve(tmp_path, RESERVE_BYTES)
    assert not kept.is_whole
    assert kept.fill()
    found = (tmp_path / RESERVE_FILE).stat()
    assert found.st_blocks * 512 >= RESERVE_BYTES
    assert kept.spend(1)
    assert kept.left_bytes == RESERVE_BYTES - 65_536
    assert kept.spend(65_537)
    assert kept.left_bytes == RESERVE_BYTES - 3 * 65_536
    assert Reserve(tmp_path, RESERVE_BYTES).left_bytes == kept.left_bytes
    assert kept.spend(RESERVE_BYTES)
    assert not kept.spend(1)
    assert kept.fill()


def test_file_with_holes_is_no_reserve(tmp_path: Path) -> None:
    with (tmp_path / RESERVE_FILE).open("wb") as sparse:
        sparse.truncate(RESERVE_BYTES)
    kept = Reserve(tmp_path, RESERVE_BYTES)
    assert not kept.is_whole
    assert kept.fill()


def test_file_system_that_cannot_allocate_is_filled_with_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(reserve.os, "posix_fallocate", unsupported)
    kept = Reserve(tmp_path, RESERVE_BYTES - 100)
    assert kept.fill()
    assert (tmp_path / RESERVE_FILE).stat().st_size == RESERVE_BYTES - 100


def test_crash_recovery_on_a_full_disk_cuts_the_torn_line_even_if_it_cannot_be_kept(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.close()
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + b'{"seq":2,')
    real_open = Path.open

    def full(self: Path, mode: str = "r", *args: int, **named: int):  # type: ignore[no-untyped-def]
        if "x" in mode:
            raise OSError(errno.ENOSPC, "no space")
        return real_open(self, mode, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        again = Journal.open(journal.path.parent, "paper", reserve_bytes=RESERVE_BYTES, now_at=4)
    assert again.recovery is not None
    assert again.recovery.kept_in is None
    assert "not kept" in again.path.read_text().splitlines()[-1]
    again.close()
    assert verify_journal(journal.path).is_whole
