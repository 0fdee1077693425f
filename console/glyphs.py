"""Plain signs for terminals that cannot show ours: one ASCII sign for each cell of ours.

A word stands beside every sign that matters, so nothing is lost but beauty. What is in no table is
shown as its letter without marks, or as a question mark.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from rich.cells import cell_len

_SIGNS = {
    "●": "*",
    "◐": "%",
    "○": "o",
    "▲": "!",
    "▼": "v",
    "✗": "x",
    "✘": "x",
    "✓": "+",
    "■": "#",
    "▪": "#",
    "□": "o",
    "▶": ">",
    "▸": ">",
    "▾": "v",
    "◀": "<",
    "◂": "<",
    "★": "*",
    "·": ".",
    "•": "*",
    "…": "~",
    "–": "-",
    "—": "-",
    "−": "-",
    "‐": "-",
    "→": ">",
    "←": "<",
    "↑": "^",
    "↓": "v",
    "↵": "<",
    "⏎": "<",
    "›": ">",
    "‹": "<",
    "»": ">",
    "«": "<",
    "×": "x",
    "÷": "/",
    "≥": ">",
    "≤": "<",
    "≠": "!",
    "≈": "~",
    "±": "+",
    "∞": "i",
    "√": "r",
    "‖": "|",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "µ": "u",
    "ß": "s",
    "€": "E",
    "¶": "P",
}
_HORIZONTAL = "─━┄┅┈┉╌╍═╴╶╸╺╼╾▔"
_VERTICAL = "│┃┆┇┊┋╎╏║╵╷╹╻╽╿▏▎▍▌▋▊▉▐▕"
_HEIGHTS = dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True))
_SHADES = {"░": ".", "▒": ":", "▓": "%", "▀": "-"}
_BOXES = range(0x2500, 0x2580)
_BLOCKS = range(0x2580, 0x25A0)
_BRAILLE = range(0x2800, 0x2900)
# Bits of the four rows of a braille cell, from the top.
_BRAILLE_ROWS = (0b0000_1001, 0b0001_0010, 0b0010_0100, 0b1100_0000)


def ascii_sign(character: str) -> str:
    """Return ASCII of the same width in cells for one character."""
    code = ord(character)
    if code < 0x80:
        return character
    for table in (_SIGNS, _HEIGHTS, _SHADES):
        if character in table:
            return table[character]
    if code in _BRAILLE:
        return _dots(code - _BRAILLE.start)
    if code in _BOXES or code in _BLOCKS:
        return _line(character)
    width = cell_len(character)
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if len(plain) == width:
        return plain
    return "?" * width


def _line(character: str) -> str:
    if character in _HORIZONTAL:
        return "-"
    if character in _VERTICAL:
        return "|"
    return "+" if ord(character) in _BOXES else "#"


def _dots(bits: int) -> str:
    rows = [row for row, mask in enumerate(_BRAILLE_ROWS) if bits & mask]
    if not rows:
        return " "
    if bits.bit_count() > 4:
        return "#"
    if max(rows) - min(rows) > 1:
        return ":"
    return "'" if max(rows) == 0 else ("-" if max(rows) <= 2 else ".")


class AsciiTable(dict[int, str]):
    """A table for `str.translate` that works out each sign once."""

    def __missing__(self, code: int) -> str:
        """Return and keep the sign of a character."""
        sign = self[code] = ascii_sign(chr(code))
        return sign


def to_ascii(text: str, table: Mapping[int, str]) -> str:
    """Return text in ASCII, each line as wide as before."""
    return text if text.isascii() else text.translate(table)
