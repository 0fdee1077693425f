"""Read a recording: find each picture's place once, then any of them from its member alone."""

from __future__ import annotations

import json
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.recording_delta import changed
from console.recording_values import DeclaredValues
from console.recording_writer import FORMAT, FORMAT_VERSION, GZIP, Shown
from console.snapshot import Snapshot
from engine.errors import DataError

_READ_BYTES = 1 << 18
_MAX_LINE_BYTES = 1 << 28
_MEMBERS_KEPT = 3


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a picture is.

    Attributes
    ----------
    at : UTC ms
    start : byte of the file at which its member begins
    line : of that member, from 0
    """

    at: int
    shown: Shown
    start: int
    line: int
    is_whole: bool


class Recording:
    """A file of pictures; one thread owns it.

    Parameters
    ----------
    path : of the file

    Raises
    ------
    DataError : it is no recording, of a newer format, or holds no whole picture.
    OSError : it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut_short = ""
        self._marks: list[Mark] = []
        self._members: OrderedDict[int, list[bytes]] = OrderedDict()
        self._plain: tuple[int, Any] | None = None
        self._values = DeclaredValues()
        lines = self._lines(0)
        self.about = self._header(lines)
        self._scan(lines)
        if not self._marks:
            raise DataError(f"{path} holds no whole picture{self._why()}: nothing to play")
        self.times = [mark.at for mark in self._marks]
        self.snapshot(0)

    def __len__(self) -> int:
        """Return how many pictures it holds."""
        return len(self._marks)

    @property
    def poll_s(self) -> float:
        """Return how often the console looked, in seconds."""
        told = self.about.get("poll_s")
        return float(told) if isinstance(told, int | float) and told > 0 else 1.0

    def shown(self, number: int) -> Shown:
        """Return what was on the screen at a picture, from 0."""
        return self._marks[number].shown

    def number_at(self, at: int) -> int:
        """Return the last picture that was taken by then, the first when none was."""
        return max(0, bisect_right(self.times, at) - 1)

    def nearest_with(self, number: int, *, strategy_id: str = "", order_id: str = "") -> int | None:
        """Return the picture nearest to one, earlier first, that holds these details."""
        found = [
            place
            for place, mark in enumerate(self._marks)
            if (strategy_id and mark.shown.strategy_id.startswith(strategy_id))
            or (order_id and mark.shown.order_id == order_id)
        ]
        if not found:
            return None
        place = bisect_right(found, number)
        return found[place - 1] if place else found[0]

    def snapshot(self, number: int) -> Snapshot:
        """Return one picture, from 0.

        Raises
        ------
        DataError : it is damaged.
        """
        try:
            plain = self._plain_of(number)
            found: Snapshot = self._values.of(Snapshot, plain)
        except (DataError, ValueError) as exc:
            raise DataError(
                f"picture {number + 1} of {len(self)} cannot be read in {self.path}: {exc}"
            ) from exc
        self._plain = (number, plain)
        return found

    def _plain_of(self, number: int) -> Any:
        first = number
        while not self._marks[first].is_whole:
            first -= 1
        known = self._plain
        if known is not None and first <= known[0] <= number:
            place, plain = known
        else:
            place, plain = first, self._body(first)
        for later in range(place + 1, number + 1):
            plain = changed(plain, self._body(later))
        return plain

    def _body(self, number: int) -> Any:
        mark = self._marks[number]
        if mark.start not in self._members:
            self._members[mark.start] = [line for _, line in self._member(mark.start)]
            while len(self._members) > _MEMBERS_KEPT:
                self._members.popitem(last=False)
        self._members.move_to_end(mark.start)
        return json.loads(self._members[mark.start][mark.line])

    def _header(self, lines: Iterator[tuple[int, bytes]]) -> dict[str, Any]:
        try:
            told = json.loads(next(lines, (0, b""))[1])
            version = told[FORMAT]
            if not isinstance(version, int):
                raise TypeError
        except (ValueError, TypeError, KeyError) as exc:
            raise DataError(
                f"{self.path} is no recording of the console{self._why()}: "
                "`paddock --record FILE` makes one"
            ) from exc
        if version > FORMAT_VERSION:
            raise DataError(
                f"{self.path} was recorded by a newer Paddock (format {version}, this one reads "
                f"{FORMAT_VERSION}): play it with that one"
            )
        return dict(told)

    def _scan(self, lines: Iterator[tuple[int, bytes]]) -> None:
        start, line = 0, 0
        head: dict[str, Any] | None = None
        for where, text in lines:
            start, line = (start, line + 1) if where == start else (where, 0)
            if head is None:
                head = self._head(text)
                if head is None:
                    return
                continue
            shown = Shown(*(str(part) for part in head["on"]))
            is_whole = head["is"] == "whole"
            if not self._marks and not is_whole:
                self.cut_short = "its first picture is missing"
                return
            self._marks.append(Mark(int(head["at"]), shown, start, line, is_whole))
            head = None
        if head is not None:
            self.cut_short = self.cut_short or "its end is missing"

    def _head(self, text: bytes) -> dict[str, Any] | None:
        try:
            told = json.loads(text)
            at, on, kind = told["at"], told["on"], told["is"]
        except (ValueError, TypeError, KeyError):
            self.cut_short = f"damaged after picture {len(self._marks)}"
            return None
        is_known = isinstance(at, int) and isinstance(on, list) and len(on) == 3
        if not is_known or kind not in ("whole", "change"):
            self.cut_short = f"damaged after picture {len(self._marks)}"
            return None
        return dict(told)

    def _member(self, start: int) -> Iterator[tuple[int, bytes]]:
        for where, line in self._lines(start):
            if where != start:
                return
            yield where, line

    def _lines(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield each whole line with the byte at which its member begins; say why it ended."""
        with self.path.open("rb") as file:
            file.seek(start)
            where, at = start, start
            unpacker, rest = zlib.decompressobj(GZIP), b""
            while packed := file.read(_READ_BYTES):
                at += len(packed)
                while packed:
                    try:
                        rest += unpacker.decompress(packed, _MAX_LINE_BYTES)
                    except zlib.error:
                        self.cut_short = f"damaged near byte {at - len(packed):,}"
                        return
                    *whole, rest = rest.split(b"\n")
                    for line in whole:
                        yield where, line
                    if len(rest) >= _MAX_LINE_BYTES:
                        self.cut_short = f"a line without end near byte {at:,}"
                        return
                    packed = unpacker.unconsumed_tail
                    if unpacker.eof:
                        packed = unpacker.unused_data
                        where = at - len(packed)
                        unpacker, rest = zlib.decompressobj(GZIP), b""
            if at > where:
                self.cut_short = "its end is missing"

    def _why(self) -> str:
        return f" ({self.cut_short})" if self.cut_short else ""
