"""Text that goes into the store: JSON in canonical form, and words that any back-end accepts."""

from __future__ import annotations

import json
from typing import Any


def to_text(value: object) -> str:
    """Return `value` as canonical JSON: equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def from_text(text: str | None) -> Any:
    """Return what `to_text` was given, None for a NULL column."""
    return None if text is None else json.loads(text)


def storable(words: str) -> str:
    """Return `words` without what a database refuses: NUL and unpaired surrogates become �."""
    return words.replace("\x00", "�").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
