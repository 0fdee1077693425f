from __future__ import annotations

import json
import math
import pickle
import random
import time
from dataclasses import replace

import numpy as np
import pytest

from engine.backtest.metric_names import METRIC_INDEX, N_METRICS
from engine.errors import DataError
from engine.evolve.draws import Draws
from engine.evolve.learn import learn
from engine.evolve.learned_state import LearnedState
from engine.evolve.outcomes import Outcome
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import EvolveSettings, Universe

UNIVERSE = Universe("5m", "perp", ("15m", "1h"))


def outcomes(n_outcomes: int, seed: int = 1) -> list[Outcome]:
    """Return made-up results: short stops are bad, a few candidates are undefined."""
    made = []
    for i in range(n_outcomes):
        genome = draw_genome(Draws.keyed(seed, i), UNIVERSE)
        fitness = math.nan if i % 11 == 0 else 30.0 * genome.exits.stop_frac + math.sin(7.0 * i)
        metrics = {"average_trade_bars": float(1 + i % 64), "exposure": (i % 10) / 10}
        made.append(Outcome(genome, fitness, 3, metrics, fit_fitness=fitness - 0.1))
    return made


def test_the_order_of_outcomes_changes_nothing() -> None:
    results = outcomes(300)
    shuffled = results.copy()
    random.Random(5).shuffle(shuffled)
    forwards, backwards = LearnedState.empty(), LearnedState.empty()
    for _ in range(3):
        forwards, backwards = learn(forwards, results), learn(backwards, shuffled)
    assert forwards.hash == backwards.hash


def test_a_repeated_outcome_counts_once() -> None:
    results = outcomes(50)
    assert learn(LearnedState.empty(), results * 2) == learn(LearnedState.empty(), results)


def test_learning_leaves_the_old_state_as_it_was() -> None:
    state = learn(LearnedState.empty(), outcomes(100))
    before = state.canonical_json()
    learned = learn(state, outcomes(100, seed=2))
    assert state.canonical_json() == before
    assert learned.parent_hash == state.hash
    assert learned.hash != state.hash


def test_counters_add_up() -> None:
    state = learn(LearnedState.empty(), outcomes(40))
    state = learn(state, outcomes(30, seed=2))
    assert (state.n_cycles, state.n_outcomes, state.n_backtests) == (2, 70, 210)


def test_the_earliest_bar_read_only_moves_back() -> None:
    state = learn(LearnedState.empty(), outcomes(5), earliest_read_at=2000)
    assert state.earliest_read_at == 2000
    state = learn(state, outcomes(5), earliest_read_at=3000)
    assert state.earliest_read_at == 2000
    assert learn(state, outcomes(5), earliest_read_at=1000).earliest_read_at == 1000
    assert learn(state, outcomes(5)).earliest_read_at == 2000


def test_a_cycle_without_outcomes_teaches_nothing_but_is_remembered() -> None:
    state = learn(learn(LearnedState.empty(), outcomes(200)), [])
    assert state.n_cycles == 2
    assert len(state.population) > 50


def test_states_survive_text_and_pickle() -> None:
    state = learn(LearnedState.empty(), outcomes(200), earliest_read_at=7)
    again = LearnedState.from_json(state.canonical_json())
    assert again == state
    assert again.hash == state.hash
    assert pickle.loads(pickle.dumps(state)).hash == state.hash
    assert LearnedState.empty().hash == LearnedState.from_json(LearnedState().canonical_json()).hash


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', "{]"])
def test_broken_state_text_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="start from an empty state"):
        LearnedState.from_json(text)


def test_states_of_another_version_are_refused() -> None:
    document = json.loads(LearnedState.empty().canonical_json())
    with pytest.raises(DataError, match="has version 99, expected 1"):
        LearnedState.from_json(json.dumps({**document, "version": 99}))


def test_the_state_stays_bounded() -> None:
    state = LearnedState.empty()
    for seed in range(6):
        state = learn(state, outcomes(400, seed))
    assert len(state.population) == 100
    assert len(state.patterns) <= 6000
    assert len(state.canonical_json()) < 1_500_000


def test_settings_bound_the_population() -> None:
    state = learn(LearnedState.empty(), outcomes(200), EvolveSettings(population=20, elite=2))
    assert len(state.population) == 20


def test_two_thousand_outcomes_are_learned_quickly() -> None:
    results = outcomes(2000)
    learn(LearnedState.empty(), results[:50])
    started = time.process_time()
    learn(LearnedState.empty(), results)
    assert time.process_time() - started < 2.0


def test_fitness_is_the_mean_over_symbols_and_undefined_when_any_is() -> None:
    genome = draw_genome(Draws.keyed(1, 1), UNIVERSE)
    rows = np.zeros((2, N_METRICS))
    rows[:, METRIC_INDEX["fitness"]] = (0.5, 1.5)
    rows[:, METRIC_INDEX["exposure"]] = (0.2, 0.4)
    outcome = Outcome.of(genome, rows, 4, fit=rows - 3.0)
    assert (outcome.fitness, outcome.n_backtests, outcome.generation) == (1.0, 2, 4)
    assert outcome.metrics["exposure"] == pytest.approx(0.3)
    assert (outcome.fit_fitness, outcome.standing) == (-2.0, -2.0)
    rows[1, METRIC_INDEX["fitness"]] = np.nan
    assert math.isnan(Outcome.of(genome, rows).fitness)
    with pytest.raises(DataError, match="validation rows have shape"):
        Outcome.of(genome, rows[:, :5])
    with pytest.raises(DataError, match="fit rows have shape"):
        Outcome.of(genome, rows, fit=rows[:0])


def test_hashes_depend_on_every_part() -> None:
    state = learn(LearnedState.empty(), outcomes(100), earliest_read_at=5)
    others = [
        replace(state, n_cycles=9),
        replace(state, earliest_read_at=4),
        replace(state, population=state.population[1:]),
        replace(state, patterns=dict(list(state.patterns.items())[1:])),
        replace(state, priors={"hold=48": 1.5}),
        replace(state, parent_hash="0"),
    ]
    assert len({state.hash, *(other.hash for other in others)}) == 7
