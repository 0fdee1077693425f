"""A disk that is really full: entries are refused, exits are written down.

Needs a small file system of its own, hence the right to mount one.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.trade.account_book import AccountBook
from engine.trade.journal import Journal, verify_journal
from engine.trade.orders import OrderState
from engine.trade.records import FillRecord, IntentRecord, OrderRecord
from tests.journal_records import fill, request

DISK_BYTES = 4 << 20
RESERVE_BYTES = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(["mount", *options], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("mounting a small file system: there is no mount command")
    if done.returncode:
        pytest.skip(f"mounting a small file system is refused: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_up(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(b"x" * 4096)
    return filler


def test_full_disk_stops_entries_and_keeps_exits_until_there_is_room_again(disk: Path) -> None:
    journal = Journal.open(disk / "paper", "paper", reserve_bytes=RESERVE_BYTES, now_at=1)
    journal.append([IntentRecord(request())], 2)
    filler = fill_up(disk)
    n_refused = 0
    for n in range(200):
        # What is left of the journal's last block may take a line or a few.
        try:
            journal.append([IntentRecord(request(f"entry-{n}"))], 3)
        except StoreError as exc:
            assert exc.fields["is_full"]
            n_refused += 1
    assert n_refused >= 190

    n_exits = 0
    with pytest.raises(StoreError) as caught:
        while n_exits < 10_000:
            journal.append([FillRecord(fill(str(n_exits)), "a3f1")], 4, essential=True)
            n_exits += 1
    assert caught.value.fields["is_full"]
    assert n_exits > 2_000
    with pytest.raises(StoreError, match="no room for the reserve"):
        journal.append([IntentRecord(request("entry-later"))], 5)
    assert verify_journal(journal.path).is_whole

    filler.unlink()
    journal.append([IntentRecord(request("entry-at-last"))], 6)
    assert journal.is_reserve_whole
    journal.close()
    again = Journal.open(disk / "paper", "paper", reserve_bytes=RESERVE_BYTES, now_at=7)
    book = AccountBook.of(again, "paper", "USDT")
    assert len(book.fill_ids("BTC/USDT")) == n_exits
    assert len(book.orders) == 2 + 200 - n_refused
    again.close()


def test_trader_that_restarts_on_a_full_disk_still_writes_exits_down(disk: Path) -> None:
    journal = Journal.open(disk / "paper", "paper", reserve_bytes=RESERVE_BYTES, now_at=1)
    journal.append([IntentRecord(request()), OrderRecord("pk-1", OrderState.SUBMITTED)], 2)
    journal.close()
    with journal.path.open("ab") as torn:
        torn.write(b'{"seq":3,"prev":"00')
    fill_up(disk)
    again = Journal.open(disk / "paper", "paper", reserve_bytes=RESERVE_BYTES, now_at=3)
    assert again.recovery is not None
    for n in range(500):
        again.append([FillRecord(fill(str(n)), "a3f1")], 4, essential=True)
    with pytest.raises(StoreError):
        again.append([IntentRecord(request("entry"))] * 50, 5)
    again.close()
    assert verify_journal(journal.path).is_whole


def test_first_start_on_a_full_disk_opens_nothing_it_cannot_keep(disk: Path) -> None:
    fill_up(disk)
    with pytest.raises(StoreError, match="No space left on device: make room on the disk"):
        Journal.open(disk / "paper", "paper", reserve_bytes=RESERVE_BYTES, now_at=1)
