from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backtest.significance.bootstrap import automatic_block_bars, stationary_indices
from engine.backtest.significance.effective_trials import (
    effective_trials,
    effective_trials_sampled,
)
from engine.backtest.significance.multiple_trials import deflated_sharpe, expected_maximum_sharpe
from engine.backtest.significance.overfitting import probability_of_backtest_overfitting
from engine.backtest.significance.sharpe_ratio import (
    minimum_track_record_length,
    probabilistic_sharpe,
)

sharpes = st.floats(-0.5, 0.5)
skews = st.floats(-2.0, 2.0)
kurtoses = st.floats(5.0, 50.0)
trial_counts = st.floats(1.0, 1e9)


@given(sharpes, st.integers(2, 10**6), skews, kurtoses, trial_counts, st.floats(0.0, 0.1))
def test_more_trials_never_make_a_strategy_look_better(
    sharpe: float, n_bars: int, skew: float, kurtosis: float, n_trials: float, variance: float
) -> None:
    plain = probabilistic_sharpe(sharpe, n_bars, skew, kurtosis)
    few = deflated_sharpe(sharpe, n_bars, skew, kurtosis, n_trials, variance)
    many = deflated_sharpe(sharpe, n_bars, skew, kurtosis, n_trials * 2, variance)
    assert 0.0 <= many <= few <= plain <= 1.0


@given(trial_counts, st.floats(1.0, 2.0), st.floats(0.0, 10.0))
def test_expected_maximum_grows_with_trials_and_scales_with_spread(
    n_trials: float, more: float, spread: float
) -> None:
    one = expected_maximum_sharpe(n_trials)
    assert 0.0 <= one <= expected_maximum_sharpe(n_trials * more) + 1e-12
    assert math.isclose(expected_maximum_sharpe(n_trials, spread**2), spread * one, abs_tol=1e-12)


@given(st.floats(0.01, 0.5), skews, kurtoses, st.floats(0.55, 0.999))
def test_a_track_record_of_minimum_length_is_as_sure_as_asked(
    sharpe: float, skew: float, kurtosis: float, confidence: float
) -> None:
    n_bars = minimum_track_record_length(sharpe, skew, kurtosis, 0.0, confidence)
    sure = probabilistic_sharpe(sharpe, n_bars, skew, kurtosis)
    assert math.isclose(sure, confidence, rel_tol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(16, 80))
def test_overfitting_does_not_depend_on_scale_or_order_of_trials(
    seed: int, n_trials: int, n_bars: int
) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal((n_bars, n_trials))
    found = probability_of_backtest_overfitting(returns, 8)
    order = rng.permutation(n_trials)
    again = probability_of_backtest_overfitting(returns[:, order] * 4.0, 8)
    assert found.probability == again.probability
    assert np.array_equal(found.chosen, order[again.chosen])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(3, 60), st.floats(0.0, 1.0))
def test_effective_trials_lie_between_one_and_all(
    seed: int, n_trials: int, n_bars: int, common: float
) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal((n_bars, n_trials)) + common * 5 * rng.standard_normal(
        (n_bars, 1)
    )
    found = effective_trials(returns)
    assert 1 <= found.n_effective <= n_trials
    doubled = effective_trials(np.hstack((returns, returns)))
    assert doubled.n_effective <= n_trials
    sampled = effective_trials_sampled(returns, rng, n_sampled=5)
    assert 1 <= sampled.n_effective <= n_trials


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.floats(1.0, 50.0))
def test_resamples_hold_bars_of_the_record_alone(seed: int, n_bars: int, block: float) -> None:
    rng = np.random.default_rng(seed)
    indices = stationary_indices(n_bars, block, 3, rng)
    assert indices.shape == (3, n_bars)
    assert indices.min() >= 0
    assert indices.max() < n_bars
    assert 1.0 <= automatic_block_bars(rng.standard_normal(n_bars)) <= max(1.0, n_bars / 3)
