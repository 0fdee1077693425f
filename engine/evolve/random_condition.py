"""Draw one condition from a template, parameters from the grids: candidates share columns."""

from __future__ import annotations

from engine.evolve.draws import Draws
from engine.evolve.universe import Universe
from engine.evolve.vocabulary import BAR_FIELDS, Template
from engine.strategy.genome import BarOperand, Condition, ConstantOperand, IndicatorOperand
from engine.strategy.indicator_specs import INDICATOR_SPECS
from engine.types import TIMEFRAME_MS

COARSE_FROM_MS = TIMEFRAME_MS["1h"]
MACD_RATIOS = (1.8, 3.4)
MACD_SIGNALS = (5.0, 9.0)
IS_HIGHER = (True, *((False,) * 6))
_OWN_TIMEFRAME_ONLY = frozenset({"volume_ratio", "volume", "obv", "vwap", "atr", "bollinger"})


def draw_condition(draws: Draws, template: Template, universe: Universe) -> Condition:
    """Return a valid condition of the template's shape."""
    timeframe = _draw_timeframe(draws, template, universe)
    operand_ms = TIMEFRAME_MS[universe.timeframe if timeframe is None else timeframe]
    left_name = template.left.split(".")[0]
    if template.is_slower:
        short, long = draw_average_lengths(draws, left_name)
        return _compare(
            template,
            IndicatorOperand(name=left_name, params={"length": short}, timeframe=timeframe),
            IndicatorOperand(name=left_name, params={"length": long}, timeframe=timeframe),
        )
    params = {} if left_name in BAR_FIELDS else draw_parameters(draws, left_name)
    left = _operand(template.left, params, timeframe)
    if template.bars:
        distance = draws.choose(f"{template.shape}.bars", template.bars)
        return Condition.model_validate({"left": left, "op": template.op, "bars": distance})
    if template.right is None:
        level = draws.choose(f"{template.shape}.level", template_levels(template, operand_ms))
        return _compare(template, left, ConstantOperand(value=level))
    if not template.is_shared:
        right_name = template.right.split(".")[0]
        params = {} if right_name in BAR_FIELDS else draw_parameters(draws, right_name)
    return _compare(template, left, _operand(template.right, params, timeframe))


def template_levels(template: Template, operand_timeframe_ms: int) -> tuple[float, ...]:
    """Return the constants worth comparing with on bars of that length."""
    if operand_timeframe_ms >= COARSE_FROM_MS and template.coarse_levels:
        return template.coarse_levels
    return template.levels


def draw_parameters(draws: Draws, indicator: str) -> dict[str, float]:
    """Return one value per parameter of the indicator, from its grids."""
    values: dict[str, float] = {}
    for parameter in INDICATOR_SPECS[indicator].parameters:
        grid = parameter.grid
        if indicator == "macd":
            grid = macd_grid(parameter.name, values)
        values[parameter.name] = draws.choose(f"{indicator}.{parameter.name}", grid)
    return values


def macd_grid(parameter: str, values: dict[str, float]) -> tuple[float, ...]:
    """Return the values drawn for a MACD parameter after those before it.

    All combinations of the three grids would be 100 columns for each output and timeframe.
    """
    grids = {spec.name: spec.grid for spec in INDICATOR_SPECS["macd"].parameters}
    if parameter == "slow":
        low, high = (ratio * values["fast"] for ratio in MACD_RATIOS)
        return tuple(value for value in grids["slow"] if low <= value <= high)
    return MACD_SIGNALS if parameter == "signal" else grids[parameter]


def draw_average_lengths(draws: Draws, indicator: str) -> tuple[float, float]:
    """Return a short and a longer length (at least 1.5 times) of a moving average."""
    grid = INDICATOR_SPECS[indicator].parameters[0].grid
    short = draws.choose(f"{indicator}.short", grid[:-3])
    long = draws.choose(f"{indicator}.long", tuple(v for v in grid if v >= 1.5 * short))
    return short, long


def _draw_timeframe(draws: Draws, template: Template, universe: Universe) -> str | None:
    higher = universe.higher_timeframes
    if not higher or template.left.split(".")[0] in _OWN_TIMEFRAME_ONLY:
        return None
    if template.right is not None and template.right.split(".")[0] in _OWN_TIMEFRAME_ONLY:
        return None
    if not draws.choose("is_higher", IS_HIGHER):
        return None
    return draws.choose("higher_timeframe", higher)


def _operand(
    name: str, params: dict[str, float], timeframe: str | None
) -> BarOperand | IndicatorOperand:
    indicator, _, output = name.partition(".")
    if indicator in BAR_FIELDS:
        return BarOperand.model_validate({"field": indicator, "timeframe": timeframe})
    return IndicatorOperand(
        name=indicator, params=params, output=output or "value", timeframe=timeframe
    )


def _compare(
    template: Template,
    left: BarOperand | IndicatorOperand,
    right: BarOperand | IndicatorOperand | ConstantOperand,
) -> Condition:
    return Condition.model_validate({"left": left, "op": template.op, "right": right})
