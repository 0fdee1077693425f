"""Which bars to learn from and which to test on: walk-forward and combinatorial purged folds.

A span is (start, stop), bar indices with start <= i < stop. Two gaps keep what is tested out of
what is learned: `purge_bars` on either side of a test span, for a position or label that reaches
from one into the other, and `embargo_bars` after it besides, for what lingers in the indicators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from engine.errors import DataError, UsageError
from engine.types import IntArray

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Fold:
    """One way to split history.

    Attributes
    ----------
    train, test : disjoint spans in order of time, none of them empty
    """

    train: tuple[Span, ...]
    test: tuple[Span, ...]


def walk_forward_folds(
    n_bars: int,
    n_folds: int,
    purge_bars: int = 0,
    train_bars: int | None = None,
    first_train_bars: int | None = None,
) -> list[Fold]:
    """Return folds that test each stretch of bars on what came before it.

    Parameters
    ----------
    n_bars : bars there are
    n_folds : test spans, consecutive, as equal as can be, the last one ending with the bars
    purge_bars : bars left out between training and test; nothing is trained on after a test, so
        there is no embargo
    train_bars : length of a rolling training span; None trains on everything before
    first_train_bars : bars before the first test; None takes one share of n_folds + 1

    Raises
    ------
    UsageError : a count below one, or a negative gap.
    DataError : too few bars for a bar of training and a bar of test in every fold.

    Notes
    -----
    Source: Pardo (2008), The Evaluation and Optimization of Trading Strategies, ch. 11.
    """
    if n_folds < 1 or purge_bars < 0 or (train_bars is not None and train_bars < 1):
        raise UsageError(
            f"walk-forward needs folds >= 1, purge >= 0 and training bars >= 1, not {n_folds}, "
            f"{purge_bars} and {train_bars}"
        )
    first = n_bars // (n_folds + 1) if first_train_bars is None else first_train_bars
    if n_bars - first < n_folds or first - purge_bars < 1:
        raise DataError(
            f"{n_bars} bars are too few for {n_folds} walk-forward folds after {first} bars of "
            f"training with {purge_bars} purged: use fewer folds or a longer window",
            n_bars=n_bars,
        )
    edges = _edges(first, n_bars, n_folds)
    folds = []
    for start, stop in pairwise(edges):
        trained_until = start - purge_bars
        trained_from = 0 if train_bars is None else max(0, trained_until - train_bars)
        folds.append(Fold(((trained_from, trained_until),), ((start, stop),)))
    return folds


def combinatorial_splits(n_groups: int, n_test_groups: int) -> int:
    """Return the number of splits: ways to choose the groups tested.

    Raises
    ------
    UsageError : not 1 <= n_test_groups < n_groups.
    """
    if not 1 <= n_test_groups < n_groups:
        raise UsageError(
            f"{n_test_groups} test groups of {n_groups} leave nothing to test or to train: use at "
            "least one, and fewer than all",
            n_groups=n_groups,
        )
    return math.comb(n_groups, n_test_groups)


def combinatorial_paths(n_groups: int, n_test_groups: int) -> int:
    """Return the number of whole histories that the tested groups add up to.

    Notes
    -----
    k/N·C(N, k). Source: Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 12.
    """
    return combinatorial_splits(n_groups, n_test_groups) * n_test_groups // n_groups


def combinatorial_purged_folds(
    n_bars: int,
    n_groups: int = 6,
    n_test_groups: int = 2,
    purge_bars: int = 0,
    embargo_bars: int = 0,
) -> list[Fold]:
    """Return a fold for every choice of groups to test, in lexicographic order.

    Parameters
    ----------
    n_groups : consecutive groups of bars, as equal as can be
    n_test_groups : of them are tested in each fold, the others trained on
    purge_bars : bars left out of training on either side of a tested stretch
    embargo_bars : bars left out after it besides

    Returns
    -------
    list of `combinatorial_splits` folds; adjoining test groups are one span.

    Raises
    ------
    UsageError : impossible numbers of groups, or a negative gap.
    DataError : fewer bars than groups, or a fold whose training is purged away.

    Notes
    -----
    Source: Lopez de Prado (2018), ch. 7 and 12.
    """
    combinatorial_splits(n_groups, n_test_groups)
    if purge_bars < 0 or embargo_bars < 0:
        raise UsageError(f"purge and embargo must be >= 0, not {purge_bars} and {embargo_bars}")
    if n_bars < n_groups:
        raise DataError(f"{n_bars} bars cannot be cut into {n_groups} groups", n_bars=n_bars)
    edges = _edges(0, n_bars, n_groups)
    folds = []
    for chosen in combinations(range(n_groups), n_test_groups):
        test = _joined([(edges[group], edges[group + 1]) for group in chosen])
        train = _outside(test, n_bars, purge_bars, embargo_bars)
        if not train:
            raise DataError(
                f"a purge of {purge_bars} and an embargo of {embargo_bars} bars leave nothing of "
                f"{n_bars} bars to train on: shorten them or use fewer groups",
                n_bars=n_bars,
            )
        folds.append(Fold(train, test))
    return folds


def backtest_paths(n_groups: int, n_test_groups: int) -> IntArray:
    """Return which split each path takes each group's test result from.

    Returns
    -------
    ndarray of shape (n_paths, n_groups), int64: index into `combinatorial_purged_folds`; every
    (split, tested group) is used by exactly one path.
    """
    n_paths = combinatorial_paths(n_groups, n_test_groups)
    out = np.empty((n_paths, n_groups), dtype=np.int64)
    used = [0] * n_groups
    for split, chosen in enumerate(combinations(range(n_groups), n_test_groups)):
        for group in chosen:
            out[used[group], group] = split
            used[group] += 1
    return out


def _edges(start: int, stop: int, n_parts: int) -> list[int]:
    return [start + (stop - start) * part // n_parts for part in range(n_parts + 1)]


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for start, stop in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return tuple(joined)


def _outside(
    test: tuple[Span, ...], n_bars: int, purge_bars: int, embargo_bars: int
) -> tuple[Span, ...]:
    train: list[Span] = []
    free_from = 0
    for start, stop in test:
        if start - purge_bars > free_from:
            train.append((free_from, start - purge_bars))
        free_from = stop + purge_bars + embargo_bars
    if free_from < n_bars:
        train.append((free_from, n_bars))
    return tuple(train)
