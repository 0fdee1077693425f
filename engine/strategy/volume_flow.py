"""What volume says: on-balance volume, money flow, volume-weighted price."""

from __future__ import annotations

import numpy as np

from engine.strategy.averages import window_sum_nb
from engine.strategy.compiled import compiled, read_only
from engine.types import MS_PER_DAY, FloatArray, IntArray

TIE_FRAC = 1e-14
"""Typical prices that differ by no more than this fraction of their sum are equal: thirds carry
rounding, and rounding must not decide which way money flows. TA-Lib 0.8 draws the same line."""


def typical_price(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Return (high + low + close) / 3, added in that order; quote currency."""
    typical: FloatArray = (high + low + close) / 3.0
    return typical


def on_balance_volume(close: FloatArray, volume: FloatArray) -> FloatArray:
    """Return the volume added on rising and taken off on falling closes, from the first bar on.

    Parameters
    ----------
    close : ndarray of shape (n_bars,), float64, quote currency
    volume : ndarray of shape (n_bars,), float64, base units, >= 0

    Returns
    -------
    ndarray of shape (n_bars,), float64, base units, signed; the first bar's is its volume, as in
    TA-Lib. The level depends on where the series begins; only its changes mean anything.

    Notes
    -----
    Source: Granville 1963, New Key to Stock Market Profits.
    """
    signed_volume = volume.copy()
    signed_volume[1:] *= np.sign(close[1:] - close[:-1])
    # An accumulation adds strictly left to right, unlike a sum, which may pair terms.
    return np.add.accumulate(signed_volume)


def money_flow_index(typical: FloatArray, volume: FloatArray, length: int) -> FloatArray:
    """Return the money flow index: 100 x inflow / (inflow + outflow).

    Both are sums over the last `length` changes of the typical price, oldest first. A bar's flow is
    typical x volume; it counts as inflow when the typical price rose, as outflow when it fell, and
    not at all when it stayed, give or take a rounding (`TIE_FRAC`).

    Parameters
    ----------
    typical : ndarray of shape (n_bars,), float64, quote currency
    volume : ndarray of shape (n_bars,), float64, base units, >= 0
    length : int >= 1

    Returns
    -------
    ndarray of shape (n_bars,), float64, in [0, 100]; NaN for the first `length` bars; 0.0 where
    nothing flowed.

    Notes
    -----
    Source: Quong and Soudack 1989, Technical Analysis of Stocks & Commodities 7(3).
    """
    flow = typical * volume
    inflow = np.full(flow.shape[0], np.nan)
    outflow = np.full(flow.shape[0], np.nan)
    change = typical[1:] - typical[:-1]
    tie = TIE_FRAC * (typical[1:] + typical[:-1])
    inflow[1:] = np.where(change > tie, flow[1:], 0.0)
    outflow[1:] = np.where(change < -tie, flow[1:], 0.0)
    bought = window_sum_nb(read_only(inflow), length)
    total = bought + window_sum_nb(read_only(outflow), length)
    index = np.where(np.isnan(total), np.nan, 0.0)
    np.divide(bought, total, out=index, where=total > 0.0)
    index *= 100.0
    return index


@compiled
def day_vwap_nb(timestamp_ms: IntArray, typical: FloatArray, volume: FloatArray) -> FloatArray:
    """Return sum(typical x volume) / sum(volume) since the UTC day began.

    Parameters
    ----------
    timestamp_ms : ndarray of shape (n_bars,), int64, UTC ms of the bar's open, increasing,
    read-only
    typical : ndarray of shape (n_bars,), float64, quote currency, read-only
    volume : ndarray of shape (n_bars,), float64, base units, >= 0, read-only

    Returns
    -------
    ndarray of shape (n_bars,), float64, quote currency; NaN while the day has no volume. The day in
    which the series begins counts from the first bar.

    Notes
    -----
    Source: Berkowitz, Logue, Noser 1988, The Total Cost of Transactions on the NYSE.
    """
    n_bars = timestamp_ms.shape[0]
    vwap = np.full(n_bars, np.nan)
    day = np.int64(-1)
    turnover = 0.0
    traded = 0.0
    for t in range(n_bars):
        today = timestamp_ms[t] // MS_PER_DAY
        if t == 0 or today != day:
            day = today
            turnover = 0.0
            traded = 0.0
        turnover += typical[t] * volume[t]
        traded += volume[t]
        if traded > 0.0:
            vwap[t] = turnover / traded
    return vwap
