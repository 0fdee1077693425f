"""The JavaScript that strategies may import: its text and the names it offers."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

LIBRARY_NAME = "paddock"
"""What a strategy imports from."""

_WORKER = Path(__file__).resolve().parents[2] / "deploy" / "worker"
_PARTS = ("tape.js", "averages.js", "oscillators.js", "volume.js", "conditions.js")
_EXPORTED = re.compile(r"^export (?:function|const) (\w+)", re.MULTILINE)


@cache
def worker_text(name: str) -> str:
    """Return one of the files that every Worker shares."""
    return (_WORKER / name).read_text(encoding="utf-8")


@cache
def library_text() -> str:
    """Return the library as one text, each part after those it needs."""
    return "\n".join(worker_text(part) for part in _PARTS)


@cache
def library_names() -> tuple[str, ...]:
    """Return the names a strategy may import, ordered."""
    return tuple(sorted(_EXPORTED.findall(library_text())))
