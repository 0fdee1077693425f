"""How much of a limit is used, and the colour that says so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.store.account_detail import LimitUse

WARN_FRAC, CRITICAL_FRAC = 0.7, 0.9
_EIGHTHS = " ▏▎▍▌▋▊▉"


def limit_share(use: LimitUse) -> float | None:
    """Return how much of a limit is used, 1.0 all of it; None when it is not known."""
    if use.value is None or not math.isfinite(use.value) or use.limit <= 0:
        return None
    return abs(use.value) / use.limit


def limit_colour(share: float | None) -> str:
    """Return the colour of a limit that is used so much."""
    if share is None:
        return "$muted"
    if share >= 1.0:
        return "bold #ffffff on $halt"
    if share >= CRITICAL_FRAC:
        return "$error"
    return "$warning" if share >= WARN_FRAC else "$success"


def limit_bar(share: float | None, width: int) -> str:
    """Return a bar of `width` cells in steps of an eighth; full from the whole limit on."""
    eighths = round(min(1.0, max(0.0, share or 0.0)) * width * 8)
    whole, part = divmod(eighths, 8)
    drawn = "█" * whole + (_EIGHTHS[part] if part else "")
    return drawn + "░" * (width - len(drawn))
