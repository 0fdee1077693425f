"""The genome: a strategy as a frozen, hashable, content-addressed value.

Genome v1. An operand is a bar field, an indicator output or a constant; a condition compares two
operands or asks
whether one rises or falls; entries hold when enough of their conditions do; exits always contain a
stop.
The canonical JSON of a genome (`canonical_json`) is its identity: equal strategies have equal text
and equal ids.
"""

from __future__ import annotations

import hashlib
import math
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.strategy.indicator_specs import INDICATOR_SPECS, Unit, indicator_spec
from engine.types import TIMEFRAME_MS

GENOME_VERSION = 1
MAX_CONDITIONS = 8
ID_LENGTH = 32


class StrategyType(StrEnum):
    """The seven kinds of strategy."""

    MOMENTUM = "momentum"
    MEAN_REVERSION = "mean_reversion"
    BREAKOUT = "breakout"
    TREND_FOLLOWING = "trend_following"
    HYBRID = "hybrid"
    ARBITRAGE = "arbitrage"
    ML = "ml"


class Direction(StrEnum):
    """Which sides a strategy may hold."""

    LONG = "long"
    SHORT = "short"
    BOTH = "both"


class Sizing(StrEnum):
    """How the size of a position is chosen."""

    FIXED = "fixed"
    KELLY = "kelly"
    VOLATILITY = "volatility"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _check_timeframe(timeframe: str | None) -> str | None:
    if timeframe is not None and timeframe not in TIMEFRAME_MS:
        raise ValueError(f"unknown timeframe {timeframe!r}")
    return timeframe


class BarOperand(_Frozen):
    """A field of the bar itself; `timeframe` None is the genome's own."""

    kind: Literal["bar"] = "bar"
    field: Literal["open", "high", "low", "close", "volume"]
    timeframe: str | None = None

    @cached_property
    def key(self) -> str:
        """Name the column this reads."""
        return self.field if self.timeframe is None else f"{self.field}@{self.timeframe}"

    @property
    def unit(self) -> Unit:
        """Return what the field is measured in."""
        return Unit.VOLUME if self.field == "volume" else Unit.PRICE

    _timeframe_known = field_validator("timeframe")(_check_timeframe)


class IndicatorOperand(_Frozen):
    """One output of an indicator; `timeframe` None is the genome's own."""

    kind: Literal["indicator"] = "indicator"
    name: str
    params: dict[str, float] = Field(default_factory=dict)
    output: str = "value"
    timeframe: str | None = None

    _timeframe_known = field_validator("timeframe")(_check_timeframe)

    @model_validator(mode="after")
    def _check(self) -> Self:
        spec = INDICATOR_SPECS.get(self.name)
        if spec is None:
            raise ValueError(f"unknown indicator {self.name!r}")
        if spec.output(self.output) is None:
            known = ", ".join(output.name for output in spec.outputs)
            raise ValueError(f"{self.name} has no output {self.output!r}: use one of {known}")
        complete: dict[str, float] = {}
        unknown = set(self.params)
        for parameter in spec.parameters:
            value = float(self.params.get(parameter.name, parameter.default))
            unknown.discard(parameter.name)
            if not parameter.low <= value <= parameter.high:
                raise ValueError(
                    f"{self.name}.{parameter.name} = {value:g} is outside "
                    f"{parameter.low:g} to {parameter.high:g}"
                )
            if parameter.is_integer and value != int(value):
                raise ValueError(f"{self.name}.{parameter.name} = {value:g} must be whole")
            complete[parameter.name] = value
        if unknown:
            raise ValueError(f"{self.name} has no parameter {min(unknown)!r}")
        if self.name == "macd" and complete["fast"] >= complete["slow"]:
            raise ValueError("macd.fast must be below macd.slow")
        # Defaults are filled in and keys ordered, so that equal operands have equal text.
        object.__setattr__(self, "params", complete)
        return self

    @cached_property
    def source_key(self) -> str:
        """Name the indicator with its parameters and timeframe, without the output."""
        values = ",".join(
            str(int(value)) if value == int(value) else repr(value)
            for value in self.params.values()
        )
        suffix = "" if self.timeframe is None else f"@{self.timeframe}"
        return f"{self.name}({values}){suffix}"

    @cached_property
    def key(self) -> str:
        """Name the column this reads."""
        return f"{self.source_key}.{self.output}"

    @property
    def unit(self) -> Unit:
        """Return what the output is measured in."""
        output = indicator_spec(self.name).output(self.output)
        if output is None:
            raise ValueError(f"{self.name} has no output {self.output!r}")
        return output.unit

    def __hash__(self) -> int:
        return hash(self.key)


class ConstantOperand(_Frozen):
    """A number."""

    kind: Literal["constant"] = "constant"
    value: float

    @property
    def key(self) -> str:
        """Name the value."""
        return repr(self.value)


Operand = Annotated[BarOperand | IndicatorOperand | ConstantOperand, Field(discriminator="kind")]
SeriesOperand = Annotated[BarOperand | IndicatorOperand, Field(discriminator="kind")]
CompareOp = Literal["<", ">", "crosses_above", "crosses_below"]
TrendOp = Literal["rising", "falling"]


class Condition(_Frozen):
    """`left op right`, or `left` rising or falling over `bars` bars.

    `crosses_above` is l[t] > r[t] and l[t-1] <= r[t-1]; `crosses_below` mirrors it. `rising` over n
    is l[t] > l[t-n].
    A NaN in any value read makes the condition false.
    """

    left: SeriesOperand
    op: CompareOp | TrendOp
    right: Operand | None = None
    bars: int | None = Field(default=None, ge=1, le=100)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.op in ("rising", "falling"):
            if self.bars is None or self.right is not None:
                raise ValueError(f"{self.op} takes `bars` and no `right`")
            return self
        if self.right is None or self.bars is not None:
            raise ValueError(f"{self.op} takes `right` and no `bars`")
        if self.left == self.right:
            raise ValueError(f"{self.left.key} is compared with itself")
        self._check_units()
        return self

    def _check_units(self) -> None:
        left = self.left.unit
        if isinstance(self.right, ConstantOperand):
            if left is Unit.FLOW:
                raise ValueError("obv is used by change or against its own average only")
            return
        if self.right is None:
            return
        right = self.right.unit
        if left is not right:
            raise ValueError(
                f"{self.left.key} ({left}) cannot be compared with {self.right.key} ({right})"
            )
        if left is Unit.FLOW and not (
            isinstance(self.left, IndicatorOperand)
            and isinstance(self.right, IndicatorOperand)
            and self.left.source_key == self.right.source_key
        ):
            raise ValueError("obv is used by change or against its own average only")

    @cached_property
    def key(self) -> str:
        """Name the truth column of this condition."""
        if self.right is None:
            return f"{self.left.key} {self.op} {self.bars}"
        return f"{self.left.key} {self.op} {self.right.key}"

    def operands(self) -> tuple[BarOperand | IndicatorOperand, ...]:
        """Return the series this reads, left first."""
        if self.right is None or isinstance(self.right, ConstantOperand):
            return (self.left,)
        return (self.left, self.right)


Conditions = Annotated[tuple[Condition, ...], Field(max_length=MAX_CONDITIONS)]


def _ordered(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    unique = {condition.key: condition for condition in conditions}
    return tuple(unique[key] for key in sorted(unique))


class Exits(_Frozen):
    """When a position ends. Prices are fractions of the entry's fill price."""

    stop_frac: float = Field(ge=0.001, le=0.5)
    target_frac: float | None = Field(default=None, ge=0.001, le=10.0)
    trailing_frac: float | None = Field(default=None, ge=0.001, le=0.5)
    max_bars: int | None = Field(default=None, ge=1, le=1_000_000)
    on_opposite: bool = True
    long_conditions: Conditions = ()
    short_conditions: Conditions = ()

    _order = field_validator("long_conditions", "short_conditions")(_ordered)


class Risk(_Frozen):
    """How large a position is.

    Notional at entry, as a fraction of equity, is the least of `size_frac` x `leverage` and
    `risk_per_trade_frac` over
    the stop; Kelly and volatility sizing may lower it further, never raise it.
    """

    sizing: Sizing = Sizing.FIXED
    size_frac: float = Field(default=1.0, gt=0.0, le=1.0)
    leverage: float = Field(default=1.0, ge=1.0, le=3.0)
    risk_per_trade_frac: float = Field(default=0.02, gt=0.0, le=0.02)
    volatility_target: float | None = Field(default=None, gt=0.0, le=5.0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.sizing is Sizing.VOLATILITY) != (self.volatility_target is not None):
            raise ValueError(
                "volatility_target (annual) goes with sizing 'volatility', and with it only"
            )
        return self


class Genome(_Frozen):
    """A whole strategy.

    Attributes
    ----------
    long_entry, short_entry : conditions of which ceil(confidence x n - 1e-9) must hold at the close
        of a bar
    filters : conditions that must all hold as well (volume and trend)
    confidence : in (0, 1]
    symbols : where it may trade; empty means every symbol of the universe
    """

    version: Literal[1] = 1
    type: StrategyType
    timeframe: str
    direction: Direction
    symbols: tuple[str, ...] = ()
    confidence: float = Field(default=1.0, gt=0.0, le=1.0)
    long_entry: Conditions = ()
    short_entry: Conditions = ()
    filters: Conditions = ()
    exits: Exits
    risk: Risk = Risk()

    _order = field_validator("long_entry", "short_entry", "filters")(_ordered)
    _timeframe_known = field_validator("timeframe")(_check_timeframe)

    @model_validator(mode="after")
    def _check(self) -> Self:
        wants_long = self.direction in (Direction.LONG, Direction.BOTH)
        wants_short = self.direction in (Direction.SHORT, Direction.BOTH)
        if wants_long != bool(self.long_entry) or wants_short != bool(self.short_entry):
            raise ValueError(
                f"direction {self.direction} needs entry conditions for that side and no other"
            )
        own_ms = TIMEFRAME_MS[self.timeframe]
        for operand in self.operands():
            if operand.timeframe is None:
                continue
            other_ms = TIMEFRAME_MS[operand.timeframe]
            if other_ms <= own_ms or other_ms % own_ms:
                raise ValueError(
                    f"{operand.key}: a timeframe other than the genome's must be a multiple of "
                    f"{self.timeframe}"
                )
        return self

    def conditions(self) -> tuple[Condition, ...]:
        """Return every condition, entries first."""
        return (
            *self.long_entry,
            *self.short_entry,
            *self.filters,
            *self.exits.long_conditions,
            *self.exits.short_conditions,
        )

    def operands(self) -> tuple[BarOperand | IndicatorOperand, ...]:
        """Return every series read, with repetitions."""
        return tuple(operand for condition in self.conditions() for operand in condition.operands())

    def needed(self, n_conditions: int) -> int:
        """Return how many of `n_conditions` entry conditions must hold."""
        return max(1, math.ceil(self.confidence * n_conditions - 1e-9))

    def notional_frac(self) -> float:
        """Return the notional of a fixed-size entry as a fraction of equity, in (0, 3]."""
        risk = self.risk
        return min(risk.size_frac * risk.leverage, risk.risk_per_trade_frac / self.exits.stop_frac)

    def canonical_json(self) -> str:
        """Return the one text of this genome: fields in order of declaration, no spaces."""
        return self.model_dump_json()

    @cached_property
    def id(self) -> str:
        """Return the first 32 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()[:ID_LENGTH]

    def __hash__(self) -> int:
        return hash(self.id)

    @classmethod
    def from_json(cls, text: str | bytes) -> Genome:
        """Read a genome from JSON; `engine.validate.genome_check` turns errors into findings."""
        return cls.model_validate_json(text)

    def with_changes(self, **changes: Any) -> Genome:
        """Return a validated copy with some fields replaced."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Genome.model_validate({**fields, **changes})
