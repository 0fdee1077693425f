"""Reading a journal: in order, from a place onwards, from its end; and proving it whole.

Readers take no lock and change nothing; they work beside a writer and after its death.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.errors import DataError
from engine.trade.journal_line import (
    MAX_LINE_BYTES,
    NO_HASH,
    JournalLine,
    decoded,
    hash_of,
    is_torn,
    previous_hash_of,
    seq_of,
    why_out_of_place,
)

_BUFFER_BYTES = 1 << 18
_WRITING_S = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line begins.

    Attributes
    ----------
    offset : in the file, bytes
    seq : of the line
    previous_hash : of the line before it
    """

    offset: int
    seq: int
    previous_hash: str


START = Place(0, 0, NO_HASH)


@dataclass(frozen=True, slots=True)
class JournalReport:
    """What verifying a journal found.

    Attributes
    ----------
    n_lines : whole lines from the start on, genesis included
    is_whole : whether every byte is as it was written
    problem : what is wrong, in words; empty when whole
    line, seq : the first that is wrong, line counted from 1; None when whole
    last_hash : of the last line before the problem
    """

    n_lines: int
    is_whole: bool
    problem: str
    line: int | None
    seq: int | None
    last_hash: str


def verify_journal(path: Path) -> JournalReport:
    """Read a journal from its first byte to its last, and find what was changed.

    Raises
    ------
    DataError : there is no such file, or it cannot be read.
    """
    place, end = START, b""
    is_patient = True
    try:
        while True:
            for _, after in lines_from(path, place):
                place = after
            end = unfinished_end(path, place.offset)
            if end and b"\n" not in end and is_patient:
                # A line that is being written at this moment is whole at the next.
                is_patient = False
                time.sleep(_WRITING_S)
            elif b"\n" not in end:
                break
    except DataError as exc:
        if "seq" not in exc.fields:
            raise
        return _report(place, str(exc.fields["why"]))
    if end and is_torn(end):
        return _report(
            place,
            "it is cut off, as by a crash in the middle of writing: opening the journal moves it "
            "aside",
        )
    if end:
        return _report(place, "it does not end in its newline: it was changed")
    if not place.seq:
        return _report(place, "the file is empty")
    return JournalReport(place.seq, True, "", None, None, place.previous_hash)


def lines_from(
    path: Path, place: Place = START, end: int | None = None
) -> Iterator[tuple[JournalLine, Place]]:
    """Yield whole lines from a place on, each with the place after it.

    An end without a newline is not yielded: it is being written, or torn.

    Parameters
    ----------
    end : int, optional
        Offset to stop at; by default the end of the file.

    Raises
    ------
    DataError : a line is damaged, out of place, or of a newer version; or no such file.
    """
    with _reading(path, place) as source:
        while raw := _whole_line(source, path, place, end):
            after = _after(path, place, raw)
            try:
                line = decoded(raw)
            except DataError as exc:
                raise damaged(path, place, exc.message) from exc
            yield line, after
            place = after


def chain(path: Path, place: Place) -> Iterator[Place]:
    """Yield the place after each whole line, without reading what the line says.

    Raises
    ------
    DataError : a line is damaged or out of place; or no such file.
    """
    with _reading(path, place) as source:
        while raw := _whole_line(source, path, place, None):
            place = _after(path, place, raw)
            yield place


def last_lines(path: Path, n_lines: int) -> tuple[list[JournalLine], Place]:
    """Return at most `n_lines` whole lines from the end, oldest first, and the place after them.

    Only the end of the file is read: that these lines are whole and follow each other is checked,
    what is before them is not.

    Raises
    ------
    DataError : one of them is damaged; or no such file.
    """
    with _reading(path, START) as source:
        raw_lines, offset = _raw_tail(source, n_lines)
    if not raw_lines:
        return [], START
    seq = seq_of(raw_lines[0])
    place = Place(offset, seq or 0, NO_HASH)
    if seq is None or hash_of(raw_lines[0]) is None:
        raise damaged(path, place, _CHANGED)
    place = Place(offset, seq, previous_hash_of(raw_lines[0]))
    lines = []
    for raw in raw_lines:
        after = _after(path, place, raw)
        try:
            lines.append(decoded(raw))
        except DataError as exc:
            raise damaged(path, place, exc.message) from exc
        place = after
    return lines, place


def unfinished_end(path: Path, offset: int) -> bytes:
    """Return what follows the last whole line, at most what one line can be long."""
    with _reading(path, Place(offset, 0, NO_HASH)) as source:
        return source.read(MAX_LINE_BYTES)


def damaged(path: Path, place: Place, why: str) -> DataError:
    """Return the error for a line that is not as it was written."""
    return DataError(
        f"{path}, line {place.seq + 1} (seq {place.seq}): {why}: put a whole copy of the file "
        "back, or move it away and begin anew by reconciling with the exchange",
        path=str(path),
        line=place.seq + 1,
        seq=place.seq,
        why=why,
    )


_CHANGED = "it does not match its own hash: it was changed"


def _report(place: Place, problem: str) -> JournalReport:
    return JournalReport(place.seq, False, problem, place.seq + 1, place.seq, place.previous_hash)


def _reading(path: Path, place: Place) -> BinaryIO:
    try:
        source = path.open("rb", buffering=_BUFFER_BYTES)
        source.seek(place.offset)
    except OSError as exc:
        raise DataError(
            f"{path} cannot be read: {exc.strerror or exc}: is this the account's home?",
            path=str(path),
        ) from exc
    return source


def _whole_line(source: BinaryIO, path: Path, place: Place, end: int | None) -> bytes:
    if end is not None and place.offset >= end:
        return b""
    try:
        raw = source.readline(MAX_LINE_BYTES + 1)
    except OSError as exc:
        raise damaged(path, place, f"it cannot be read ({exc.strerror or exc})") from exc
    if raw.endswith(b"\n"):
        return raw
    if len(raw) > MAX_LINE_BYTES and raw.strip(b"\0"):
        raise damaged(path, place, "it is longer than any line: it was changed")
    return b""


def _after(path: Path, place: Place, raw: bytes) -> Place:
    digest = hash_of(raw)
    if digest is None:
        raise damaged(path, place, _CHANGED)
    problem = why_out_of_place(raw, place.seq, place.previous_hash)
    if problem:
        raise damaged(path, place, problem)
    return Place(place.offset + len(raw), place.seq + 1, digest)


def _raw_tail(source: BinaryIO, n_lines: int) -> tuple[list[bytes], int]:
    """Return the last whole lines and the offset of the first of them."""
    end = source.seek(0, io.SEEK_END)
    text, start = b"", end
    while start and text.count(b"\n") <= n_lines:
        step = min(_BUFFER_BYTES, start)
        start -= step
        source.seek(start)
        text = source.read(step) + text
    text = text[: text.rfind(b"\n") + 1]
    lines = [line + b"\n" for line in text.split(b"\n")[:-1]]
    if start:
        # The first may have begun before what was read.
        first, lines = lines[0], lines[1:]
        start += len(first)
    kept = lines[-n_lines:] if n_lines > 0 else []
    return kept, start + sum(len(line) for line in lines[: len(lines) - len(kept)])
