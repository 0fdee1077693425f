"""Written strategies where genomes stand: one JSON document that holds the module's text.

The `genome` column of a strategy holds either a genome's canonical JSON or such a document; its
only key tells which. The id of a written strategy is that of its text (`Source.id`).
"""

from __future__ import annotations

import hashlib
import json

from engine.errors import DataError
from engine.strategy.genome import ID_LENGTH

_KEY = "javascript"
_HEAD = f'{{"{_KEY}":'


def written_document(text: str) -> str:
    """Return the document that holds a module."""
    plain = text.replace("\r\n", "\n")
    return json.dumps({_KEY: plain}, separators=(",", ":"), ensure_ascii=True)


def written_id(text: str) -> str:
    """Return the id of a module: 32 hex digits."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()[:ID_LENGTH]


def is_written(document: str) -> bool:
    """Tell whether a stored strategy is a module, not a genome."""
    return document.startswith(_HEAD)


def module_of(document: str) -> str:
    """Return the module that a document holds.

    Raises
    ------
    DataError : it holds none.
    """
    try:
        text = json.loads(document)[_KEY]
    except (ValueError, KeyError, TypeError) as exc:
        raise DataError("the stored strategy is no written one: restore it from a backup") from exc
    if not isinstance(text, str):
        raise DataError("the stored strategy holds no text: restore it from a backup")
    return text
