"""How returns vary together, from few observations."""

from __future__ import annotations

import numpy as np

from engine.errors import DataError, NonFiniteError
from engine.types import FloatArray


def correlation_matrix(returns: FloatArray, min_overlap: int) -> FloatArray:
    """Return the Pearson correlation of each pair of columns over the rows that both have.

    Parameters
    ----------
    returns : ndarray of shape (n_observations, n_symbols), fraction; nan = missing
    min_overlap : int, >= 2, rows that a pair needs in common

    Returns
    -------
    ndarray of shape (n_symbols, n_symbols), in [-1, 1]; nan where a pair has too few rows in common
    or one of them does not vary over them. The diagonal is 1.0 where the column varies.
    """
    is_here = np.isfinite(returns)
    here = is_here.astype(np.float64)
    value = np.where(is_here, returns, 0.0)
    count = here.T @ here
    # Sums over the common rows of a pair: of the row's symbol, of its square, and of the product.
    total, square, product = value.T @ here, (value**2).T @ here, value.T @ value
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = product / count - total * total.T / count**2
        variance = square / count - (total / count) ** 2
        # What rounding leaves of a column that never moves is not a variance.
        variance[variance <= 1e-18 + 1e-12 * square / count] = np.nan
        correlation = covariance / np.sqrt(variance * variance.T)
    correlation[count < min_overlap] = np.nan
    return np.clip(correlation, -1.0, 1.0)


def shrunk_covariance(returns: FloatArray) -> tuple[FloatArray, float]:
    """Return the covariance, pulled towards one correlation for all pairs where data are few.

    Parameters
    ----------
    returns : ndarray of shape (n_observations, n_symbols), fraction, finite; n_observations >= 2

    Returns
    -------
    ndarray of shape (n_symbols, n_symbols), per step of the returns, positive semi-definite; and
    the share in [0, 1] of the target in it. With one symbol, with two, or where one does not vary,
    there is nothing to pull: the sample covariance (divided by n) and 0.0.

    Raises
    ------
    DataError : fewer than two rows, or no column.
    NonFiniteError : a return that is not finite.

    Notes
    -----
    Source: Ledoit and Wolf (2004), Honey, I Shrunk the Sample Covariance Matrix, appendix B
    (constant correlation, so that shrinking does not diversify what moves together).
    """
    if returns.ndim != 2 or returns.shape[0] < 2 or returns.shape[1] < 1:
        raise DataError("a covariance needs at least two rows and one column of returns")
    if not np.all(np.isfinite(returns)):
        raise NonFiniteError("a covariance needs finite returns")
    n_rows, n_symbols = returns.shape
    centred = returns - returns.mean(axis=0)
    sample = centred.T @ centred / n_rows
    variance = np.diag(sample)
    if n_symbols < 3 or np.any(variance <= 0.0):
        return sample, 0.0
    deviation = np.sqrt(variance)
    scale = np.outer(deviation, deviation)
    mean_correlation = (np.sum(sample / scale) - n_symbols) / (n_symbols * (n_symbols - 1))
    target = mean_correlation * scale
    np.fill_diagonal(target, variance)
    distance = float(np.sum((sample - target) ** 2))
    if distance <= 0.0:
        return sample, 0.0
    # pi: how far the sample may be off; rho: how much of that the target shares.
    noise = (centred**2).T @ (centred**2) / n_rows - sample**2
    third = (centred**3).T @ centred / n_rows - variance[:, None] * sample
    np.fill_diagonal(third, 0.0)
    shared = np.trace(noise) + mean_correlation * np.sum(
        third * np.outer(1.0 / deviation, deviation)
    )
    share = float(np.clip((np.sum(noise) - shared) / distance / n_rows, 0.0, 1.0))
    return share * target + (1.0 - share) * sample, share
