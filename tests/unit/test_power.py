"""The two ends of the paper gate's power, on daily returns drawn without a market.

365 days, 20 strategies tried, 2,000 years drawn for each claim. A day counts as a trade, and the
overfit probability is given: what is tested is that the numbers of one strategy, and the count of
trials, keep luck out and let skill in. `scripts/power_curve` draws the whole gate on markets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from engine.backtest.metrics import max_drawdown
from engine.select.evidence import DAYS_PER_YEAR, independent_trials, judge_returns
from engine.select.gates import Verdict, paper
from engine.settings import PaperGate
from engine.types import FloatArray

N_YEARS = 2_000
N_DAYS = 365
N_TRIALS = 20
VOLATILITY = 0.15
GATE = PaperGate()


def years(sharpe: float, tails: str, n_strategies: int = 1) -> Iterator[FloatArray]:
    """Yield years of daily returns, shape (n_days, n_strategies), of this true annual ratio."""
    rng = np.random.default_rng([int(10 * sharpe), n_strategies, len(tails)])
    deviation = VOLATILITY / math.sqrt(DAYS_PER_YEAR)
    shape = (N_DAYS, n_strategies)
    for _ in range(N_YEARS):
        # Student's t with 5 degrees of freedom has variance 5 / 3.
        noise = (
            rng.standard_normal(shape)
            if tails == "normal"
            else rng.standard_t(5.0, shape) / math.sqrt(5.0 / 3.0)
        )
        yield deviation * (noise + sharpe / math.sqrt(DAYS_PER_YEAR))


def verdict(daily: FloatArray, n_effective: float) -> Verdict:
    """Return the paper gate's verdict on one strategy's days."""
    evidence = judge_returns(daily, N_TRIALS, n_effective)
    equity = np.cumprod(np.concatenate(([1.0], 1.0 + daily)), dtype=np.float64)
    metrics = {
        "sharpe": evidence.sharpe,
        "max_drawdown": max_drawdown(equity),
        "n_trades": float(N_DAYS),
        "profit_factor": float(daily[daily > 0].sum() / -daily[daily < 0].sum()),
        "total_return": float(equity[-1] - 1.0),
        "win_rate": float(np.mean(daily > 0)),
    }
    return paper(
        metrics,
        GATE,
        deflated_sharpe=evidence.deflated_sharpe,
        overfit_probability=GATE.overfit_probability_max / 2,
    )


def share_that_passes(sharpe: float, tails: str) -> float:
    passed = [verdict(year[:, 0], float(N_TRIALS)).passed for year in years(sharpe, tails)]
    return float(np.mean(passed))


def is_proven(daily: FloatArray, n_effective: float) -> bool:
    """Tell whether the deflated ratio alone would let it pass."""
    evidence = judge_returns(daily, N_TRIALS, n_effective)
    return evidence.deflated_sharpe >= GATE.deflated_sharpe_min


@pytest.mark.parametrize("tails", ["normal", "fat"])
def test_one_strategy_without_skill_hardly_ever_passes(tails: str) -> None:
    assert share_that_passes(0.0, tails) <= 0.01


@pytest.mark.parametrize("tails", ["normal", "fat"])
def test_a_true_sharpe_of_six_passes_four_times_in_five_and_more(tails: str) -> None:
    assert share_that_passes(6.0, tails) >= 0.80


def test_more_skill_passes_more_often() -> None:
    shares = [share_that_passes(sharpe, "normal") for sharpe in (0.0, 2.0, 4.0, 6.0)]
    assert shares == sorted(shares)
    # Between the ends there is a doubtful middle: a year is too short for a small skill.
    assert 0.05 < shares[1] < 0.30
    assert 0.60 < shares[2] < 0.95


def test_the_best_of_twenty_without_skill_is_held_back_by_counting_all_twenty() -> None:
    counted, uncounted = [], []
    for year in years(0.0, "normal", N_TRIALS):
        best = year[:, int(np.argmax(year.mean(axis=0) / year.std(axis=0)))]
        n_effective = independent_trials(year, N_TRIALS, seed=1)
        counted.append(is_proven(best, n_effective))
        uncounted.append(is_proven(best, 1.0))
    assert 0.0 < float(np.mean(counted)) <= 1.0 - GATE.deflated_sharpe_min
    assert float(np.mean(uncounted)) > 0.80
