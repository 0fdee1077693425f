"""Probability of backtest overfitting by combinatorially symmetric cross-validation (CSCV).

Every way to give half of the blocks of history to the choice and the other half to the test is
tried: how often does what was best in the first half stand in the lower half of the second?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from engine.errors import DataError, NonFiniteError, UsageError
from engine.types import FloatArray, IntArray

_CELLS_AT_ONCE = 2_000_000
_FLAT = 1e-12

Blocks = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Overfitting:
    """What cross-validation says about choosing the best of these trials.

    Attributes
    ----------
    probability : share of splits whose best trial is no better than the median out of sample, in
        [0, 1]; nan with fewer than two trials
    probability_of_loss : share of splits whose best trial has a Sharpe ratio below 0 out of sample
    logits : ndarray of shape (n_splits,), ln(w / (1 - w)), w the relative rank out of sample
    chosen : ndarray of shape (n_splits,), the trial that was best in sample
    in_sample, out_of_sample : ndarray of shape (n_splits,), its Sharpe ratios, per period
    """

    probability: float
    probability_of_loss: float
    logits: FloatArray
    chosen: IntArray
    in_sample: FloatArray
    out_of_sample: FloatArray


def cscv_combinations(n_blocks: int) -> int:
    """Return the number of splits: ways to choose half of the blocks.

    Raises
    ------
    UsageError : an odd number of blocks, or fewer than two.
    """
    if n_blocks < 2 or n_blocks % 2:
        raise UsageError(
            f"cross-validation with {n_blocks} blocks cannot be symmetric: use an even number",
            n_blocks=n_blocks,
        )
    return math.comb(n_blocks, n_blocks // 2)


def probability_of_backtest_overfitting(returns: FloatArray, n_blocks: int = 16) -> Overfitting:
    """Return how often the best trial in sample disappoints out of sample.

    Parameters
    ----------
    returns : ndarray of shape (n_bars, n_trials), fraction; row t is the same bar for every trial
    n_blocks : even; blocks differ by at most one bar

    Raises
    ------
    UsageError : an odd number of blocks.
    DataError : fewer than two bars a block.
    NonFiniteError : a return that is not finite.

    Notes
    -----
    Performance is the Sharpe ratio; a half in which a trial does not vary counts as 0, for it
    earned nothing. Ties share their mean rank, so trials that are all alike have logit 0, which
    counts as overfit. Blocks enter by their sums alone: O(n_bars·n_trials + n_splits·n_trials).
    Source: Bailey, Borwein, Lopez de Prado and Zhu (2017), The Probability of Backtest Overfitting.
    """
    n_splits = cscv_combinations(n_blocks)
    _check(returns, n_blocks)
    n_trials = returns.shape[1]
    if n_trials < 2:
        empty = np.empty(0)
        return Overfitting(math.nan, math.nan, empty, np.empty(0, dtype=np.int64), empty, empty)
    blocks = _block_sums(returns, n_blocks)
    membership = _membership(n_blocks)
    step = max(1, _CELLS_AT_ONCE // n_trials)
    parts = [_judge(membership[first : first + step], blocks) for first in range(0, n_splits, step)]
    logits, chosen, inside, outside = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return Overfitting(
        probability=float(np.mean(logits <= 0.0)),
        probability_of_loss=float(np.mean(outside < 0.0)),
        logits=logits,
        chosen=chosen,
        in_sample=inside,
        out_of_sample=outside,
    )


def _judge(
    picked: FloatArray, blocks: Blocks
) -> tuple[FloatArray, IntArray, FloatArray, FloatArray]:
    """Return logit, best trial and its Sharpe ratios in and out of sample, one for each split."""
    sharpe_in = _sharpes(picked, blocks)
    sharpe_out = _sharpes(1.0 - picked, blocks)
    best = np.argmax(sharpe_in, axis=1)
    rows = np.arange(best.shape[0])
    reached = sharpe_out[rows, best]
    below = np.sum(sharpe_out < reached[:, None], axis=1)
    equal = np.sum(sharpe_out == reached[:, None], axis=1)
    rank = below + (equal + 1.0) / 2.0
    # This quotient is w / (1 - w), and exactly 1 for a rank in the middle: its logit is exactly 0.
    logits = np.log(rank / (sharpe_out.shape[1] + 1.0 - rank))
    return logits, best, sharpe_in[rows, best], reached


def _membership(n_blocks: int) -> FloatArray:
    """Return ones where a block is in sample, shape (n_splits, n_blocks)."""
    halves = np.array(list(combinations(range(n_blocks), n_blocks // 2)))
    out = np.zeros((halves.shape[0], n_blocks))
    np.put_along_axis(out, halves, 1.0, axis=1)
    return out


def _block_sums(returns: FloatArray, n_blocks: int) -> Blocks:
    """Return each trial's mean, and per block the sums and squares of what deviates from it."""
    edges = np.linspace(0, returns.shape[0], n_blocks + 1).astype(np.int64)
    means = np.mean(returns, axis=0)
    centred = returns - means
    # Constant columns: what is left after centring is rounding.
    centred[:, np.max(np.abs(centred), axis=0) <= _FLAT * np.abs(means)] = 0.0
    sums = np.add.reduceat(centred, edges[:-1], axis=0)
    squares = np.add.reduceat(centred**2, edges[:-1], axis=0)
    return means, sums, squares, np.diff(edges).astype(np.float64)


def _sharpes(picked: FloatArray, blocks: Blocks) -> FloatArray:
    """Return the Sharpe ratio of each trial over the picked blocks, shape (n_splits, n_trials)."""
    means, sums, squares, counts = blocks
    n = (picked @ counts)[:, None]
    deviation = (picked @ sums) / n
    mean_square = (picked @ squares) / n
    variance = mean_square - deviation**2
    varies = variance > _FLAT * mean_square
    std = np.sqrt(np.where(varies, variance * n / (n - 1.0), 1.0))
    out: FloatArray = np.where(varies, (means + deviation) / std, 0.0)
    return out


def _check(returns: FloatArray, n_blocks: int) -> None:
    if returns.ndim != 2 or returns.shape[0] < 2 * n_blocks:
        raise DataError(
            f"returns of shape {returns.shape} do not fill {n_blocks} blocks of two bars: "
            "use fewer blocks or a longer window",
            n_blocks=n_blocks,
        )
    if not np.all(np.isfinite(returns)):
        raise NonFiniteError("trial returns hold a value that is not finite: leave that trial out")
