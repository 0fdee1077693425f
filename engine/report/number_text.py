"""Numbers and instants as a page prints them; undefined (nan) is `–`, a loss carries a minus."""

from __future__ import annotations

import math
from datetime import UTC, datetime

UNDEFINED = "–"
_MINUS = "−"


def number(value: float, digits: int = 2) -> str:
    """Return a number with thousands separated."""
    if math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    # What rounds to nothing has no sign.
    text = f"{abs(value):,.{digits}f}"
    return f"{_MINUS}{text}" if value < 0 and float(text.replace(",", "")) else text


def signed(value: float, digits: int = 2) -> str:
    """Return a number that shows a gain's sign as well."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and text[-1] != "∞" and float(text.replace(",", "")) else text


def percent(value_frac: float, digits: int = 2) -> str:
    """Return a fraction as percent."""
    text = number(value_frac * 100, digits)
    return text if text == UNDEFINED else f"{text}%"


def signed_percent(value_frac: float, digits: int = 2) -> str:
    """Return a fraction as percent that shows a gain's sign as well."""
    text = signed(value_frac * 100, digits)
    return text if text == UNDEFINED else f"{text}%"


def loss_percent(magnitude_frac: float, digits: int = 2) -> str:
    """Return a loss, stored as a magnitude, with the minus that it is (0.041 is −4.10%)."""
    return signed_percent(-magnitude_frac, digits)


def price_digits(value: float) -> int:
    """Return the decimals that give a price or a quantity six significant digits."""
    if not math.isfinite(value) or value == 0:
        return 2
    return max(0, 5 - math.floor(math.log10(abs(value))))


def duration(ms: float) -> str:
    """Return a span of time in at most two units (`35 min`, `5 h 10 min`, `3 d 4 h`)."""
    if not math.isfinite(ms):
        return UNDEFINED
    minutes = round(ms / 60_000)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 1_440:
        return f"{minutes // 60} h {minutes % 60} min".replace(" 0 min", "")
    return f"{minutes // 1_440} d {minutes % 1_440 // 60} h".replace(" 0 h", "")


def day(at: int | None) -> str:
    """Return the UTC date (`2025-08-28`)."""
    return UNDEFINED if at is None else _utc(at).strftime("%Y-%m-%d")


def minute(at: int | None) -> str:
    """Return the UTC date and minute (`2025-08-28 13:41`)."""
    return UNDEFINED if at is None else _utc(at).strftime("%Y-%m-%d %H:%M")


def short_day(at: int) -> str:
    """Return day and month (`28 Aug`)."""
    return f"{_utc(at).day} {_utc(at):%b}"


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
