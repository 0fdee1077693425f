"""Change one thing about a condition: parameter, level, distance, comparison or timeframe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from engine.evolve.draws import Draws
from engine.evolve.random_condition import draw_parameters
from engine.evolve.universe import Universe
from engine.strategy.genome import BarOperand, Condition, ConstantOperand, IndicatorOperand
from engine.strategy.indicator_specs import INDICATOR_SPECS

Operand = BarOperand | IndicatorOperand
N = TypeVar("N", int, float)
COMPARISON_CHANCE = 0.15
TIMEFRAME_CHANCE = 0.10
DISTANCES = (1, 2, 3, 5, 10, 20)
_EVENT_OR_STATE = {
    ">": "crosses_above",
    "crosses_above": ">",
    "<": "crosses_below",
    "crosses_below": "<",
}
_ANCHORED = frozenset({"obv", "vwap"})


def mutated_condition(condition: Condition, draws: Draws, universe: Universe) -> Condition:
    """Return a condition that differs in one thing, or the same where nothing else fits."""
    if condition.op in _EVENT_OR_STATE and draws.chance(COMPARISON_CHANCE):
        return _with(condition, op=_EVENT_OR_STATE[condition.op])
    if universe.higher_timeframes and draws.chance(TIMEFRAME_CHANCE):
        return _with_timeframe(condition, draws, universe)
    if condition.bars is not None and draws.chance(0.5):
        return _with(condition, bars=_neighbour(draws, DISTANCES, condition.bars))
    if isinstance(condition.right, ConstantOperand) and draws.chance(0.5):
        return _with_level(condition, condition.right, draws)
    return _with_parameter(condition, draws)


def _with_level(condition: Condition, constant: ConstantOperand, draws: Draws) -> Condition:
    if not isinstance(condition.left, IndicatorOperand):
        return condition
    output = INDICATOR_SPECS[condition.left.name].output(condition.left.output)
    if output is None or len(output.levels) < 2:
        return _with_parameter(condition, draws)
    value = _neighbour(draws, output.levels, constant.value)
    return _with(condition, right=ConstantOperand(value=value))


def _with_parameter(condition: Condition, draws: Draws) -> Condition:
    left, right = condition.left, condition.right
    tunable = [side for side in (left, right) if isinstance(side, IndicatorOperand) and side.params]
    if not tunable:
        if condition.op in _EVENT_OR_STATE:
            return _with(condition, op=_EVENT_OR_STATE[condition.op])
        return condition
    chosen = draws.pick(tunable)
    params = _stepped_params(chosen, draws)
    sides = {"left": left, "right": right}
    for side, operand in sides.items():
        # Outputs of one indicator (MACD and its signal) keep the same parameters.
        if isinstance(operand, IndicatorOperand) and operand.source_key == chosen.source_key:
            sides[side] = IndicatorOperand(
                name=operand.name,
                params=params,
                output=operand.output,
                timeframe=operand.timeframe,
            )
    new_left, new_right = sides["left"], sides["right"]
    if new_left is None or (new_right is not None and new_left.key == new_right.key):
        return condition
    return _with(condition, left=new_left, right=new_right)


def _stepped_params(operand: IndicatorOperand, draws: Draws) -> dict[str, float]:
    if operand.name == "macd":
        return draw_parameters(draws, "macd")
    spec = draws.pick(INDICATOR_SPECS[operand.name].parameters)
    params = dict(operand.params)
    old = params[spec.name]
    params[spec.name] = (
        _neighbour(draws, spec.grid, old)
        if draws.chance(0.7)
        else draws.choose(f"{operand.name}.{spec.name}", spec.grid)
    )
    return params


def _with_timeframe(condition: Condition, draws: Draws, universe: Universe) -> Condition:
    """Move all series of the condition to one other timeframe, or back to the genome's own."""
    timeframe = draws.pick((None, *universe.higher_timeframes))
    left, right = condition.left, condition.right
    if any(_is_anchored(side) for side in (left, right)):
        return condition
    new_left = _moved(left, timeframe)
    new_right = (
        right if right is None or isinstance(right, ConstantOperand) else _moved(right, timeframe)
    )
    if new_right is not None and new_left.key == new_right.key:
        return condition
    return _with(condition, left=new_left, right=new_right)


def _is_anchored(side: Operand | ConstantOperand | None) -> bool:
    return isinstance(side, IndicatorOperand) and side.name in _ANCHORED


def _moved(operand: Operand, timeframe: str | None) -> Operand:
    if isinstance(operand, BarOperand):
        return BarOperand(field=operand.field, timeframe=timeframe)
    return IndicatorOperand(
        name=operand.name, params=operand.params, output=operand.output, timeframe=timeframe
    )


def _neighbour(draws: Draws, grid: Sequence[N], value: N) -> N:
    """Return the grid value beside the one nearest to `value`, up or down alike."""
    nearest = min(range(len(grid)), key=lambda i: (abs(grid[i] - value), i))
    step = 1 if draws.chance(0.5) else -1
    if not 0 <= nearest + step < len(grid):
        step = -step
    return grid[nearest + step]


def _with(condition: Condition, **changes: object) -> Condition:
    fields = {
        "left": condition.left,
        "op": condition.op,
        "right": condition.right,
        "bars": condition.bars,
    }
    return Condition.model_validate({**fields, **changes})
