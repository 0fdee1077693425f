"""The known answers of the statistics, each at its own tolerance."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backtest import metrics, walkforward
from engine.backtest.significance import kelly, multiple_trials, overfitting, sharpe_ratio
from engine.types import bars_per_year

Answers = dict[str, float]

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "statistics.json").read_text(encoding="utf-8")
)


def _moments(inputs: dict[str, Any]) -> tuple[float, float, float, float]:
    sharpe = sharpe_ratio.per_period(inputs["sharpe_annual"], inputs["periods_per_year"])
    return sharpe, inputs["n_bars"], inputs["skewness"], inputs["kurtosis"]


def _deflated(inputs: dict[str, Any]) -> Answers:
    variance = inputs["variance_of_trial_sharpes_annual"] / inputs["periods_per_year"]
    n_trials = inputs["n_trials"]
    return {
        "expected_max_sharpe_per_period": multiple_trials.expected_maximum_sharpe(
            n_trials, variance
        ),
        "deflated_sharpe": multiple_trials.deflated_sharpe(*_moments(inputs), n_trials, variance),
    }


def _probabilistic(inputs: dict[str, Any]) -> Answers:
    probability = sharpe_ratio.probabilistic_sharpe(*_moments(inputs), inputs["benchmark_sharpe"])
    return {"probabilistic_sharpe": probability}


def _track_record(inputs: dict[str, Any]) -> Answers:
    periods = inputs["periods_per_year"]
    n_bars = sharpe_ratio.minimum_track_record_length(
        sharpe_ratio.per_period(inputs["sharpe_annual"], periods),
        inputs["skewness"],
        inputs["kurtosis"],
        sharpe_ratio.per_period(inputs["benchmark_sharpe_annual"], periods),
        inputs["confidence"],
    )
    return {"years": n_bars / periods}


def _pbo(inputs: dict[str, Any]) -> Answers:
    noise = np.random.default_rng(5).standard_normal((1000, 50))
    noise = (noise - noise.mean(axis=0)) / noise.std(axis=0, ddof=1) * 0.01 + 0.001
    if "shifted" in inputs["description"]:
        noise[:, 17] += 0.02
    found = overfitting.probability_of_backtest_overfitting(noise, 16)
    assert found.logits.shape == (12870,)
    return {"pbo": found.probability, "pbo_at_least": found.probability}


def _paths(inputs: dict[str, Any]) -> Answers:
    groups = inputs["n_groups"], inputs["n_test_groups"]
    assert len(walkforward.combinatorial_purged_folds(600, *groups)) == (
        walkforward.combinatorial_splits(*groups)
    )
    return {
        "splits": walkforward.combinatorial_splits(*groups),
        "paths": walkforward.combinatorial_paths(*groups),
    }


def _annualisation(inputs: dict[str, Any]) -> Answers:
    periods = bars_per_year(inputs["timeframe"])
    return {"periods": periods, "sqrt": sharpe_ratio.annual(1.0, periods)}


def _compounding(inputs: dict[str, Any]) -> Answers:
    equity = [1.0]
    for fraction in inputs["returns"]:
        equity.append(equity[-1] * (1.0 + fraction))
    return {"final": 1.0 + metrics.total_return(np.array(equity))}


ANSWER: dict[str, Callable[[dict[str, Any]], Answers]] = {
    "deflated_sharpe": _deflated,
    "probabilistic_sharpe": _probabilistic,
    "minimum_track_record_length": _track_record,
    "expected_maximum_sharpe": lambda inputs: {
        "value": multiple_trials.expected_maximum_sharpe(inputs["n_trials"], inputs["variance"])
    },
    "minimum_backtest_length": lambda inputs: {
        "years": multiple_trials.minimum_backtest_length(
            inputs["n_trials"], inputs["target_sharpe_annual"]
        )
    },
    "cscv_combinations": lambda inputs: {
        "combinations": overfitting.cscv_combinations(inputs["n_blocks"])
    },
    "probability_of_backtest_overfitting": _pbo,
    "combinatorial_purged_cv": _paths,
    "periods_per_year": _annualisation,
    "kelly_fraction": lambda inputs: {
        "fraction": kelly.kelly_fraction(inputs["win_probability"], inputs["payoff_ratio"])
    },
    "equity_curve": _compounding,
    "profit_factor": lambda inputs: {
        "value": metrics.profit_factor(np.array(inputs["trade_pnl"], dtype=float))
    },
    "max_drawdown": lambda inputs: {
        "value": metrics.max_drawdown(np.array(inputs["equity"], dtype=float))
    },
}

# Hierarchical risk parity waits for the allocation of capital: the engine cannot do it yet.
WITHOUT_ENGINE_CODE = {"hrp_diagonal"}
COVERED = [case for case in CASES if case["name"] not in WITHOUT_ENGINE_CODE]


@pytest.mark.parametrize("case", COVERED, ids=[case["name"] for case in COVERED])
def test_statistic_gives_the_known_answer(case: dict[str, Any]) -> None:
    answers = ANSWER[case["function"]](case["inputs"])
    for name, wanted in case["expected"].items():
        if name.endswith("_at_least"):
            assert answers[name] >= wanted
        else:
            assert math.isclose(answers[name], wanted, rel_tol=case["rtol"], abs_tol=0.0), name
