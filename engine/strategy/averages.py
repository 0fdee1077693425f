"""Means, sums and deviations over a window, and exponential smoothing.

Window values are worked out from the window alone, oldest bar first, so they never drift and depend
on nothing before the window. The loops run over the age of a bar outside and over bars inside:
every bar still adds its window in the same order, and the inner loop is as wide as the processor
allows. NaN in a window makes that window's value NaN.
"""

from __future__ import annotations

import numpy as np

from engine.strategy.compiled import compiled
from engine.types import FloatArray

# Values worked on at a time: three columns of them stay in the first-level cache.
_BLOCK = 1024


@compiled
def window_sum_nb(values: FloatArray, length: int) -> FloatArray:
    """Return the sum of the last `length` values, added oldest first.

    Parameters
    ----------
    values : ndarray of shape (n_bars,), float64, read-only
    length : int >= 1

    Returns
    -------
    ndarray of shape (n_bars,), float64, the unit of `values`; NaN for the first length - 1 bars.
    """
    n_bars = values.shape[0]
    total = np.full(n_bars, np.nan)
    n_windows = n_bars - length + 1
    for begin in range(0, n_windows, _BLOCK):
        end = min(begin + _BLOCK, n_windows)
        part = total[begin + length - 1 : end + length - 1]
        part[:] = 0.0
        for age in range(length):
            later = values[begin + age : end + age]
            for i in range(end - begin):
                part[i] += later[i]
    return total


@compiled
def window_mean_nb(values: FloatArray, length: int) -> FloatArray:
    """Return the mean of the last `length` values.

    Worked out as oldest + sum(value - oldest) / length, oldest first: the mean of equal values is
    then exactly that value, which sum / length misses by a rounding, and a flat market must not
    look like a price above its average.

    Parameters
    ----------
    values : ndarray of shape (n_bars,), float64, read-only
    length : int >= 1

    Returns
    -------
    ndarray of shape (n_bars,), float64, the unit of `values`; NaN for the first length - 1 bars.
    """
    n_bars = values.shape[0]
    mean = np.full(n_bars, np.nan)
    n_windows = n_bars - length + 1
    excess = np.empty(min(_BLOCK, max(n_windows, 0)))
    for begin in range(0, n_windows, _BLOCK):
        end = min(begin + _BLOCK, n_windows)
        oldest = values[begin:end]
        excess[:] = 0.0
        for age in range(1, length):
            later = values[begin + age : end + age]
            for i in range(end - begin):
                excess[i] += later[i] - oldest[i]
        part = mean[begin + length - 1 : end + length - 1]
        for i in range(end - begin):
            part[i] = oldest[i] + excess[i] / length
    return mean


@compiled
def window_deviation_nb(values: FloatArray, mean: FloatArray, length: int) -> FloatArray:
    """Return the population standard deviation (ddof 0) of the last `length` values around `mean`.

    Second pass of two: squared deviations from the window's own mean, oldest first. It avoids the
    cancellation of mean(x^2) - mean(x)^2 (Chan, Golub, LeVeque 1983).

    Parameters
    ----------
    values, mean : ndarray of shape (n_bars,), float64, read-only; `mean` from `window_mean_nb`
    length : int >= 1

    Returns
    -------
    ndarray of shape (n_bars,), float64, >= 0; exactly 0.0 for equal values; NaN for the first
    length - 1 bars.
    """
    n_bars = values.shape[0]
    deviation = np.full(n_bars, np.nan)
    n_windows = n_bars - length + 1
    for begin in range(0, n_windows, _BLOCK):
        end = min(begin + _BLOCK, n_windows)
        centre = mean[begin + length - 1 : end + length - 1]
        part = deviation[begin + length - 1 : end + length - 1]
        part[:] = 0.0
        for age in range(length):
            later = values[begin + age : end + age]
            for i in range(end - begin):
                distance = later[i] - centre[i]
                part[i] += distance * distance
        for i in range(end - begin):
            part[i] = np.sqrt(part[i] / length)
    return deviation


@compiled
def window_mean_deviation_nb(values: FloatArray, mean: FloatArray, length: int) -> FloatArray:
    """Return the mean absolute deviation of the last `length` values around `mean`.

    Parameters
    ----------
    values, mean : ndarray of shape (n_bars,), float64, read-only; `mean` from `window_mean_nb`
    length : int >= 1

    Returns
    -------
    ndarray of shape (n_bars,), float64, >= 0; exactly 0.0 for equal values; NaN for the first
    length - 1 bars.
    """
    n_bars = values.shape[0]
    deviation = np.full(n_bars, np.nan)
    n_windows = n_bars - length + 1
    for begin in range(0, n_windows, _BLOCK):
        end = min(begin + _BLOCK, n_windows)
        centre = mean[begin + length - 1 : end + length - 1]
        part = deviation[begin + length - 1 : end + length - 1]
        part[:] = 0.0
        for age in range(length):
            later = values[begin + age : end + age]
            for i in range(end - begin):
                part[i] += abs(later[i] - centre[i])
        for i in range(end - begin):
            part[i] /= length
    return deviation


@compiled
def smoothed_nb(values: FloatArray, start: int, length: int, weight: float) -> FloatArray:
    """Return an exponentially smoothed column: s += (value - s) x weight.

    The seed, at bar start + length - 1, is the mean of the `length` values from `start` on
    (TA-Lib's seed). A weight of 2 / (length + 1) is the EMA; 1 / length is Wilder's smoothing
    (1978), usually written (s x (length - 1) + value) / length.

    Parameters
    ----------
    values : ndarray of shape (n_bars,), float64, read-only, defined from `start` on
    start : int >= 0, the first bar that enters the seed
    length : int >= 1
    weight : float in (0, 1]

    Returns
    -------
    ndarray of shape (n_bars,), float64, the unit of `values`; NaN before the seed.
    """
    n_bars = values.shape[0]
    smooth = np.full(n_bars, np.nan)
    first = start + length - 1
    if first >= n_bars:
        return smooth
    oldest = values[start]
    excess = 0.0
    for i in range(start + 1, first + 1):
        excess += values[i] - oldest
    level = oldest + excess / length
    smooth[first] = level
    for i in range(first + 1, n_bars):
        level += (values[i] - level) * weight
        smooth[i] = level
    return smooth


@compiled
def _seeded_nb(values: FloatArray, length: int, weight: float, stop: int, out: FloatArray) -> float:
    """Write an EMA's bars before `stop`, NaN before its seed; return its last level."""
    first = length - 1
    out[:first] = np.nan
    oldest = values[0]
    excess = 0.0
    for i in range(1, first + 1):
        excess += values[i] - oldest
    level: float = oldest + excess / length
    out[first] = level
    for i in range(first + 1, stop):
        level += (values[i] - level) * weight
        out[i] = level
    return level


@compiled
def four_emas_nb(
    values: FloatArray,
    lengths: tuple[int, int, int, int],
    one: FloatArray,
    two: FloatArray,
    three: FloatArray,
    four: FloatArray,
) -> None:
    """Write four EMAs side by side: each waits for its own last step, not for the others'.

    The arithmetic of each, and so its bits, is that of `smoothed_nb` with weight 2 / (length + 1).

    Parameters
    ----------
    values : ndarray of shape (n_bars,), float64, read-only
    lengths : int >= 1, each <= n_bars
    one, two, three, four : ndarray of shape (n_bars,), overwritten
    """
    stop = max(max(lengths[0], lengths[1]), max(lengths[2], lengths[3]))
    u = 2.0 / (lengths[0] + 1)
    v = 2.0 / (lengths[1] + 1)
    w = 2.0 / (lengths[2] + 1)
    x = 2.0 / (lengths[3] + 1)
    a = _seeded_nb(values, lengths[0], u, stop, one)
    b = _seeded_nb(values, lengths[1], v, stop, two)
    c = _seeded_nb(values, lengths[2], w, stop, three)
    d = _seeded_nb(values, lengths[3], x, stop, four)
    for i in range(stop, values.shape[0]):
        value = values[i]
        a += (value - a) * u
        b += (value - b) * v
        c += (value - c) * w
        d += (value - d) * x
        one[i] = a
        two[i] = b
        three[i] = c
        four[i] = d
