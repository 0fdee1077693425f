"""Draw a whole genome: a trigger, sometimes contexts and filters, exits, and risk genes.

Every genome drawn here is valid for its universe and made to trade: one trigger that fires now and
then, contexts that hold about half of the time, and mostly a time stop, so that positions make room
for the next entry.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.evolve.blueprint import Blueprint
from engine.evolve.draws import Draws
from engine.evolve.mirror import condition_shape
from engine.evolve.random_condition import draw_condition
from engine.evolve.universe import Universe
from engine.evolve.vocabulary import (
    CONTEXTS,
    DRAWN_TYPES,
    EXITS,
    FILTERS,
    TREND_FILTERS,
    TRIGGERS,
    Template,
)
from engine.strategy.genome import (
    Condition,
    Direction,
    Genome,
    Risk,
    Sizing,
    StrategyType,
)
from engine.types import TIMEFRAME_MS

N_ENTRY = (1, 1, 2, 2, 2, 3)
N_FILTERS = (0, 0, 0, 0, 1, 1, 1, 2)
CONFIDENCES = (1.0, 1.0, 0.6, 0.5)
STOPS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06)
TARGETS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.09, 0.12)
TRAILINGS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05)
HOLD_HOURS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 48.0, 96.0, 240.0, 480.0)
HOLD_BARS = (3, 300)
SIZES = (0.5, 1.0, 1.0, 1.0)
RISKS = (0.01, 0.02, 0.02)
LEVERAGES = (1.0, 1.0, 1.0, 2.0, 3.0)
VOLATILITY_TARGETS = (0.3, 0.5, 0.8)
SIZINGS = (*((Sizing.FIXED,) * 8), Sizing.VOLATILITY, Sizing.KELLY)
HAS_TARGET = (True, True, True, False, False)
HAS_TRAILING = (True, False, False, False)
HAS_HOLD = (True,) * 6 + (False,)
ON_OPPOSITE = (True, True, True, False)
HAS_EXIT = (True, False, False, False)
REVERSION_HAS_EXIT = (True, False)
DIRECTIONS = (Direction.LONG, Direction.SHORT, Direction.BOTH, Direction.BOTH)


def draw_genome(
    draws: Draws, universe: Universe, strategy_type: StrategyType | None = None
) -> Genome:
    """Return a random genome that is valid for the universe.

    Parameters
    ----------
    draws : where choices come from; `Guided` draws prefer what was rewarded
    strategy_type : one of `DRAWN_TYPES`; None draws it
    """
    drawn_type = strategy_type or draws.choose("type", DRAWN_TYPES)
    direction = draw_direction(draws, universe)
    entry = draw_entries(draws, drawn_type, universe)
    return Blueprint(
        type=drawn_type,
        timeframe=universe.timeframe,
        direction=direction,
        confidence=draw_confidence(draws, len(entry)),
        entry=entry,
        filters=draw_filters(draws, direction, universe),
        stop_frac=draw_stop(draws),
        target_frac=draw_target(draws),
        trailing_frac=draw_trailing(draws),
        max_bars=draw_hold(draws, universe, entry),
        on_opposite=draws.choose("on_opposite", ON_OPPOSITE),
        exit_conditions=draw_exit_conditions(draws, drawn_type, universe),
        risk=draw_risk(draws, universe),
    ).build()


def draw_direction(draws: Draws, universe: Universe) -> Direction:
    """Return the side or sides; spot is long only."""
    return draws.choose("direction", DIRECTIONS) if universe.is_perp else Direction.LONG


def draw_entries(
    draws: Draws, strategy_type: StrategyType, universe: Universe
) -> tuple[Condition, ...]:
    """Return one to three different conditions: a trigger first, then contexts."""
    n_entry = draws.choose("n_entry", N_ENTRY)
    contexts: tuple[str, ...] = (f"type={strategy_type}",)
    chosen = [draw_template(draws, "entry", TRIGGERS[strategy_type], contexts)]
    contexts = (*contexts, f"entry={chosen[0].shape}")
    for _ in range(n_entry - 1):
        chosen.append(draw_template(draws, "entry", CONTEXTS[strategy_type], contexts))
    return distinct(draw_condition(draws, template, universe) for template in chosen)


def draw_template(
    draws: Draws, gene: str, templates: tuple[Template, ...], contexts: tuple[str, ...] = ()
) -> Template:
    """Return one of the templates, chosen by shape."""
    shape = draws.choose(gene, tuple(template.shape for template in templates), contexts)
    return next(template for template in templates if template.shape == shape)


def draw_confidence(draws: Draws, n_entry: int) -> float:
    """Return the share of entry conditions that must hold; 1 when there is but one."""
    return draws.choose("confidence", CONFIDENCES) if n_entry > 1 else 1.0


def draw_filters(draws: Draws, direction: Direction, universe: Universe) -> tuple[Condition, ...]:
    """Return zero to two filters; directed ones for long-only genomes alone."""
    templates = (*FILTERS, *TREND_FILTERS) if direction is Direction.LONG else FILTERS
    return distinct(
        draw_condition(draws, draw_template(draws, "filter", templates), universe)
        for _ in range(draws.choose("n_filters", N_FILTERS))
    )


def draw_stop(draws: Draws) -> float:
    """Return the stop as a fraction of the entry's price."""
    return draws.choose("stop", STOPS)


def draw_target(draws: Draws) -> float | None:
    """Return the target, mostly one."""
    return draws.choose("target", TARGETS) if draws.choose("has_target", HAS_TARGET) else None


def draw_trailing(draws: Draws) -> float | None:
    """Return the trailing stop, mostly none."""
    has_trailing = draws.choose("has_trailing", HAS_TRAILING)
    return draws.choose("trailing", TRAILINGS) if has_trailing else None


def draw_hold(draws: Draws, universe: Universe, entry: tuple[Condition, ...] = ()) -> int | None:
    """Return the time stop in bars, mostly one; what suits it depends on the entry."""
    if not draws.choose("has_hold", HAS_HOLD):
        return None
    contexts = tuple(f"entry={condition_shape(condition)}" for condition in entry)
    return draws.choose("hold", hold_grid(universe.timeframe), contexts)


def draw_exit_conditions(
    draws: Draws, strategy_type: StrategyType, universe: Universe, *, always: bool = False
) -> tuple[Condition, ...]:
    """Return no exit condition or one for the long side; reversion has one more often."""
    options = REVERSION_HAS_EXIT if strategy_type is StrategyType.MEAN_REVERSION else HAS_EXIT
    if not always and not draws.choose("has_exit", options):
        return ()
    template = draw_template(draws, "exit", EXITS[strategy_type], (f"type={strategy_type}",))
    return (draw_condition(draws, template, universe),)


def draw_risk(draws: Draws, universe: Universe) -> Risk:
    """Return the risk genes: mostly a fixed size, leverage only where the market lends."""
    sizing = draws.choose("sizing", SIZINGS)
    target = draws.pick(VOLATILITY_TARGETS) if sizing is Sizing.VOLATILITY else None
    return Risk(
        sizing=sizing,
        size_frac=draws.choose("size", SIZES),
        leverage=draws.choose("leverage", LEVERAGES) if universe.is_perp else 1.0,
        risk_per_trade_frac=draws.choose("risk", RISKS),
        volatility_target=target,
    )


def hold_grid(timeframe: str) -> tuple[int, ...]:
    """Return the time stops worth drawing: half an hour to twenty days, of 3 to 300 bars."""
    bar_hours = TIMEFRAME_MS[timeframe] / TIMEFRAME_MS["1h"]
    low, high = HOLD_BARS
    bars = (round(hours / bar_hours) for hours in HOLD_HOURS)
    return tuple(count for count in bars if low <= count <= high)


def distinct(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Return the conditions without repetitions, the first of each kept."""
    unique: dict[str, Condition] = {}
    for condition in conditions:
        unique.setdefault(condition.key, condition)
    return tuple(unique.values())
