"""Relative strength and directional movement.

Source of both: Wilder 1978, New Concepts in Technical Trading Systems.
"""

from __future__ import annotations

import numpy as np

from engine.strategy.compiled import compiled
from engine.types import FloatArray


@compiled
def relative_strength_nb(close: FloatArray, length: int) -> FloatArray:
    """Return Wilder's RSI: 100 x gain / (gain + loss), both smoothed with weight 1 / length.

    The seed, at bar `length`, is the mean of the first `length` gains and of the first `length`
    losses.

    Parameters
    ----------
    close : ndarray of shape (n_bars,), float64, quote currency, read-only
    length : int >= 1

    Returns
    -------
    ndarray of shape (n_bars,), float64, in [0, 100]; NaN for the first `length` bars; 0.0, as in
    TA-Lib, while the close has never moved. After moves a flat close leaves it where it was.
    """
    n_bars = close.shape[0]
    index = np.full(n_bars, np.nan)
    if n_bars <= length:
        return index
    gain = 0.0
    loss = 0.0
    for t in range(1, length + 1):
        change = close[t] - close[t - 1]
        gain += change if change > 0.0 else 0.0
        loss += -change if change < 0.0 else 0.0
    gain /= length
    loss /= length
    weight = 1.0 / length
    index[length] = 100.0 * (gain / (gain + loss)) if gain + loss > 0.0 else 0.0
    for t in range(length + 1, n_bars):
        change = close[t] - close[t - 1]
        gain += ((change if change > 0.0 else 0.0) - gain) * weight
        loss += ((-change if change < 0.0 else 0.0) - loss) * weight
        index[t] = 100.0 * (gain / (gain + loss)) if gain + loss > 0.0 else 0.0
    return index


@compiled
def directional_nb(
    high: FloatArray, low: FloatArray, true_range: FloatArray, length: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return Wilder's directional lines and their index: ADX, +DI, -DI.

    Up movement is high - previous high where that is positive and exceeds previous low - low, else
    0; down movement mirrors it. Both and the true range are Wilder sums, s += x - s / length, begun
    as plain sums of bars 1 to length - 1 (TA-Lib's start). DI = 100 x movement / true range; DX =
    100 x |+DI - -DI| / (+DI + -DI); ADX, at bar 2 x length - 1, is the mean of the first `length`
    DX and from then on smoothed with weight 1 / length.

    Parameters
    ----------
    high, low, true_range : ndarray of shape (n_bars,), float64, quote currency, read-only
    length : int >= 2

    Returns
    -------
    adx, plus_di, minus_di : ndarray of shape (n_bars,), float64, in [0, 100] up to rounding
        NaN before bar 2 x length - 1 (ADX) and before bar `length` (DI). Where the smoothed true
        range is zero both DI are 0.0; where both DI are zero, ADX keeps its value, and such a bar
        adds 0 to ADX's first mean (TA-Lib).
    """
    n_bars = high.shape[0]
    adx = np.full(n_bars, np.nan)
    plus_di = np.full(n_bars, np.nan)
    minus_di = np.full(n_bars, np.nan)
    weight = 1.0 / length
    up_sum = 0.0
    down_sum = 0.0
    range_sum = 0.0
    index = 0.0
    for t in range(1, n_bars):
        up = high[t] - high[t - 1]
        down = low[t - 1] - low[t]
        up_move = up if up > 0.0 and up > down else 0.0
        down_move = down if down > 0.0 and down > up else 0.0
        if t < length:
            up_sum += up_move
            down_sum += down_move
            range_sum += true_range[t]
            continue
        up_sum = up_sum - up_sum * weight + up_move
        down_sum = down_sum - down_sum * weight + down_move
        range_sum = range_sum - range_sum * weight + true_range[t]
        plus = 100.0 * (up_sum / range_sum) if range_sum > 0.0 else 0.0
        minus = 100.0 * (down_sum / range_sum) if range_sum > 0.0 else 0.0
        plus_di[t] = plus
        minus_di[t] = minus
        moved = plus + minus > 0.0
        strength = 100.0 * (abs(plus - minus) / (plus + minus)) if moved else 0.0
        if t < 2 * length:
            index += strength
            if t == 2 * length - 1:
                index /= length
                adx[t] = index
        else:
            if moved:
                index += (strength - index) * weight
            adx[t] = index
    return adx, plus_di, minus_di
