"""Rules on what is held already: loss and age of a position (SPEC 7).

The position monitor acts on them; the officer refuses to enlarge a position that is about to be
closed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from engine.risk.proposal import exact
from engine.risk.verdict import RuleResult
from engine.risk.view import Holding, TradePlan
from engine.risk.words import hours, percent
from engine.trading_settings import Limits

OVERDUE_S = 60.0
"""A position that outlived its own time stop by this is closed: no order may linger longer."""


class PositionAction(IntEnum):
    """What becomes of a position."""

    HOLD = 0
    WARN = 1
    CLOSE = 2
    """At market, reduce-only."""


@dataclass(frozen=True, slots=True)
class PositionVerdict:
    """What the rules say of one position.

    Attributes
    ----------
    rules : loss and age, in this order
    reason : why it is not simply held, in words
    """

    action: PositionAction
    rules: tuple[RuleResult, RuleResult]
    reason: str = ""


def judge_position(
    holding: Holding, price: Decimal | None, plan: TradePlan | None, at: int, limits: Limits
) -> PositionVerdict:
    """Return what becomes of a position.

    Parameters
    ----------
    price : mark, quote currency; None when unknown
    plan : what its strategy declares, None when nothing is known
    at : UTC ms

    Notes
    -----
    What is unknown warns and does not close: a position is not sold because a price is missing.
    """
    loss = position_loss(holding, price, limits)
    age = position_age(holding, plan, at, limits)
    for rule in (loss, age):
        if not rule.passed and not math.isnan(rule.value):
            return PositionVerdict(PositionAction.CLOSE, (loss, age), rule.message)
    for rule in (loss, age):
        if math.isnan(rule.value):
            return PositionVerdict(PositionAction.WARN, (loss, age), rule.message)
    if _is_short_lived(plan, limits) and age.value >= limits.position_age_warn_s:
        return PositionVerdict(PositionAction.WARN, (loss, age), age.message)
    return PositionVerdict(PositionAction.HOLD, (loss, age))


def position_loss(holding: Holding, price: Decimal | None, limits: Limits) -> RuleResult:
    """Ask that a position has lost less than a share of what it was entered for.

    The value is a fraction of entry notional, commission apart: 0.0 for a gain, nan without a price
    or an entry price. At the limit it is lost.
    """
    name, limit = "position_loss_frac", limits.position_loss_frac
    entry = holding.entry_price
    subject = f"{holding.symbol} of {holding.strategy_id}"
    if not _is_price(price) or not _is_price(entry) or price is None or entry is None:
        what = "mark" if not _is_price(price) else "entry"
        said = f"{subject}: its loss is unknown: no {what} price"
        return RuleResult(name, math.nan, limit, False, said)
    against = entry - price if holding.signed_base > 0 else price - entry
    value = max(0.0, float(against / entry))
    said = (
        f"{subject}: loss {percent(value)} of notional (entry {entry:.8g}, now {price:.8g}),"
        f" limit {percent(limit)}"
    )
    return RuleResult(name, value, limit, against < exact(limit) * entry, said)


def position_age(holding: Holding, plan: TradePlan | None, at: int, limits: Limits) -> RuleResult:
    """Ask that a position is not older than it was meant to become.

    A strategy that declares a holding time under `position_age_close_s` is held to that limit. One
    that declares a longer time has its own time stop, and this rule is what is left when that
    failed. One that declares none has no limit (inf). Seconds; nan when the entry's instant is not
    known.
    """
    name, limit = "position_age_close_s", _age_limit(plan, limits)
    subject = f"{holding.symbol} of {holding.strategy_id}"
    if holding.opened_at is None:
        said = f"{subject}: its age is unknown"
        return RuleResult(name, math.nan, limit, False, said)
    value = max(0.0, (at - holding.opened_at) / 1000)
    said = f"{subject}: age {hours(value)}, limit {hours(limit)}"
    return RuleResult(name, value, limit, value < limit, said)


def _age_limit(plan: TradePlan | None, limits: Limits) -> float:
    if plan is None or plan.holding_s is None:
        return math.inf
    if _is_short_lived(plan, limits):
        return float(limits.position_age_close_s)
    return plan.holding_s + OVERDUE_S


def _is_short_lived(plan: TradePlan | None, limits: Limits) -> bool:
    return plan is not None and (
        plan.holding_s is not None and plan.holding_s < limits.position_age_close_s
    )


def _is_price(price: Decimal | None) -> bool:
    return price is not None and price.is_finite() and price > 0
