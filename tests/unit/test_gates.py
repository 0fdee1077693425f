from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from actors.screening import screen_strategy
from engine.backtest.metric_names import METRIC_INDEX, N_METRICS
from engine.select.gates import best_symbol, live, paper, screen
from engine.settings import LiveGate, PaperGate, ScreenGate

GATE = ScreenGate()
GOOD = {
    "sharpe": 1.5,
    "max_drawdown": 0.1,
    "n_trades": 40.0,
    "profit_factor": 1.4,
    "total_return": 0.2,
    "win_rate": 0.5,
    "average_trade_return": 0.006,
}


def on_both(**changes: float) -> dict[str, dict[str, float]]:
    return {"fit": GOOD, "validation": {**GOOD, **changes}}


def test_good_on_fit_and_validation_passes() -> None:
    verdict = screen(on_both(), GATE)
    assert verdict.passed
    assert verdict.in_words() == "passed screen"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("sharpe", 0.49),
        ("max_drawdown", 0.201),
        ("n_trades", 9.0),
        ("profit_factor", 0.99),
        ("total_return", -0.5),
        ("total_return", 5.01),
        ("win_rate", 0.34),
    ],
)
def test_one_number_over_its_limit_on_one_segment_fails(name: str, number: float) -> None:
    verdict = screen(on_both(**{name: number}), GATE)
    assert [(rule.name, rule.number, rule.where) for rule in verdict.failures] == [
        (name, number, "validation")
    ]
    assert f"{name} on validation" in verdict.in_words()


@pytest.mark.parametrize("name", ["sharpe", "max_drawdown", "n_trades", "total_return", "win_rate"])
def test_what_is_undefined_fails(name: str) -> None:
    assert not screen(on_both(**{name: math.nan}), GATE).passed


def test_no_losing_trade_is_an_infinite_profit_factor_and_passes() -> None:
    assert screen(on_both(profit_factor=math.inf), GATE).passed


def test_no_evidence_never_passes() -> None:
    assert not screen({}, GATE).passed
    assert not paper({}, PaperGate()).passed


def test_the_win_rate_can_be_switched_off() -> None:
    gate = ScreenGate(win_rate_enabled=False)
    assert screen(on_both(win_rate=0.0), gate).passed


def test_a_least_profit_a_trade_can_be_asked_for() -> None:
    gate = ScreenGate(profit_per_trade_min_frac=0.007)
    assert [rule.name for rule in screen(on_both(), gate).failures] == 2 * ["average_trade_return"]


def test_the_paper_gate_fails_closed_without_significance() -> None:
    good = {**GOOD, "win_rate": 0.6}
    gate = PaperGate()
    verdict = paper(good, gate)
    assert [rule.name for rule in verdict.failures] == ["deflated_sharpe", "overfit_probability"]
    assert paper(good, gate, deflated_sharpe=0.95, overfit_probability=0.1).passed


YEAR = {
    "sharpe": 1.6,
    "max_drawdown": 0.08,
    "n_trades": 80.0,
    "profit_factor": 1.4,
    "total_return": 0.3,
    "win_rate": 0.56,
}
ON_PAPER = {"total_return": 0.02, "max_drawdown": 0.03, "n_trades": 20.0}
PROVEN = {
    "deflated_sharpe": 0.96,
    "paper_deflated_sharpe": 0.96,
    "overfit_probability": 0.04,
    "paper_days": 60.0,
    "paper_days_needed": 45.0,
}


def test_a_year_and_a_paper_record_that_keep_to_every_limit_go_live() -> None:
    verdict = live(YEAR, ON_PAPER, LiveGate(), **PROVEN)
    assert verdict.passed
    # A gate that judges nothing twice says where it looked.
    places = {(rule.name, rule.where) for rule in verdict.rules}
    assert len(places) == len(verdict.rules)
    assert ("n_trades", "backtest and paper") in places


@pytest.mark.parametrize(
    ("which", "name", "number", "where"),
    [
        ("year", "sharpe", 1.49, "backtest"),
        ("year", "max_drawdown", 0.101, "backtest"),
        ("year", "n_trades", 79.0, "backtest and paper"),
        ("year", "profit_factor", 1.29, "backtest"),
        ("year", "total_return", 0.0, "backtest"),
        ("year", "win_rate", 0.54, "backtest"),
        ("paper", "total_return", 0.0, "paper"),
        ("paper", "max_drawdown", 0.101, "paper"),
        ("proof", "deflated_sharpe", 0.949, "backtest"),
        ("proof", "paper_deflated_sharpe", 0.949, "paper"),
        ("proof", "overfit_probability", 0.051, "backtest"),
        ("proof", "paper_days", 44.0, "paper"),
        ("proof", "paper_days_needed", math.nan, "paper"),
        ("proof", "look_ahead_findings", 1.0, "backtest"),
    ],
)
def test_one_number_over_its_limit_keeps_a_strategy_on_paper(
    which: str, name: str, number: float, where: str
) -> None:
    changed = {"year": dict(YEAR), "paper": dict(ON_PAPER), "proof": dict(PROVEN)}
    changed[which][name] = number
    proof: dict[str, Any] = changed["proof"]
    verdict = live(changed["year"], changed["paper"], LiveGate(), **proof)
    assert [rule.where for rule in verdict.failures] == [where]


def test_the_live_gate_fails_closed_without_a_paper_record() -> None:
    failed = {(r.name, r.where) for r in live(YEAR, {}, LiveGate()).failures}
    assert failed == {
        ("n_trades", "backtest and paper"),
        ("total_return", "paper"),
        ("max_drawdown", "paper"),
        ("deflated_sharpe", "backtest"),
        ("deflated_sharpe", "paper"),
        ("overfit_probability", "backtest"),
        ("track_record", "paper"),
    }
    assert not live({}, {}, LiveGate()).passed


def test_the_best_symbol_is_the_fittest_and_undefined_comes_last() -> None:
    assert best_symbol({"A": 0.1, "B": 0.3, "C": math.nan}) == "B"
    assert best_symbol({"B": 0.3, "A": 0.3}) == "A"
    assert best_symbol({"C": math.nan, "A": -1.0}) == "A"
    assert best_symbol({}) is None


def rows(**by_symbol: dict[str, float]) -> dict[tuple[str, str], Any]:
    made = {}
    for symbol, changes in by_symbol.items():
        for segment in ("fit", "validation"):
            row = np.full(N_METRICS, np.nan)
            for name, value in {**GOOD, "fitness": 1.0, **changes}.items():
                row[METRIC_INDEX[name]] = value
            made[symbol, segment] = row
    return made


def test_one_symbol_that_passes_is_enough_and_the_scores_are_the_best_ones() -> None:
    found = screen_strategy(
        "s",
        rows(A={"sharpe": 0.1, "fitness": 3.0}, B={"fitness": 2.0}),
        ("A", "B"),
        GATE,
        is_failed=False,
    )
    assert (found.passed, found.symbol) == (True, "B")
    assert (found.score.best_symbol, found.score.sharpe) == ("A", 0.1)
    assert found.score.fitness == 2.5


def test_fitness_undefined_on_one_symbol_is_undefined() -> None:
    found = screen_strategy(
        "s", rows(A={}, B={"fitness": math.nan}), ("A", "B"), GATE, is_failed=False
    )
    assert math.isnan(found.score.fitness)


def test_a_failed_evaluation_passes_nowhere() -> None:
    found = screen_strategy("s", rows(A={}), ("A",), GATE, is_failed=True)
    assert (found.passed, found.reason) == (False, "an evaluation failed")
