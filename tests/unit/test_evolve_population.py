from __future__ import annotations

import math

import pytest

from engine.evolve.draws import Draws
from engine.evolve.learned_state import LearnedState
from engine.evolve.outcomes import Outcome
from engine.evolve.population import (
    FAMILY_MAX,
    MAX_AGE_CYCLES,
    family,
    niche,
    parents_for,
    select_parent,
    updated_population,
)
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import EvolveSettings, Universe
from engine.strategy.genome import (
    Condition,
    ConstantOperand,
    Exits,
    Genome,
    IndicatorOperand,
    StrategyType,
)

UNIVERSE = Universe("5m", "perp", ("1h",))


def random_outcomes(n_outcomes: int, universe: Universe = UNIVERSE) -> list[Outcome]:
    """Return outcomes of random genomes, in id order, with fitness falling from 1 to 0."""
    genomes = sorted((draw_genome(Draws.keyed(2, i), universe) for i in range(n_outcomes)), key=_id)
    return [
        Outcome(
            genome,
            1.0 - i / n_outcomes,
            1,
            {"average_trade_bars": float(2 ** (i % 9)), "exposure": (i % 5) / 5 + 0.1},
        )
        for i, genome in enumerate(genomes)
    ]


def _id(genome: Genome) -> str:
    return genome.id


def rsi_genome(length: float, stop_frac: float = 0.02) -> Genome:
    return Genome(
        type=StrategyType.MOMENTUM,
        timeframe="5m",
        direction="long",  # type: ignore[arg-type]
        long_entry=(
            Condition(
                left=IndicatorOperand(name="rsi", params={"length": length}),
                op=">",
                right=ConstantOperand(value=60.0),
            ),
        ),
        exits=Exits(stop_frac=stop_frac),
    )


def test_the_pool_is_bounded_and_best_first() -> None:
    pool = updated_population(LearnedState.empty(), random_outcomes(400), EvolveSettings())
    assert len(pool) == 100
    standings = [member.standing for member in pool]
    assert standings == sorted(standings, reverse=True)
    assert pool[0].fitness == 1.0


def test_undefined_fitness_stays_out() -> None:
    outcomes = [Outcome(o.genome, math.nan) for o in random_outcomes(20)]
    assert updated_population(LearnedState.empty(), outcomes, EvolveSettings()) == ()


def test_a_family_cannot_fill_the_pool() -> None:
    crowd = [
        Outcome(rsi_genome(5 + i), 10.0 + i, 1, {"average_trade_bars": 8.0, "exposure": 0.5})
        for i in range(40)
    ]
    others = random_outcomes(200)
    pool = updated_population(
        LearnedState.empty(), [*crowd, *others], EvolveSettings(population=50)
    )
    relatives = [m for m in pool if family(m.genome) == family(crowd[0].genome)]
    assert len(relatives) == FAMILY_MAX
    assert pool[0].fitness == 49.0


def test_a_pool_of_one_family_is_better_than_an_empty_one() -> None:
    crowd = [Outcome(rsi_genome(5 + i), float(i)) for i in range(40)]
    pool = updated_population(LearnedState.empty(), crowd, EvolveSettings(population=30))
    assert len(pool) == 30


def test_genomes_that_trade_alike_count_once() -> None:
    twins = [Outcome(rsi_genome(14, stop), 1.0) for stop in (0.02, 0.03, 0.04)]
    assert len(updated_population(LearnedState.empty(), twins, EvolveSettings())) == 1


def test_only_the_elite_grows_old() -> None:
    settings = EvolveSettings(population=20, elite=3)
    first = updated_population(LearnedState.empty(), random_outcomes(60), settings)
    later = LearnedState(population=first, n_cycles=MAX_AGE_CYCLES)
    kept = updated_population(later, [], settings)
    assert [m.strategy_id for m in kept] == [m.strategy_id for m in first[:3]]


def test_a_parent_must_hold_on_the_fit_segment_too() -> None:
    lucky = Outcome(rsi_genome(7), 9.0, fit_fitness=-3.0)
    steady = Outcome(rsi_genome(14), 1.0, fit_fitness=1.5)
    unknown = Outcome(rsi_genome(21), 0.5, fit_fitness=math.nan)
    assert [lucky.standing, steady.standing, unknown.standing] == [-3.0, 1.0, 0.5]
    assert math.isnan(Outcome(rsi_genome(7), math.nan, fit_fitness=2.0).standing)
    pool = updated_population(LearnedState.empty(), [lucky, steady, unknown], EvolveSettings())
    assert [member.fitness for member in pool] == [1.0, 0.5, 9.0]


def test_each_timeframe_keeps_its_own_pool() -> None:
    hours = random_outcomes(150, Universe("1h", "perp"))
    outcomes = [*random_outcomes(150), *hours]
    settings = EvolveSettings(population=40)
    state = LearnedState(
        population=updated_population(LearnedState.empty(), outcomes, settings), n_cycles=1
    )
    for timeframe in ("5m", "1h"):
        members = parents_for(state, timeframe)
        assert len(members) == 40
        assert {member.genome.timeframe for member in members} == {timeframe}
    assert parents_for(state, "4h") == ()


def test_parents_are_mostly_good_ones() -> None:
    members = updated_population(LearnedState.empty(), random_outcomes(300), EvolveSettings())
    draws = Draws.keyed(1, 2)
    chosen = [members.index(select_parent(members, draws)) for _ in range(2000)]
    # The least of three uniform ranks has its mean at a quarter of the pool.
    assert sum(chosen) / len(chosen) == pytest.approx(len(members) / 4, rel=0.1)
    assert max(chosen) > len(members) / 2


def test_niches_are_octaves_of_holding_and_fifths_of_exposure() -> None:
    assert niche(1.0, 0.05) == "0|0"
    assert niche(9.0, 0.45) == "3|2"
    assert niche(300.0, 1.0) == "8|4"
    assert niche(math.nan, math.nan) == "0|0"
