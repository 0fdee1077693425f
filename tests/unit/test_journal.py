"""The journal: a chain that shows every changed byte, and opens again after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import DataError, InvariantError, StoreError
from engine.trade.journal import JOURNAL_FILE, Journal, verify_journal
from engine.trade.journal_file import START, last_lines, lines_from
from engine.trade.journal_line import MAX_LINE_BYTES, NO_HASH, encoded
from engine.trade.records import GenesisRecord, NoteRecord, Record
from tests.journal_records import one_of_each

RESERVE_BYTES = 1 << 16


def opened(folder: Path, account: str = "paper", now_at: int = 1_000) -> Journal:
    return Journal.open(folder, account, reserve_bytes=RESERVE_BYTES, now_at=now_at)


def note(n: int) -> NoteRecord:
    return NoteRecord("test", f"note {n}", {"n": n})


@pytest.fixture
def written(tmp_path: Path) -> Path:
    journal = opened(tmp_path)
    journal.append(one_of_each(), 2_000)
    journal.close()
    return journal.path


def test_first_line_says_whose_journal_it_is_and_when_it_began(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert [line.record for line in journal.read(-1)] == [GenesisRecord("paper", 1, 1_000)]
    assert list(journal) == []
    assert journal.last_seq == 0
    journal.close()


def test_records_are_read_back_in_order_with_their_seq_and_instant(tmp_path: Path) -> None:
    records = one_of_each()[:-1]
    journal = opened(tmp_path)
    assert journal.append(records[:5], 2_000) == 5
    assert journal.append(records[5:], 3_000) == len(records)
    journal.close()
    again = opened(tmp_path)
    lines = list(again)
    assert [line.record for line in lines] == records
    assert [line.seq for line in lines] == list(range(1, len(records) + 1))
    assert [line.at for line in lines] == [2_000] * 5 + [3_000] * (len(records) - 5)
    assert again.last_hash == lines[-1].hash
    again.close()


def test_appending_nothing_writes_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    before = journal.path.read_bytes()
    assert journal.append([], 2_000) == 0
    assert journal.path.read_bytes() == before
    journal.close()


def test_one_append_is_one_write_and_one_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    done: list[str] = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda h, b: (done.append("write"), write(h, b))[1])
    monkeypatch.setattr(os, "fsync", lambda h: (done.append("sync"), fsync(h))[1])
    journal.append([note(1), note(2), note(3)], 2_000)
    assert done == ["write", "sync"]
    journal.close()


def test_reading_on_begins_after_any_seq_of_a_long_journal(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for start in range(1, 4_001, 500):
        journal.append([note(n) for n in range(start, start + 500)], 2_000)
    for again in range(2):
        for after in (-1, 0, 1, 1022, 1023, 1024, 1025, 2047, 3999, 4000, 9000):
            seqs = [line.seq for line in journal.read(after)]
            assert seqs == list(range(after + 1, 4_001))
        if not again:
            journal.close()
            journal = opened(tmp_path)
    journal.close()


def test_second_writer_gets_one_clear_error(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(StoreError, match="is being written by another process") as caught:
        opened(tmp_path)
    assert caught.value.fields["is_in_use"] is True
    journal.append([note(1)], 2_000)
    journal.close()
    opened(tmp_path).close()


def test_second_writer_in_another_process_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    code = (
        "import sys; from pathlib import Path; from engine.trade.journal import Journal\n"
        "from engine.errors import StoreError\n"
        "try: Journal.open(Path(sys.argv[1]), 'paper')\n"
        "except StoreError as exc: print(exc.message); sys.exit(7)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 7, done.stderr
    assert "one account has one gateway" in done.stdout
    assert journal.append([note(1)], 2_000) == 1
    journal.close()


def test_journal_of_another_account_is_refused(written: Path) -> None:
    with pytest.raises(DataError, match="is the journal of account paper, not of live"):
        opened(written.parent, "live")
    opened(written.parent).close()


def test_closed_journal_writes_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.close()
    journal.close()
    with pytest.raises(StoreError, match="is closed"):
        journal.append([note(1)], 2_000, essential=True)


def test_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "accounts").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        opened(tmp_path / "accounts" / "paper")


def test_link_in_place_of_the_journal_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be written"):
        opened(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_record_too_long_for_a_line_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(InvariantError, match="too long to journal"):
        journal.append([note(1), NoteRecord("t", "x" * MAX_LINE_BYTES)], 2_000)
    assert journal.append([note(2)], 2_000) == 1
    journal.close()
    assert verify_journal(journal.path).n_lines == 2


def test_whole_journal_verifies_with_its_last_hash(written: Path) -> None:
    report = verify_journal(written)
    assert report.is_whole
    assert (report.n_lines, report.problem, report.line, report.seq) == (14, "", None, None)
    assert report.last_hash == list(lines_from(written))[-1][0].hash


@pytest.mark.parametrize("flip", [0x01, 0x80])
def test_changed_byte_anywhere_is_found_and_located(written: Path, flip: int) -> None:
    whole = written.read_bytes()
    line, wrong = 1, []
    for offset, byte in enumerate(whole):
        written.write_bytes(whole[:offset] + bytes([byte ^ flip]) + whole[offset + 1 :])
        report = verify_journal(written)
        if report.is_whole or (report.line, report.seq) != (line, line - 1):
            wrong.append((offset, report))
        line += byte == ord("\n")
    assert wrong == []
    assert len(whole) > 4_000


@pytest.mark.parametrize("byte", [b"\n", b"\r", b"\0", b" ", b"0"])
def test_byte_changed_into_a_troublesome_one_is_found_and_refuses_to_open(
    written: Path, byte: bytes
) -> None:
    whole = written.read_bytes()
    line = 1
    for offset in range(len(whole)):
        if whole[offset : offset + 1] != byte and offset % 3 == 0:
            written.write_bytes(whole[:offset] + byte + whole[offset + 1 :])
            report = verify_journal(written)
            assert (report.is_whole, report.line) == (False, line), offset
            with pytest.raises(DataError) as caught:
                opened(written.parent)
            assert caught.value.fields["seq"] == line - 1
        line += whole[offset] == ord("\n")
    written.write_bytes(whole)
    opened(written.parent).close()


def test_damage_names_file_line_seq_and_remedy(written: Path) -> None:
    lines = written.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"submitted", b"acceptedx")
    written.write_bytes(b"".join(lines))
    with pytest.raises(DataError) as caught:
        opened(written.parent)
    message = caught.value.message
    assert message.startswith(f"{written}, line 5 (seq 4): it does not match its own hash")
    assert "put a whole copy of the file back" in message
    # A refused opening leaves the evidence as it was, and the lock free.
    assert written.read_bytes() == b"".join(lines)
    with pytest.raises(DataError):
        opened(written.parent)


@pytest.mark.parametrize("change", ["taken out", "doubled", "swapped", "first gone"])
def test_whole_lines_in_the_wrong_place_are_found(written: Path, change: str) -> None:
    lines = written.read_bytes().splitlines(keepends=True)
    expected = 4
    if change == "taken out":
        del lines[3]
    elif change == "doubled":
        lines.insert(3, lines[2])
    elif change == "swapped":
        lines[3], lines[4] = lines[4], lines[3]
    else:
        del lines[0]
        expected = 1
    written.write_bytes(b"".join(lines))
    report = verify_journal(written)
    assert (report.is_whole, report.line) == (False, expected)
    assert "it does not follow the line before it" in report.problem


def test_line_forged_with_a_hash_of_its_own_breaks_the_next(written: Path) -> None:
    lines = written.read_bytes().splitlines(keepends=True)
    before = next(place for line, place in lines_from(written, START) if line.seq == 2)
    lines[3], _ = encoded(3, before.previous_hash, 2_000, note(666))
    written.write_bytes(b"".join(lines))
    assert verify_journal(written).line == 5


def test_torn_last_line_is_moved_aside_and_told(written: Path) -> None:
    whole = written.read_bytes()
    torn, _ = encoded(14, NO_HASH, 3_000, note(1))
    for n_bytes in range(1, len(torn) - 80, 7):
        written.write_bytes(whole + torn[:n_bytes])
        report = verify_journal(written)
        assert (report.is_whole, report.line, report.seq) == (False, 15, 14)
        assert "cut off" in report.problem
        journal = opened(written.parent, now_at=4_000)
        recovery = journal.recovery
        assert recovery is not None
        assert (recovery.n_bytes, recovery.seq) == (n_bytes, 14)
        assert recovery.kept_in is not None
        assert recovery.kept_in.read_bytes() == torn[:n_bytes]
        told = list(journal)[-1]
        assert isinstance(told.record, NoteRecord)
        assert told.record.topic == "journal.recovered"
        assert recovery.kept_in.name in told.record.message
        journal.close()
        assert written.read_bytes().startswith(whole)
        assert verify_journal(written).is_whole


def test_blocks_that_a_crash_left_as_zeros_are_moved_aside(written: Path) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole + b"\0" * (MAX_LINE_BYTES + 5_000))
    journal = opened(written.parent)
    assert journal.recovery is not None
    assert journal.recovery.n_bytes == MAX_LINE_BYTES + 5_000
    journal.close()
    assert verify_journal(written).is_whole


def test_crash_within_the_very_first_line_begins_again(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_FILE).write_bytes(b'{"seq":0,"pre')
    journal = opened(tmp_path)
    assert [line.record.kind for line in journal.read(-1)] == ["genesis", "note"]
    journal.close()


def test_acknowledged_last_line_that_lost_its_newline_is_damage_not_a_crash(written: Path) -> None:
    whole = written.read_bytes()
    for end in (b"X", b""):
        written.write_bytes(whole[:-1] + end)
        assert verify_journal(written).line == 14
        with pytest.raises(DataError, match="does not end in its newline"):
            opened(written.parent)


def test_journal_whose_first_line_is_no_genesis_is_refused(tmp_path: Path) -> None:
    line, _ = encoded(0, NO_HASH, 1, note(1))
    (tmp_path / JOURNAL_FILE).write_bytes(line)
    with pytest.raises(DataError, match="does not say whose journal"):
        opened(tmp_path)


def test_format_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    line, _ = encoded(0, NO_HASH, 1, GenesisRecord("paper", 2, 1))
    (tmp_path / JOURNAL_FILE).write_bytes(line)
    with pytest.raises(DataError, match="has format 2, this version reads 1"):
        opened(tmp_path)


def test_missing_and_empty_files_are_not_whole(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        verify_journal(tmp_path / JOURNAL_FILE)
    (tmp_path / JOURNAL_FILE).touch()
    assert verify_journal(tmp_path / JOURNAL_FILE).problem == "the file is empty"


def test_last_lines_are_found_without_reading_the_rest(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    records: list[Record] = [NoteRecord("t", "x" * 700 + str(n)) for n in range(1_000)]
    journal.append(records, 2_000)
    for n in (0, 1, 2, 999, 1_000, 1_001, 5_000):
        lines, place = last_lines(journal.path, n)
        assert [line.seq for line in lines] == list(range(max(0, 1_001 - n), 1_001))
        if n:
            assert (place.seq, place.previous_hash) == (1_001, journal.last_hash)
            assert place.offset == journal.path.stat().st_size
    journal.close()


def test_last_lines_ignore_one_that_is_being_written_and_refuse_a_changed_one(
    written: Path,
) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole + b'{"seq":14,')
    assert [line.seq for line in last_lines(written, 2)[0]] == [12, 13]
    written.write_bytes(whole[:-5] + b"00" + whole[-3:])
    with pytest.raises(DataError, match="line 14"):
        last_lines(written, 2)


def test_follower_reads_on_from_where_it_was(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([note(1)], 2_000)
    _, place = last_lines(journal.path, 1)
    assert list(lines_from(journal.path, place)) == []
    journal.append([note(2), note(3)], 3_000)
    assert [line.record for line, _ in lines_from(journal.path, place)] == [note(2), note(3)]
    journal.close()
