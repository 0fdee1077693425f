"""What indicators exist: their parameters, outputs, units and the grids that generators draw from.

Nothing is computed here (`engine/strategy/indicators.py` does that), so reading a genome needs no
numba.
Grids are short on purpose: candidates that draw from the same few values share their columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.errors import StrategyError


class Unit(StrEnum):
    """What an output is measured in; two operands compare only when their units agree."""

    PRICE = "price"
    """Quote currency, the scale of the bars."""
    VOLUME = "volume"
    """Base units traded in one bar."""
    FLOW = "flow"
    """Cumulated volume whose level means nothing (OBV)."""
    SPREAD = "spread"
    """Difference of two prices, quote currency, signed."""
    INDEX = "index"
    """A bounded or centred oscillator, compared with constants."""
    RATIO = "ratio"
    """A dimensionless quotient, compared with constants."""


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter: its default, its allowed range (inclusive) and the values generators draw."""

    name: str
    default: float
    low: float
    high: float
    grid: tuple[float, ...]
    is_integer: bool = True


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output: its unit and the constants worth comparing it with (empty when none are)."""

    name: str
    unit: Unit
    levels: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class IndicatorSpec:
    """One indicator."""

    name: str
    title: str
    parameters: tuple[ParameterSpec, ...]
    outputs: tuple[OutputSpec, ...]

    def output(self, name: str) -> OutputSpec | None:
        """Return the output called `name`, None when there is none."""
        for spec in self.outputs:
            if spec.name == name:
                return spec
        return None


LENGTHS = (5.0, 8.0, 10.0, 12.0, 14.0, 20.0, 26.0, 34.0, 50.0, 80.0, 100.0, 150.0, 200.0)
SHORT_LENGTHS = (5.0, 7.0, 9.0, 10.0, 14.0, 20.0, 25.0, 30.0, 50.0)


def _length(
    default: float = 14, grid: tuple[float, ...] = SHORT_LENGTHS, low: float = 2
) -> ParameterSpec:
    return ParameterSpec("length", default, low, 500, grid)


_OSCILLATOR_LEVELS = (15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 50.0, 60.0, 65.0, 70.0, 75.0, 80.0, 85.0)
_VALUE_PRICE = (OutputSpec("value", Unit.PRICE),)
_BANDS = (
    OutputSpec("upper", Unit.PRICE),
    OutputSpec("middle", Unit.PRICE),
    OutputSpec("lower", Unit.PRICE),
)

_SPECS = (
    IndicatorSpec(
        "sma", "Simple moving average of the close", (_length(20, LENGTHS),), _VALUE_PRICE
    ),
    IndicatorSpec(
        "ema", "Exponential moving average of the close", (_length(20, LENGTHS),), _VALUE_PRICE
    ),
    IndicatorSpec(
        "rsi",
        "Relative strength index (Wilder)",
        (_length(14),),
        (OutputSpec("value", Unit.INDEX, _OSCILLATOR_LEVELS),),
    ),
    IndicatorSpec(
        "macd",
        "Moving average convergence divergence",
        (
            ParameterSpec("fast", 12, 2, 200, (6, 8, 12, 16, 20)),
            ParameterSpec("slow", 26, 3, 400, (19, 26, 34, 50, 80)),
            ParameterSpec("signal", 9, 2, 100, (5, 7, 9, 12)),
        ),
        (
            OutputSpec("macd", Unit.SPREAD, (0.0,)),
            OutputSpec("signal", Unit.SPREAD, (0.0,)),
            OutputSpec("histogram", Unit.SPREAD, (0.0,)),
        ),
    ),
    IndicatorSpec(
        "bollinger",
        "Bollinger bands (population standard deviation)",
        (
            _length(20, (10, 14, 20, 26, 34, 50, 100)),
            ParameterSpec("width", 2.0, 0.1, 10.0, (1.0, 1.5, 2.0, 2.5, 3.0), is_integer=False),
        ),
        (
            *_BANDS,
            OutputSpec("percent_b", Unit.RATIO, (0.0, 0.1, 0.2, 0.5, 0.8, 0.9, 1.0)),
            OutputSpec("bandwidth", Unit.RATIO, (0.01, 0.02, 0.03, 0.05, 0.08)),
        ),
    ),
    IndicatorSpec(
        "atr",
        "Average true range (Wilder)",
        (_length(14),),
        (
            OutputSpec("value", Unit.SPREAD),
            OutputSpec("percent", Unit.RATIO, (0.001, 0.002, 0.003, 0.005, 0.01, 0.02)),
        ),
    ),
    IndicatorSpec(
        "obv",
        "On-balance volume and its simple average",
        (_length(20, (10, 20, 34, 50, 100)),),
        (OutputSpec("value", Unit.FLOW), OutputSpec("average", Unit.FLOW)),
    ),
    IndicatorSpec(
        "adx",
        "Average directional index and its directional lines (Wilder)",
        (_length(14, (7, 10, 14, 20, 30)),),
        (
            OutputSpec("adx", Unit.INDEX, (15.0, 20.0, 25.0, 30.0, 40.0)),
            OutputSpec("plus_di", Unit.INDEX, (15.0, 20.0, 25.0, 30.0)),
            OutputSpec("minus_di", Unit.INDEX, (15.0, 20.0, 25.0, 30.0)),
        ),
    ),
    IndicatorSpec(
        "stochastic",
        "Stochastic oscillator, slow",
        (
            _length(14, (5, 9, 14, 21, 34)),
            ParameterSpec("smooth", 3, 1, 50, (1, 3, 5)),
            ParameterSpec("signal", 3, 1, 50, (3, 5)),
        ),
        (
            OutputSpec("k", Unit.INDEX, (10.0, 20.0, 30.0, 50.0, 70.0, 80.0, 90.0)),
            OutputSpec("d", Unit.INDEX, (10.0, 20.0, 30.0, 50.0, 70.0, 80.0, 90.0)),
        ),
    ),
    IndicatorSpec(
        "aroon",
        "Aroon up, down and oscillator",
        (_length(25, (10, 14, 20, 25, 50)),),
        (
            OutputSpec("up", Unit.INDEX, (30.0, 50.0, 70.0, 90.0)),
            OutputSpec("down", Unit.INDEX, (30.0, 50.0, 70.0, 90.0)),
            OutputSpec("oscillator", Unit.INDEX, (-50.0, 0.0, 50.0)),
        ),
    ),
    IndicatorSpec(
        "mfi",
        "Money flow index",
        (_length(14),),
        (OutputSpec("value", Unit.INDEX, _OSCILLATOR_LEVELS),),
    ),
    IndicatorSpec(
        "cci",
        "Commodity channel index",
        (_length(20, (10, 14, 20, 34, 50)),),
        (
            OutputSpec(
                "value", Unit.INDEX, (-200.0, -150.0, -100.0, -50.0, 0.0, 50.0, 100.0, 150.0)
            ),
        ),
    ),
    IndicatorSpec(
        "donchian",
        "Donchian channel; prior_* excludes the bar itself, so that its close can break them",
        (_length(20, (10, 15, 20, 25, 30, 55, 100)),),
        (*_BANDS, OutputSpec("prior_upper", Unit.PRICE), OutputSpec("prior_lower", Unit.PRICE)),
    ),
    IndicatorSpec(
        "keltner",
        "Keltner channel: EMA of the close plus and minus a multiple of the ATR",
        (
            _length(20, (10, 20, 34, 50)),
            ParameterSpec("multiple", 2.0, 0.1, 10.0, (1.0, 1.5, 2.0, 2.5), is_integer=False),
        ),
        _BANDS,
    ),
    IndicatorSpec("vwap", "Volume-weighted average price of the UTC day", (), _VALUE_PRICE),
    IndicatorSpec(
        "roc",
        "Rate of change of the close, percent",
        (_length(14, (3, 5, 10, 14, 20, 30, 50)),),
        (OutputSpec("value", Unit.INDEX, (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)),),
    ),
    IndicatorSpec(
        "williams_r",
        "Williams %R (-100 to 0)",
        (_length(14, (7, 14, 21, 34)),),
        (OutputSpec("value", Unit.INDEX, (-90.0, -80.0, -70.0, -50.0, -30.0, -20.0, -10.0)),),
    ),
    IndicatorSpec(
        "volume_ratio",
        "Volume over its simple average",
        (_length(20, (10, 20, 34, 50, 100)),),
        (OutputSpec("value", Unit.RATIO, (0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5)),),
    ),
    IndicatorSpec(
        "volume_sma",
        "Simple moving average of the volume",
        (_length(20, (10, 20, 34, 50, 100)),),
        (OutputSpec("value", Unit.VOLUME),),
    ),
)

INDICATOR_SPECS: dict[str, IndicatorSpec] = {spec.name: spec for spec in _SPECS}


def indicator_spec(name: str) -> IndicatorSpec:
    """Return the specification of the indicator called `name`.

    Raises
    ------
    StrategyError : no such indicator.
    """
    try:
        return INDICATOR_SPECS[name]
    except KeyError:
        known = ", ".join(sorted(INDICATOR_SPECS))
        raise StrategyError(
            f"unknown indicator {name!r}: use one of {known}", indicator=name
        ) from None
