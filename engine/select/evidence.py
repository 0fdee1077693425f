"""What a strategy's returns on unseen bars prove, given how many were tried there. Pure.

Daily UTC returns are judged, not those of the bars: most bars hold no position, and what a strategy
earns within a day is not independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.backtest.run import BacktestResult, day_ends
from engine.backtest.significance.effective_trials import effective_trials_sampled
from engine.backtest.significance.multiple_trials import deflated_sharpe, expected_maximum_sharpe
from engine.backtest.significance.overfitting import probability_of_backtest_overfitting
from engine.backtest.significance.sharpe_ratio import (
    annual,
    autocorrelation_corrected_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe,
)
from engine.types import FloatArray

DAYS_PER_YEAR = 365.0
_BLOCKS = 16
_LEAST_DAYS_A_BLOCK = 2
_FLAT = 1e-12
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Evidence:
    """How far a Sharpe ratio is from luck; nan where it is undefined.

    Attributes
    ----------
    n_days : daily returns behind it
    sharpe : annual, from daily returns
    sharpe_corrected : annual, corrected for the autocorrelation of the daily returns
    probabilistic_sharpe : probability that the true ratio is above 0, in [0, 1]
    deflated_sharpe : probability that it is above what the best of the trials reaches by luck
    benchmark : annual; what the best of that many skill-free trials is expected to reach
    n_trials : strategies counted
    n_effective : independent trials they amount to
    min_days : daily returns needed for 95 % confidence that the true ratio is above 0
    """

    n_days: int
    sharpe: float
    sharpe_corrected: float
    probabilistic_sharpe: float
    deflated_sharpe: float
    benchmark: float
    n_trials: int
    n_effective: float
    min_days: float


def daily_returns(result: BacktestResult) -> FloatArray:
    """Return one return for each UTC day of a backtest, fraction; ruin ends in zeros."""
    stamps = result.timestamp
    ends = day_ends(stamps, 0, stamps.shape[0])
    equity = np.concatenate((result.equity[:1], result.equity[ends + 1]))
    before = equity[:-1]
    returns = np.zeros(before.shape[0])
    np.divide(np.diff(equity), before, out=returns, where=before > 0.0)
    return returns


def judge_returns(daily: FloatArray, n_trials: int, n_effective: float) -> Evidence:
    """Return what one strategy's daily returns prove after `n_effective` independent trials.

    Parameters
    ----------
    daily : ndarray of shape (n_days,), fraction
    n_trials : strategies ever scored on these days, this one included
    n_effective : independent trials that they amount to, >= 1

    Notes
    -----
    The spread of skill-free trials is that of the estimate itself, 1 / (n_days - 1): the spread
    among real trials also holds what they lose to costs and gain by skill, and would hold the best
    of them down for being different. Source: Bailey and Lopez de Prado (2014).
    """
    n_days = int(daily.shape[0])
    centred = daily - (float(np.mean(daily)) if n_days else 0.0)
    variance = float(np.mean(centred**2)) if n_days else 0.0
    if n_days < 3 or variance <= _FLAT**2:
        nan = math.nan
        return Evidence(n_days, nan, nan, nan, nan, nan, n_trials, n_effective, nan)
    deviation = math.sqrt(variance * n_days / (n_days - 1))
    sharpe = float(np.mean(daily)) / deviation
    skewness = float(np.mean(centred**3)) / variance**1.5
    kurtosis = float(np.mean(centred**4)) / variance**2
    spread = 1.0 / (n_days - 1)
    return Evidence(
        n_days=n_days,
        sharpe=annual(sharpe, DAYS_PER_YEAR),
        sharpe_corrected=autocorrelation_corrected_sharpe(daily, DAYS_PER_YEAR),
        probabilistic_sharpe=probabilistic_sharpe(sharpe, n_days, skewness, kurtosis, 0.0),
        deflated_sharpe=deflated_sharpe(sharpe, n_days, skewness, kurtosis, n_effective, spread),
        benchmark=annual(expected_maximum_sharpe(n_effective, spread), DAYS_PER_YEAR),
        n_trials=n_trials,
        n_effective=n_effective,
        min_days=minimum_track_record_length(sharpe, skewness, kurtosis, 0.0, _CONFIDENCE),
    )


def independent_trials(daily: FloatArray, n_trials: int, seed: int) -> float:
    """Return how many independent trials strategies amount to, at least 1.

    Parameters
    ----------
    daily : ndarray of shape (n_days, n_known), the daily returns of those that are known
    n_trials : how many there were, known or not; all count when nothing is known of them
    seed : of the sample that is clustered when there are many
    """
    if daily.shape[0] < 3 or daily.shape[1] == 0:
        return float(max(1, n_trials))
    rng = np.random.default_rng(seed)
    found = effective_trials_sampled(daily, rng, n_trials=n_trials)
    return max(1.0, found.n_effective)


def overfit_probability(daily: FloatArray) -> float:
    """Return how often the best of these strategies in one half of the days disappoints.

    Parameters
    ----------
    daily : ndarray of shape (n_days, n_trials), all that the choice was made among

    Returns
    -------
    float in [0, 1]; nan with fewer than two strategies that ever traded, or too few days.
    """
    varies = np.ptp(daily, axis=0) > _FLAT if daily.size else np.zeros(0, dtype=np.bool_)
    n_blocks = min(_BLOCKS, daily.shape[0] // _LEAST_DAYS_A_BLOCK // 2 * 2)
    if int(np.sum(varies)) < 2 or n_blocks < 4:
        return math.nan
    return probability_of_backtest_overfitting(daily[:, varies], n_blocks).probability
