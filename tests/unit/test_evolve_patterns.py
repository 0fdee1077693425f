from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from engine.evolve.draws import Draws, keyed_generator
from engine.evolve.learn import learn
from engine.evolve.learned_state import LearnedState, PatternStatistic
from engine.evolve.outcomes import Outcome
from engine.evolve.patterns import Guided, genome_patterns, rank_rewards, updated_patterns
from engine.evolve.propose import propose
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import EvolveSettings, Shares, Universe
from engine.strategy.library import library_genome

UNIVERSE = Universe("5m", "perp", ("15m", "1h"))


def test_patterns_of_a_library_strategy() -> None:
    names = genome_patterns(library_genome("bollinger_reversion", "5m"))
    assert {
        "type=mean_reversion",
        "direction=long",
        "entry=rsi.value < level",
        "type=mean_reversion|entry=rsi.value < level",
        "entry=rsi.value < level|entry=close < bollinger.lower",
        "entry=close < bollinger.lower|entry=rsi.value < level",
        "exit=close > bollinger.middle",
        "rsi.value < level.level=30",
        "rsi.length=14",
        "bollinger.width=2",
        "indicator=bollinger",
        "stop=0.02",
        "target=0.06",
        "has_hold=False",
        "is_higher=False",
    } <= set(names)
    assert len(names) == len(set(names))


def test_ranks_ignore_the_scale_and_put_the_undefined_last() -> None:
    fitness = np.array([-1e6, np.nan, 0.1, 0.1, 5.0, np.nan])
    ranks = rank_rewards(fitness)
    assert ranks.tolist() == pytest.approx([0.4, 0.0, 0.7, 0.7, 1.0, 0.0])
    assert rank_rewards(np.exp(fitness * 1e-7)).tolist() == ranks.tolist()
    assert rank_rewards(np.array([np.nan, np.nan])).tolist() == [0.0, 0.0]
    assert rank_rewards(np.array([3.0])).tolist() == [0.0]


def test_old_evidence_decays() -> None:
    genome = library_genome("momentum", "5m")
    once = updated_patterns({}, [genome], np.array([1.0]), 0.5)
    assert once["type=momentum"] == PatternStatistic(1.0, 1.0, 1.0)
    twice = updated_patterns(once, [genome], np.array([0.5]), 0.5)
    assert twice["type=momentum"] == PatternStatistic(1.5, 1.0, 0.75)
    faded = updated_patterns(twice, [], np.array([]), 0.5)
    assert faded["type=momentum"].weight == 0.75
    assert faded["type=momentum"].mean == twice["type=momentum"].mean


def taught(is_good: str) -> LearnedState:
    """Return a state in which genomes with one pattern were rewarded and all others were not."""
    outcomes = []
    for i in range(1200):
        genome = draw_genome(Draws.keyed(4, i), UNIVERSE)
        has_it = is_good in genome_patterns(genome)
        outcomes.append(Outcome(genome, float(has_it) + (i % 7) * 0.01))
    return learn(LearnedState.empty(), outcomes)


@pytest.mark.parametrize(
    "pattern", ["hold=48", "type=breakout", "direction=short", "has_target=False"]
)
def test_guided_draws_follow_what_was_rewarded(pattern: str) -> None:
    state = taught(pattern)
    guided = Counter[bool]()
    plain = Counter[bool]()
    for i in range(200):
        genome = draw_genome(Guided(keyed_generator(8, i, 0), state, 0.1), UNIVERSE)
        guided[pattern in genome_patterns(genome)] += 1
        plain[pattern in genome_patterns(draw_genome(Draws.keyed(8, i), UNIVERSE))] += 1
    assert guided[True] > 160
    assert plain[True] < 110


def test_guided_draws_find_a_combination_that_is_good_only_together() -> None:
    pattern = "type=momentum|entry=roc.value > level"
    state = taught(pattern)
    shapes = Counter[str]()
    options = ("roc.value > level", "rsi.value > level", "cci.value > level")
    for i in range(300):
        guided = Guided(keyed_generator(9, i, 0), state, 0.0)
        shapes[guided.choose("entry", options, ("type=momentum",))] += 1
    assert shapes["roc.value > level"] > 270


def test_what_was_never_tried_is_tried() -> None:
    statistic = PatternStatistic(400.0, 220.0, 130.0)
    state = LearnedState(patterns={"stop=0.01": statistic, "stop=0.02": statistic}, n_cycles=1)
    chosen = Counter[float]()
    for i in range(300):
        guided = Guided(keyed_generator(10, i, 0), state, 0.1)
        chosen[guided.choose("stop", (0.01, 0.02, 0.03))] += 1
    assert chosen[0.03] > 60


def test_without_evidence_guided_draws_explore_evenly() -> None:
    chosen = Counter[int]()
    for i in range(2000):
        guided = Guided(keyed_generator(11, i, 0), LearnedState.empty(), 0.1)
        chosen[guided.choose("hold", (6, 12, 24, 48))] += 1
    assert all(count == pytest.approx(500, abs=90) for count in chosen.values())


def test_pattern_candidates_repeat_exactly_after_a_reload() -> None:
    state = taught("hold=48")
    settings = EvolveSettings(pattern_min_backtests=0)
    shares = Shares(0.0, 1.0, 0.0)
    again = LearnedState.from_json(state.canonical_json())
    for i in range(20):
        ours = propose(5, i, 0, state, UNIVERSE, shares, settings)
        assert ours.origin == "pattern"
        assert ours == propose(5, i, 0, again, UNIVERSE, shares, settings)
