from __future__ import annotations

import numpy as np
import pytest

from engine.backtest.walkforward import (
    Fold,
    backtest_paths,
    combinatorial_paths,
    combinatorial_purged_folds,
    combinatorial_splits,
    walk_forward_folds,
)
from engine.errors import DataError, UsageError


def test_walk_forward_trains_on_the_past_alone() -> None:
    folds = walk_forward_folds(100, 4, purge_bars=3)
    assert folds == [
        Fold(((0, 17),), ((20, 40),)),
        Fold(((0, 37),), ((40, 60),)),
        Fold(((0, 57),), ((60, 80),)),
        Fold(((0, 77),), ((80, 100),)),
    ]


def test_rolling_walk_forward_keeps_its_length() -> None:
    folds = walk_forward_folds(100, 2, purge_bars=5, train_bars=30, first_train_bars=40)
    assert folds == [Fold(((5, 35),), ((40, 70),)), Fold(((35, 65),), ((70, 100),))]


def test_combinatorial_folds_purge_both_sides_and_embargo_after() -> None:
    folds = combinatorial_purged_folds(60, 6, 2, purge_bars=2, embargo_bars=3)
    assert folds[0] == Fold(((25, 60),), ((0, 20),))
    assert folds[1] == Fold(((15, 18), (35, 60)), ((0, 10), (20, 30)))
    assert folds[-1] == Fold(((0, 38),), ((40, 60),))
    assert len(folds) == 15


def test_every_bar_is_tested_once_on_each_path() -> None:
    folds = combinatorial_purged_folds(61, 6, 2)
    paths = backtest_paths(6, 2)
    assert paths.shape == (5, 6)
    used = {(int(split), group) for path in paths for group, split in enumerate(path)}
    assert len(used) == 30
    edges = [61 * g // 6 for g in range(7)]
    for path in paths:
        for group, split in enumerate(path):
            tested = folds[split].test
            assert any(a <= edges[group] and edges[group + 1] <= b for a, b in tested)


@pytest.mark.parametrize(("groups", "tested"), [(6, 2), (10, 3), (5, 4), (8, 1)])
def test_number_of_paths_is_whole(groups: int, tested: int) -> None:
    assert combinatorial_splits(groups, tested) * tested == groups * combinatorial_paths(
        groups, tested
    )
    assert backtest_paths(groups, tested).shape[0] == combinatorial_paths(groups, tested)


@pytest.mark.parametrize("seed", range(20))
def test_training_never_comes_within_the_gaps_of_a_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_groups = int(rng.integers(2, 9))
    n_test = int(rng.integers(1, n_groups))
    purge, embargo = int(rng.integers(0, 5)), int(rng.integers(0, 5))
    for fold in combinatorial_purged_folds(300, n_groups, n_test, purge, embargo):
        state = np.zeros(300, dtype=int)
        for start, stop in fold.test:
            state[start:stop] = 2
        for start, stop in fold.train:
            assert start < stop
            assert np.all(state[max(0, start - purge - embargo) : start] != 2)
            assert np.all(state[start : stop + purge] != 2)
            state[start:stop] = 1


def test_impossible_folds_are_refused() -> None:
    with pytest.raises(UsageError):
        combinatorial_splits(6, 6)
    with pytest.raises(UsageError):
        combinatorial_purged_folds(60, 6, 2, purge_bars=-1)
    with pytest.raises(DataError, match="cut"):
        combinatorial_purged_folds(5, 6, 2)
    with pytest.raises(DataError, match="leave nothing"):
        combinatorial_purged_folds(60, 6, 5, purge_bars=10)
    with pytest.raises(UsageError):
        walk_forward_folds(60, 0)
    with pytest.raises(DataError, match="fewer folds"):
        walk_forward_folds(10, 4, purge_bars=2)
