"""What the risk officer says of one order: allowed or not, by which rules, with which numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule's finding.

    Attributes
    ----------
    rule : the limit's or breaker's name in [limits], or `equity_quote`, `stop_frac`, `reduce_only`
    value : what was found, in the rule's own unit; nan when it could not be computed
    limit : what it may be, in the same unit; inf where there is none
    passed : False when the rule refuses the order or makes it smaller
    message : the same in words, with unit, for the operator
    """

    rule: str
    value: float
    limit: float
    passed: bool
    message: str


@dataclass(frozen=True, slots=True)
class RiskVerdict:
    """The officer's decision on one order.

    Attributes
    ----------
    allowed : whether it may be sent
    qty_base : base currency, > 0, when it was sized down; None = as asked
    notional_quote : quote currency, > 0, when an order sized by notional was sized down; None = as
        asked
    rules : every rule that was asked, in order
    reason : why it was refused or made smaller, in words; empty when allowed as asked
    """

    allowed: bool
    qty_base: Decimal | None = None
    notional_quote: Decimal | None = None
    rules: tuple[RuleResult, ...] = ()
    reason: str = ""
