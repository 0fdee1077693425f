"""`paddock journal`: what an operator sees of a journal, whole and damaged."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import console.cli
from console.journal_words import line_words
from engine.trade.journal import Journal
from engine.trade.records import KINDS, NoteRecord
from tests.journal_records import one_of_each


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    config = tmp_path / "config.toml"
    config.write_text('[paths]\nhome = "./var"\n')
    monkeypatch.setenv("PADDOCK_CONFIG", str(config))
    folder = tmp_path / "var" / "accounts" / "paper"
    opened = Journal.open(folder, "paper", reserve_bytes=65_536, now_at=1_700_000_000_123)
    opened.append(one_of_each(), 1_700_000_300_456)
    return opened


def test_whole_journal_is_said_to_be_whole_beside_its_writer(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.cli.run(["journal", "verify"]) == 0
    out = capsys.readouterr().out
    assert out == f"{journal.path}: whole, 14 lines, last hash {journal.last_hash}\n"
    assert console.cli.run(["journal", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "path": str(journal.path),
        "whole": True,
        "lines": 14,
        "problem": "",
        "line": None,
        "seq": None,
        "last_hash": journal.last_hash,
    }


def test_changed_byte_exits_one_and_is_named_by_line_and_seq(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.close()
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole.replace(b"29999.9", b"29999.8", 1))
    assert console.cli.run(["journal", "verify"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{journal.path}, line 3 (seq 2): it does not match its own hash" in said.err
    assert "the 2 lines before it are whole" in said.err
    assert console.cli.run(["journal", "verify", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["whole"], told["line"], told["seq"], told["lines"]) == (False, 3, 2, 2)


def test_copy_elsewhere_is_verified_by_its_path(
    journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(journal.path.read_bytes())
    assert console.cli.run(["journal", "verify", "--file", str(copy)]) == 0
    assert str(copy) in capsys.readouterr().out


@pytest.mark.parametrize("command", ["verify", "tail"])
def test_account_without_a_journal_is_one_clear_line(
    journal: Journal, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert console.cli.run(["journal", command, "--account", "live"]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "cannot be read: No such file" in said.err
    assert console.cli.run(["journal", command, "--account", "../../etc"]) == 2
    assert "there is no account '../../etc'" in capsys.readouterr().err


def test_tail_tells_every_kind_of_line_in_words(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.cli.run(["journal", "tail"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 14
    assert lines[0] == (
        "2023-11-14 22:13:20.123Z #0 genesis journal of account paper begins, format 1"
    )
    assert lines[2] == (
        "2023-11-14 22:18:20.456Z #2 intent  buy 0.5 BTC (BTC/USDT) at 29999.9 or better as entry "
        "of a3f1, order pk-1; allowed, made smaller: sized down"
    )
    assert lines[5].endswith("#5 order   order pk-1 is accepted as 81")
    assert lines[6].endswith(
        "#6 fill    buy 0.5 BTC (BTC/USDT) at 29999.9, fee 0.0005 BTC, for a3f1, order pk-1, fill 1"
    )
    assert "refused: no stop" in lines[8]
    assert "ana gave a3f1 -1.5 ETH (ETH/USDT) at 2000: found at start" in lines[9]
    assert "HALTED by ana: F9 «now»" in lines[12]
    assert {line.split()[3] for line in lines} == set(KINDS)


def test_tail_prints_as_many_lines_as_asked_and_json_line_by_line(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.cli.run(["journal", "tail", "-n", "2", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]
    assert [line["seq"] for line in lines] == [12, 13]
    assert lines[1]["kind"] == "note"
    assert lines[1]["body"]["fields"]["cash"] == "1.10"
    assert lines[1]["hash"] == journal.last_hash
    assert console.cli.run(["journal", "tail", "-n", "0"]) == 0
    assert capsys.readouterr().out == ""
    assert console.cli.run(["journal", "tail", "-n", "-1"]) == 2


def test_line_stays_one_line_whatever_was_written_into_it(journal: Journal) -> None:
    journal.append([NoteRecord("t", "one\ntwo\r\x85\u2028three")], 1)
    line = list(journal)[-1]
    assert line_words(line).endswith("note    t: one two three")


def test_following_tail_prints_what_is_added_and_ends_when_interrupted(journal: Journal) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "console.cli", "journal", "tail", "-n", "1", "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        # Whoever runs the tests in the background makes their children deaf to an interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert child.stdout is not None
        assert "#13 note" in child.stdout.readline()
        for n in range(3):
            journal.append([NoteRecord("t", f"added {n}")], 1)
            assert child.stdout.readline().endswith(f"t: added {n}\n")
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 130
    finally:
        child.kill()
        child.communicate()
