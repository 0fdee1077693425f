"""Drills of the kill switch: what each took, kept beside the account's journal."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import StoreError

HISTORY_FILE = "drills.jsonl"
LAST_FILE = "drill.json"


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill.

    Attributes
    ----------
    at : UTC ms, its beginning
    who : the operator
    passed : every step did what it must
    words : the times, for the operator
    latch_ms, cancel_s, flat_s : from the call; None where it did not come to that
    is_rearmed : whether the account trades again; one that was halted before stays so
    """

    at: int
    who: str
    passed: bool
    words: str
    latch_ms: float
    cancel_s: float | None
    flat_s: float | None
    is_rearmed: bool


def save_drill(folder: Path, drill: Drill) -> None:
    """Append a drill to the account's history, and make it the last one.

    Raises
    ------
    StoreError : the folder cannot be written.
    """
    line = json.dumps(asdict(drill)) + "\n"
    fresh = folder / f".{LAST_FILE}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / HISTORY_FILE).open("a", encoding="utf-8") as history:
            history.write(line)
        fresh.write_text(line, encoding="utf-8")
        fresh.replace(folder / LAST_FILE)
    except OSError as exc:
        raise StoreError(
            f"the drill was not recorded: {folder} cannot be written: {exc.strerror or exc}",
            path=str(folder),
        ) from exc
