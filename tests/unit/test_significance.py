from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from engine.backtest.significance.bootstrap import (
    automatic_block_bars,
    bootstrap_band,
    equity_band,
    resampled_sharpe,
    stationary_indices,
)
from engine.backtest.significance.kelly import kelly_fraction
from engine.backtest.significance.multiple_trials import (
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_backtest_length,
)
from engine.backtest.significance.overfitting import (
    cscv_combinations,
    probability_of_backtest_overfitting,
)
from engine.backtest.significance.sharpe_ratio import (
    annualisation_factor,
    autocorrelation_corrected_sharpe,
    autocorrelations,
    first_order_annualisation_factor,
    minimum_track_record_length,
    probabilistic_sharpe,
    sharpe_standard_error,
)
from engine.errors import DataError, NonFiniteError, UsageError


def test_standard_error_shrinks_with_the_root_of_the_record() -> None:
    assert sharpe_standard_error(0.0, 101) == pytest.approx(0.1)
    # 1 - (-1)·0.2 + (7 - 1)/4·0.04 = 1.26
    assert sharpe_standard_error(0.2, 101, -1.0, 7.0) == pytest.approx(math.sqrt(1.26 / 100))


@pytest.mark.parametrize(("n_bars", "kurtosis"), [(1, 3.0), (0, 3.0), (10, math.nan), (50, -99.0)])
def test_probability_is_undefined_without_a_record_or_with_impossible_moments(
    n_bars: int, kurtosis: float
) -> None:
    assert math.isnan(probabilistic_sharpe(0.5, n_bars, 0.0, kurtosis))
    assert math.isnan(deflated_sharpe(0.5, n_bars, 0.0, kurtosis, 10, 0.1))


def test_simulated_records_beat_the_benchmark_as_often_as_promised() -> None:
    rng = np.random.default_rng(11)
    returns = rng.standard_normal((4000, 400)) * 0.01 + 0.001
    sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    # At the true Sharpe ratio the probability is uniform.
    sure = [probabilistic_sharpe(s, 400, 0.0, 3.0, 0.1) for s in sharpes]
    assert np.mean(np.array(sure) > 0.95) == pytest.approx(0.05, abs=0.015)


def test_track_record_of_its_own_length_is_just_sure_enough() -> None:
    n_bars = minimum_track_record_length(0.1, -0.5, 5.0, 0.02, 0.95)
    assert probabilistic_sharpe(0.1, n_bars, -0.5, 5.0, 0.02) == pytest.approx(0.95, rel=1e-12)


def test_no_record_is_long_enough_for_a_sharpe_below_the_benchmark() -> None:
    assert minimum_track_record_length(0.1, benchmark_sharpe=0.1) == math.inf
    assert math.isnan(minimum_track_record_length(math.nan))
    assert math.isnan(minimum_track_record_length(0.1, confidence=1.0))


def test_expected_maximum_agrees_with_simulation() -> None:
    rng = np.random.default_rng(3)
    for n_trials in (10, 100, 500):
        simulated = rng.standard_normal((4000, n_trials)).max(axis=1).mean()
        assert expected_maximum_sharpe(n_trials) == pytest.approx(simulated, rel=0.03)


@pytest.mark.parametrize(("n_trials", "expected"), [(1, 0.0), (1.2, 0.0), (math.inf, math.inf)])
def test_expected_maximum_at_its_edges(n_trials: float, expected: float) -> None:
    assert expected_maximum_sharpe(n_trials) == expected


@pytest.mark.parametrize(("n_trials", "variance"), [(0.5, 1.0), (math.nan, 1.0), (5, -1.0)])
def test_expected_maximum_of_nonsense_is_undefined(n_trials: float, variance: float) -> None:
    assert math.isnan(expected_maximum_sharpe(n_trials, variance))


def test_expected_maximum_of_an_astronomical_number_of_trials_is_finite() -> None:
    assert 12.0 < expected_maximum_sharpe(1e40) < 15.0


def test_deflation_with_one_trial_is_the_probabilistic_sharpe() -> None:
    assert deflated_sharpe(0.1, 500, -1.0, 8.0, 1, 0.01) == probabilistic_sharpe(
        0.1, 500, -1.0, 8.0
    )


def test_minimum_backtest_length_needs_a_positive_target() -> None:
    assert math.isnan(minimum_backtest_length(45, 0.0))
    assert minimum_backtest_length(1, 1.0) == 0.0


@pytest.mark.parametrize(
    ("probability", "payoff", "stake"),
    [(0.5, 2.0, 0.25), (0.4, 1.0, -0.2), (1.0, 1.0, 1.0), (0.5, math.inf, 0.5), (0.0, 1.0, -1.0)],
)
def test_kelly_stake(probability: float, payoff: float, stake: float) -> None:
    assert kelly_fraction(probability, payoff) == pytest.approx(stake)


@pytest.mark.parametrize(("probability", "payoff"), [(1.2, 1), (-0.1, 1), (0.5, 0), (math.nan, 1)])
def test_kelly_stake_of_nonsense_is_undefined(probability: float, payoff: float) -> None:
    assert math.isnan(kelly_fraction(probability, payoff))


def test_autocorrelations_by_hand() -> None:
    # Centred: -1.5 -0.5 0.5 1.5, squares 5; products 1.25, -1.5, -2.25.
    rho = autocorrelations(np.array([1.0, 2.0, 3.0, 4.0]), 4)
    assert rho == pytest.approx([0.25, -0.3, -0.45, 0.0])
    assert np.isnan(autocorrelations(np.full(5, 0.1), 2)).all()


def test_annualisation_without_autocorrelation_is_the_root() -> None:
    assert annualisation_factor([], 365) == pytest.approx(math.sqrt(365))
    assert first_order_annualisation_factor(0.0, 365) == pytest.approx(math.sqrt(365))


def test_first_order_factor_is_the_general_one_with_geometric_correlations() -> None:
    for rho in (-0.4, 0.2, 0.8):
        general = annualisation_factor([rho**k for k in range(1, 12)], 12)
        assert first_order_annualisation_factor(rho, 12) == pytest.approx(general, rel=1e-12)


def test_factor_is_undefined_without_positive_variance() -> None:
    assert math.isnan(annualisation_factor([-1.0], 12))
    assert math.isnan(first_order_annualisation_factor(1.0, 12))
    assert math.isnan(first_order_annualisation_factor(math.nan, 12))


def test_smoothed_returns_lose_the_sharpe_that_smoothing_gave_them() -> None:
    rng = np.random.default_rng(8)
    honest = rng.standard_normal(20_001) * 0.01 + 0.001
    smooth = (honest[1:] + honest[:-1]) / 2.0
    true = honest.mean() / honest.std(ddof=1) * math.sqrt(365)
    naive = smooth.mean() / smooth.std(ddof=1) * math.sqrt(365)
    corrected = autocorrelation_corrected_sharpe(smooth, 365, n_lags=1)
    assert naive == pytest.approx(true * math.sqrt(2), rel=0.03)
    assert corrected == pytest.approx(true, rel=0.03)


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, 0.1, 0.1]])
def test_corrected_sharpe_is_undefined_when_nothing_varies(returns: list[float]) -> None:
    assert math.isnan(autocorrelation_corrected_sharpe(np.array(returns), 365))


def _pbo_by_loops(returns: np.ndarray, n_blocks: int) -> float:
    blocks = np.array_split(np.arange(returns.shape[0]), n_blocks)
    bad = []
    for chosen in combinations(range(n_blocks), n_blocks // 2):
        inside = np.concatenate([blocks[i] for i in chosen])
        outside = np.setdiff1d(np.arange(returns.shape[0]), inside)
        sharpe_in = [r.mean() / r.std(ddof=1) for r in returns[inside].T]
        sharpe_out = [r.mean() / r.std(ddof=1) for r in returns[outside].T]
        best = int(np.argmax(sharpe_in))
        rank = 1 + sum(s < sharpe_out[best] for s in sharpe_out)
        w = rank / (len(sharpe_out) + 1)
        bad.append(math.log(w / (1 - w)) <= 0.0)
    return float(np.mean(bad))


def test_overfitting_probability_equals_the_plain_loop() -> None:
    returns = np.random.default_rng(2).standard_normal((120, 7)) * 0.01
    returns[:, 2] += 0.001
    found = probability_of_backtest_overfitting(returns, 8)
    assert found.probability == _pbo_by_loops(returns, 8)
    assert found.logits.shape == (70,)


def test_overfitting_of_pure_noise_is_about_a_half() -> None:
    rng = np.random.default_rng(4)
    found = [
        probability_of_backtest_overfitting(rng.standard_normal((160, 20)), 8).probability
        for _ in range(60)
    ]
    assert 0.4 < np.mean(found) < 0.65


def test_identical_trials_count_as_overfit() -> None:
    column = np.random.default_rng(4).standard_normal((64, 1))
    found = probability_of_backtest_overfitting(np.repeat(column, 5, axis=1), 4)
    assert found.probability == 1.0
    assert np.all(found.logits == 0.0)


def test_a_trial_that_never_trades_is_worth_nothing_and_breaks_nothing() -> None:
    returns = np.random.default_rng(6).standard_normal((64, 3)) * 0.01 - 0.1
    returns[:, 1] = 0.0
    found = probability_of_backtest_overfitting(returns, 4)
    assert np.all(found.chosen == 1)
    assert found.probability == 0.0
    assert found.probability_of_loss == 0.0


def test_one_trial_cannot_be_overfit_by_choice() -> None:
    assert math.isnan(probability_of_backtest_overfitting(np.ones((64, 1)), 4).probability)


@pytest.mark.parametrize("n_blocks", [0, 1, 7])
def test_odd_numbers_of_blocks_are_refused(n_blocks: int) -> None:
    with pytest.raises(UsageError, match="even"):
        cscv_combinations(n_blocks)


def test_too_short_or_broken_returns_are_refused() -> None:
    with pytest.raises(DataError, match="blocks"):
        probability_of_backtest_overfitting(np.ones((31, 4)), 16)
    with pytest.raises(NonFiniteError):
        probability_of_backtest_overfitting(np.full((64, 4), math.nan), 16)
    with pytest.raises(NonFiniteError):
        bootstrap_band(np.array([0.1, math.nan]), resampled_sharpe(365), np.random.default_rng(0))
    with pytest.raises(DataError):
        bootstrap_band(np.empty(0), resampled_sharpe(365), np.random.default_rng(0))


def test_resampled_bars_come_in_blocks_of_the_length_asked_for() -> None:
    indices = stationary_indices(500, 20.0, 200, np.random.default_rng(1))
    assert indices.shape == (200, 500)
    assert indices.min() >= 0
    assert indices.max() < 500
    breaks = np.mean((np.diff(indices, axis=1) % 500) != 1)
    assert breaks == pytest.approx(1 / 20, rel=0.05)


def test_blocks_grow_with_autocorrelation() -> None:
    rng = np.random.default_rng(9)
    noise = rng.standard_normal(5000)
    walk = np.empty(5000)
    walk[0] = noise[0]
    for t in range(1, 5000):
        walk[t] = 0.8 * walk[t - 1] + noise[t]
    # Politis and White: an AR(1) of 0.8 asks for (2·rho/(1 - rho²))^(2/3)·n^(1/3) = 46 bars.
    ideal = (2 * 0.8 / (1 - 0.64)) ** (2 / 3) * 5000 ** (1 / 3)
    assert automatic_block_bars(walk) == pytest.approx(ideal, rel=0.35)
    assert automatic_block_bars(noise) < 8.0
    assert automatic_block_bars(np.zeros(50)) == 1.0
    assert automatic_block_bars(noise[:3]) == 1.0


def test_band_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(12)
    covered = 0
    for _ in range(150):
        returns = rng.standard_normal(300) * 0.01 + 0.001
        band = bootstrap_band(returns, resampled_sharpe(1.0), rng, 200, 0.90)
        covered += band.low <= 0.1 <= band.high
    assert 0.80 <= covered / 150 <= 0.97


def test_band_of_a_flat_curve_is_undefined() -> None:
    band = bootstrap_band(np.zeros(50), resampled_sharpe(365), np.random.default_rng(0), 20)
    assert math.isnan(band.low)
    assert math.isnan(band.estimate)
    assert band.n_resamples == 0


def test_same_generator_gives_the_same_band() -> None:
    returns = np.random.default_rng(1).standard_normal(200) * 0.01
    first, second = (
        bootstrap_band(returns, resampled_sharpe(365), np.random.default_rng(7), 100)
        for _ in range(2)
    )
    assert first == second


def test_equity_band_starts_at_one_and_keeps_its_order() -> None:
    returns = np.random.default_rng(1).standard_normal(300) * 0.01
    at, growth = equity_band(returns, np.random.default_rng(2), 100, n_points=50)
    assert at[0] == 0
    assert at[-1] == 300
    assert np.all(growth[:, 0] == 1.0)
    assert np.all(np.diff(growth, axis=0) >= 0.0)
    _, ruined = equity_band(np.array([-1.5, 0.5] * 20), np.random.default_rng(2), 50)
    assert ruined.min() == 0.0
