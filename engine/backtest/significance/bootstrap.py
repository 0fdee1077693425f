"""Bands around a statistic of returns, by the stationary bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.backtest.significance.sharpe_ratio import autocorrelations
from engine.errors import DataError, NonFiniteError, UsageError
from engine.types import FloatArray, IntArray

Statistic = Callable[[FloatArray], FloatArray]
"""From returns of shape (n_resamples, n_bars) to values of shape (n_resamples,)."""

_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True)
class Band:
    """An estimate with its band.

    Attributes
    ----------
    low, high : quantiles of the resampled statistic, leaving (1 - confidence) / 2 on either side
    estimate : the statistic of the returns themselves
    confidence : in (0, 1)
    block_bars : mean length of a block
    n_resamples : how many of them had a defined statistic
    """

    low: float
    estimate: float
    high: float
    confidence: float
    block_bars: float
    n_resamples: int


def stationary_indices(
    n_bars: int, block_bars: float, n_resamples: int, rng: np.random.Generator
) -> IntArray:
    """Return bar indices of resampled histories: blocks of geometric length, wrapped around.

    Parameters
    ----------
    block_bars : mean length of a block, >= 1

    Returns
    -------
    ndarray of shape (n_resamples, n_bars), in 0 … n_bars - 1.

    Notes
    -----
    Source: Politis and Romano (1994), The Stationary Bootstrap.
    """
    if n_bars < 1 or not block_bars >= 1.0:
        raise UsageError(
            f"blocks of {block_bars} bars cannot resample {n_bars} bars: use 1 or more"
        )
    starts = rng.integers(0, n_bars, size=(n_resamples, n_bars))
    is_new = rng.random((n_resamples, n_bars)) < 1.0 / block_bars
    is_new[:, 0] = True
    at = np.arange(n_bars)
    began_at = np.maximum.accumulate(np.where(is_new, at, 0), axis=1)
    indices: IntArray = (np.take_along_axis(starts, began_at, axis=1) + at - began_at) % n_bars
    return indices


def automatic_block_bars(returns: FloatArray) -> float:
    """Return the mean block length that suits the autocorrelation of the returns.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,), finite

    Returns
    -------
    float in [1, min(3·sqrt(n), n/3)] (at least 1), bars; 1.0 when nothing varies.

    Notes
    -----
    Source: Politis and White (2004), Automatic Block-Length Selection for the Dependent Bootstrap,
    with the correction of Patton, Politis and White (2009).
    """
    n_bars = returns.shape[0]
    if n_bars < 8:
        return 1.0
    in_a_row = max(5, math.ceil(math.sqrt(math.log10(n_bars))))
    most = math.ceil(math.sqrt(n_bars)) + in_a_row
    rho = autocorrelations(returns, min(most + in_a_row, n_bars - 1))
    if math.isnan(rho[0]):
        return 1.0
    small = np.abs(rho) < 2.0 * math.sqrt(math.log10(n_bars) / n_bars)
    lags = np.arange(1, min(2 * _last_correlated_lag(small, in_a_row), most, rho.shape[0]) + 1)
    if lags.shape[0] == 0:
        return 1.0
    # Trapezoidal lag window: 1 up to half of the last lag, then falling to 0.
    window = np.minimum(1.0, 2.0 * (1.0 - lags / lags.shape[0]))
    weighted = window * rho[: lags.shape[0]]
    slope = 2.0 * float(weighted @ lags)
    spectrum = 1.0 + 2.0 * float(np.sum(weighted))
    if spectrum == 0.0:
        return 1.0
    block = (n_bars * (slope / spectrum) ** 2) ** (1.0 / 3.0)
    return float(min(max(1.0, block), max(1.0, min(3.0 * math.sqrt(n_bars), n_bars / 3.0))))


def bootstrap_band(
    returns: FloatArray,
    statistic: Statistic,
    rng: np.random.Generator,
    n_resamples: int = 1000,
    confidence: float = 0.90,
    block_bars: float | None = None,
) -> Band:
    """Return a statistic of returns with its percentile band.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,), fraction, finite
    statistic : see `Statistic`; `resampled_sharpe` is one
    block_bars : mean block length; None chooses it by `automatic_block_bars`

    Returns
    -------
    Band; low and high are nan when no resample has a defined statistic.

    Raises
    ------
    DataError : no returns.
    NonFiniteError : a return that is not finite.
    UsageError : a confidence outside (0, 1).
    """
    _check(returns, confidence)
    block = automatic_block_bars(returns) if block_bars is None else block_bars
    values = np.concatenate(
        [statistic(sample) for sample in _resamples(returns, block, n_resamples, rng)]
    )
    defined = values[~np.isnan(values)]
    low, high = _quantiles(defined, confidence) if defined.shape[0] else (math.nan, math.nan)
    estimate = float(statistic(returns[None, :])[0])
    return Band(low, estimate, high, confidence, block, int(defined.shape[0]))


def equity_band(
    returns: FloatArray,
    rng: np.random.Generator,
    n_resamples: int = 500,
    confidence: float = 0.90,
    block_bars: float | None = None,
    n_points: int = 200,
) -> tuple[IntArray, FloatArray]:
    """Return how far the equity of the same returns in another order and mix could have gone.

    Returns
    -------
    bars : ndarray of shape (n_points,), how many bars have passed, first 0 and last n_bars
    growth : ndarray of shape (3, n_points), low, median and high, equity over its start, >= 0
    """
    _check(returns, confidence)
    block = automatic_block_bars(returns) if block_bars is None else block_bars
    at = np.unique(np.linspace(0, returns.shape[0], n_points).astype(np.int64))
    paths = []
    for sample in _resamples(returns, block, n_resamples, rng):
        equity = np.cumprod(np.maximum(1.0 + sample, 0.0), axis=1)
        paths.append(np.concatenate((np.ones((sample.shape[0], 1)), equity), axis=1)[:, at])
    tail = (1.0 - confidence) / 2.0
    return at, np.quantile(np.concatenate(paths), [tail, 0.5, 1.0 - tail], axis=0)


def resampled_sharpe(periods_per_year: float) -> Statistic:
    """Return the statistic that is the annual Sharpe ratio; nan where nothing varies."""

    def statistic(returns: FloatArray) -> FloatArray:
        std = np.std(returns, axis=1, ddof=1) if returns.shape[1] > 1 else np.zeros(len(returns))
        out = np.full(returns.shape[0], math.nan)
        mean = np.mean(returns, axis=1)
        np.divide(mean * math.sqrt(periods_per_year), std, out=out, where=std > 1e-12 * abs(mean))
        return out

    return statistic


def _resamples(
    returns: FloatArray, block_bars: float, n_resamples: int, rng: np.random.Generator
) -> Iterator[FloatArray]:
    # A year of small bars times a thousand resamples does not fit into memory at once.
    step = max(1, _CELLS_AT_ONCE // returns.shape[0])
    for first in range(0, n_resamples, step):
        count = min(step, n_resamples - first)
        yield returns[stationary_indices(returns.shape[0], block_bars, count, rng)]


def _last_correlated_lag(small: np.ndarray, in_a_row: int) -> int:
    """Return the smallest m so that lags m + 1 … m + in_a_row are all insignificant."""
    run = 0
    for lag, is_small in enumerate(small, start=1):
        run = run + 1 if is_small else 0
        if run == in_a_row:
            return lag - in_a_row
    significant = np.flatnonzero(~small)
    return int(significant[-1]) + 1 if significant.shape[0] else 0


def _quantiles(values: FloatArray, confidence: float) -> tuple[float, float]:
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


def _check(returns: FloatArray, confidence: float) -> None:
    if returns.shape[0] == 0:
        raise DataError("there are no returns to resample: widen the window")
    if not np.all(np.isfinite(returns)):
        raise NonFiniteError("returns hold a value that is not finite: leave that bar out")
    if not 0.0 < confidence < 1.0:
        raise UsageError(f"a confidence of {confidence} is not between 0 and 1")
