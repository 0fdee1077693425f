"""Breed a child from two parents: blocks of genes that belong together come from one or the other.

The entry comes whole from one parent, or is mixed condition by condition; filters, each exit, and
risk are taken from either parent, all alike.
"""

from __future__ import annotations

from dataclasses import replace

from engine.evolve.blueprint import Blueprint
from engine.evolve.draws import Draws
from engine.evolve.mutation import MAX_ENTRY
from engine.evolve.random_genome import distinct
from engine.strategy.genome import StrategyType

MIX_CHANCE = 0.5
KEEP_CHANCE = 0.6


def crossed(a: Blueprint, b: Blueprint, draws: Draws) -> Blueprint:
    """Return the blueprint of a child; it is valid where its parents are, and may equal one."""

    def either() -> Blueprint:
        return a if draws.chance(0.5) else b

    child = _mixed_entry(a, b, draws) if draws.chance(MIX_CHANCE) else either()
    exits = either()
    return replace(
        child,
        filters=either().facing(child.direction).filters,
        stop_frac=either().stop_frac,
        target_frac=either().target_frac,
        trailing_frac=either().trailing_frac,
        max_bars=either().max_bars,
        on_opposite=either().on_opposite,
        exit_conditions=exits.exit_conditions,
        short_exit_conditions=exits.short_exit_conditions,
        risk=either().risk,
    )


def _mixed_entry(a: Blueprint, b: Blueprint, draws: Draws) -> Blueprint:
    """Return the first parent with entry conditions of both; two-sided children mirror them."""
    pool = distinct((*a.entry, *b.entry))
    kept = tuple(condition for condition in pool if draws.chance(KEEP_CHANCE))[:MAX_ENTRY]
    entry = kept or (draws.pick(pool),)
    side = a if draws.chance(0.5) else b
    return replace(
        a,
        type=a.type if a.type is b.type else StrategyType.HYBRID,
        direction=side.direction,
        entry=entry,
        short_entry=None,
        confidence=side.confidence if len(entry) > 1 else 1.0,
    )
