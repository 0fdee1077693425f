"""Extremes of a window: how high, how long ago, and where the close stands between them."""

from __future__ import annotations

import numpy as np

from engine.strategy.compiled import compiled, read_only
from engine.types import FloatArray


@compiled
def window_highest_nb(values: FloatArray, length: int) -> FloatArray:
    """Return the largest of the last `length` values.

    Spans are doubled until two of them cover the window, so the time grows with log2(length). A
    maximum rounds nothing: any order of comparisons gives the same bits.

    Parameters
    ----------
    values : ndarray of shape (n_bars,), float64, read-only, no NaN
    length : int >= 1

    Returns
    -------
    ndarray of shape (n_bars,), float64, the unit of `values`; NaN for the first length - 1 bars.
    """
    n_bars = values.shape[0]
    highest = np.full(n_bars, np.nan)
    n_windows = n_bars - length + 1
    if n_windows < 1:
        return highest
    best = values.copy()
    spare = np.empty(n_bars)
    span = 1
    while span * 2 <= length:
        ahead = best[span:]
        for i in range(n_bars - span * 2 + 1):
            spare[i] = best[i] if best[i] > ahead[i] else ahead[i]
        best, spare = spare, best
        span *= 2
    part = highest[length - 1 :]
    ahead = best[length - span :]
    for i in range(n_windows):
        part[i] = best[i] if best[i] > ahead[i] else ahead[i]
    return highest


def window_lowest(values: FloatArray, length: int) -> FloatArray:
    """Return the smallest of the last `length` values, exactly as `window_highest_nb` does."""
    lowest: FloatArray = -window_highest_nb(read_only(-values), length)
    return lowest


@compiled
def bars_since_highest_nb(values: FloatArray, length: int) -> FloatArray:
    """Return how many bars ago the largest of the last `length` + 1 values was.

    Of equal values the newest counts, as in TA-Lib.

    Parameters
    ----------
    values : ndarray of shape (n_bars,), float64, read-only, no NaN
    length : int >= 1

    Returns
    -------
    ndarray of shape (n_bars,), float64, whole bars in [0, length]; NaN for the first `length` bars.
    """
    n_bars = values.shape[0]
    since = np.full(n_bars, np.nan)
    # Bars that may still become the highest: their values fall, so the first is the highest now.
    candidates = np.empty(n_bars, dtype=np.int64)
    head = 0
    tail = 0
    for t in range(n_bars):
        while tail > head and values[candidates[tail - 1]] <= values[t]:
            tail -= 1
        candidates[tail] = t
        tail += 1
        if candidates[head] < t - length:
            head += 1
        if t >= length:
            since[t] = t - candidates[head]
    return since


def true_range(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Return the true range: max(high - low, |high - previous close|, |low - previous close|).

    Parameters
    ----------
    high, low, close : ndarray of shape (n_bars,), float64, quote currency

    Returns
    -------
    ndarray of shape (n_bars,), float64, quote currency, >= 0; NaN for the first bar, which has no
    previous close.

    Notes
    -----
    Source: Wilder 1978, New Concepts in Technical Trading Systems.
    """
    widest = np.full(high.shape[0], np.nan)
    if high.shape[0] < 2:
        return widest
    before = close[:-1]
    gap = np.maximum(np.abs(high[1:] - before), np.abs(low[1:] - before))
    np.maximum(high[1:] - low[1:], gap, out=widest[1:])
    return widest


def percent_of_range(distance: FloatArray, spread: FloatArray) -> FloatArray:
    """Return 100 x distance / spread, and 0.0 where the spread is zero, as TA-Lib does.

    Parameters
    ----------
    distance, spread : ndarray of shape (n_bars,), float64, quote currency, |distance| <= spread

    Returns
    -------
    ndarray of shape (n_bars,), float64, percent; NaN where either is.
    """
    share = np.zeros(distance.shape[0])
    np.divide(distance, spread, out=share, where=spread != 0.0)
    share *= 100.0
    return share
