"""Bars for the comparison: real ones, and rough ones with gaps, flat bars and no volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.market.parquet import read_bars_file
from engine.types import TIMEFRAME_MS, Bars

START_AT = 1_704_153_600_000
GAP = 0.06
WILD_GAP = 0.60


def is_wild(seed: int) -> bool:
    """Whether the rough bars of a seed have gaps that ruin who trades on borrowed money."""
    return seed % 8 == 7


def rough_bars(seed: int, n_bars: int, timeframe: str) -> Bars:
    """Return a random walk with what real markets do at their worst.

    One bar in 40 opens up to 6 % away (60 % for a wild seed), one in 30 has no volume and no range,
    one in 60 is missing. Prices keep to a tick, so that stops, targets and extremes often meet
    exactly.
    """
    rng = np.random.default_rng([seed, 77])
    step = 0.004 * np.exp(0.5 * rng.standard_normal(n_bars))
    moves = step * rng.standard_normal(n_bars)
    widest = WILD_GAP if is_wild(seed) else GAP
    gaps = np.where(rng.random(n_bars) < 1 / 40, rng.uniform(-widest, widest, n_bars), 0.0)
    is_still = rng.random(n_bars) < 1 / 30
    moves[is_still] = 0.0
    # Gaps pull back towards 100, so that prices stay where a tick is small.
    open_, close = np.empty(n_bars), np.empty(n_bars)
    last = 100.0
    for t in range(n_bars):
        pull = -0.02 * np.log(last / 100.0) * (t % 50 == 0)
        open_[t] = max(1.0, round(last * (1.0 + gaps[t] + pull), 2))
        close[t] = max(1.0, round(open_[t] * (1.0 + moves[t]), 2))
        last = close[t]
    wick = np.where(is_still, 0.0, step)
    high = np.maximum(open_, close) * (1.0 + wick * rng.exponential(0.5, n_bars))
    low = np.minimum(open_, close) * (1.0 - wick * rng.exponential(0.5, n_bars))
    high, low = np.ceil(high * 100.0) / 100.0, np.floor(low * 100.0) / 100.0
    high[is_still], low[is_still] = (
        np.maximum(open_, close)[is_still],
        np.minimum(open_, close)[is_still],
    )
    volume = np.where(is_still, 0.0, np.round(rng.lognormal(3.0, 1.0, n_bars), 3))
    timestamp = START_AT + np.arange(n_bars, dtype=np.int64) * TIMEFRAME_MS[timeframe]
    kept = rng.random(n_bars) >= 1 / 60
    kept[0] = True
    return Bars(timestamp[kept], open_[kept], high[kept], low[kept], close[kept], volume[kept])


def real_bars(folder: Path, symbol: str, timeframe: str, seed: int, n_bars: int) -> Bars:
    """Return a stretch of real bars that the seed chooses."""
    kind = {"1h": "perp-1h/binance-perp", "5m": "spot-5m/binance"}[timeframe]
    bars = read_bars_file(folder / kind / f"{symbol.replace('/', '-')}-{timeframe}.parquet")
    start = int(np.random.default_rng([seed, 78]).integers(0, len(bars) - n_bars))
    return bars.slice(start, start + n_bars)
