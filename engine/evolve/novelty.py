"""Is this strategy new, or one that is known in other words? Its positions on sample bars tell.

The sample is a piece of the generated market, the same for everybody, so that the answer depends on
no cycle's bars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engine.backtest.run import Trade
from engine.market.generated import GENERATED_END_AT, GENERATED_START_AT, generate_bars
from engine.market.resampling import resample
from engine.types import Bars, FloatArray, timeframe_ms

SAMPLE_BARS = 3_000
_SAMPLE_SEED = 20_240_102
_SAMPLE_SYMBOL = "SAMPLE/USDT"
_GENERATED_TIMEFRAME = "5m"


def sample_bars(timeframe: str) -> Bars:
    """Return at most `SAMPLE_BARS` bars of the sample market, fewer on the longest timeframes."""
    own_ms = timeframe_ms(timeframe)
    base_ms = timeframe_ms(_GENERATED_TIMEFRAME)
    span_ms = max(own_ms, base_ms) * SAMPLE_BARS
    end_at = min(GENERATED_START_AT + span_ms, GENERATED_END_AT)
    bars = generate_bars(_SAMPLE_SYMBOL, _SAMPLE_SEED, end_at=end_at)
    if own_ms > base_ms:
        return resample(bars, _GENERATED_TIMEFRAME, timeframe)
    if own_ms == base_ms:
        return bars
    stamps = GENERATED_START_AT + own_ms * np.arange(len(bars), dtype=np.int64)
    return Bars(stamps, bars.open, bars.high, bars.low, bars.close, bars.volume)


def positions_held(trades: Sequence[Trade], n_bars: int) -> FloatArray:
    """Return the side held over each bar, shape (n_bars,): 1 long, -1 short, 0 none."""
    held = np.zeros(n_bars)
    for trade in trades:
        stop = n_bars if trade.exit_bar is None else max(trade.exit_bar, trade.entry_bar + 1)
        held[trade.entry_bar : stop] = trade.side
    return held


def likeness(held: FloatArray, other: FloatArray) -> float:
    """Return the correlation of two position series, in [-1, 1]; NaN when one never changes."""
    if np.ptp(held) == 0.0 or np.ptp(other) == 0.0:
        return float("nan")
    return float(np.corrcoef(held, other)[0, 1])


def nearest(held: FloatArray, known: Mapping[str, FloatArray]) -> tuple[str, float]:
    """Return the id of the most alike strategy and how alike it is; ('', NaN) without any."""
    best_id, best = "", float("nan")
    for strategy_id, other in known.items():
        found = likeness(held, other)
        if not np.isnan(found) and not found <= best:
            best_id, best = strategy_id, found
    return best_id, best
