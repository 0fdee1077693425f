"""Watch a journal that others write: new lines as they come, all of them again and again."""

from __future__ import annotations

import time
from pathlib import Path

from engine.alert_rules import JournalFacts
from engine.errors import DataError
from engine.trade.journal_file import START, Place, chain

_SHARE = 1_000
"""Verifying all of it takes at most one part in so many of the time."""


class JournalWatch:
    """Verify one account's journal, a little at a time.

    What was seen once is a witness: a file that is whole and no longer holds it has lost lines,
    which the chain alone cannot tell.

    May run twice: every look.

    Parameters
    ----------
    account : whose it is
    path : of the file, which need not be there yet
    """

    def __init__(self, account: str, path: Path) -> None:
        self._account = account
        self._path = path
        self._seen = START
        self._whole_after_at = 0.0

    def look(self, now_at: int) -> JournalFacts:
        """Verify what was added since the last look, or everything when that is due."""
        problem = ""
        is_whole = now_at >= self._whole_after_at
        if not is_whole:
            problem = self._problem(self._seen)
        if is_whole or problem:
            began_s = time.monotonic()
            problem = self._problem(START)
            took_ms = (time.monotonic() - began_s) * 1000
            # What is damaged is read whole until it is mended.
            self._whole_after_at = now_at if problem else now_at + took_ms * _SHARE
        return JournalFacts(self._account, problem)

    def _problem(self, place: Place) -> str:
        seen = self._seen
        try:
            if not self._path.exists():
                return f"{self._path} is gone: put a copy of it back" if seen.seq else ""
            if self._path.stat().st_size < place.offset:
                return self._lost(place)
            for after in chain(self._path, place):
                place = after
                if place.seq == seen.seq and place.previous_hash != seen.previous_hash:
                    return self._lost(seen)
        except (DataError, OSError) as exc:
            return str(exc)
        if place.seq < seen.seq:
            return self._lost(seen)
        self._seen = place
        return ""

    def _lost(self, place: Place) -> str:
        return (
            f"{self._path} no longer holds line {place.seq} (seq {place.seq - 1}) as it was seen: "
            "lines were cut off or replaced; put a whole copy of the file back"
        )
