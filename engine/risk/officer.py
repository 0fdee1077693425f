"""The risk officer: one verdict on one order, from every rule, always in the same order.

Pure: a verdict follows from the order, the view and the limits alone. What reduces exposure passes
unasked, so that no missing number ever holds up an exit. What adds some is asked by every rule,
also when an earlier one refused, so that the journal has all numbers of every decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from engine.risk.limits import (
    account_leverage,
    equity_known,
    group_concentration,
    position_size,
    risk_per_trade,
    stop_attached,
    strategy_concentration,
)
from engine.risk.market_limits import book_value_at_risk, correlation
from engine.risk.position_rules import position_age, position_loss
from engine.risk.proposal import Proposal
from engine.risk.verdict import RiskVerdict, RuleResult
from engine.risk.view import RiskView
from engine.trade.orders import OrderRequest
from engine.trading_settings import Limits

_REDUCES = RuleResult("reduce_only", 0.0, 0.0, True, "it only reduces a position")


class RiskOfficer:
    """Hold orders against the limits.

    Parameters
    ----------
    limits : the [limits] section

    Notes
    -----
    Order of the rules: equity, breakers (day, week, month, drawdown), stop, risk per trade, size of
    the position, strategy, group, leverage, correlation, value at risk, loss and age of the
    position.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def judge(self, request: OrderRequest, view: RiskView) -> RiskVerdict:
        """Return whether an order may be sent, and how large.

        Parameters
        ----------
        request : as its strategy wants it
        view : the account at this instant, every order that was written down included

        Returns
        -------
        RiskVerdict : smaller than asked only by the rule of risk per trade; the other rules were
            then asked about the smaller order. A smaller quantity is not rounded to the venue's
            lot yet: round it down.
        """
        if not request.adds_exposure:
            return RiskVerdict(allowed=True, rules=(_REDUCES,))
        asked = Proposal.of(request, view, self._limits)
        before = [
            equity_known(asked),
            *view.breakers.readings(view.equity_quote, view.at, self._limits),
            stop_attached(asked),
        ]
        at_risk, sized = risk_per_trade(asked)
        after = list(_rules_on_size(sized or asked))
        refusals = [rule for rule in (*before, *after) if not rule.passed]
        if sized is None:
            refusals.append(at_risk)
        rules = (*before, at_risk, *after)
        if refusals or sized is None:
            return RiskVerdict(
                allowed=False, rules=rules, reason="; ".join(rule.message for rule in refusals)
            )
        if sized is asked:
            return RiskVerdict(allowed=True, rules=rules)
        return RiskVerdict(
            allowed=True,
            qty_base=sized.request.qty_base,
            notional_quote=sized.request.notional_quote,
            rules=rules,
            reason=at_risk.message,
        )


def _rules_on_size(proposal: Proposal) -> Iterator[RuleResult]:
    yield position_size(proposal)
    yield strategy_concentration(proposal)
    yield group_concentration(proposal)
    yield account_leverage(proposal)
    yield correlation(proposal)
    yield book_value_at_risk(proposal)
    yield from _rules_on_position(proposal)


def _rules_on_position(proposal: Proposal) -> Iterator[RuleResult]:
    """Refuse to enlarge a position that its own rules are about to close."""
    view, limits, sign = proposal.view, proposal.limits, proposal.request.side.sign
    for holding in view.holdings:
        key = (holding.strategy_id, holding.symbol)
        if key == proposal.key and holding.signed_base * sign > 0:
            yield position_loss(holding, view.price_of(holding.symbol), limits)
            yield position_age(holding, proposal.plan, view.at, limits)
            return
    none = "it enlarges no position"
    yield RuleResult("position_loss_frac", 0.0, limits.position_loss_frac, True, none)
    yield RuleResult("position_age_close_s", 0.0, math.inf, True, none)
