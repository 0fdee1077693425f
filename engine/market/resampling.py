"""Longer bars from shorter ones, and which long bar a short one may see."""

from __future__ import annotations

import numpy as np

from engine.errors import DataError
from engine.types import Bars, IntArray, timeframe_ms


def resample(bars: Bars, from_timeframe: str, to_timeframe: str) -> Bars:
    """Build bars of a longer timeframe, aligned to the UTC epoch.

    Parameters
    ----------
    bars : Bars
        Sorted, on the grid of `from_timeframe`.
    from_timeframe, to_timeframe : str
        The second must be a whole multiple of the first; equal ones return `bars` itself.

    Returns
    -------
    Bars : open of the first, highest high, lowest low, close of the last, and summed volume of the
        bars inside each bucket.

    Raises
    ------
    DataError : the longer timeframe is not a multiple of the shorter.

    Notes
    -----
    A bucket is kept only when the series covers it in time: it starts at or after the open of the
    first bar and ends at or before the close of the last one. So neither end ever holds half a
    bucket, and later bars never change a bucket already returned. Inside the series a bucket with
    missing bars is built from those that exist; one without any bar stays a gap.
    """
    step_ms = timeframe_ms(from_timeframe)
    bucket_ms = timeframe_ms(to_timeframe)
    if bucket_ms % step_ms != 0:
        raise DataError(
            f"{to_timeframe} bars cannot be built from {from_timeframe} bars: "
            "ask for a whole multiple, or fetch that timeframe",
            from_timeframe=from_timeframe,
            to_timeframe=to_timeframe,
        )
    if bucket_ms == step_ms or len(bars) == 0:
        return bars
    first_at = int(bars.timestamp[0])
    covered_to_at = int(bars.timestamp[-1]) + step_ms
    from_at = -(-first_at // bucket_ms) * bucket_ms
    to_at = covered_to_at // bucket_ms * bucket_ms
    start, stop = np.searchsorted(bars.timestamp, [from_at, max(from_at, to_at)])
    part = bars.slice(int(start), int(stop))
    if len(part) == 0:
        return part
    buckets = part.timestamp // bucket_ms
    starts = np.concatenate(([0], np.flatnonzero(np.diff(buckets)) + 1))
    lasts = np.concatenate((starts[1:], [len(part)])) - 1
    return Bars(
        timestamp=buckets[starts] * bucket_ms,
        open=part.open[starts],
        high=np.maximum.reduceat(part.high, starts),
        low=np.minimum.reduceat(part.low, starts),
        close=part.close[lasts],
        volume=np.add.reduceat(part.volume, starts),
    )


def last_closed_index(
    base_timestamp: IntArray,
    base_timeframe: str,
    higher_timestamp: IntArray,
    higher_timeframe: str,
) -> IntArray:
    """Return, for each base bar, the last higher-timeframe bar closed by its close.

    Parameters
    ----------
    base_timestamp : ndarray of shape (n_bars,), int64, UTC ms, bar opens, sorted
    base_timeframe : str
    higher_timestamp : ndarray of shape (n_higher,), int64, UTC ms, bar opens, sorted
    higher_timeframe : str

    Returns
    -------
    ndarray of shape (n_bars,), int64, in [-1, n_higher): -1 where none has closed yet. A decision
    at the close of base bar t may read higher bars up to this index and none after it.
    """
    closes = base_timestamp + timeframe_ms(base_timeframe)
    higher_closes = higher_timestamp + timeframe_ms(higher_timeframe)
    found = np.searchsorted(higher_closes, closes, side="right") - 1
    return found.astype(np.int64)
