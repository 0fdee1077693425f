"""kill -9 in the middle of appends: what was acknowledged is there, and the chain is whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from engine.trade.journal import JOURNAL_FILE, Journal, verify_journal
from engine.trade.records import NoteRecord

N_KILLS = 50

WRITER = """
import sys
from pathlib import Path
from engine.trade.journal import Journal
from engine.trade.records import NoteRecord

journal = Journal.open(Path(sys.argv[1]), "paper", reserve_bytes=65536)
n = int(sys.argv[2])
while True:
    batch = [
        NoteRecord("append", "x" * (37 * m % 900), {"n": m}) for m in range(n, n + n % 4 + 1)
    ]
    journal.append(batch, n)
    n += len(batch)
    print(n, flush=True)
"""


def test_fifty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    draws = random.Random(7)
    n_acknowledged = n_torn = 0
    for _ in range(N_KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(n_acknowledged)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(draws.randint(1, 60)):
            n_acknowledged = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        # What it said before it died was acknowledged as well.
        for line in child.stdout:
            if line.endswith("\n"):
                n_acknowledged = int(line)
        child.stdout.close()
        child.wait(timeout=30)

        journal = Journal.open(tmp_path, "paper", reserve_bytes=65536, now_at=1)
        n_torn += journal.recovery is not None
        found = [
            line.record.fields["n"]
            for line in journal
            if isinstance(line.record, NoteRecord) and line.record.topic == "append"
        ]
        journal.close()
        assert found == list(range(len(found)))
        assert len(found) >= n_acknowledged
        # A batch that was written and not acknowledged may be there; the next child goes on after.
        n_acknowledged = len(found)
    report = verify_journal(tmp_path / JOURNAL_FILE)
    assert report.is_whole
    assert n_acknowledged > N_KILLS
    print(f"{N_KILLS} kills, {n_acknowledged} records, {n_torn} torn ends")
