"""Turn a condition for one side into the same condition for the other, and name its shape.

Bands swap and comparisons flip (`close > donchian.prior_upper` becomes `close <
donchian.prior_lower`), oscillators reflect at their centre (`rsi < 30` becomes `rsi > 70`),
directional lines swap (`+DI > -DI` becomes `-DI > +DI`), and what has no direction (volume, ADX,
ATR, band width) stays.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Direction,
    Genome,
    IndicatorOperand,
)

_FLIPPED = {
    "<": ">",
    ">": "<",
    "crosses_above": "crosses_below",
    "crosses_below": "crosses_above",
    "rising": "falling",
    "falling": "rising",
}
_BANDS = {
    "bollinger": {"upper": "lower", "lower": "upper"},
    "keltner": {"upper": "lower", "lower": "upper"},
    "donchian": {
        "upper": "lower",
        "lower": "upper",
        "prior_upper": "prior_lower",
        "prior_lower": "prior_upper",
    },
}
_LINES = {
    "adx": {"plus_di": "minus_di", "minus_di": "plus_di"},
    "aroon": {"up": "down", "down": "up"},
}
_FIELDS = {"high": "low", "low": "high"}
_CENTRES = {
    "rsi.value": 50.0,
    "mfi.value": 50.0,
    "stochastic.k": 50.0,
    "stochastic.d": 50.0,
    "williams_r.value": -50.0,
    "bollinger.percent_b": 0.5,
}
_UNDIRECTED = frozenset(
    {
        "volume",
        "volume_sma.value",
        "volume_ratio.value",
        "adx.adx",
        "atr.value",
        "atr.percent",
        "bollinger.bandwidth",
    }
)

SeriesOperand = BarOperand | IndicatorOperand


def operand_name(operand: SeriesOperand) -> str:
    """Return `close` or `bollinger.upper`: the operand without parameters and timeframe."""
    if isinstance(operand, BarOperand):
        return operand.field
    return f"{operand.name}.{operand.output}"


def mirrored(condition: Condition) -> Condition:
    """Return the condition for the opposite side; mirroring twice gives the condition back."""
    left, right, op = condition.left, condition.right, condition.op
    name = operand_name(left)
    if name in _UNDIRECTED:
        return condition
    is_line = isinstance(left, IndicatorOperand) and left.output in _LINES.get(left.name, {})
    new_right: BarOperand | IndicatorOperand | ConstantOperand | None = None
    if isinstance(right, ConstantOperand):
        new_right = right
        if not is_line:
            value = round(2.0 * _CENTRES.get(name, 0.0) - right.value, 10)
            new_right = ConstantOperand(value=value + 0.0)
    elif right is not None:
        new_right = _swapped(right)
    return Condition.model_validate(
        {
            "left": _swapped(left),
            "op": op if is_line else _FLIPPED[op],
            "right": new_right,
            "bars": condition.bars,
        }
    )


def all_mirrored(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Return every condition mirrored, in the order that genomes keep (by key)."""
    unique = {condition.key: condition for condition in map(mirrored, conditions)}
    return tuple(unique[key] for key in sorted(unique))


def long_entries(genome: Genome) -> tuple[Condition, ...]:
    """Return the entry conditions as for the long side (of a short-only genome: mirrored)."""
    if genome.direction is Direction.SHORT:
        return all_mirrored(genome.short_entry)
    return genome.long_entry


def long_exits(genome: Genome) -> tuple[Condition, ...]:
    """Return the exit conditions of the long side (of a short-only genome: mirrored)."""
    if genome.direction is Direction.SHORT:
        return all_mirrored(genome.exits.short_conditions)
    return genome.exits.long_conditions


def long_filters(genome: Genome) -> tuple[Condition, ...]:
    """Return the filters as for the long side (of a short-only genome: mirrored)."""
    if genome.direction is Direction.SHORT:
        return all_mirrored(genome.filters)
    return genome.filters


def condition_shape(condition: Condition) -> str:
    """Return the condition without parameters and timeframe, such as `rsi.value < level`."""
    left, right = operand_name(condition.left), condition.right
    if right is None:
        return f"{left} {condition.op}"
    if isinstance(right, ConstantOperand):
        return f"{left} {condition.op} level"
    return f"{left} {condition.op} {operand_name(right)}"


def _swapped(operand: SeriesOperand) -> SeriesOperand:
    if isinstance(operand, BarOperand):
        if operand.field not in _FIELDS:
            return operand
        return BarOperand.model_validate(
            {"field": _FIELDS[operand.field], "timeframe": operand.timeframe}
        )
    swaps = _BANDS.get(operand.name) or _LINES.get(operand.name)
    if not swaps or operand.output not in swaps:
        return operand
    return IndicatorOperand(
        name=operand.name,
        params=operand.params,
        output=swaps[operand.output],
        timeframe=operand.timeframe,
    )
