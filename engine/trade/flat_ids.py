"""Ids of the orders that flatten an account: equal for one halt, so that trying twice sends once.

`flat-<halt>-<n>`, where <halt> is when the account was halted, and <n> says which symbol and which
of its orders. The next number is only used once the exchange has said how the last one ended.
"""

from __future__ import annotations

import hashlib

from engine.risk.latch import HALT_FILE, Latch

FLAT_PREFIX = "flat-"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SYMBOL_LENGTH = 6
_HALT_LENGTH = 8


def halt_id(latch: Latch, now_at: int) -> str:
    """Return the name of an account's present halt.

    A halt made by a shell does not say when; its file's own time does. With no file at all, as on
    a disk that is gone, it is now.
    """
    at = latch.read().at
    if at is None:
        try:
            at = (latch.folder / HALT_FILE).lstat().st_mtime_ns // 1_000_000
        except OSError:
            at = now_at
    return base36(at).zfill(_HALT_LENGTH)


def flat_id(halt: str, symbol: str, number: int) -> str:
    """Return the id of the `number`-th order (from 1) that closes a symbol after a halt."""
    digest = hashlib.sha256(symbol.encode()).hexdigest()[:_SYMBOL_LENGTH]
    return f"{FLAT_PREFIX}{halt}-{digest}{number}"


def is_flat_id(client_id: str) -> bool:
    """Return whether an order was sent to flatten."""
    return client_id.startswith(FLAT_PREFIX)


def base36(number: int) -> str:
    """Return a number (>= 0) in digits and small letters."""
    digits = ""
    number = max(0, number)
    while number or not digits:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
