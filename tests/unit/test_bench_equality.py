"""What the equality checks hand to the peers, and that they can fail."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bench.definitions import Curve, Definition, definitions
from bench.equality import paddock_rows, side_genome, side_signals
from bench.metrics import compare
from bench.report import COMPARED
from engine.backtest.metric_names import METRIC_NAMES
from engine.strategy.bits import unpack
from engine.strategy.columns import compute_columns, required_operands
from engine.strategy.decisions import ConditionBank
from tests.unit.test_bench_signals import N_BARS, made_up_bars

PAIRS = [(5, 31), (12, 26)]


@pytest.mark.parametrize("is_reversing", [False, True])
def test_peers_get_the_crossings_of_the_side_asked_for(is_reversing: bool) -> None:
    bars = made_up_bars()
    (signals,) = side_signals(PAIRS, bars, is_reversing=is_reversing)
    for column, pair in enumerate(PAIRS):
        genome = side_genome(pair, is_reversing=is_reversing)
        columns = compute_columns(bars, "5m", required_operands([genome]))
        decided = ConditionBank(bars, "5m", columns).decisions(genome)
        wanted = {
            "entries": decided.long_entry,
            "short_entries": decided.short_entry if is_reversing else None,
            "exits": None if is_reversing else decided.long_exit,
        }
        for name, words in wanted.items():
            got = getattr(signals, name)
            if words is None:
                assert got is None, name
            else:
                assert got.any()
                np.testing.assert_array_equal(got[:, column], unpack(words, N_BARS))


def test_reversing_trades_about_twice_as_often() -> None:
    bars = made_up_bars()
    column = COMPARED.index("n_trades")
    long = paddock_rows(bars, PAIRS, is_reversing=False)[:, column]
    both = paddock_rows(bars, PAIRS, is_reversing=True)[:, column]
    assert np.all(np.abs(both - 2.0 * long) <= 1.0)


def curve() -> Curve:
    metrics = dict.fromkeys(METRIC_NAMES, 0.25)
    days = np.array([0.01, -0.02, 0.03])
    return Curve("made up", metrics, 105_120.0, days, days, days)


SAME = Definition("sharpe", "library.sharpe(bars)", lambda c: 0.25)
OTHER = Definition(
    "sharpe", "library.sharpe(days)", lambda c: 0.75, lambda c: 0.75, "of days", "bars are more"
)


def test_equal_definitions_hold_and_others_hold_as_stated() -> None:
    for definition in (SAME, OTHER):
        text, holds = compare(definition, [curve()], "GENERATED")
        assert holds
        assert json.loads(text)["max_difference"] == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        replace(SAME, theirs=lambda c: 0.25 + 2e-9),
        replace(SAME, theirs=lambda c: float("nan")),
        # The difference stated is not the whole one, or there is none.
        replace(OTHER, theirs=lambda c: 0.76),
        replace(OTHER, theirs=lambda c: 0.25, restated=lambda c: 0.25),
    ],
    ids=["off", "undefined", "more than stated", "not different"],
)
def test_a_definition_that_is_not_as_the_table_says_fails(wrong: Definition) -> None:
    text, holds = compare(wrong, [curve()], "GENERATED")
    assert not holds
    assert json.loads(text)["holds"] is False


def test_the_table_explains_every_difference_and_names_known_metrics() -> None:
    library = SimpleNamespace()
    table = definitions(library, library)
    assert {row.metric for row in table} >= {
        "sharpe",
        "sortino",
        "calmar",
        "max_drawdown",
        "annual_return",
        "value_at_risk",
        "expected_shortfall",
        "win_rate",
        "profit_factor",
    }
    for row in table:
        assert row.metric in METRIC_NAMES
        is_explained = bool(row.difference and row.reason)
        assert is_explained is (row.restated is not None), row.call
