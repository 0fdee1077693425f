"""What a strategy wants at the close of one bar, whoever decided it: the engine or a Worker."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from engine.backtest.rules import Rules
from engine.errors import NonFiniteError, StrategyError
from engine.types import Bars

INTENTS = ("long", "short", "flat", "hold")
MAX_SIZE_FRAC = 3.0
MAX_TARGET_FRAC = 10.0


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """One bar that has closed.

    Attributes
    ----------
    at : UTC ms of its open
    open, high, low, close : quote currency, finite and > 0
    volume : base units, >= 0
    """

    at: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0

    def __post_init__(self) -> None:
        prices = (self.open, self.high, self.low, self.close)
        if not all(math.isfinite(price) and price > 0.0 for price in prices):
            raise NonFiniteError(f"bar {self.at}: prices {prices} must be finite and positive")

    @classmethod
    def of(cls, bars: Bars, i: int) -> ClosedBar:
        """Return bar `i` of a series."""
        return cls(
            int(bars.timestamp[i]),
            float(bars.open[i]),
            float(bars.high[i]),
            float(bars.low[i]),
            float(bars.close[i]),
            float(bars.volume[i]),
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What one strategy wants at the close of one bar, to be done at the next open.

    Attributes
    ----------
    bar_at : UTC ms of the bar's open
    side : 1 enter long, -1 enter short, 0 enter nothing
    leaves_long, leaves_short : an exit condition holds for a position of that side
    size_frac : notional of an entry as a fraction of capital, nan forbids it; None = the rules' own
    rules : exits and size of an entry decided here, None = those of the strategy
    """

    bar_at: int
    side: int = 0
    leaves_long: bool = False
    leaves_short: bool = False
    size_frac: float | None = None
    rules: Rules | None = None

    def leaves(self, side: int) -> bool:
        """Return whether an exit condition holds for a position of `side`."""
        return self.leaves_long if side > 0 else self.leaves_short


class DecisionSource(Protocol):
    """Whoever decides for the strategies of one symbol and timeframe."""

    async def decide(self, bar: ClosedBar) -> Mapping[str, Decision]:
        """Return each strategy's decision at the close of `bar`, by strategy id.

        A strategy that cannot decide is missing: its position stays protected, it enters nothing.

        Raises
        ------
        DataError : `bar` does not follow the bars known so far.
        """
        ...


def decision_of_answer(answer: Mapping[str, object], bar_at: int, own: Rules) -> Decision:
    """Return the decision in a Worker's answer.

    Parameters
    ----------
    answer : `{intent, stop, target, trailing, max_bars, size, ...}`; what is null or missing is
        taken from `own`
    own : exits and size where the answer names none

    Raises
    ------
    StrategyError : an unknown intent, or a number that is none or outside its range.
    """
    intent = answer.get("intent")
    if intent not in INTENTS:
        raise StrategyError(
            f"intent {intent!r}: use one of {' '.join(INTENTS)}", intent=str(intent)
        )
    if intent in ("flat", "hold"):
        leaves = intent == "flat"
        return Decision(bar_at, leaves_long=leaves, leaves_short=leaves)
    stop = _fraction(answer, "stop", 1.0)
    target = _fraction(answer, "target", MAX_TARGET_FRAC)
    trailing = _fraction(answer, "trailing", 1.0)
    size = _fraction(answer, "size", MAX_SIZE_FRAC)
    bars = _fraction(answer, "max_bars", 1e9)
    rules = Rules(
        stop_frac=own.stop_frac if stop is None else stop,
        target_frac=own.target_frac if target is None else target,
        trailing_frac=own.trailing_frac if trailing is None else trailing,
        max_bars=own.max_bars if bars is None else math.ceil(bars),
        size_frac=own.size_frac if size is None else size,
        kelly=own.kelly,
        on_opposite=own.on_opposite,
    )
    return Decision(bar_at, side=1 if intent == "long" else -1, rules=rules)


def decimal_of(value: float) -> Decimal:
    """Return the shortest decimal that reads back as `value`, finite: 0.1 gives 0.1."""
    return Decimal(repr(float(value)))


def _fraction(answer: Mapping[str, object], name: str, most: float) -> float | None:
    value = answer.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    number = float(value) if is_number and isinstance(value, int | float) else math.nan
    if not 0.0 < number <= most:
        raise StrategyError(f"{name} {value!r}: use a number above 0, at most {most:g}", name=name)
    return number
