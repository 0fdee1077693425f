"""Propose one candidate: a function of (cycle seed, index, attempt) and the frozen state.

Which process asks, in which order, and how often, changes nothing: every draw comes from the keyed
stream. `attempt` rises when a proposal turned out to be a duplicate or invalid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from numpy.random import Generator

from engine.evolve.blueprint import Blueprint
from engine.evolve.crossover import crossed
from engine.evolve.draws import Draws, keyed_generator
from engine.evolve.learned_state import LearnedState, Member
from engine.evolve.mutation import changed, mutated_blueprint
from engine.evolve.patterns import Guided
from engine.evolve.population import parents_for, select_parent
from engine.evolve.priors import Biased
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import EvolveSettings, Shares, Universe
from engine.strategy.genome import Genome
from engine.strategy.library import LIBRARY, library_genome

Origin = Literal["genetic", "pattern", "immigrant", "library"]
Parents = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate and where it comes from.

    Attributes
    ----------
    genome : valid for the universe it was proposed for
    parents : ids of the genomes it was bred from
    generation : one more than its older parent's; 0 without parents
    """

    genome: Genome
    origin: Origin
    parents: Parents = (None, None)
    generation: int = 0


def propose(
    cycle_seed: int,
    index: int,
    attempt: int,
    state: LearnedState,
    universe: Universe,
    shares: Shares,
    settings: EvolveSettings | None = None,
) -> Proposal:
    """Return the candidate at `index` of a cycle.

    Parameters
    ----------
    cycle_seed, index, attempt : int >= 0, the key of every random draw
    state : what was learned before the cycle, frozen at its start
    shares : proportions of genetic, pattern-guided and random candidates; a share that the state
        cannot serve yet
        (population too small, too few backtests) falls to random genomes, whose origin is
        `immigrant`
    """
    settings = settings or EvolveSettings()
    if state.is_empty and attempt == 0 and index < len(LIBRARY):
        name = tuple(LIBRARY)[index]
        return Proposal(library_genome(name, universe.timeframe, universe.market_type), "library")
    generator = keyed_generator(cycle_seed, index, attempt)
    # The first draw decides the origin, so that it does not depend on what the origin then draws.
    where = generator.random()
    if where < shares.genetic:
        child = _bred(state, generator, universe, settings)
        if child is not None:
            return child
    elif where < shares.genetic + shares.pattern:
        if state.n_backtests >= settings.pattern_min_backtests:
            guided = Guided(generator, state, settings.exploration)
            return Proposal(draw_genome(guided, universe), "pattern")
    return Proposal(draw_genome(Draws(generator), universe), "immigrant")


def improved(
    cycle_seed: int,
    index: int,
    attempt: int,
    state: LearnedState,
    universe: Universe,
    parent: Genome,
    generation: int,
    settings: EvolveSettings | None = None,
) -> Proposal:
    """Return a changed version of one strategy, its new genes drawn as the insights favour.

    Parameters
    ----------
    cycle_seed, index, attempt : int >= 0, the key of every random draw
    generation : of the parent
    """
    settings = settings or EvolveSettings()
    draws = Biased(keyed_generator(cycle_seed, index, attempt), state.priors)
    blueprint = Blueprint.of(parent, universe)
    child = changed(blueprint, parent.id, draws, universe, settings.mutation_rate)
    return Proposal(child, "genetic", (parent.id, None), generation + 1)


def _bred(
    state: LearnedState, generator: Generator, universe: Universe, settings: EvolveSettings
) -> Proposal | None:
    """Return a child of one or two members, mutated; None when there are too few to breed."""
    members = parents_for(state, universe.timeframe)
    if not members:
        return None
    draws = Biased(generator, state.priors)
    rate = settings.mutation_rate
    first = select_parent(members, draws)
    second = select_parent(members, draws) if draws.chance(settings.crossover_rate) else first
    blueprint = _blueprint(state, first, universe)
    if second is first:
        child = changed(blueprint, first.strategy_id, draws, universe, rate)
        return Proposal(child, "genetic", (first.strategy_id, None), first.generation + 1)
    mixed = crossed(blueprint, _blueprint(state, second, universe), draws)
    child = mutated_blueprint(mixed, draws, universe, rate).build()
    parents = (first.strategy_id, second.strategy_id)
    if child.id in parents:
        child = changed(mixed, child.id, draws, universe, rate)
    return Proposal(child, "genetic", parents, max(first.generation, second.generation) + 1)


def _blueprint(state: LearnedState, member: Member, universe: Universe) -> Blueprint:
    key = (member.strategy_id, universe)
    blueprint: Blueprint | None = state.memo.get(key)
    if blueprint is None:
        blueprint = state.memo[key] = Blueprint.of(member.genome, universe)
    return blueprint
