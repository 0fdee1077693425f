from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backtest.significance.effective_trials import (
    effective_trials,
    effective_trials_sampled,
)
from engine.errors import DataError, NonFiniteError


def _families(
    n_families: int, n_members: int, own_share: float, n_bars: int = 500, seed: int = 1
) -> np.ndarray:
    """Return trials whose correlation inside a family is 1 - own_share."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.standard_normal((n_bars, n_families)), n_members, axis=1)
    own = rng.standard_normal(shared.shape)
    return (math.sqrt(1 - own_share) * shared + math.sqrt(own_share) * own) * 0.01


def test_independent_trials_each_count() -> None:
    found = effective_trials(np.random.default_rng(0).standard_normal((500, 120)))
    assert found.n_effective >= 118
    assert found.n_trials == 120


@pytest.mark.parametrize("own_share", [0.02, 0.2, 0.5])
def test_families_count_once_each(own_share: float) -> None:
    returns = _families(12, 8, own_share)
    found = effective_trials(returns)
    assert found.n_effective == 12
    families = np.repeat(np.arange(12), 8)
    assert len(set(zip(found.labels.tolist(), families.tolist(), strict=True))) == 12


def test_copies_are_one_trial() -> None:
    column = np.random.default_rng(3).standard_normal((200, 1))
    assert effective_trials(np.repeat(column, 30, axis=1)).n_effective == 1


def test_near_copies_of_one_idea_are_one_trial() -> None:
    assert effective_trials(_families(1, 40, 0.1)).n_effective == 1


def test_a_strategy_and_its_mirror_are_two_trials() -> None:
    column = np.random.default_rng(3).standard_normal((200, 1))
    assert effective_trials(np.hstack((column, -column))).n_effective == 2


def test_loners_beside_a_family_are_kept() -> None:
    returns = np.hstack((_families(1, 20, 0.1), np.random.default_rng(8).normal(size=(500, 30))))
    assert 30 <= effective_trials(returns).n_effective <= 31


def test_scale_and_order_of_trials_change_nothing() -> None:
    returns = _families(6, 5, 0.3)
    shuffled = returns[:, np.random.default_rng(1).permutation(30)] * 7.0
    assert effective_trials(returns).n_effective == effective_trials(shuffled).n_effective == 6


def test_trials_that_never_traded_do_not_count() -> None:
    returns = np.hstack((_families(4, 5, 0.2), np.zeros((500, 9)), np.full((500, 2), 0.1)))
    found = effective_trials(returns)
    assert (found.n_effective, found.n_trials) == (4, 20)
    assert effective_trials(np.zeros((500, 9))).n_effective == 0
    assert effective_trials(np.empty((500, 0))).n_effective == 0


def test_one_trial_is_one_trial() -> None:
    assert effective_trials(_families(1, 1, 0.5)).n_effective == 1


def test_broken_returns_are_refused() -> None:
    with pytest.raises(NonFiniteError):
        effective_trials(np.array([[0.1, 0.2], [math.nan, 0.1], [0.3, 0.2]]))
    with pytest.raises(DataError, match="three bars"):
        effective_trials(np.ones((2, 4)))
    with pytest.raises(DataError):
        effective_trials(np.ones(4))


def test_sample_finds_the_families_of_all() -> None:
    returns = _families(40, 50, 0.2, n_bars=300)
    found = effective_trials_sampled(returns, np.random.default_rng(5), n_sampled=300)
    assert found.n_sampled == 300
    assert found.n_effective == pytest.approx(40, abs=2)


def test_sample_estimates_families_it_has_not_met() -> None:
    returns = _families(300, 6, 0.1, n_bars=300)
    found = effective_trials_sampled(returns, np.random.default_rng(5), n_sampled=250)
    met = len(set(found.labels.tolist()))
    assert met < 200
    assert found.n_effective == pytest.approx(300, rel=0.25)


def test_sample_of_independent_trials_counts_them_all() -> None:
    returns = np.random.default_rng(0).standard_normal((400, 3000))
    found = effective_trials_sampled(returns, np.random.default_rng(5), n_sampled=200)
    assert found.n_effective == pytest.approx(3000, rel=0.15)
    part = effective_trials_sampled(
        returns[:, :200], np.random.default_rng(5), n_sampled=200, n_trials=3000
    )
    assert part.n_effective == pytest.approx(3000, rel=0.15)


def test_sample_as_large_as_all_is_the_whole_count() -> None:
    returns = _families(8, 4, 0.2)
    sampled = effective_trials_sampled(returns, np.random.default_rng(5), n_sampled=500)
    assert sampled.n_effective == effective_trials(returns).n_effective == 8
