from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backtest.run import BacktestSettings, backtest
from engine.market.generated import generate_bars
from engine.select.evidence import (
    daily_returns,
    independent_trials,
    judge_returns,
    overfit_probability,
)
from engine.select.gates import paper, paper_without_evidence
from engine.select.out_of_sample import choice_out_of_sample
from engine.settings import PaperGate
from engine.strategy.library import library_genome
from engine.types import MS_PER_DAY

GOOD = {
    "sharpe": 3.0,
    "max_drawdown": 0.05,
    "n_trades": 80.0,
    "profit_factor": 1.6,
    "total_return": 0.3,
    "win_rate": 0.6,
}


def noise(n_days: int, n_trials: int, seed: int, sharpe: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(sharpe / math.sqrt(365.0) * 0.01, 0.01, (n_days, n_trials))


def test_daily_returns_multiply_to_the_equity() -> None:
    bars = generate_bars("BTC/USDT", seed=3).slice(0, 288 * 20)
    result = backtest(library_genome("momentum", "5m"), bars, "5m", BacktestSettings())
    daily = daily_returns(result)
    assert daily.shape == (np.unique(bars.timestamp // MS_PER_DAY).shape[0],)
    assert np.any(daily != 0.0)
    grown = float(np.prod(1.0 + daily))
    assert grown == pytest.approx(result.equity[-1] / result.equity[0], rel=1e-12)


def test_more_trials_prove_less() -> None:
    daily = noise(275, 1, 1, sharpe=3.0)[:, 0]
    alone = judge_returns(daily, 1, 1.0)
    many = judge_returns(daily, 500, 200.0)
    assert alone.deflated_sharpe == pytest.approx(alone.probabilistic_sharpe)
    assert many.deflated_sharpe < alone.deflated_sharpe
    assert many.benchmark > 2.0
    assert alone.benchmark == 0.0


def test_nothing_traded_proves_nothing() -> None:
    found = judge_returns(np.zeros(200), 5, 5.0)
    assert math.isnan(found.deflated_sharpe)
    assert not paper(GOOD, PaperGate(), deflated_sharpe=found.deflated_sharpe).passed


def test_copies_are_one_trial_and_unknown_ones_all_count() -> None:
    one = noise(200, 1, 2)
    assert independent_trials(np.repeat(one, 10, axis=1), 10, 0) == 1.0
    assert independent_trials(noise(200, 10, 3), 10, 0) == 10.0
    assert independent_trials(np.empty((0, 0)), 40, 0) == 40.0


def test_overfitting_is_even_chance_on_noise_and_rare_with_skill() -> None:
    on_noise = np.mean([overfit_probability(noise(90, 40, seed)) for seed in range(12)])
    assert 0.3 < on_noise < 0.7
    skilled = noise(90, 40, 9)
    skilled[:, 7] += 0.01
    assert overfit_probability(skilled) < 0.05


@pytest.mark.parametrize("daily", [np.empty((0, 0)), np.zeros((90, 5)), noise(90, 1, 1)])
def test_overfitting_is_undefined_without_a_choice(daily: np.ndarray) -> None:
    assert math.isnan(overfit_probability(daily))


def test_choosing_among_noise_earns_nothing_out_of_sample_and_skill_is_found() -> None:
    on_noise = [choice_out_of_sample(noise(120, 30, seed)).walk_forward for seed in range(30)]
    assert abs(np.mean(on_noise)) < 1.5
    skilled = noise(120, 30, 4)
    skilled[:, 3] += 0.006
    found = choice_out_of_sample(skilled)
    assert found.walk_forward > 5.0
    assert found.path_low <= found.path_median
    assert found.path_low > 3.0


def test_choosing_is_undefined_with_too_few_days() -> None:
    assert math.isnan(choice_out_of_sample(noise(20, 5, 1)).walk_forward)


def test_the_paper_gate_asks_for_every_kind_of_evidence() -> None:
    gate = PaperGate()
    given = {"deflated_sharpe": 0.95, "overfit_probability": 0.1}
    assert paper(GOOD, gate, **given).passed
    assert not paper(GOOD, gate, **{**given, "deflated_sharpe": 0.89}).passed
    assert not paper(GOOD, gate, **{**given, "overfit_probability": 0.21}).passed
    assert not paper(GOOD, gate, **given, look_ahead_findings=1).passed
    assert not paper({}, gate, **given).passed
    assert paper_without_evidence(GOOD, gate, where="validation").passed
