"""Where an equity curve may be expected to run, by what the same strategy did before. Pure.

Days of the known curve are drawn with replacement, in blocks of consecutive days so that good and
bad days keep their company, and strung together to as many paths as asked for. The band holds the
middle share of those paths on each day. It says what the past would look like again; it knows
nothing of a market that has changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import DataError
from engine.types import MS_PER_DAY, FloatArray

COVERAGE_FRAC = 0.8
BLOCK_DAYS = 5
N_PATHS = 1_000
LEAST_DAYS = 10


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedBand:
    """The middle share of the paths, as multiples of the capital at the start.

    Attributes
    ----------
    low, middle, high : ndarray of shape (n_days + 1,), float64, > 0; all begin at 1
    """

    low: FloatArray
    middle: FloatArray
    high: FloatArray


def daily_returns(equity: FloatArray, start_at: int, end_at: int) -> FloatArray:
    """Return the returns between the ends of UTC days, each by the last point known then.

    Parameters
    ----------
    equity : ndarray of shape (n,), finite and > 0, n >= 2, evenly spaced from start to end
    start_at, end_at : UTC ms of the first and the last point

    Returns
    -------
    ndarray of shape (n_days,), float64, fractions; a part of a day at either end counts for none

    Raises
    ------
    DataError : equity that is empty, not finite or not above zero, or time that does not pass.
    """
    if equity.shape[0] < 2 or end_at <= start_at:
        raise DataError("daily returns need two points at least, and time between them")
    if not (np.isfinite(equity).all() and (equity > 0).all()):
        raise DataError("daily returns need finite equity above zero")
    first = -(-start_at // MS_PER_DAY) * MS_PER_DAY
    ends = np.arange(first, end_at + 1, MS_PER_DAY, dtype=np.int64)
    step_ms = (end_at - start_at) / (equity.shape[0] - 1)
    # A point that lies on the end of a day by all but the rounding of the step belongs to it.
    places = np.floor((ends - start_at) / step_ms + 1e-9).astype(np.int64)
    known = equity[np.minimum(places, equity.shape[0] - 1)]
    found: FloatArray = known[1:] / known[:-1] - 1.0
    return found


def expected_band(
    daily: FloatArray,
    n_days: int,
    rng: np.random.Generator,
    *,
    coverage_frac: float = COVERAGE_FRAC,
    block_days: int = BLOCK_DAYS,
    n_paths: int = N_PATHS,
) -> ExpectedBand | None:
    """Return the band over the next days; None when too few days are known to draw from.

    Parameters
    ----------
    daily : ndarray of shape (n,), returns of days, fractions above -1
    n_days : > 0, days ahead
    coverage_frac : in (0, 1), share of the paths that stay inside on a day
    block_days : > 0, consecutive days drawn together; the last and the first are neighbours

    Raises
    ------
    DataError : returns that are not finite or lose everything.
    """
    if not (np.isfinite(daily).all() and (daily > -1.0).all()):
        raise DataError("a band needs finite returns above -1")
    n_known = daily.shape[0]
    if n_known < LEAST_DAYS or n_days < 1:
        return None
    n_blocks = -(-n_days // block_days)
    starts = rng.integers(0, n_known, (n_paths, n_blocks, 1))
    drawn = (starts + np.arange(block_days)) % n_known
    returns = np.log1p(daily)[drawn.reshape(n_paths, -1)[:, :n_days]]
    paths = np.exp(np.cumsum(returns, axis=1))
    edge = (1.0 - coverage_frac) / 2.0
    low, middle, high = np.quantile(paths, (edge, 0.5, 1.0 - edge), axis=0)
    begin = np.ones(1)
    return ExpectedBand(
        np.concatenate((begin, low)),
        np.concatenate((begin, middle)),
        np.concatenate((begin, high)),
    )
