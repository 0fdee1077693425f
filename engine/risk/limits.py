"""Limits on how much: one pure rule a row of SPEC 7, each with its numbers in words.

A limit may be reached and not exceeded. What a rule needs and cannot know makes it refuse, with nan
for a value. Fractions are of the account's equity at the marks of the moment; between a verdict and
a fill the market moves: when no price moves by more than m and a fill costs at most c of its
notional, exposure after the fills is at most limit x (1 + m) / (1 - (m + c) x gross / equity).
"""

from __future__ import annotations

import math
from decimal import Decimal

from engine.risk.exposure import leverage
from engine.risk.proposal import Proposal, exact
from engine.risk.verdict import RuleResult
from engine.risk.words import money, percent
from engine.trade.instrument import ZERO
from engine.trade.orders import Side


def equity_known(proposal: Proposal) -> RuleResult:
    """Ask for an account that is worth something; without one no share of it can be granted."""
    view = proposal.view
    equity = view.equity_quote
    is_known = view.known_equity() is not None
    value = float(equity) if equity is not None and equity.is_finite() else math.nan
    said = f"equity is {money(equity, view.quote_asset)}"
    if not is_known:
        said += ": it must be known and above 0"
    return RuleResult("equity_quote", value, 0.0, is_known, said)


def stop_attached(proposal: Proposal) -> RuleResult:
    """Ask for a stop: its distance from the entry, above 0 and below the whole price."""
    plan = proposal.plan
    name, limit = "stop_frac", 1.0
    if plan is None:
        said = f"nothing is declared of strategy {proposal.request.strategy_id}: no stop is known"
        return RuleResult(name, math.nan, limit, False, said)
    if plan.stop_frac is None:
        said = f"strategy {proposal.request.strategy_id} declares no stop"
        return RuleResult(name, math.nan, limit, False, said)
    is_sound = 0.0 < plan.stop_frac < limit
    target = "no target" if plan.target_frac is None else f"target {percent(plan.target_frac)}"
    said = f"stop {percent(plan.stop_frac)} of the entry price, {target}"
    if not is_sound:
        said += ": a stop must be above 0 % and below 100 %"
    return RuleResult(name, plan.stop_frac, limit, is_sound, said)


def risk_per_trade(proposal: Proposal) -> tuple[RuleResult, Proposal | None]:
    """Ask that the equity lost at the stop stays small, and size the order down to it.

    Returns
    -------
    RuleResult : not passed when the order is refused or made smaller; the value is what was asked
    Proposal : the order as it may be sent, None when nothing of it may
    """
    name, limit = "risk_per_trade_frac", proposal.limits.risk_per_trade_frac
    equity, stop_frac = proposal.view.known_equity(), _stop_frac(proposal)
    asked_quote = proposal.notional_quote
    if equity is None or stop_frac is None or asked_quote is None:
        what = _unknown(proposal, equity) or "the stop is unknown"
        said = f"equity lost at the stop is unknown: {what}"
        return RuleResult(name, math.nan, limit, False, said), None
    is_buy = proposal.request.side is Side.BUY
    reached_quote = proposal.reach.long_quote if is_buy else proposal.reach.short_quote
    allowed_quote = exact(limit) * equity / exact(stop_frac)
    value = float(reached_quote * exact(stop_frac) / equity)
    lost = money(reached_quote * exact(stop_frac), proposal.view.quote_asset)
    said = (
        f"{percent(value)} of equity ({lost}) would be lost at a stop of {percent(stop_frac)},"
        f" limit {percent(limit)}"
    )
    if reached_quote * exact(stop_frac) <= exact(limit) * equity:
        return RuleResult(name, value, limit, True, said), proposal
    room_quote = asked_quote - (reached_quote - allowed_quote)
    if room_quote <= 0:
        said += ": the position takes all of it already"
        return RuleResult(name, value, limit, False, said), None
    smaller = proposal.sized_down(room_quote)
    asset = proposal.view.quote_asset
    said += f": sized down from {money(asked_quote, asset)} to {money(room_quote, asset)}"
    return RuleResult(name, value, limit, False, said), smaller


def position_size(proposal: Proposal) -> RuleResult:
    """Ask that all strategies together hold little of one symbol."""
    symbol = proposal.request.symbol
    total = proposal.exposure.by_symbol.get(symbol)
    is_known = symbol not in proposal.exposure.unpriced
    return _share(proposal, "position_frac", f"{symbol}", total if is_known else None, {symbol})


def strategy_concentration(proposal: Proposal) -> RuleResult:
    """Ask that one strategy holds little over all symbols."""
    strategy_id = proposal.request.strategy_id
    view = proposal.view
    symbols = {h.symbol for h in view.holdings if h.strategy_id == strategy_id}
    symbols |= {o.symbol for o in view.pending if o.strategy_id == strategy_id}
    symbols.add(proposal.request.symbol)
    total = proposal.exposure.by_strategy.get(strategy_id)
    return _share(proposal, "strategy_frac", f"strategy {strategy_id}", total, symbols)


def group_concentration(proposal: Proposal) -> RuleResult:
    """Ask that symbols that count as one are held little of."""
    groups = proposal.view.groups
    group = groups.group_of(proposal.request.symbol)
    by_symbol = proposal.exposure.by_symbol
    symbols = {s for s in (*by_symbol, *proposal.exposure.unpriced) if groups.group_of(s) == group}
    total = sum((by_symbol.get(symbol, ZERO) for symbol in symbols), ZERO)
    return _share(proposal, "group_frac", f"group {group}", total, symbols)


def account_leverage(proposal: Proposal) -> RuleResult:
    """Ask that all notional together is a small multiple of equity."""
    name, limit = "leverage_max", proposal.limits.leverage_max
    equity = proposal.view.known_equity()
    value = math.nan if equity is None else leverage(proposal.exposure, equity)
    if equity is None or math.isnan(value):
        said = f"leverage is unknown: {_unknown(proposal, equity)}"
        return RuleResult(name, math.nan, limit, False, said)
    gross = proposal.exposure.gross_quote
    asset = proposal.view.quote_asset
    said = (
        f"leverage {value:.6g}x ({money(gross, asset)} on {money(equity, asset)}),"
        f" limit {limit:.6g}x"
    )
    return RuleResult(name, value, limit, gross <= exact(limit) * equity, said)


def _share(
    proposal: Proposal, name: str, subject: str, total: Decimal | None, symbols: set[str]
) -> RuleResult:
    """Hold a notional against a fraction of equity; `symbols` are those it is a sum over."""
    limit = float(getattr(proposal.limits, name))
    equity = proposal.view.known_equity()
    unpriced = symbols & proposal.exposure.unpriced
    if equity is None or total is None or unpriced:
        said = f"{subject}: its share of equity is unknown: {_unknown(proposal, equity)}"
        return RuleResult(name, math.nan, limit, False, said)
    asset = proposal.view.quote_asset
    value = float(total / equity)
    said = (
        f"{subject}: {percent(value)} of equity ({money(total, asset)} of"
        f" {money(equity, asset)}), limit {percent(limit)}"
    )
    return RuleResult(name, value, limit, total <= exact(limit) * equity, said)


def _stop_frac(proposal: Proposal) -> float | None:
    plan = proposal.plan
    if plan is None or plan.stop_frac is None or not 0.0 < plan.stop_frac < 1.0:
        return None
    return plan.stop_frac


def _unknown(proposal: Proposal, equity: Decimal | None) -> str:
    if equity is None:
        return f"equity is {money(proposal.view.equity_quote, proposal.view.quote_asset)}"
    unpriced = sorted(proposal.exposure.unpriced)
    return f"no price of {', '.join(unpriced)}" if unpriced else ""
