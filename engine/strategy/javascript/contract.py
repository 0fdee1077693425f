"""The contract of a written strategy: what its module says of itself and what it may answer.

One ES module exports `meta` and `decide(bars, state)`. docs/writing-strategies.md is the guide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.strategy.genome import Direction, StrategyType
from engine.types import TIMEFRAME_MS

STATE_MAX_BYTES = 8_192
"""Of the state an answer carries, as JSON."""

LOOKBACK_MAX_BARS = 2_000
"""Bars a strategy may ask to see: they travel with every question to a Worker."""

SOURCE_MAX_BYTES = 65_536
"""Of one module: what a person can still read."""

NAME_MAX = 80
"""Characters of a strategy's name."""

_SYMBOL = re.compile(r"[A-Z0-9]{1,20}/[A-Z0-9]{1,20}(:[A-Z0-9]{1,20})?")

INTENTS = ("hold", "long", "short", "flat")
"""What an answer may want, in the order of their codes."""

LEAVES = (None, "long", "short", "both")
"""Which positions an answer may leave besides, in the order of their codes."""


@dataclass(frozen=True, slots=True)
class ScriptMeta:
    """What a module says of itself.

    Attributes
    ----------
    lookback_bars : closed bars it is shown
    timeframe, symbols : what it is for; None and empty for any
    direction : sides it may hold
    leverage : largest notional it may ask for, as a multiple of equity
    on_opposite : an opposite entry closes, and opens at the same open
    is_kelly : sizes are lowered by the half-Kelly fraction of the trades so far
    genome_id : of the genome it was written from, empty when a person or a model wrote it
    """

    name: str
    lookback_bars: int
    timeframe: str | None = None
    symbols: tuple[str, ...] = ()
    direction: Direction = Direction.LONG
    leverage: float = 1.0
    on_opposite: bool = True
    is_kelly: bool = False
    type: str = ""
    genome_id: str = ""


@dataclass(frozen=True, slots=True)
class MetaProblem:
    """One thing that is wrong with a `meta`; `field` is its key, empty for the whole."""

    field: str
    message: str


def read_meta(given: object) -> tuple[ScriptMeta | None, list[MetaProblem]]:
    """Return what `meta` (plain JSON values) says, or all that is wrong with it."""
    if not isinstance(given, dict):
        return None, [MetaProblem("", "meta is no object: export const meta = {...}")]
    problems = [
        MetaProblem(key, f"meta has no {key!r}: use {', '.join(_FIELDS)}")
        for key in given
        if key not in _FIELDS
    ]
    for key, check in _FIELDS.items():
        value = given.get(key)
        if value is None and key not in ("name", "lookback"):
            continue
        wanted = check(value)
        if wanted is not None:
            problems.append(MetaProblem(key, f"meta.{key} is {_shown(value)}: use {wanted}"))
    if problems:
        return None, problems
    return _meta_of(given), []


def meta_keys() -> tuple[str, ...]:
    """Return the keys a `meta` may have."""
    return tuple(_FIELDS)


def _meta_of(given: dict[str, Any]) -> ScriptMeta:
    return ScriptMeta(
        name=given["name"],
        lookback_bars=int(given["lookback"]),
        timeframe=given.get("timeframe"),
        symbols=tuple(given.get("symbols") or ()),
        direction=Direction(given.get("direction") or "long"),
        leverage=float(given.get("leverage") or 1.0),
        on_opposite=given.get("on_opposite") is not False,
        is_kelly=given.get("sizing") == "kelly",
        type=given.get("type") or "",
        genome_id=given.get("genome") or "",
    )


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:40]


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]


def _is_name(value: object) -> str | None:
    is_fine = isinstance(value, str) and 0 < len(value.strip()) and len(value) <= NAME_MAX
    return None if is_fine else f"a text of 1 to {NAME_MAX} characters"


def _is_lookback(value: object) -> str | None:
    number = _number(value)
    if number % 1 == 0 and 1 <= number <= LOOKBACK_MAX_BARS:
        return None
    return f"a whole number of bars from 1 to {LOOKBACK_MAX_BARS:,}"


def _is_timeframe(value: object) -> str | None:
    is_known = isinstance(value, str) and value in TIMEFRAME_MS
    return None if is_known else f"one of {' '.join(TIMEFRAME_MS)}"


def _are_symbols(value: object) -> str | None:
    is_fine = isinstance(value, list) and all(
        isinstance(symbol, str) and _SYMBOL.fullmatch(symbol) for symbol in value
    )
    return None if is_fine else 'a list such as ["BTC/USDT"]'


def _is_leverage(value: object) -> str | None:
    return None if 1.0 <= _number(value) <= 3.0 else "a number from 1 to 3"


def _is_one_of(*allowed: object) -> Callable[[object], str | None]:
    words = ", ".join(str(value).lower() for value in allowed)
    return lambda value: None if any(value is a or value == a for a in allowed) else words


_FIELDS: dict[str, Callable[[object], str | None]] = {
    "name": _is_name,
    "lookback": _is_lookback,
    "timeframe": _is_timeframe,
    "symbols": _are_symbols,
    "direction": _is_one_of(*(str(side) for side in Direction)),
    "leverage": _is_leverage,
    "on_opposite": _is_one_of(True, False),
    "sizing": _is_one_of("fixed", "kelly"),
    "type": _is_one_of(*(str(kind) for kind in StrategyType)),
    "genome": lambda value: None if isinstance(value, str) and len(value) <= NAME_MAX else "an id",
}
