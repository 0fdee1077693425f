"""The last test of the kill switch, as the command that made it wrote it down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from engine.trade.accounts import PAPER, account_folder
from engine.trade.drills import LAST_FILE


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """One test.

    Attributes
    ----------
    at : UTC ms
    passed : whether every step did what it must
    words : the times, for the operator
    """

    at: int
    passed: bool
    words: str


def last_drill(home: Path) -> DrillRecord | None:
    """Return the last test of the paper account; None when there was none, or it is unreadable."""
    try:
        values = json.loads((account_folder(home, PAPER) / LAST_FILE).read_text())
        return DrillRecord(int(values["at"]), bool(values["passed"]), str(values["words"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
