"""What a filter's words mean: rows that hold them all or, after a `!`, rows that do not."""

from __future__ import annotations

INVERSE = "!"


def split_inverse(text: str | None) -> tuple[list[str], bool]:
    """Return the words of a filter, and whether it asks for rows without them.

    A `!` before the first word asks for the rows that do not hold all of the words; alone it is no
    filter.
    """
    plain = (text or "").strip()
    is_inverse = plain.startswith(INVERSE)
    return (plain.removeprefix(INVERSE) if is_inverse else plain).split(), is_inverse


def passes(text: str | None, row: str) -> bool:
    """Return whether a row in memory, as one text, passes a filter, whatever its case."""
    words, is_inverse = split_inverse(text)
    if not words:
        return True
    lowered = row.lower()
    return all(word.lower() in lowered for word in words) is not is_inverse
