"""What the open book may lose in a day: value at risk and expected shortfall.

A loss is positive. Both are read off a list of outcomes, either those of past days (historical) or
those of drawn ones (Monte Carlo).
"""

from __future__ import annotations

import math

import numpy as np

from engine.errors import DataError, NonFiniteError, UsageError
from engine.types import FloatArray


def worst_outcomes(
    returns: FloatArray, held: FloatArray, buys: FloatArray, sells: FloatArray
) -> FloatArray:
    """Return the gain of a book in each outcome, if its open orders fill wherever that hurts.

    Parameters
    ----------
    returns : ndarray of shape (n_outcomes, n_symbols), fraction, finite
    held : ndarray of shape (n_symbols,), notional, signed
    buys, sells : ndarray of shape (n_symbols,), notional of open orders, >= 0

    Returns
    -------
    ndarray of shape (n_outcomes,), in the unit of the notional. In each outcome an order counts
    only where it loses, so that no choice of fills, whole or partial, has a worse quantile.
    """
    gain = returns @ held
    for column in np.flatnonzero(buys):
        gain += np.minimum(returns[:, column], 0.0) * buys[column]
    for column in np.flatnonzero(sells):
        gain -= np.maximum(returns[:, column], 0.0) * sells[column]
    return gain


def value_at_risk(gains: FloatArray, confidence: float) -> float:
    """Return the loss that outcomes exceed with a probability of 1 - confidence.

    Parameters
    ----------
    gains : ndarray of shape (n_outcomes,), finite
    confidence : in (0, 1)

    Returns
    -------
    float, in the unit of the gains: minus their (1 - confidence) quantile, linear between order
    statistics (as `engine.backtest.metrics.value_at_risk`); negative when even that outcome gains;
    nan without outcomes.

    Raises
    ------
    NonFiniteError : a gain that is not finite.
    UsageError : a confidence out of range.

    Notes
    -----
    Source: Hyndman and Fan (1996), Sample Quantiles in Statistical Packages, definition 7.
    """
    _check_confidence(confidence)
    n_outcomes = gains.shape[0]
    if not n_outcomes:
        return math.nan
    position = (1.0 - confidence) * (n_outcomes - 1)
    below = min(math.floor(position), n_outcomes - 1)
    above = min(below + 1, n_outcomes - 1)
    # Without the sort of a whole quantile: this is asked before every order.
    ordered = np.partition(gains, (below, above))
    low, high = float(ordered[below]), float(ordered[above])
    loss: float = -(low + (position - below) * (high - low))
    if not math.isfinite(loss) or not np.all(np.isfinite(gains)):
        raise NonFiniteError("value at risk needs finite outcomes")
    return loss


def expected_shortfall(gains: FloatArray, confidence: float) -> float:
    """Return the mean loss of the worst (1 - confidence) share of the outcomes.

    Returns
    -------
    float, in the unit of the gains, at least the value at risk but for the interpolation of the
    latter; nan without outcomes. The last outcome of the share counts in part.

    Raises
    ------
    NonFiniteError, UsageError : as `value_at_risk`.

    Notes
    -----
    Source: Acerbi and Tasche (2002), On the coherence of expected shortfall, proposition 4.1.
    """
    _check_confidence(confidence)
    n_outcomes = gains.shape[0]
    if not n_outcomes:
        return math.nan
    if not np.all(np.isfinite(gains)):
        raise NonFiniteError("expected shortfall needs finite outcomes")
    share = (1.0 - confidence) * n_outcomes
    ordered = np.sort(gains)
    whole = min(math.floor(share), n_outcomes - 1)
    worst = float(np.sum(ordered[:whole])) + (share - whole) * float(ordered[whole])
    return float(-worst / share)


def drawn_returns(covariance: FloatArray, n_draws: int, rng: np.random.Generator) -> FloatArray:
    """Draw returns of mean zero whose covariance is `covariance`, normally distributed.

    Parameters
    ----------
    covariance : ndarray of shape (n_symbols, n_symbols), positive semi-definite
    n_draws : int, even, > 2 x n_symbols
    rng : seeded by the caller

    Returns
    -------
    ndarray of shape (n_draws, n_symbols). Mean and covariance (divided by n) of the draws match to
    rounding, so that only the shape of the tail is left to chance.

    Raises
    ------
    DataError : a matrix that is not square, finite and positive semi-definite.
    UsageError : too few draws, or an odd number.

    Notes
    -----
    A mean of zero for a horizon of a day: J.P. Morgan (1996), RiskMetrics Technical Document, 5.3.
    Antithetic draws and matched moments: Glasserman (2003), Monte Carlo Methods in Financial
    Engineering, 4.2 and 4.5.
    """
    n_symbols = covariance.shape[0]
    if covariance.shape != (n_symbols, n_symbols) or not np.all(np.isfinite(covariance)):
        raise DataError("a covariance to draw from must be square and finite")
    if n_draws % 2 or n_draws <= 2 * n_symbols:
        raise UsageError(f"{n_draws} draws: needs an even number above {2 * n_symbols}")
    values, vectors = np.linalg.eigh(covariance)
    if np.any(values < -1e-9 * max(1e-300, float(np.max(np.abs(values))))):
        raise DataError("a covariance to draw from must be positive semi-definite")
    half = rng.standard_normal((n_draws // 2, n_symbols))
    normal = np.concatenate((half, -half))
    # Whitened: an upper triangle R with R'R their own covariance, divided out.
    own = np.linalg.cholesky(normal.T @ normal / n_draws).T
    white = np.linalg.solve(own.T, normal.T).T
    draws: FloatArray = (white * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return draws


def _check_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise UsageError(f"a confidence of {confidence} is not between 0 and 1")
