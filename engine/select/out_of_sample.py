"""How the choice itself fares on days that it did not see: walk-forward and purged folds. Pure.

A genome has nothing to refit, so what is tested is choosing: in every fold the best of all trials
on the training days is traded on the test days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.backtest.significance.sharpe_ratio import annual
from engine.backtest.walkforward import (
    Span,
    backtest_paths,
    combinatorial_purged_folds,
    walk_forward_folds,
)
from engine.select.evidence import DAYS_PER_YEAR
from engine.types import FloatArray

_FOLDS = 5
_GROUPS, _TEST_GROUPS = 6, 2
_PURGE_DAYS, _EMBARGO_DAYS = 1, 1
LEAST_DAYS = 30
_FLAT = 1e-12


@dataclass(frozen=True, slots=True)
class ChoiceOutOfSample:
    """Annual Sharpe ratios of choosing the best; nan where undefined.

    Attributes
    ----------
    walk_forward : of the chained tests of `walk_forward_folds`
    path_low, path_median : lowest and median over the paths of `combinatorial_purged_folds`
    """

    walk_forward: float
    path_low: float
    path_median: float


def choice_out_of_sample(daily: FloatArray) -> ChoiceOutOfSample:
    """Return what choosing the best in sample earns out of sample.

    Parameters
    ----------
    daily : ndarray of shape (n_days, n_trials), fraction; all that the choice is made among
    """
    n_days, n_trials = daily.shape
    if n_days < LEAST_DAYS or n_trials < 2:
        return ChoiceOutOfSample(math.nan, math.nan, math.nan)
    forward = [
        _traded(daily, fold.train, fold.test)
        for fold in walk_forward_folds(n_days, _FOLDS, _PURGE_DAYS)
    ]
    folds = combinatorial_purged_folds(n_days, _GROUPS, _TEST_GROUPS, _PURGE_DAYS, _EMBARGO_DAYS)
    chosen = [_best(daily, fold.train) for fold in folds]
    edges = [n_days * part // _GROUPS for part in range(_GROUPS + 1)]
    paths = []
    for splits in backtest_paths(_GROUPS, _TEST_GROUPS):
        parts = [
            daily[edges[group] : edges[group + 1], chosen[split]]
            for group, split in enumerate(splits.tolist())
        ]
        paths.append(_sharpe(np.concatenate(parts)))
    defined = [path for path in paths if not math.isnan(path)]
    return ChoiceOutOfSample(
        walk_forward=_sharpe(np.concatenate(forward)),
        path_low=min(defined) if defined else math.nan,
        path_median=float(np.median(defined)) if defined else math.nan,
    )


def _traded(daily: FloatArray, train: tuple[Span, ...], test: tuple[Span, ...]) -> FloatArray:
    best = _best(daily, train)
    return np.concatenate([daily[start:stop, best] for start, stop in test])


def _best(daily: FloatArray, train: tuple[Span, ...]) -> int:
    seen = np.concatenate([daily[start:stop] for start, stop in train])
    deviation = np.std(seen, axis=0)
    ratio = np.zeros(seen.shape[1])
    np.divide(np.mean(seen, axis=0), deviation, out=ratio, where=deviation > _FLAT)
    return int(np.argmax(ratio))


def _sharpe(returns: FloatArray) -> float:
    deviation = float(np.std(returns, ddof=1)) if returns.shape[0] > 1 else 0.0
    if deviation <= _FLAT:
        return math.nan
    return annual(float(np.mean(returns)) / deviation, DAYS_PER_YEAR)
