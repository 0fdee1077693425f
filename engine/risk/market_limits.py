"""Limits on how prices move together: correlation of positions, value at risk of the book.

Both read a `RiskModel` that was prepared beforehand. A symbol that the model does not know, or a
model that is too old, makes them refuse: what cannot be measured is not enlarged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from engine.errors import NonFiniteError
from engine.risk.exposure import Exposure
from engine.risk.proposal import Proposal
from engine.risk.risk_model import RiskModel
from engine.risk.tail_losses import tail_losses_of
from engine.risk.verdict import RuleResult
from engine.risk.view import RiskView
from engine.risk.words import money, percent, utc


def correlation(proposal: Proposal) -> RuleResult:
    """Ask that what is bought does not move with what is held.

    The correlation of two positions is that of their prices' returns, with its sign turned when one
    is long and the other short. Positions in one symbol are one position here: the limit on
    position size is theirs.
    """
    name, limit = "correlation_max", proposal.limits.correlation_max
    symbol, view = proposal.request.symbol, proposal.view
    sides = proposal.exposure.sides_by_symbol()
    others = {s for s in (*sides, *proposal.exposure.unpriced) if s != symbol}
    if not others:
        return RuleResult(name, 0.0, limit, True, f"no position beside {symbol}")
    why = _why_blind(view.model, view.at, (symbol, *others)) or _why_unpriced(proposal.exposure)
    model = view.model
    if why or model is None:
        return RuleResult(name, math.nan, limit, False, f"correlation is unknown: {why}")
    sign = proposal.request.side.sign
    row = model.correlation[model.column_of[symbol]]
    value, worst = -math.inf, ""
    for other in others:
        between = float(row[model.column_of[other]])
        if math.isnan(between):
            said = f"correlation of {symbol} and {other} is unknown: too few returns in common"
            return RuleResult(name, math.nan, limit, False, said)
        is_long, is_short = sides[other]
        signed = [sign * between] * is_long + [-sign * between] * is_short
        if max(signed, default=-math.inf) > value:
            value, worst = max(signed), other
    if not worst:
        return RuleResult(name, 0.0, limit, True, f"no position beside {symbol}")
    said = f"{symbol} and {worst} as held correlate at {value:.4g}, limit {limit:.4g}"
    return RuleResult(name, value, limit, value <= limit, said)


def book_value_at_risk(proposal: Proposal) -> RuleResult:
    """Ask that a bad day costs little, at the worst that open orders can make of it."""
    view, name = proposal.view, "value_at_risk_frac"
    limit, confidence = proposal.limits.value_at_risk_frac, proposal.limits.value_at_risk_confidence
    equity = view.known_equity()
    why = why_unmeasured(view, proposal.exposure)
    if equity is None:
        why = f"equity is {money(view.equity_quote, view.quote_asset)}"
    if why or equity is None or view.model is None:
        return RuleResult(name, math.nan, limit, False, f"value at risk is unknown: {why}")
    try:
        lost = tail_losses_of(view.model, proposal.exposure, confidence, with_shortfall=False)
    except NonFiniteError as exc:
        return RuleResult(name, math.nan, limit, False, f"value at risk is unknown: {exc.message}")
    value = lost.value_at_risk_quote / float(equity)
    said = (
        f"value at risk of a day at {percent(confidence)} is {percent(value)} of equity"
        f" ({money(lost.value_at_risk_quote, view.quote_asset)}; historical"
        f" {money(lost.historical_quote, view.quote_asset)}, Monte Carlo"
        f" {money(lost.drawn_quote, view.quote_asset)}), limit {percent(limit)}"
    )
    return RuleResult(name, value, limit, value <= limit, said)


def why_unmeasured(view: RiskView, exposure: Exposure) -> str:
    """Say why the book's value at risk cannot be known, empty when it can."""
    symbols = [symbol for _, symbol in exposure.reaches]
    return _why_unpriced(exposure) or _why_blind(view.model, view.at, symbols)


def worst_pair(view: RiskView, exposure: Exposure) -> tuple[float, str, str]:
    """Return the highest correlation of two positions, and their symbols.

    Returns
    -------
    (0.0, "", "") with fewer than two symbols; (nan, a, b) when that of any pair is unknown.
    """
    sides = exposure.sides_by_symbol()
    symbols = sorted(sides)
    worst = (-math.inf, "", "")
    for first, symbol in enumerate(symbols):
        for other in symbols[first + 1 :]:
            between = _between(view, symbol, other)
            if math.isnan(between):
                return math.nan, symbol, other
            for sign in _signs(sides[symbol], sides[other]):
                worst = max(worst, (sign * between, symbol, other))
    return worst if worst[1] else (0.0, "", "")


def _between(view: RiskView, one: str, other: str) -> float:
    if view.model is None or _why_blind(view.model, view.at, (one, other)):
        return math.nan
    columns = view.model.column_of
    return float(view.model.correlation[columns[one], columns[other]])


def _signs(one: tuple[bool, bool], other: tuple[bool, bool]) -> set[int]:
    return {
        first * second
        for first, can_first in zip((1, -1), one, strict=True)
        for second, can_second in zip((1, -1), other, strict=True)
        if can_first and can_second
    }


def _why_unpriced(exposure: Exposure) -> str:
    return f"no price of {', '.join(sorted(exposure.unpriced))}" if exposure.unpriced else ""


def _why_blind(model: RiskModel | None, at: int, symbols: Iterable[str]) -> str:
    if model is None:
        return "no history of returns was read"
    if model.is_stale(at):
        return f"the newest return is of {utc(model.newest_at)}"
    for symbol in symbols:
        if symbol not in model.column_of:
            return model.why_unknown(symbol)
    return ""
