"""How a command speaks: data on stdout, talk on stderr, one line for every failure."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def say(text: str) -> None:
    """Write one line of talk to stderr."""
    print(text, file=sys.stderr, flush=True)


def emit(text: str) -> None:
    """Write data to stdout."""
    print(text, flush=True)


def emit_json(value: object) -> None:
    """Write one JSON object to stdout; undefined and infinite numbers become null and "inf"."""
    emit(json.dumps(plain(value), ensure_ascii=False, allow_nan=False))


def plain(value: object) -> Any:
    """Return `value` as plain JSON values: nan is None, infinity is a string."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def one_line(text: str) -> str:
    """Return the text on one line, spaces joined."""
    return " ".join(text.split())


def write_crash_log(folder: Path, error: BaseException) -> Path | None:
    """Write the traceback of an unexpected error below `folder`; None when that fails too."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    path = folder / f"crash-{stamp}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return None
    return path
