"""Numbers of the risk room as its sentences print them, always with a unit."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

UNKNOWN = "unknown"


def percent(value_frac: float) -> str:
    """Return a fraction as percent with up to six significant digits, `unknown` for nan."""
    return UNKNOWN if math.isnan(value_frac) else f"{value_frac * 100:.6g} %"


def money(value_quote: Decimal | float | None, asset: str) -> str:
    """Return an amount with its currency, `unknown` for None, nan and infinity."""
    if value_quote is None or not math.isfinite(value_quote):
        return f"{UNKNOWN} {asset}"
    return f"{value_quote:,.2f} {asset}"


def hours(seconds: float) -> str:
    """Return a span of time in hours, `never` for infinity, `unknown` for nan."""
    if math.isnan(seconds):
        return UNKNOWN
    return "never" if math.isinf(seconds) else f"{seconds / 3600:.4g} h"


def utc(at: int) -> str:
    """Return an instant (UTC ms) to the minute."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
