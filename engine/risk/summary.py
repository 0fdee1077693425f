"""The limits of an account as the console and the status command show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from engine.risk.breakers import Breaker
from engine.risk.exposure import (
    Exposure,
    concentration,
    exposure_of,
    leverage,
    liquidation_distance,
    unprotected_quote,
)
from engine.risk.market_limits import why_unmeasured, worst_pair
from engine.risk.position_rules import position_age, position_loss
from engine.risk.tail_losses import TailLosses, tail_losses_of
from engine.risk.verdict import RuleResult
from engine.risk.view import RiskView
from engine.risk.words import UNKNOWN, hours, money, percent
from engine.trade.instrument import ZERO
from engine.trading_settings import Limits

WARN_SHARE = 0.70
CRITICAL_SHARE = 0.90


class LimitState(StrEnum):
    """How near a limit is."""

    OK = "ok"
    WARN = "warn"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class LimitLine:
    """One limit and how much of it is used.

    Attributes
    ----------
    name : of the setting in [limits]
    title : for the operator
    value, limit : in the limit's own unit; value is nan when unknown
    unit : "fraction", "x" (times equity), "correlation" or "s"
    share : value over limit; nan when unknown
    state : critical when unknown
    detail : which symbol, strategy or position it is of, or why it is unknown
    """

    name: str
    title: str
    value: float
    limit: float
    unit: str
    share: float
    state: LimitState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BookRisk:
    """What is at stake in an account beside its limits.

    Attributes
    ----------
    gross_quote, net_quote : notional at the worst of open orders, and as held with its sign; None
        without a price
    unprotected_quote : notional that no stop resting at the venue protects; None without a price
    concentration : Herfindahl index over symbols, nan for an empty book
    liquidation_frac : adverse move of all prices that uses up the margin; inf for an empty book,
        nan when unknown, and on spot it means nothing
    losses : value at risk and expected shortfall, None when they cannot be measured
    why_unmeasured : why not, empty otherwise
    """

    gross_quote: Decimal | None
    net_quote: Decimal | None
    unprotected_quote: Decimal | None
    concentration: float
    liquidation_frac: float
    losses: TailLosses | None
    why_unmeasured: str


def limit_lines(view: RiskView, limits: Limits) -> tuple[LimitLine, ...]:
    """Return every limit of an account with what is used of it, in the order of SPEC 7.

    Notes
    -----
    Open orders that add exposure count as filled, as for the officer.
    """
    exposure = exposure_of(view)
    return (
        _risk_line(view, exposure, limits),
        _largest(view, exposure, limits, "position_frac", "position size", exposure.by_symbol),
        _largest(view, exposure, limits, "strategy_frac", "strategy", exposure.by_strategy),
        _largest(view, exposure, limits, "group_frac", "group", _by_group(view, exposure)),
        _leverage_line(view, exposure, limits),
        _correlation_line(view, exposure, limits),
        _value_at_risk_line(view, exposure, limits),
        _loss_line(view, limits),
        _age_line(view, limits),
        *_breaker_lines(view, limits),
    )


def book_risk(view: RiskView, limits: Limits, maintenance_frac: float = 0.0) -> BookRisk:
    """Return what is at stake in an account.

    Parameters
    ----------
    maintenance_frac : margin the venue asks for, fraction of notional; 0 where it lends nothing
    """
    exposure = exposure_of(view)
    equity = view.known_equity()
    why = why_unmeasured(view, exposure)
    losses = None
    if not why and view.model is not None:
        losses = tail_losses_of(view.model, exposure, limits.value_at_risk_confidence)
    is_priced = not exposure.unpriced
    gross = exposure.gross_quote if is_priced else None
    net = sum((reach.held_quote for reach in exposure.reaches.values()), ZERO)
    distance = math.nan
    if equity is not None and gross is not None:
        distance = liquidation_distance(equity, gross, maintenance_frac)
    return BookRisk(
        gross_quote=gross,
        net_quote=net if is_priced else None,
        unprotected_quote=unprotected_quote(view),
        concentration=concentration(exposure),
        liquidation_frac=distance,
        losses=losses,
        why_unmeasured=why,
    )


def breached(lines: Iterable[LimitLine]) -> tuple[LimitLine, ...]:
    """Return the limits that are exceeded or unknown: what stands in the way of re-arming.

    Breakers are left out: re-arming lets go of them, and `BreakerState.why_not_rearmed` says which
    one it does not.
    """
    breakers = {breaker.value for breaker in Breaker}
    return tuple(line for line in lines if line.name not in breakers and not line.share <= 1.0)


def _line(
    name: str, title: str, value: float, limit: float, unit: str, detail: str = ""
) -> LimitLine:
    if math.isinf(limit):
        return LimitLine(name, title, value, limit, unit, 0.0, LimitState.OK, detail)
    # Rounded, because 0.09 / 0.1 is a little less than nine tenths.
    share = round(value / limit, 12) if limit > 0.0 else (0.0 if value <= 0.0 else math.inf)
    state = LimitState.OK
    if share >= WARN_SHARE:
        state = LimitState.WARN
    if math.isnan(share) or share >= CRITICAL_SHARE:
        state = LimitState.CRITICAL
    return LimitLine(name, title, value, limit, unit, share, state, detail)


def _largest(
    view: RiskView,
    exposure: Exposure,
    limits: Limits,
    name: str,
    title: str,
    quotes: Mapping[str, Decimal],
) -> LimitLine:
    limit = float(getattr(limits, name))
    equity = view.known_equity()
    why = _why_unknown(view, exposure)
    if why or equity is None:
        return _line(name, title, math.nan, limit, "fraction", why)
    if not quotes:
        return _line(name, title, 0.0, limit, "fraction", "no position")
    subject = max(quotes, key=lambda key: (quotes[key], key))
    detail = f"{subject} {money(quotes[subject], view.quote_asset)}"
    return _line(name, title, float(quotes[subject] / equity), limit, "fraction", detail)


def _risk_line(view: RiskView, exposure: Exposure, limits: Limits) -> LimitLine:
    name, title, limit = "risk_per_trade_frac", "risk per trade", limits.risk_per_trade_frac
    equity = view.known_equity()
    why = _why_unknown(view, exposure)
    if why or equity is None:
        return _line(name, title, math.nan, limit, "fraction", why)
    worst, detail = 0.0, "no position"
    for (strategy_id, symbol), reach in exposure.reaches.items():
        plan = view.plans.get(strategy_id)
        if plan is None or plan.stop_frac is None:
            said = f"no stop of strategy {strategy_id} is known"
            return _line(name, title, math.nan, limit, "fraction", said)
        value = float(reach.worst_quote / equity) * plan.stop_frac
        if value > worst:
            worst, detail = value, f"{symbol} of {strategy_id}, stop {percent(plan.stop_frac)}"
    return _line(name, title, worst, limit, "fraction", detail)


def _by_group(view: RiskView, exposure: Exposure) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for symbol, quote in exposure.by_symbol.items():
        group = view.groups.group_of(symbol)
        totals[group] = totals.get(group, ZERO) + quote
    return totals


def _leverage_line(view: RiskView, exposure: Exposure, limits: Limits) -> LimitLine:
    equity = view.known_equity()
    value = math.nan if equity is None else leverage(exposure, equity)
    detail = _why_unknown(view, exposure) or money(exposure.gross_quote, view.quote_asset)
    return _line("leverage_max", "leverage", value, limits.leverage_max, "x", detail)


def _correlation_line(view: RiskView, exposure: Exposure, limits: Limits) -> LimitLine:
    value, one, other = worst_pair(view, exposure)
    detail = f"{one} and {other}" if one else "fewer than two symbols"
    if exposure.unpriced and len({s for _, s in exposure.reaches} | exposure.unpriced) > 1:
        value, detail = math.nan, _why_unknown(view, exposure)
    name, limit = "correlation_max", limits.correlation_max
    return _line(name, "correlation", value, limit, "correlation", detail)


def _value_at_risk_line(view: RiskView, exposure: Exposure, limits: Limits) -> LimitLine:
    name, title, limit = "value_at_risk_frac", "value at risk, 1 day", limits.value_at_risk_frac
    equity = view.known_equity()
    if not exposure.reaches and not exposure.unpriced:
        return _line(name, title, 0.0, limit, "fraction", "no position")
    why = _why_unknown(view, exposure) or why_unmeasured(view, exposure)
    if why or equity is None or view.model is None:
        return _line(name, title, math.nan, limit, "fraction", why)
    confidence = limits.value_at_risk_confidence
    losses = tail_losses_of(view.model, exposure, confidence, with_shortfall=False)
    quote = max(0.0, losses.value_at_risk_quote)
    detail = f"{money(quote, view.quote_asset)} at {percent(confidence)}"
    return _line(name, title, quote / float(equity), limit, "fraction", detail)


def _loss_line(view: RiskView, limits: Limits) -> LimitLine:
    rules = [position_loss(h, view.price_of(h.symbol), limits) for h in view.holdings]
    name, title = "position_loss_frac", "worst position"
    return _worst_rule(name, title, limits.position_loss_frac, "fraction", rules)


def _age_line(view: RiskView, limits: Limits) -> LimitLine:
    rules = [position_age(h, view.plans.get(h.strategy_id), view.at, limits) for h in view.holdings]
    name, title = "position_age_close_s", "oldest position"
    return _worst_rule(name, title, float(limits.position_age_close_s), "s", rules)


def _worst_rule(
    name: str, title: str, limit: float, unit: str, rules: list[RuleResult]
) -> LimitLine:
    lines = [_line(name, title, r.value, r.limit, unit, r.message) for r in rules]
    if not lines:
        return _line(name, title, 0.0, limit, unit, "no position")
    return max(lines, key=lambda line: math.inf if math.isnan(line.share) else line.share)


def _breaker_lines(view: RiskView, limits: Limits) -> list[LimitLine]:
    lines = []
    for reading in view.breakers.readings(view.equity_quote, view.at, limits):
        title = reading.rule.removesuffix("_frac").replace("_", " ")
        line = _line(reading.rule, title, reading.value, reading.limit, "fraction")
        is_tripped = not reading.passed
        state = LimitState.CRITICAL if is_tripped else line.state
        lines.append(
            LimitLine(
                line.name,
                title,
                line.value,
                line.limit,
                line.unit,
                line.share,
                state,
                reading.message if is_tripped else "",
            )
        )
    return lines


def _why_unknown(view: RiskView, exposure: Exposure) -> str:
    if view.known_equity() is None:
        return f"equity is {money(view.equity_quote, view.quote_asset)}"
    if exposure.unpriced:
        return f"no price of {', '.join(sorted(exposure.unpriced))}"
    return ""


def value_text(line: LimitLine) -> str:
    """Return a line's value and limit with their unit, such as `4.2 % / 10 %`."""
    return f"{_number(line.value, line.unit)} / {_number(line.limit, line.unit)}"


def _number(value: float, unit: str) -> str:
    if math.isnan(value):
        return UNKNOWN
    if unit == "fraction":
        return percent(value)
    if unit == "s":
        return hours(value)
    return f"{value:.4g}x" if unit == "x" else f"{value:.2f}"
