"""Change some genes of a genome.

Every gene (each condition, each list's length, confidence, stop, target, trailing, time stop,
opposite signal, exit conditions, direction, risk) is drawn anew or stepped along its grid with the
mutation rate, independently. A child that would equal its parent gets one gene changed for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from engine.evolve.blueprint import Blueprint
from engine.evolve.condition_mutation import mutated_condition
from engine.evolve.draws import Draws
from engine.evolve.random_condition import draw_condition
from engine.evolve.random_genome import (
    CONFIDENCES,
    STOPS,
    TARGETS,
    TRAILINGS,
    distinct,
    draw_direction,
    draw_entries,
    draw_exit_conditions,
    draw_hold,
    draw_risk,
    draw_stop,
    draw_target,
    draw_template,
    draw_trailing,
    hold_grid,
)
from engine.evolve.universe import Universe
from engine.evolve.vocabulary import CONTEXTS, DRAWN_TYPES, FILTERS, TRIGGERS
from engine.strategy.genome import Condition, Genome, StrategyType

Conditions = tuple[Condition, ...]
N = TypeVar("N", int, float)
MAX_ENTRY = 4
MAX_FILTERS = 3
MAX_EXITS = 2
STEP_CHANCE = 0.7
REPLACE_CHANCE = 0.3
FORCED_RATE = 0.5
FORCED_TRIES = 4


def mutated(genome: Genome, draws: Draws, universe: Universe, rate: float) -> Genome:
    """Return a valid genome with each gene changed with chance `rate`, at least one.

    Parameters
    ----------
    rate : float in [0, 1], chance per gene
    """
    return changed(Blueprint.of(genome, universe), genome.id, draws, universe, rate)


def changed(
    blueprint: Blueprint, parent_id: str, draws: Draws, universe: Universe, rate: float
) -> Genome:
    """Return a genome built from the blueprint with changes, whose id is not `parent_id`."""
    child = mutated_blueprint(blueprint, draws, universe, rate).build()
    for _ in range(FORCED_TRIES):
        if child.id != parent_id:
            return child
        child = mutated_blueprint(blueprint, draws, universe, FORCED_RATE).build()
    if child.id != parent_id:
        return child
    entry = draw_entries(draws, _drawn(blueprint.type), universe)
    return replace(blueprint, entry=entry, short_entry=None).build()


def mutated_blueprint(
    blueprint: Blueprint, draws: Draws, universe: Universe, rate: float
) -> Blueprint:
    """Return the blueprint with each gene changed with chance `rate`, perhaps none."""
    return _mutate_exits(_mutate_entry(blueprint, draws, universe, rate), draws, universe, rate)


def _mutate_entry(b: Blueprint, draws: Draws, universe: Universe, rate: float) -> Blueprint:
    kind = _drawn(b.type)

    def new_entry() -> Condition:
        pool = TRIGGERS[kind] if draws.chance(0.5) else CONTEXTS[kind]
        template = draw_template(draws, "entry", pool, (f"type={kind}",))
        return draw_condition(draws, template, universe)

    def new_filter() -> Condition:
        return draw_condition(draws, draw_template(draws, "filter", FILTERS), universe)

    entry = _mutate_list(b.entry, draws, universe, rate, new_entry, 1, MAX_ENTRY)
    short = b.short_entry
    if short is not None:
        short = _mutate_list(short, draws, universe, rate, None, 1, MAX_ENTRY)
    confidence = draws.choose("confidence", CONFIDENCES) if draws.chance(rate) else b.confidence
    direction = draw_direction(draws, universe) if draws.chance(rate) else b.direction
    return replace(
        b.facing(direction),
        entry=entry,
        short_entry=short,
        filters=_mutate_list(
            b.facing(direction).filters, draws, universe, rate, new_filter, 0, MAX_FILTERS
        ),
        confidence=confidence if len(entry) > 1 or short is not None else 1.0,
    )


def _mutate_exits(b: Blueprint, draws: Draws, universe: Universe, rate: float) -> Blueprint:
    kind = _drawn(b.type)

    def new_exit() -> Condition:
        return draw_exit_conditions(draws, kind, universe, always=True)[0]

    changes: dict[str, object] = {}
    if draws.chance(rate):
        changes["stop_frac"] = _stepped(draws, STOPS, b.stop_frac) or draw_stop(draws)
    if draws.chance(rate):
        changes["target_frac"] = _stepped(draws, TARGETS, b.target_frac) or draw_target(draws)
    if draws.chance(rate):
        trailing = _stepped(draws, TRAILINGS, b.trailing_frac)
        changes["trailing_frac"] = trailing or draw_trailing(draws)
    if draws.chance(rate):
        stepped = _stepped(draws, hold_grid(universe.timeframe), b.max_bars)
        changes["max_bars"] = stepped or draw_hold(draws, universe)
    if draws.chance(rate):
        changes["on_opposite"] = not b.on_opposite
    if draws.chance(rate):
        changes["risk"] = draw_risk(draws, universe)
    changes["exit_conditions"] = _mutate_list(
        b.exit_conditions, draws, universe, rate, new_exit, 0, MAX_EXITS
    )
    if b.short_exit_conditions is not None:
        changes["short_exit_conditions"] = _mutate_list(
            b.short_exit_conditions, draws, universe, rate, None, 0, MAX_EXITS
        )
    return replace(b, **changes)  # type: ignore[arg-type]  # names and types are those above


def _mutate_list(
    conditions: Conditions,
    draws: Draws,
    universe: Universe,
    rate: float,
    new: Callable[[], Condition] | None,
    least: int,
    most: int,
) -> Conditions:
    """Change, replace, add or remove conditions; `new` None changes what is there and no more."""
    changed: list[Condition] = []
    for condition in conditions:
        if not draws.chance(rate):
            changed.append(condition)
        elif new is not None and draws.chance(REPLACE_CHANCE):
            changed.append(new())
        else:
            changed.append(mutated_condition(condition, draws, universe))
    if new is not None and draws.chance(rate):
        if len(changed) > least and (len(changed) >= most or draws.chance(0.5)):
            changed.pop(draws.below(len(changed)))
        elif len(changed) < most:
            changed.append(new())
    return distinct(changed)


def _stepped(draws: Draws, grid: Sequence[N], value: N | None) -> N | None:
    """Return a neighbour of `value` on the grid, None when it is to be drawn anew."""
    if value is None or not draws.chance(STEP_CHANCE):
        return None
    nearest = min(range(len(grid)), key=lambda i: (abs(grid[i] - value), i))
    step = 1 if draws.chance(0.5) else -1
    if not 0 <= nearest + step < len(grid):
        step = -step
    return grid[nearest + step]


def _drawn(strategy_type: StrategyType) -> StrategyType:
    """Return the type whose vocabulary serves this genome: hybrid for types never drawn."""
    return strategy_type if strategy_type in DRAWN_TYPES else StrategyType.HYBRID
