"""Our order ids as exchanges want them spelled, and back.

Ours are `pk-` and 29 hexadecimal digits, or `flat-<halt>-<symbol><n>`; most exchanges take them as
they are. Others take no dash, fewer characters, or 128 bits: a spelling says the same in another
way, so that a new process knows its orders by what the exchange tells. What is not ours, or of
another form, passes unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from engine.trade.flat_ids import base36

_OWN = re.compile(r"pk-([0-9a-f]{29})")
_FLAT = re.compile(r"flat-([0-9a-z]{8})-([0-9a-f]{6})([0-9]{1,3})")
_PLAIN_OWN = re.compile(r"pk([0-9a-f]{29})")
_PLAIN_FLAT = re.compile(r"flat([0-9a-z]{8})([0-9a-f]{6})([0-9]{1,3})")
_SHORT_OWN = re.compile(r"(?:t-)?pk([0-9a-z]{23})")
_SHORT_FLAT = re.compile(r"(?:t-)?flat([0-9a-z]{8})([0-9a-f]{6})([0-9]{1,3})")
_BITS_OWN = re.compile(r"(?:0x)?000([0-9a-f]{29})")
_BITS_FLAT = re.compile(r"(?:0x)?f1a([0-9a-f]{11})([0-9a-f]{6})([0-9a-f]{12})")
_SHORT_LENGTH = 23
_HALT_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Spelling:
    """Two functions that undo each other.

    Attributes
    ----------
    out : from our id to the exchange's text
    back : from the exchange's text to our id
    """

    out: Callable[[str], str]
    back: Callable[[str], str]


def spelling_of(venue: str) -> Spelling:
    """Return how an exchange (a ccxt id) wants ids spelled."""
    return _SPELLINGS.get(venue, AS_IT_IS)


def _same(client_id: str) -> str:
    return client_id


def _without_dashes(client_id: str) -> str:
    if _OWN.fullmatch(client_id) or _FLAT.fullmatch(client_id):
        return client_id.replace("-", "")
    return client_id


def _with_dashes(text: str) -> str:
    if found := _PLAIN_OWN.fullmatch(text):
        return f"pk-{found[1]}"
    if found := _PLAIN_FLAT.fullmatch(text):
        return f"flat-{found[1]}-{found[2]}{found[3]}"
    return text


def _shortened(client_id: str) -> str:
    if found := _OWN.fullmatch(client_id):
        return "pk" + base36(int(found[1], 16)).zfill(_SHORT_LENGTH)
    return _without_dashes(client_id)


def _lengthened(text: str) -> str:
    if found := _SHORT_OWN.fullmatch(text):
        return f"pk-{int(found[1], 36):029x}"
    if found := _SHORT_FLAT.fullmatch(text):
        return f"flat-{found[1]}-{found[2]}{found[3]}"
    return text.removeprefix("t-")


def _as_bits(client_id: str) -> str:
    if found := _OWN.fullmatch(client_id):
        return f"000{found[1]}"
    if found := _FLAT.fullmatch(client_id):
        return f"f1a{int(found[1], 36):011x}{found[2]}{int(found[3]):012x}"
    return client_id


def _as_prefixed_bits(client_id: str) -> str:
    bits = _as_bits(client_id)
    return bits if bits == client_id else f"0x{bits}"


def _from_bits(text: str) -> str:
    if found := _BITS_OWN.fullmatch(text):
        return f"pk-{found[1]}"
    if found := _BITS_FLAT.fullmatch(text):
        halt = base36(int(found[1], 16)).zfill(_HALT_LENGTH)
        return f"flat-{halt}-{found[2]}{int(found[3], 16)}"
    return text


AS_IT_IS = Spelling(_same, _same)
_NO_DASH = Spelling(_without_dashes, _with_dashes)
_SHORT = Spelling(_shortened, _lengthened)
_BITS = Spelling(_as_bits, _from_bits)
_PREFIXED_BITS = Spelling(_as_prefixed_bits, _from_bits)

_SPELLINGS = {
    "okx": _NO_DASH,
    "okxus": _NO_DASH,
    "myokx": _NO_DASH,
    "gate": _SHORT,
    "gateeu": _SHORT,
    "kraken": _BITS,
    "hyperliquid": _PREFIXED_BITS,
}
