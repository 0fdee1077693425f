"""Write a recording: what the console knew, each time that it looked.

The file is a row of gzip members, so that `zcat` reads it. Its first line says what it is; each
picture after it is two lines of JSON: when it was taken and what was on the screen, then all of
it (`"whole"`) or what changed since the one before. Each member but for its header begins with a
whole picture, from which it can be read alone. Every picture is handed to the kernel before the
next is taken, so that a kill loses the last one at most.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.recording_delta import SAME, change
from console.recording_secrets import SecretFilter
from console.recording_values import PlainValues
from console.snapshot import Snapshot
from engine.errors import UsageError

FORMAT = "paddock_recording"
FORMAT_VERSION = 1
PICTURES_A_MEMBER = 300
GZIP = 31
"""zlib's word for a gzip member."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What was on the screen.

    Attributes
    ----------
    mode : one of the nine screens
    strategy_id, order_id : whose details lay over it, empty when none did
    """

    mode: str
    strategy_id: str = ""
    order_id: str = ""


class RecordingWriter:
    """Append pictures to a new file; one thread owns it.

    Parameters
    ----------
    path : of a file that is not there yet
    about : what the first line says beside the format and its version

    Raises
    ------
    UsageError : the file is there already.
    OSError : it cannot be made.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self.n_pictures = 0
        self._values = PlainValues()
        self._secrets = SecretFilter()
        self._last: Any = None
        self._last_at = 0
        self._packer = zlib.compressobj(wbits=GZIP)
        try:
            # Only for its owner: it holds what the account holds.
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError as exc:
            raise UsageError(f"{path} is there already: name a new file to record into") from exc
        self._write(_line({FORMAT: FORMAT_VERSION, **about}), zlib.Z_SYNC_FLUSH)

    def add(self, snapshot: Snapshot, shown: Shown) -> None:
        """Append one picture.

        Raises
        ------
        OSError : the disk is full, or gone; what stands in the file stays readable.
        TypeError : the picture holds what no recording can hold.
        """
        plain = self._values.of(snapshot)
        is_whole = self.n_pictures % PICTURES_A_MEMBER == 0
        told = plain if is_whole else change(self._last, plain)
        # A clock that was set back must not turn the order round.
        self._last_at = max(self._last_at, snapshot.taken_at)
        head = {
            "at": self._last_at,
            "on": [shown.mode, shown.strategy_id, shown.order_id],
            "is": "whole" if is_whole else "change",
        }
        if is_whole and self.n_pictures:
            self._write("", zlib.Z_FINISH)
            self._packer = zlib.compressobj(wbits=GZIP)
        body = self._secrets.clean(_line({"~": {}} if told is SAME else told))
        self._write(_line(head) + body, zlib.Z_SYNC_FLUSH)
        self._last = plain
        self.n_pictures += 1

    def close(self) -> None:
        """End the file; a file without its end is readable all the same."""
        handle, self._handle = self._handle, -1
        if handle < 0:
            return
        try:
            os.write(handle, self._packer.flush(zlib.Z_FINISH))
        finally:
            os.close(handle)

    def abandon(self) -> None:
        """Let go of the file without another write: the disk took none."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _write(self, lines: str, mode: int) -> None:
        # Half a pair of a character outside the basic plane is no character at all.
        packed = self._packer.compress(lines.encode(errors="replace")) + self._packer.flush(mode)
        written = 0
        while written < len(packed):
            written += os.write(self._handle, packed[written:])


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"
