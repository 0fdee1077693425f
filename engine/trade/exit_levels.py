"""The prices at which a position ends, in the backtest's own arithmetic (float64, same order)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from engine.backtest.rules import Rules


@dataclass(frozen=True, slots=True)
class ExitLevels:
    """Prices that a position is protected by.

    Attributes
    ----------
    stop : quote currency, the tighter of `fixed` and the trailing stop
    fixed : quote currency, the stop named at entry; infinite on the far side when there is none
    target : quote currency; None when there is none, or when no price above zero could reach it
    """

    stop: float
    fixed: float
    target: float | None


def exit_levels(rules: Rules, side: int, entry: float, extreme: float) -> ExitLevels:
    """Return where a position ends.

    Parameters
    ----------
    side : 1 long, -1 short
    entry : mean price of its entry fills, slippage included
    extreme : highest high (long) or lowest low (short) of the bars closed since the entry, at least
        the entry itself: what the trailing stop follows
    """
    fixed = -side * math.inf
    if rules.stop_frac is not None:
        fixed = entry * (1.0 - side * rules.stop_frac)
    stop = fixed
    if rules.trailing_frac is not None:
        trailing = extreme * (1.0 - side * rules.trailing_frac)
        stop = max(fixed, trailing) if side > 0 else min(fixed, trailing)
    target = None
    if rules.target_frac is not None:
        level = entry * (1.0 + side * rules.target_frac)
        target = level if level > 0.0 else None
    return ExitLevels(stop, fixed, target)


def with_defaults(rules: Rules, stop_frac: float, target_frac: float) -> Rules:
    """Return rules that always name a stop: without one, the default stop and target are attached.

    A strategy that names a stop and no target wants none.
    """
    if rules.stop_frac is not None:
        return rules
    target = target_frac if rules.target_frac is None else rules.target_frac
    return replace(rules, stop_frac=stop_frac, target_frac=target)
