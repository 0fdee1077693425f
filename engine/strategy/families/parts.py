"""What families are put together from: an entry, confirmations and an exit, each with parameters.

Everything is written for the long side; the short side is its mirror image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.evolve.mirror import all_mirrored
from engine.strategy.genome import (
    BarOperand,
    CompareOp,
    Condition,
    ConstantOperand,
    Direction,
    Exits,
    Genome,
    IndicatorOperand,
    StrategyType,
)
from engine.strategy.search_space import Parameter, SearchSpace, Value, Values

Conditions = tuple[Condition, ...]
Write = Callable[[Values], Conditions]
SeriesOperand = BarOperand | IndicatorOperand

CLOSE = BarOperand(field="close")


def nothing(_values: Values) -> Conditions:
    """Return no conditions."""
    return ()


@dataclass(frozen=True, slots=True)
class Entry:
    """What opens a position.

    Attributes
    ----------
    words : completes the sentence "In when ..."
    conditions : all must hold for a long
    leave : any of them ends a long, in families that leave on a signal
    """

    words: str
    type: StrategyType
    parameters: tuple[Parameter, ...]
    conditions: Write
    leave: Write = nothing


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What must hold besides the entry.

    Attributes
    ----------
    words : completes the sentence "In when ..., and ..."
    conditions : those that have a direction, for a long
    filters : those that have none: volume, trend strength, volatility
    """

    words: str
    parameters: tuple[Parameter, ...]
    conditions: Write = nothing
    filters: Write = nothing


@dataclass(frozen=True, slots=True)
class Leaving:
    """What ends a position.

    Attributes
    ----------
    words : completes the sentence "Out at ..."
    parameters : named as the fields of `Exits` they fill
    takes_signal : whether the entry's own `leave` conditions end a position too
    """

    words: str
    parameters: tuple[Parameter, ...]
    takes_signal: bool = False


def family(
    name: str, entry: Entry, confirmations: Sequence[Confirmation], leaving: Leaving
) -> SearchSpace:
    """Return the search space of one entry, its confirmations and one way out."""
    reasons = ", and ".join([entry.words, *(item.words for item in confirmations)])
    parameters = (
        *entry.parameters,
        *(parameter for item in confirmations for parameter in item.parameters),
        *leaving.parameters,
    )

    def build(values: Values, timeframe: str, direction: Direction) -> Genome:
        conditions = (
            *entry.conditions(values),
            *(condition for item in confirmations for condition in item.conditions(values)),
        )
        filters = tuple(condition for item in confirmations for condition in item.filters(values))
        leave = entry.leave(values) if leaving.takes_signal else ()
        fields: dict[str, Any] = {
            parameter.name: values[parameter.name] for parameter in leaving.parameters
        }
        is_long, is_short = direction is not Direction.SHORT, direction is not Direction.LONG
        return Genome(
            type=entry.type,
            timeframe=timeframe,
            direction=direction,
            long_entry=conditions if is_long else (),
            short_entry=all_mirrored(conditions) if is_short else (),
            filters=filters,
            exits=Exits(
                **fields,
                long_conditions=leave if is_long else (),
                short_conditions=all_mirrored(leave) if is_short else (),
            ),
        )

    return SearchSpace(name, f"In when {reasons}; out at {leaving.words}.", parameters, build)


def over(name: str, *values: Value) -> Parameter:
    """Return a parameter with these values."""
    return Parameter(name, values)


def line(name: str, output: str = "value", **params: Value) -> IndicatorOperand:
    """Return one output of an indicator."""
    return IndicatorOperand(
        name=name, output=output, params={key: float(value) for key, value in params.items()}
    )


def when(left: SeriesOperand, op: CompareOp, right: SeriesOperand | Value) -> Condition:
    """Return a comparison with a series or a number."""
    if isinstance(right, BarOperand | IndicatorOperand):
        return Condition(left=left, op=op, right=right)
    return Condition(left=left, op=op, right=ConstantOperand(value=float(right)))
