"""What an account is exposed to, at the worst that its open orders can make of it.

Exposure is gross: strategies that hold a symbol both ways do not cancel out, because either may
leave at any moment. An order that adds exposure counts as if filled, one that reduces it as if it
never filled. So counted, exposure cannot grow by fills or cancellations, only by new orders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.trade.instrument import ZERO
from engine.trade.orders import Side

if TYPE_CHECKING:
    from engine.risk.view import PendingOrder, RiskView

Key = tuple[str, str]
"""(strategy, symbol)"""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the position of one strategy in one symbol can get.

    Attributes
    ----------
    held_quote : notional held at the mark, quote currency, signed
    buys_quote, sells_quote : notional of its open orders that add exposure, quote currency, >= 0
    """

    held_quote: Decimal = ZERO
    buys_quote: Decimal = ZERO
    sells_quote: Decimal = ZERO

    @property
    def long_quote(self) -> Decimal:
        """Return the largest long position it can become, quote currency, >= 0."""
        return max(self.held_quote, ZERO) + self.buys_quote

    @property
    def short_quote(self) -> Decimal:
        """Return the largest short position it can become, quote currency, >= 0."""
        return max(-self.held_quote, ZERO) + self.sells_quote

    @property
    def worst_quote(self) -> Decimal:
        """Return the larger of the two, quote currency, >= 0."""
        return max(self.long_quote, self.short_quote)

    def with_order(self, side: Side, notional_quote: Decimal) -> Reach:
        """Return the reach with one more order that adds exposure."""
        if side is Side.BUY:
            return Reach(self.held_quote, self.buys_quote + notional_quote, self.sells_quote)
        return Reach(self.held_quote, self.buys_quote, self.sells_quote + notional_quote)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Every reach of an account, and their sums.

    Attributes
    ----------
    reaches : by (strategy, symbol)
    by_symbol, by_strategy : worst gross notional, quote currency
    gross_quote : worst gross notional of the account, quote currency
    unpriced : symbols that are held or ordered and have no price; their notional is unknown
    """

    reaches: Mapping[Key, Reach]
    by_symbol: Mapping[str, Decimal]
    by_strategy: Mapping[str, Decimal]
    gross_quote: Decimal
    unpriced: frozenset[str] = frozenset()

    @classmethod
    def of(cls, reaches: Mapping[Key, Reach], unpriced: frozenset[str] = frozenset()) -> Exposure:
        """Return the exposure that reaches add up to."""
        by_symbol: dict[str, Decimal] = {}
        by_strategy: dict[str, Decimal] = {}
        gross_quote = ZERO
        for (strategy, symbol), reach in reaches.items():
            worst_quote = reach.worst_quote
            by_symbol[symbol] = by_symbol.get(symbol, ZERO) + worst_quote
            by_strategy[strategy] = by_strategy.get(strategy, ZERO) + worst_quote
            gross_quote += worst_quote
        return cls(reaches, by_symbol, by_strategy, gross_quote, unpriced)

    def with_order(self, key: Key, side: Side, notional_quote: Decimal) -> Exposure:
        """Return the exposure with one more order that adds some."""
        strategy, symbol = key
        before = self.reaches.get(key, Reach())
        after = before.with_order(side, notional_quote)
        more = after.worst_quote - before.worst_quote
        return Exposure(
            {**self.reaches, key: after},
            {**self.by_symbol, symbol: self.by_symbol.get(symbol, ZERO) + more},
            {**self.by_strategy, strategy: self.by_strategy.get(strategy, ZERO) + more},
            self.gross_quote + more,
            self.unpriced,
        )

    def sides_by_symbol(self) -> dict[str, tuple[bool, bool]]:
        """Return whether each symbol can be held long, and short, by any strategy."""
        sides: dict[str, tuple[bool, bool]] = {}
        for (_, symbol), reach in self.reaches.items():
            was_long, was_short = sides.get(symbol, (False, False))
            can_long = reach.held_quote > 0 or reach.buys_quote > 0
            can_short = reach.held_quote < 0 or reach.sells_quote > 0
            sides[symbol] = (was_long or can_long, was_short or can_short)
        return sides


def exposure_of(view: RiskView) -> Exposure:
    """Return the exposure of an account.

    Notes
    -----
    A holding without a price is left out of `reaches` and named in `unpriced`: rules that need it
    must refuse.
    """
    reaches: dict[Key, Reach] = {}
    unpriced: set[str] = set()
    for holding in view.holdings:
        price = view.price_of(holding.symbol)
        if price is None:
            unpriced.add(holding.symbol)
            continue
        key = (holding.strategy_id, holding.symbol)
        reaches[key] = Reach(held_quote=holding.signed_base * price)
    for order in view.pending:
        notional_quote = pending_quote(order, view.price_of(order.symbol))
        if notional_quote is None:
            unpriced.add(order.symbol)
            continue
        key = (order.strategy_id, order.symbol)
        reaches[key] = reaches.get(key, Reach()).with_order(order.side, notional_quote)
    return Exposure.of(reaches, frozenset(unpriced))


def pending_quote(order: PendingOrder, price: Decimal | None) -> Decimal | None:
    """Return the notional of an open order at the dearer of mark and its own price.

    Returns
    -------
    Decimal, quote currency, >= 0; None without a mark, unless the order is sized by notional.
    """
    if order.left_quote is not None:
        return order.left_quote
    if price is None or order.left_base is None:
        return None
    dearest = price if order.own_price is None else max(price, order.own_price)
    return order.left_base * dearest


def leverage(exposure: Exposure, equity_quote: Decimal) -> float:
    """Return worst gross notional over equity; nan when a price is missing or equity is not > 0."""
    if exposure.unpriced or not equity_quote > 0:
        return math.nan
    return float(exposure.gross_quote / equity_quote)


def concentration(exposure: Exposure) -> float:
    """Return the Herfindahl index of worst notional over symbols.

    Returns
    -------
    float in (0, 1]: 1.0 when all is in one symbol, 1 / n when n symbols share it evenly; nan for an
    empty book and when a price is missing. Source: Herfindahl (1950), Hirschman (1945).
    """
    gross = exposure.gross_quote
    if exposure.unpriced or not gross:
        return math.nan
    return math.fsum(float(quote / gross) ** 2 for quote in exposure.by_symbol.values())


def unprotected_quote(view: RiskView) -> Decimal | None:
    """Return the notional of positions that no stop resting at the venue protects.

    Returns
    -------
    Decimal, quote currency, >= 0; None when a position that is not fully protected has no price.
    """
    total = ZERO
    for holding in view.holdings:
        naked_base = holding.unprotected_base
        if not naked_base:
            continue
        price = view.price_of(holding.symbol)
        if price is None:
            return None
        total += naked_base * price
    return total


def liquidation_distance(
    equity_quote: Decimal, gross_quote: Decimal, maintenance_frac: float
) -> float:
    """Return how far prices may move against every position before the venue liquidates.

    Parameters
    ----------
    equity_quote : of a cross-margined account
    gross_quote : sum of unsigned notional, quote currency, >= 0
    maintenance_frac : margin the venue asks for, fraction of notional, in [0, 1)

    Returns
    -------
    float: fraction of the price, <= 0 when it is due already; inf for an empty book, nan when an
    amount is not finite. The move d at which equity - gross d = maintenance x gross: a lower bound
    for longs, whose notional shrinks with the price.
    """
    if not (equity_quote.is_finite() and gross_quote.is_finite()):
        return math.nan
    if gross_quote <= 0:
        return math.inf
    return float(equity_quote / gross_quote) - maintenance_frac


def venue_liquidation_distance(
    price: Decimal, liquidation_price: Decimal | None, signed_base: Decimal
) -> float:
    """Return how far the price is from where the venue says it liquidates a position.

    Returns
    -------
    float: fraction of the price, <= 0 when it is past; inf when the venue names no price (spot),
    nan when either price is not a positive number.
    """
    if liquidation_price is None:
        return math.inf
    prices = (price, liquidation_price)
    if not all(p.is_finite() and p > 0 for p in prices):
        return math.nan
    away = price - liquidation_price if signed_base > 0 else liquidation_price - price
    return float(away / price)
