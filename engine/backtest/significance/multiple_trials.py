"""What the best of many trials is worth: expected maximum, deflated Sharpe, shortest backtest.

Sharpe ratios are per period unless a name says annual; `n_trials` is the number of independent
trials and may be a fraction (see `effective_trials`).
"""

from __future__ import annotations

import math
from statistics import NormalDist

from engine.backtest.significance.sharpe_ratio import probabilistic_sharpe

EULER_GAMMA = 0.5772156649015329


def expected_maximum_sharpe(n_trials: float, variance: float = 1.0) -> float:
    """Return the highest Sharpe ratio to expect from skill-free independent trials.

    Parameters
    ----------
    n_trials : >= 1
    variance : of the Sharpe ratios across trials, in the unit of the answer squared, >= 0

    Returns
    -------
    float >= 0, in the unit whose square `variance` is; 0.0 for one trial. nan for fewer than one
    trial or a variance that is negative or nan.

    Notes
    -----
    sqrt(V)·((1 - g)·Z(1 - 1/N) + g·Z(1 - 1/(N·e))), g Euler's constant, Z the normal quantile. The
    approximation falls below zero for N < 1.3, where zero stands instead: the expected maximum of
    anything with mean zero is not negative. Source: Bailey et al. (2014), Pseudo-Mathematics and
    Financial Charlatanism.
    """
    if not n_trials >= 1.0 or not variance >= 0.0:
        return math.nan
    if math.isinf(n_trials):
        return math.inf if variance > 0.0 else 0.0
    if n_trials == 1.0:
        return 0.0
    # Z(1 - p) = -Z(p): the tail itself keeps its digits when N is large.
    quantile = -NormalDist().inv_cdf(1.0 / n_trials)
    further = -NormalDist().inv_cdf(1.0 / (n_trials * math.e))
    standard = (1.0 - EULER_GAMMA) * quantile + EULER_GAMMA * further
    return math.sqrt(variance) * max(0.0, standard)


def deflated_sharpe(
    sharpe: float,
    n_bars: float,
    skewness: float,
    kurtosis: float,
    n_trials: float,
    variance_of_trial_sharpes: float,
) -> float:
    """Return the probability that a Sharpe ratio is more than the luck of the best trial.

    Parameters
    ----------
    sharpe : of the strategy chosen, per period
    n_bars : number of returns behind it
    skewness, kurtosis : of its returns, kurtosis non-excess
    n_trials : independent trials it was chosen from, >= 1
    variance_of_trial_sharpes : across those trials, per period squared

    Returns
    -------
    float in [0, 1]; nan where an input leaves it undefined.

    Notes
    -----
    The probabilistic Sharpe ratio against the expected maximum. Source: Bailey and Lopez de Prado
    (2014), The Deflated Sharpe Ratio; golden case: tests/golden/test_statistics.py.
    """
    benchmark = expected_maximum_sharpe(n_trials, variance_of_trial_sharpes)
    return probabilistic_sharpe(sharpe, n_bars, skewness, kurtosis, benchmark)


def minimum_backtest_length(n_trials: float, target_sharpe_annual: float) -> float:
    """Return the years below which the best of skill-free trials is expected to reach a target.

    Parameters
    ----------
    n_trials : independent trials, >= 1
    target_sharpe_annual : > 0

    Returns
    -------
    float >= 0, years; nan for a target that is not positive.

    Notes
    -----
    (E[max of N] / target)²: a skill-free annual Sharpe ratio has variance 1 / years.
    Source: Bailey et al. (2014).
    """
    if not target_sharpe_annual > 0.0:
        return math.nan
    return (expected_maximum_sharpe(n_trials) / target_sharpe_annual) ** 2
