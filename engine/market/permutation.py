"""A market without memory: the same bars in another order, in which nothing can be found."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from engine.errors import DataError
from engine.types import Bars, IntArray


def on_shared_opens(series: Mapping[str, Bars]) -> dict[str, Bars]:
    """Return every symbol's bars at the opens that all symbols have.

    Raises
    ------
    DataError : there is no such open.
    """
    shared = reduce(
        lambda a, b: np.intersect1d(a, b, assume_unique=True),
        (bars.timestamp for bars in series.values()),
    )
    if shared.shape[0] == 0:
        raise DataError("the series have no bar in common, so they cannot be permuted jointly")
    return {symbol: _kept(bars, shared) for symbol, bars in series.items()}


def permute_bars(series: Mapping[str, Bars], seed: int) -> dict[str, Bars]:
    """Return every symbol's bars in one shared random order, chained into new prices.

    Parameters
    ----------
    series : bars by symbol; only the opens that all of them have take part
    seed : of the order

    Returns
    -------
    dict of symbol to Bars : the same timestamps, the same multiset of whole bars (gap from the
        close before, and high, low and close relative to the open, with their volume), the same
        first open and, up to rounding, the same last close. Symbols stay as alike as they were.

    Raises
    ------
    DataError : no open that all of them have.
    """
    shared = on_shared_opens(series)
    n_bars = len(next(iter(shared.values())))
    order = np.random.default_rng(seed).permutation(n_bars)
    return {symbol: _permuted(bars, order) for symbol, bars in shared.items()}


def _kept(bars: Bars, shared: IntArray) -> Bars:
    kept = np.isin(bars.timestamp, shared, assume_unique=True)
    if bool(np.all(kept)):
        return bars
    return Bars(
        bars.timestamp[kept],
        bars.open[kept],
        bars.high[kept],
        bars.low[kept],
        bars.close[kept],
        bars.volume[kept],
    )


def _permuted(bars: Bars, order: IntArray) -> Bars:
    before = np.concatenate((bars.open[:1], bars.close[:-1]))
    gap = np.log(bars.open / before)[order]
    body = np.log(bars.close / bars.open)[order]
    up, down = (bars.high / bars.open)[order], (bars.low / bars.open)[order]
    steps = np.cumsum(gap + body)
    new_close = bars.open[0] * np.exp(steps)
    new_open = bars.open[0] * np.exp(steps - body)
    # Rounding may put an extreme a hair inside the body.
    new_high = np.maximum(new_open * up, np.maximum(new_open, new_close))
    new_low = np.minimum(new_open * down, np.minimum(new_open, new_close))
    return Bars(
        timestamp=bars.timestamp,
        open=new_open,
        high=new_high,
        low=new_low,
        close=new_close,
        volume=bars.volume[order],
    )
