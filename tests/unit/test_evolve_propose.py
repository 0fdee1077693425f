from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import replace

import pytest

from engine.errors import ConfigError
from engine.evolve.draws import Draws
from engine.evolve.learn import learn
from engine.evolve.learned_state import LearnedState
from engine.evolve.outcomes import Outcome
from engine.evolve.propose import Proposal, propose
from engine.evolve.random_genome import draw_genome, hold_grid
from engine.evolve.universe import EvolveSettings, Shares, Universe
from engine.strategy.library import LIBRARY
from engine.types import TIMEFRAME_MS

UNIVERSE = Universe("5m", "perp", ("15m", "1h"), ("BTC/USDT",))
SETTINGS = EvolveSettings(pattern_min_backtests=100)


def taught(n_outcomes: int = 200, universe: Universe = UNIVERSE) -> LearnedState:
    """Return a state that has seen random genomes with made-up results."""
    outcomes = []
    for i in range(n_outcomes):
        genome = draw_genome(Draws.keyed(1, i), universe)
        fitness = math.sin(7.0 * i) - 10.0 * genome.exits.stop_frac
        metrics = {"average_trade_bars": float(1 + i % 64), "exposure": (i % 10) / 10}
        outcomes.append(Outcome(genome, fitness, 1, metrics))
    return learn(LearnedState.empty(), outcomes, SETTINGS)


def candidates(state: LearnedState, count: int, universe: Universe = UNIVERSE) -> list[Proposal]:
    return [propose(3, i, 0, state, universe, Shares(), SETTINGS) for i in range(count)]


def test_the_same_key_gives_the_same_candidate_in_any_order() -> None:
    state = taught()
    forwards = [propose(3, i, 0, state, UNIVERSE, Shares(), SETTINGS) for i in range(60)]
    again = LearnedState.from_json(state.canonical_json())
    backwards = [propose(3, i, 0, again, UNIVERSE, Shares(), SETTINGS) for i in reversed(range(60))]
    assert forwards == backwards[::-1]


def test_seed_index_and_attempt_each_change_the_candidate() -> None:
    state = LearnedState.empty()
    keys = [(3, 10, 0), (4, 10, 0), (3, 11, 0), (3, 10, 1)]
    ids = {propose(*key, state, UNIVERSE, Shares()).genome.id for key in keys}
    assert len(ids) == len(keys)


def test_a_fresh_state_starts_with_the_library() -> None:
    proposals = candidates(LearnedState.empty(), len(LIBRARY) + 3)
    assert [p.origin for p in proposals] == ["library"] * len(LIBRARY) + ["immigrant"] * 3
    assert propose(3, 0, 1, LearnedState.empty(), UNIVERSE, Shares()).origin == "immigrant"


def test_a_taught_state_keeps_the_shares() -> None:
    counts = Counter(p.origin for p in candidates(taught(), 1000))
    assert counts["genetic"] == pytest.approx(700, abs=50)
    assert counts["pattern"] == pytest.approx(150, abs=40)
    assert counts["immigrant"] == pytest.approx(150, abs=40)


def test_patterns_wait_for_enough_backtests() -> None:
    state = taught(99)
    assert "pattern" not in {p.origin for p in candidates(state, 200)}
    enough = replace(state, n_backtests=100)
    assert "pattern" in {p.origin for p in candidates(enough, 200)}


def test_a_small_population_breeds_nothing() -> None:
    state = replace(taught(), population=taught().population[:3])
    assert "genetic" not in {p.origin for p in candidates(state, 100)}


def test_members_of_another_timeframe_are_no_parents() -> None:
    proposals = candidates(taught(), 100, Universe("1h", "perp"))
    assert "genetic" not in {p.origin for p in proposals}
    assert {p.genome.timeframe for p in proposals} == {"1h"}


def test_children_name_their_parents_and_generation() -> None:
    state = taught()
    members = {member.strategy_id for member in state.population}
    bred = [p for p in candidates(state, 300) if p.origin == "genetic"]
    assert {len([x for x in p.parents if x]) for p in bred} == {1, 2}
    for proposal in bred:
        assert proposal.generation == 1
        assert {x for x in proposal.parents if x} <= members
        assert proposal.genome.id not in proposal.parents
    others = [p for p in candidates(state, 300) if p.origin != "genetic"]
    assert {(p.parents, p.generation) for p in others} == {((None, None), 0)}


def test_immigrants_do_not_depend_on_what_was_learned() -> None:
    state = taught()
    for index, proposal in enumerate(candidates(state, 300)):
        if proposal.origin == "immigrant":
            fresh = propose(3, index, 1, LearnedState.empty(), UNIVERSE, Shares())
            learned = propose(3, index, 1, state, UNIVERSE, Shares(), SETTINGS)
            if learned.origin == "immigrant":
                assert learned == fresh
                return
    pytest.fail("no immigrant was proposed twice")


def test_few_candidates_are_alike() -> None:
    ids = {p.genome.id for p in candidates(taught(), 1000)}
    assert len(ids) >= 950


def test_a_proposal_takes_under_two_milliseconds() -> None:
    state = taught()
    candidates(state, 50)
    started = time.process_time()
    candidates(state, 500)
    assert (time.process_time() - started) / 500 < 0.002


def test_time_stops_suit_the_timeframe() -> None:
    assert hold_grid("5m") == (6, 12, 24, 48, 96, 192, 288)
    assert hold_grid("1h") == (4, 8, 16, 24, 48, 96, 240)
    assert hold_grid("4h") == (4, 6, 12, 24, 60, 120)
    assert all(len(hold_grid(timeframe)) >= 3 for timeframe in TIMEFRAME_MS)


def test_shares_must_fill_the_cycle() -> None:
    with pytest.raises(ConfigError, match="add up to 1"):
        Shares(0.5, 0.2, 0.2)
    with pytest.raises(ConfigError, match=">= 0"):
        Shares(1.2, -0.2, 0.0)


def test_a_universe_refuses_timeframes_that_do_not_nest() -> None:
    with pytest.raises(ConfigError, match="5m is not a longer multiple of 15m"):
        Universe("15m", "spot", ("5m",))
    with pytest.raises(ConfigError, match="margin"):
        Universe("15m", "margin")  # type: ignore[arg-type]
    fitting = Universe.of("15m", "spot", ("4h", "5m", "15m", "1h"))
    assert fitting.higher_timeframes == ("1h", "4h")
