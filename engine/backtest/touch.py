"""When is a stop or target first touched? Blocks that touch neither are skipped whole."""

from __future__ import annotations

from engine.backtest.layout import BLOCK
from engine.strategy.compiled import kernel_step


@kernel_step
def touch_long_nb(low, high, block_low, block_high, first, stop, level, target):  # type: ignore[no-untyped-def]
    """Return the first bar with low <= level or high >= target, `stop` when there is none."""
    t = first
    while t < stop:
        b = t // BLOCK
        block_stop = min(stop, (b + 1) * BLOCK)
        if block_low[b] > level and block_high[b] < target:
            t = block_stop
            continue
        while t < block_stop:
            if low[t] <= level or high[t] >= target:
                return t
            t += 1
    return stop


@kernel_step
def touch_short_nb(low, high, block_low, block_high, first, stop, level, target):  # type: ignore[no-untyped-def]
    """Return the first bar with high >= level or low <= target, `stop` when there is none."""
    t = first
    while t < stop:
        b = t // BLOCK
        block_stop = min(stop, (b + 1) * BLOCK)
        if block_high[b] < level and block_low[b] > target:
            t = block_stop
            continue
        while t < block_stop:
            if high[t] >= level or low[t] <= target:
                return t
            t += 1
    return stop


@kernel_step
def trail_nb(low, high, first, stop, side, fixed, target, trailing, entry):  # type: ignore[no-untyped-def]
    """Walk bars first..stop-1 under a trailing stop.

    Returns
    -------
    (bar, level) : the first bar touched (`stop` when none) and the stop's level in that bar.
    """
    extreme = entry
    if side > 0:
        level = max(fixed, extreme * (1.0 - trailing))
        for t in range(first, stop):
            if low[t] <= level or high[t] >= target:
                return t, level
            if high[t] > extreme:
                extreme = high[t]
                level = max(fixed, extreme * (1.0 - trailing))
        return stop, level
    level = min(fixed, extreme * (1.0 + trailing))
    for t in range(first, stop):
        if high[t] >= level or low[t] <= target:
            return t, level
        if low[t] < extreme:
            extreme = low[t]
            level = min(fixed, extreme * (1.0 + trailing))
    return stop, level
