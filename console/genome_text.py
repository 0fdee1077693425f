"""A stored strategy as lines to read: its parts one a line, its JavaScript as it was written."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from console.wording import condition_words, genome_sentences
from engine.strategy.genome import Genome
from engine.strategy.written import is_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.strategy.genome import Condition

_NAME_WIDTH = 26


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One line.

    Attributes
    ----------
    mark : `+` only here, `-` only in the other one, a space in both
    """

    mark: str
    text: str


def code_lines(document: str) -> list[str]:
    """Return a stored strategy as plain lines, the same for the same strategy."""
    if is_written(document):
        return genome_sentences(document)[1:]
    try:
        genome = Genome.from_json(document)
    except ValidationError:
        return _raw_lines(document)
    whole = genome.model_dump(mode="json")
    lines = [_line(name, whole[name]) for name in ("type", "timeframe", "direction", "confidence")]
    if genome.symbols:
        lines.append(_line("symbols", ", ".join(genome.symbols)))
    for name, conditions in (
        ("long when", genome.long_entry),
        ("short when", genome.short_entry),
        ("only while", genome.filters),
        ("leave a long when", genome.exits.long_conditions),
        ("leave a short when", genome.exits.short_conditions),
    ):
        lines += _condition_lines(name, conditions)
    for group in ("exits", "risk"):
        lines += [
            _line(f"{group}.{name}", value)
            for name, value in sorted(whole[group].items())
            if not isinstance(value, list)
        ]
    return lines


def difference_lines(mine: str, other: str) -> list[CodeLine]:
    """Return both as one text: what only one of them has is marked."""
    before, now = code_lines(other), code_lines(mine)
    found: list[CodeLine] = []
    matcher = difflib.SequenceMatcher(a=before, b=now, autojunk=False)
    for what, a, a_end, b, b_end in matcher.get_opcodes():
        if what == "equal":
            found += [CodeLine(" ", text) for text in now[b:b_end]]
        else:
            found += [CodeLine("-", text) for text in before[a:a_end]]
            found += [CodeLine("+", text) for text in now[b:b_end]]
    return found


def _condition_lines(name: str, conditions: Sequence[Condition]) -> list[str]:
    return [_line(name, condition_words(condition)) for condition in conditions]


def _line(name: str, value: Any) -> str:
    text = "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{name:<{_NAME_WIDTH}}{text}"


def _raw_lines(document: str) -> list[str]:
    """Return a genome that this version cannot read as the text that is stored."""
    try:
        text = json.dumps(json.loads(document), indent=2, sort_keys=True)
    except ValueError:
        text = document
    return ["".join(c if c.isprintable() else "·" for c in line) for line in text.split("\n")]
