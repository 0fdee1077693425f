"""How sure a Sharpe ratio is: its standard error, its record's length, its autocorrelation.

Sharpe ratios are per period unless a name says annual; kurtosis is non-excess (normal: 3); the
number of returns is `n_bars`. What is undefined is `nan`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from engine.errors import NonFiniteError
from engine.types import FloatArray


def per_period(sharpe_annual: float, periods_per_year: float) -> float:
    """Return an annual Sharpe ratio per period: divided by the root of the periods a year."""
    return sharpe_annual / math.sqrt(periods_per_year)


def annual(sharpe: float, periods_per_year: float) -> float:
    """Return a Sharpe ratio per period as an annual one."""
    return sharpe * math.sqrt(periods_per_year)


def sharpe_standard_error(
    sharpe: float, n_bars: float, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the standard deviation of an estimated Sharpe ratio, per period.

    Returns
    -------
    float >= 0; nan with fewer than two returns or moments that no distribution has.

    Notes
    -----
    sqrt((1 - g3·SR + (g4 - 1)/4·SR²) / (n - 1)). Source: Mertens (2002); Bailey and Lopez de Prado
    (2012), The Sharpe Ratio Efficient Frontier.
    """
    spread = _spread(sharpe, skewness, kurtosis)
    return math.sqrt(spread / (n_bars - 1.0)) if n_bars > 1 and spread >= 0.0 else math.nan


def probabilistic_sharpe(
    sharpe: float,
    n_bars: float,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    benchmark_sharpe: float = 0.0,
) -> float:
    """Return the probability that the true Sharpe ratio exceeds a benchmark.

    Parameters
    ----------
    sharpe, benchmark_sharpe : per period
    n_bars : number of returns
    skewness, kurtosis : of the returns, kurtosis non-excess

    Returns
    -------
    float in [0, 1]; nan where the standard error is undefined or zero.

    Notes
    -----
    Z((SR - SR*) / standard error), Z the normal distribution. Source: Bailey and Lopez de Prado
    (2012); golden case: tests/golden/test_statistics.py.
    """
    error = sharpe_standard_error(sharpe, n_bars, skewness, kurtosis)
    if not error > 0.0:
        return math.nan
    # By erfc, which keeps its digits in the lower tail.
    return 0.5 * math.erfc((benchmark_sharpe - sharpe) / error / math.sqrt(2.0))


def minimum_track_record_length(
    sharpe: float,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    benchmark_sharpe: float = 0.0,
    confidence: float = 0.95,
) -> float:
    """Return how many returns are needed before a Sharpe ratio beats a benchmark for sure enough.

    Parameters
    ----------
    sharpe, benchmark_sharpe : per period
    confidence : in (0, 1); below a half any record is long enough, which answers 1

    Returns
    -------
    float >= 1, bars, a fraction possible; inf where the Sharpe ratio is not above the benchmark: no
    record is long enough. nan where an input is.

    Notes
    -----
    1 + (1 - g3·SR + (g4 - 1)/4·SR²)·(Z(confidence) / (SR - SR*))², Z the normal quantile. Source:
    Bailey and Lopez de Prado (2012); golden case: tests/golden/test_statistics.py.
    """
    excess = sharpe - benchmark_sharpe
    spread = _spread(sharpe, skewness, kurtosis)
    if not 0.0 < confidence < 1.0 or math.isnan(excess) or not spread >= 0.0:
        return math.nan
    if excess <= 0.0:
        return math.inf
    quantile = max(0.0, NormalDist().inv_cdf(confidence))
    return 1.0 + spread * (quantile / excess) ** 2


def autocorrelations(returns: FloatArray, n_lags: int) -> FloatArray:
    """Return the autocorrelations at lags 1 to `n_lags`.

    Returns
    -------
    ndarray of shape (n_lags,), in [-1, 1], divisor n at every lag; 0.0 beyond the sample, nan when
    nothing varies.

    Raises
    ------
    NonFiniteError : a return that is not finite.
    """
    centred = _finite(returns) - np.mean(returns) if returns.shape[0] else returns
    total = float(centred @ centred) if returns.shape[0] else 0.0
    if _is_flat(returns, total):
        return np.full(n_lags, math.nan)
    out = np.zeros(n_lags)
    for lag in range(1, min(n_lags, returns.shape[0] - 1) + 1):
        out[lag - 1] = float(centred[lag:] @ centred[:-lag]) / total
    return out


def annualisation_factor(correlations: Sequence[float] | FloatArray, periods: float) -> float:
    """Return what a Sharpe ratio per period is multiplied by when returns are autocorrelated.

    Parameters
    ----------
    correlations : autocorrelation at lags 1, 2, …; those not given are zero
    periods : q, how many periods are joined, >= 1

    Returns
    -------
    float > 0, the root of q without autocorrelation; nan where the variance would not be positive.

    Notes
    -----
    q / sqrt(q + 2·sum((q - k)·rho_k)), k below q. Source: Lo (2002), The Statistics of Sharpe
    Ratios.
    """
    rho = np.asarray(correlations, dtype=np.float64)
    lags = np.arange(1, rho.shape[0] + 1)
    weights = np.maximum(periods - lags, 0.0)
    variance = periods + 2.0 * float(weights @ rho)
    return periods / math.sqrt(variance) if variance > 0.0 else math.nan


def first_order_annualisation_factor(correlation: float, periods: float) -> float:
    """Return the factor for returns whose autocorrelation decays as an AR(1).

    The ledger keeps the first autocorrelation alone; this needs no more.

    Notes
    -----
    sqrt(q / (1 + 2·r/(1 - r)·(1 - (1 - r^q)/(q·(1 - r))))); nan where |r| >= 1. Source: Lo (2002).
    """
    if not abs(correlation) < 1.0:
        return math.nan
    decay = (1.0 - correlation**periods) / (periods * (1.0 - correlation))
    inflation = 1.0 + 2.0 * correlation / (1.0 - correlation) * (1.0 - decay)
    return math.sqrt(periods / inflation) if inflation > 0.0 else math.nan


def autocorrelation_corrected_sharpe(
    returns: FloatArray, periods_per_year: float, n_lags: int | None = None
) -> float:
    """Return the annual Sharpe ratio corrected for autocorrelation.

    Parameters
    ----------
    returns : ndarray of shape (n_bars,), fraction, one a period
    n_lags : autocorrelations used; None takes floor(4·(n/100)^(2/9)) as Newey and West (1994) do

    Returns
    -------
    float; nan with fewer than two returns, when nothing varies, or when the correlations leave no
    positive variance.

    Notes
    -----
    A year of small bars has more lags than there are returns to estimate them from: those beyond
    `n_lags` are taken as zero. Source: Lo (2002).
    """
    n_bars = returns.shape[0]
    if n_bars < 2:
        return math.nan
    lags = int(4.0 * (n_bars / 100.0) ** (2.0 / 9.0)) if n_lags is None else n_lags
    rho = autocorrelations(returns, lags)
    centred = returns - np.mean(returns)
    if _is_flat(returns, float(centred @ centred)):
        return math.nan
    factor = annualisation_factor(rho, periods_per_year)
    return float(np.mean(returns)) / float(np.std(returns, ddof=1)) * factor


def _spread(sharpe: float, skewness: float, kurtosis: float) -> float:
    return 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2


def _is_flat(returns: FloatArray, squares: float) -> bool:
    # Subtracting the mean of equal numbers leaves rounding, not variation.
    return squares <= 1e-24 * float(returns @ returns) or squares == 0.0


def _finite(returns: FloatArray) -> FloatArray:
    if not np.all(np.isfinite(returns)):
        raise NonFiniteError("returns hold a value that is not finite: leave that bar out")
    return returns
