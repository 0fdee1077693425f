"""Bars that are valid, the same up to an instant, and different after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.types import Bars, FloatArray

STEADY_FUTURES = ("removed", "made to rise", "made to fall")
"""Futures that contradict each other: what depends on the future differs in one of them."""

MIXED_FUTURES = ("turned upside down", "shuffled", "replaced by a random walk")
"""Futures that differ in more ways at once, each in part by chance."""

# Steps are of the logarithm of the price, reaches fractions of it.
_EARLY_BARS, _EARLY_STEP, _LATE_MOVE = 20, 0.05, 2.0
_WIDE, _NARROW = 0.08, 0.0005
_MUCH, _LITTLE = 20.0, 0.05
_WALK_STEP = 0.02


def with_future(bars: Bars, cut: int, kind: str, rng: np.random.Generator) -> Bars:
    """Return the same bars up to `cut` and other valid ones, or none, after it.

    Parameters
    ----------
    bars : more than `cut + 1`
    kind : one of `STEADY_FUTURES` and `MIXED_FUTURES`
    """
    if kind == "removed":
        return bars.slice(0, cut + 1)
    after = bars.slice(cut + 1, len(bars))
    last = float(bars.close[cut])
    if kind == "made to rise":
        new = _drifting(after, last, True, cut, rng)
    elif kind == "made to fall":
        new = _drifting(after, last, False, cut, rng)
    elif kind == "turned upside down":
        new = _turned(after, last)
    elif kind == "shuffled":
        new = _shuffled(after, last, rng)
    else:
        steps = rng.normal(0.0, _WALK_STEP, len(after))
        new = _along(after, last, steps, _WALK_STEP, rng.uniform(0.0, 4.0, len(after)), rng)
    columns = {
        name: np.concatenate((getattr(bars, name)[: cut + 1], getattr(new, name)))
        for name in ("open", "high", "low", "close", "volume")
    }
    return Bars(timestamp=bars.timestamp, **columns)


def _drifting(
    after: Bars, last: float, is_rising: bool, cut: int, rng: np.random.Generator
) -> Bars:
    """Return bars that all close on one side of their open, fast at first.

    Where rising bars are wide, or heavily traded, falling ones are the opposite; which of them is
    which changes with the cut.
    """
    n_bars = len(after)
    steps = rng.uniform(0.5, 1.5, n_bars) * (_LATE_MOVE / n_bars)
    steps[:_EARLY_BARS] += _EARLY_STEP
    reach = _WIDE if is_rising == (cut % 2 == 0) else _NARROW
    times = _MUCH if is_rising == (cut // 2 % 2 == 0) else _LITTLE
    return _along(after, last, steps if is_rising else -steps, reach, np.full(n_bars, times), rng)


def _along(
    after: Bars,
    last: float,
    steps: FloatArray,
    reach: float,
    volume_times: FloatArray,
    rng: np.random.Generator,
) -> Bars:
    """Return bars whose closes move by `steps` (logarithms), with wicks of up to `reach`."""
    close: FloatArray = last * np.exp(np.cumsum(steps))
    open_ = np.concatenate(([last], close[:-1]))
    up, down = 1.0 + reach * rng.random((2, len(after)))
    # A market without volume gets some.
    volume = (after.volume + 0.1 * after.volume.mean() + 1e-9) * volume_times
    return Bars(
        timestamp=after.timestamp,
        open=open_,
        high=np.maximum(open_, close) * up,
        low=np.minimum(open_, close) / down,
        close=close,
        volume=volume,
    )


def _turned(after: Bars, last: float) -> Bars:
    square = last * last
    return Bars(
        timestamp=after.timestamp,
        open=square / after.open,
        high=square / after.low,
        low=square / after.high,
        close=square / after.close,
        volume=after.volume[::-1],
    )


def _shuffled(after: Bars, last: float, rng: np.random.Generator) -> Bars:
    order = rng.permutation(len(after))
    body = (after.close / after.open)[order]
    close = np.asarray(last * np.cumprod(body), dtype=np.float64)
    open_ = close / body
    return Bars(
        timestamp=after.timestamp,
        open=open_,
        high=np.maximum(open_ * (after.high / after.open)[order], np.maximum(open_, close)),
        low=np.minimum(open_ * (after.low / after.open)[order], np.minimum(open_, close)),
        close=close,
        volume=after.volume[order],
    )


def with_inside(
    bars: Bars, bar: int, goes_up: bool, goes_down: bool, rng: np.random.Generator
) -> Bars:
    """Return the same bars, one of them reaching further up or down and closing elsewhere.

    On a side where it does not reach further it does not go beyond its open.
    """
    open_ = float(bars.open[bar])
    up, down = 1.0 + rng.uniform(0.02, 0.2, 2)
    high = max(float(bars.high[bar]), open_) * up if goes_up else open_
    low = min(float(bars.low[bar]), open_) / down if goes_down else open_
    changed = {"high": high, "low": low, "close": float(rng.uniform(low, high))}
    columns = {}
    for name, value in changed.items():
        columns[name] = getattr(bars, name).copy()
        columns[name][bar] = value
    return replace(bars, **columns)
