"""Numbers as people read them: with a unit, a sign where it matters, and an age.

Undefined (nan) is `–`. Fractions are shown as percent; drawdowns, stored as magnitudes, are shown
as losses.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

UNDEFINED = "–"
_MS_PER_S = 1000


def number(value: float | None, digits: int = 2) -> str:
    """Return a plain number with thousands separated, `–` when undefined."""
    if value is None or math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:,.{digits}f}"


def signed(value: float | None, digits: int = 2) -> str:
    """Return a number that always shows its sign."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 else text


def percent(value_frac: float | None, digits: int = 1) -> str:
    """Return a fraction as percent without a sign of its own (`55.0%`)."""
    if value_frac is None or not math.isfinite(value_frac):
        return number(value_frac)
    return f"{value_frac * 100:,.{digits}f}%"


def signed_percent(value_frac: float | None, digits: int = 1) -> str:
    """Return a fraction as percent that always shows its sign (`+0.4%`)."""
    text = percent(value_frac, digits)
    return f"+{text}" if value_frac is not None and value_frac > 0 else text


def drawdown(magnitude_frac: float | None, digits: int = 1) -> str:
    """Return a drawdown, stored as a magnitude in [0, 1], as the loss it is (`-4.1%`)."""
    if magnitude_frac is None or math.isnan(magnitude_frac):
        return UNDEFINED
    text = percent(magnitude_frac, digits)
    return f"-{text}" if magnitude_frac > 0 else text


def count(value: float | None) -> str:
    """Return a whole number with thousands separated."""
    if value is None or math.isnan(value):
        return UNDEFINED
    return f"{int(value):,}"


def short(value: float | None) -> str:
    """Return a large number in few characters (`8,412`, `84.1k`, `1.2M`, `3.4G`)."""
    if value is None or not math.isfinite(value):
        return number(value)
    for limit, divisor, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= limit:
            return f"{value / divisor:,.1f}{letter}"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:,.1f}"


def duration(ms: float) -> str:
    """Return a span of time in at most two units (`0.4s`, `41s`, `3m07s`, `5h12m`, `3d04h`)."""
    seconds = max(0.0, ms / _MS_PER_S)
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3_600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3_600}h{whole % 3_600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3_600:02d}h"


def age(at: int | None, now_at: int) -> str:
    """Return how long ago an instant was, `–` when it never was."""
    return UNDEFINED if at is None else duration(now_at - at)


def clock_time(at: int | None) -> str:
    """Return the UTC time of day (`13:41:00Z`)."""
    return UNDEFINED if at is None else _utc(at).strftime("%H:%M:%SZ")


def day(at: int | None) -> str:
    """Return the UTC date (`2025-08-28`)."""
    return UNDEFINED if at is None else _utc(at).strftime("%Y-%m-%d")


def instant(at: int | None) -> str:
    """Return the UTC date and minute (`2025-08-28 13:41Z`)."""
    return UNDEFINED if at is None else _utc(at).strftime("%Y-%m-%d %H:%MZ")


def short_id(strategy_id: str | None) -> str:
    """Return the first eight digits of a strategy's id, enough to name it."""
    return UNDEFINED if not strategy_id else strategy_id[:8]


def clipped(text: str, width: int) -> str:
    """Return the text in at most `width` cells, with `…` where it was cut."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: max(0, width - 1)] + "…"


def bar(done: float, total: float, width: int) -> str:
    """Return a bar of `width` cells, full only when all is done."""
    if total <= 0 or width <= 0:
        return "░" * max(0, width)
    filled = min(width, int(width * done / total))
    return "█" * filled + "░" * (width - filled)


def sparkline(values: list[float], width: int) -> str:
    """Return the last `width` defined values as blocks of eight heights."""
    defined = [value for value in values if math.isfinite(value)][-width:]
    if not defined:
        return ""
    low, high = min(defined), max(defined)
    span = high - low
    return "".join(
        "▁▂▃▄▅▆▇█"[3 if span == 0 else min(7, int((value - low) / span * 8))] for value in defined
    )


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at / _MS_PER_S, UTC)
