from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evolve.blueprint import Blueprint
from engine.evolve.crossover import crossed
from engine.evolve.draws import Draws, choice_name, keyed_generator
from engine.evolve.mirror import all_mirrored, condition_shape, mirrored
from engine.evolve.mutation import mutated, mutated_blueprint
from engine.evolve.patterns import genome_patterns
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.strategy.genome import Direction, Genome
from engine.strategy.indicator_specs import INDICATOR_SPECS

T = TypeVar("T")
SEEDS = st.integers(min_value=0, max_value=2**63)
UNIVERSES = st.sampled_from(
    [
        Universe("5m", "spot", ("15m", "1h", "4h")),
        Universe("5m", "perp", ("15m", "1h", "4h")),
        Universe("15m", "perp"),
        Universe("1h", "spot", ("4h",)),
        Universe("4h", "perp", ("1d",)),
        Universe("1m", "perp", ("3m", "5m", "1d")),
        Universe("1d", "spot"),
    ]
)


def assert_valid_for(genome: Genome, universe: Universe) -> None:
    """Read the genome back through full validation, and hold it against its universe."""
    again = Genome.from_json(genome.canonical_json())
    assert again == genome
    assert again.id == genome.id
    assert genome.timeframe == universe.timeframe
    if not universe.is_perp:
        assert genome.direction is Direction.LONG
        assert genome.risk.leverage == 1.0
    allowed = {None, *universe.higher_timeframes}
    assert {operand.timeframe for operand in genome.operands()} <= allowed


def cross(first: Genome, second: Genome, draws: Draws, universe: Universe) -> Blueprint:
    return crossed(Blueprint.of(first, universe), Blueprint.of(second, universe), draws)


@given(seed=SEEDS, universe=UNIVERSES)
def test_random_genomes_are_valid_for_their_universe(seed: int, universe: Universe) -> None:
    genome = draw_genome(Draws.keyed(seed, 0), universe)
    assert_valid_for(genome, universe)
    assert 0.005 <= genome.exits.stop_frac <= 0.06
    for operand in genome.operands():
        if operand.kind == "indicator":
            grids = {spec.name: spec.grid for spec in INDICATOR_SPECS[operand.name].parameters}
            assert all(value in grids[name] for name, value in operand.params.items())


@given(seed=SEEDS, universe=UNIVERSES, rate=st.floats(min_value=0.0, max_value=1.0))
def test_mutants_are_valid_and_never_their_parent(
    seed: int, universe: Universe, rate: float
) -> None:
    draws = Draws.keyed(seed, 1)
    genome = draw_genome(draws, universe)
    for _ in range(5):
        child = mutated(genome, draws, universe, rate)
        assert_valid_for(child, universe)
        assert child.id != genome.id
        genome = child


@given(seed=SEEDS, universe=UNIVERSES, rate=st.floats(min_value=0.0, max_value=1.0))
def test_children_of_two_are_valid(seed: int, universe: Universe, rate: float) -> None:
    draws = Draws.keyed(seed, 2)
    first, second = draw_genome(draws, universe), draw_genome(draws, universe)
    for _ in range(4):
        child = mutated_blueprint(
            cross(first, second, draws, universe), draws, universe, rate
        ).build()
        assert_valid_for(child, universe)
        first, second = second, child


@given(seed=SEEDS)
def test_perp_parents_give_valid_spot_children(seed: int) -> None:
    perp, spot = Universe("5m", "perp", ("1h",)), Universe("5m", "spot", ("1h",))
    draws = Draws.keyed(seed, 3)
    first, second = draw_genome(draws, perp), draw_genome(draws, perp)
    assert_valid_for(cross(first, second, draws, spot).build(), spot)
    assert_valid_for(mutated(first, draws, spot, 0.15), spot)


@given(seed=SEEDS, universe=UNIVERSES)
def test_a_blueprint_puts_the_same_genome_together_again(seed: int, universe: Universe) -> None:
    genome = draw_genome(Draws.keyed(seed, 4), universe)
    assert Blueprint.of(genome, universe).build().id == genome.id


@given(seed=SEEDS, universe=UNIVERSES)
def test_mirroring_twice_gives_the_condition_back(seed: int, universe: Universe) -> None:
    for condition in draw_genome(Draws.keyed(seed, 5), universe).conditions():
        twice = mirrored(mirrored(condition))
        assert twice.key == condition.key
        assert condition_shape(twice) == condition_shape(condition)


@given(seed=SEEDS)
def test_both_sides_of_a_drawn_genome_mirror_each_other(seed: int) -> None:
    genome = draw_genome(Draws.keyed(seed, 6), Universe("5m", "perp"))
    if genome.direction is Direction.BOTH:
        assert all_mirrored(genome.long_entry) == genome.short_entry
        assert all(mirrored(condition) is condition for condition in genome.filters)


class Noted(Draws):
    """Draws that remember what was chosen for which gene."""

    def __init__(self, seed: int) -> None:
        super().__init__(keyed_generator(seed, 7, 0))
        self.chosen: set[str] = set()

    def choose(self, gene: str, options: Sequence[T], contexts: tuple[str, ...] = ()) -> T:
        option = super().choose(gene, options, contexts)
        name = choice_name(gene, option)
        self.chosen.update((name, *(f"{context}|{name}" for context in contexts)))
        return option


@given(seed=SEEDS, universe=UNIVERSES)
@settings(max_examples=200)
def test_every_choice_of_a_drawn_genome_can_be_read_off_it(seed: int, universe: Universe) -> None:
    draws = Noted(seed)
    genome = draw_genome(draws, universe)
    missing = draws.chosen - set(genome_patterns(genome))
    # A condition drawn twice is kept once, which leaves fewer conditions than were asked for.
    doubled = {"n_entry", "n_filters", "entry", "confidence"}
    assert {name.split("|")[-1].split("=")[0] for name in missing} <= doubled
    if len(genome.long_entry or genome.short_entry) > 1:
        assert not any(name.startswith("type=") and "|" in name for name in missing)
