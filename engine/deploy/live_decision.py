"""A Worker's answer as a decision, compared with the engine's, and cut to its share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from engine.backtest.rules import Rules
from engine.errors import StrategyError
from engine.strategy.javascript.contract import LEAVES
from engine.trade.decision import MAX_SIZE_FRAC, Decision, decision_of_answer


def worker_decision(answer: Mapping[str, object], bar_at: int, own: Rules) -> Decision:
    """Return the decision in a Worker's answer.

    Parameters
    ----------
    answer : by the contract of written strategies, `leave` included
    own : exits and size where the answer names none

    Returns
    -------
    Decision : its rules are None where they are `own`; a size of 0 is nan: nothing is entered.

    Raises
    ------
    StrategyError : what it says is outside the contract.
    """
    size, leave = answer.get("size"), answer.get("leave")
    if leave not in LEAVES:
        raise StrategyError(f"leave {leave!r}: use long, short, both or null")
    found = decision_of_answer({**answer, "size": None}, bar_at, own)
    found = replace(
        found,
        leaves_long=found.leaves_long or leave in ("long", "both"),
        leaves_short=found.leaves_short or leave in ("short", "both"),
    )
    if not found.side:
        return found
    return replace(
        found,
        size_frac=None if size is None else _size(size),
        rules=None if found.rules == own else found.rules,
    )


def difference(one: Decision, other: Decision, own: Rules) -> str:
    """Return in words what two decisions at the same bar differ in, empty when they agree.

    Parameters
    ----------
    one : the engine's
    other : a Worker's
    """
    for name in ("side", "leaves_long", "leaves_short"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine != theirs:
            return f"bar {one.bar_at}: {name} is {theirs}, the engine says {mine}"
    if not one.side:
        return ""
    mine, theirs = _effective(one, own), _effective(other, own)
    if mine != theirs and not (math.isnan(mine) and math.isnan(theirs)):
        return f"bar {one.bar_at}: size_frac is {theirs:g}, the engine says {mine:g}"
    if (one.rules or own) != (other.rules or own):
        return f"bar {one.bar_at}: its exits are not the engine's"
    return ""


def cut(decision: Decision, scale_frac: float, most_frac: float, own: Rules) -> Decision:
    """Return a decision whose entry is a part of its size, and at most `most_frac` of capital."""
    if not decision.side:
        return decision
    size = _effective(decision, own)
    if math.isnan(size):
        return decision
    return replace(decision, size_frac=min(size * scale_frac, most_frac))


def _effective(decision: Decision, own: Rules) -> float:
    if decision.size_frac is not None:
        return decision.size_frac
    return (decision.rules or own).size_frac


def _size(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    size = float(value) if is_number else math.nan  # type: ignore[arg-type]
    if not 0.0 <= size <= MAX_SIZE_FRAC:
        raise StrategyError(f"size {value!r}: use a number from 0 to {MAX_SIZE_FRAC:g}")
    return size if size > 0.0 else math.nan
