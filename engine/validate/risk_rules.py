"""Whether a strategy stays inside the limits of risk: sides, leverage, equity lost at the stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.market.bars import utc_text
from engine.strategy.genome import Direction
from engine.strategy.javascript.answers import LONG, SHORT, Answers
from engine.strategy.javascript.contract import ScriptMeta
from engine.strategy.javascript.source import Source
from engine.types import Bars, BoolArray
from engine.validate.findings import Finding, Severity

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Where a strategy is to run.

    Attributes
    ----------
    timeframe : of the market
    market_type : "spot" (long only, no leverage) or "perp"
    leverage_max : >= 1
    risk_per_trade_frac : equity lost at the stop
    """

    timeframe: str
    market_type: str
    leverage_max: float = 3.0
    risk_per_trade_frac: float = 0.02


def meta_findings(source: Source, meta: ScriptMeta, limits: RiskLimits) -> list[Finding]:
    """Return what a module says of itself that does not go with the market or its limits."""
    found = []
    if meta.timeframe not in (None, limits.timeframe):
        message = f"the strategy is for {meta.timeframe} bars, the market has {limits.timeframe}"
        found.append(_said(source, "timeframe", "market.timeframe", message))
    if limits.market_type == "spot" and meta.direction is not Direction.LONG:
        message = "a spot market is long only: use a perpetual"
        found.append(_said(source, "direction", "market.short", message))
    if limits.market_type == "spot" and meta.leverage > 1.0:
        message = "a spot market has no leverage: set 1"
        found.append(_said(source, "leverage", "market.leverage", message))
    if meta.leverage > limits.leverage_max:
        message = f"leverage {meta.leverage:g} is above the limit {limits.leverage_max:g}"
        found.append(_said(source, "leverage", "risk.leverage", message))
    return found


def risk_findings(
    source: Source, meta: ScriptMeta, answers: Answers, bars: Bars, limits: RiskLimits
) -> list[Finding]:
    """Return the first answer that breaks each rule; its place is what gave it back.

    Parameters
    ----------
    answers, bars : of the same bars; that entries carry a stop is seen to when they are read
    """
    sizes = answers.sizes(meta, limits.risk_per_trade_frac)
    at_stop = sizes * answers.stop_frac
    with np.errstate(invalid="ignore"):
        rules: tuple[tuple[str, BoolArray, Callable[[int], str]], ...] = (
            (
                "risk.side",
                (answers.intent == SHORT) & (meta.direction is Direction.LONG),
                lambda _t: 'it goes short; say so: direction: "both" or "short" in meta',
            ),
            (
                "risk.side",
                (answers.intent == LONG) & (meta.direction is Direction.SHORT),
                lambda _t: 'it goes long; say so: direction: "both" or "long" in meta',
            ),
            (
                "risk.leverage",
                answers.enters & (sizes > meta.leverage * (1.0 + _ROUNDING)),
                lambda t: f"size {sizes[t]:g} of equity is above the leverage {meta.leverage:g}",
            ),
            (
                "risk.per_trade",
                answers.enters & (at_stop > limits.risk_per_trade_frac * (1.0 + _ROUNDING)),
                lambda t: (
                    f"size {sizes[t]:g} x stop {answers.stop_frac[t]:g} loses {at_stop[t]:g} "
                    f"of equity, the limit is {limits.risk_per_trade_frac:g}"
                ),
            ),
        )
    found = []
    for code, breaks, words in rules:
        for t in _first(breaks):
            line, column = source.place_of(int(answers.place[t]))
            place = f"answer at {utc_text(bars.timestamp[t])}"
            message = f"{words(t)} ({place})"
            found.append(Finding(code, Severity.ERROR, message, place, line, column))
    return found


def _first(breaks: BoolArray) -> Iterator[int]:
    if breaks.any():
        yield int(np.argmax(breaks))


def _said(source: Source, key: str, code: str, message: str) -> Finding:
    line, column = meta_place(source, key)
    return Finding(code, Severity.ERROR, message, f"meta.{key}", line, column)


def meta_place(source: Source, key: str) -> tuple[int, int]:
    """Return line and column of a key of `meta`; of `meta` itself when it is not written there."""
    name = source.exported.get("meta")
    if name is None:
        return 1, 1
    declarator = name.parent
    value = None if declarator is None else declarator.child_by_field_name("value")
    for pair in [] if value is None else value.named_children:
        written = pair.child_by_field_name("key")
        if written is not None and source.text_of(written).strip("\"'") == key:
            return source.place_of(written.start_byte)
    return source.place_of(name.start_byte)
