"""Positions: what fills add up to.

All sums are exact. Only the share of the cost that a partial close takes along is a quotient; it is
rounded once, to 40 digits, and what is rounded away stays in the cost of what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal

from engine.trade.exchange import Fill
from engine.trade.instrument import ZERO

EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)
"""Wide enough that sums and products of what venues send lose no digit."""

_QUOTIENT = Context(prec=40, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Position:
    """What one strategy holds of one symbol, and what it has made of it so far.

    Attributes
    ----------
    signed_base : base currency, negative for a short; fees taken in base are off already
    cost_quote : quote currency, signed: what the open quantity was entered for
    realized_quote : quote currency, gain of what was closed, before fees, over all its trades
    fees_quote : quote currency, fees over all its trades; one taken in base counts at its fill's
        price, one taken in a third currency is in the account's cash only
    opened_at : UTC ms of the fill that opened it, None while flat
    updated_at : UTC ms of its last fill

    Notes
    -----
    `cost_quote - realized_quote + fees_quote` is minus the cash its fills brought, exactly (third
    currencies apart).
    """

    strategy_id: str
    symbol: str
    signed_base: Decimal = ZERO
    cost_quote: Decimal = ZERO
    realized_quote: Decimal = ZERO
    fees_quote: Decimal = ZERO
    opened_at: int | None = None
    updated_at: int = 0

    @property
    def is_flat(self) -> bool:
        """Return whether nothing is held."""
        return not self.signed_base

    @property
    def entry_price(self) -> Decimal | None:
        """Return the average price of what is held, quote currency; None while flat."""
        return None if self.is_flat else _QUOTIENT.divide(self.cost_quote, self.signed_base)

    def unrealized_quote(self, price: Decimal) -> Decimal:
        """Return the gain, before fees, of closing it all at `price`; quote currency."""
        return EXACT.subtract(EXACT.multiply(self.signed_base, price), self.cost_quote)

    def filled(self, fill: Fill) -> Position:
        """Return the position after one more fill; the caller sees to it that each counts once."""
        base_fee, quote_fee = ZERO, ZERO
        if fill.fee_asset == base_of(fill.symbol):
            base_fee = fill.fee
            quote_fee = EXACT.multiply(fill.fee, fill.price)
        elif fill.fee_asset == quote_of(fill.symbol):
            quote_fee = fill.fee
        signed_base = EXACT.subtract(signed_base_of(fill), base_fee)
        after = self.traded(signed_base, fill.price, fill.at)
        return replace(after, fees_quote=EXACT.add(after.fees_quote, quote_fee))

    def traded(self, signed_base: Decimal, price: Decimal, at: int) -> Position:
        """Return the position changed by `signed_base` at `price`: enlarged, reduced or flipped."""
        held = self.signed_base
        after = EXACT.add(held, signed_base)
        value = EXACT.multiply(signed_base, price)
        if not held or (held > 0) == (signed_base > 0):
            cost, gain = EXACT.add(self.cost_quote, value), ZERO
        elif abs(signed_base) <= abs(held):
            released = self._released_cost(signed_base)
            cost = EXACT.subtract(self.cost_quote, released)
            gain = EXACT.subtract(EXACT.minus(value), released)
        else:
            # Through zero: all of it is closed, the rest is a new position at this price.
            cost = EXACT.multiply(after, price)
            gain = EXACT.subtract(EXACT.multiply(held, price), self.cost_quote)
        opened_at = self.opened_at if held and after and (held > 0) == (after > 0) else at
        return replace(
            self,
            signed_base=after,
            cost_quote=cost,
            realized_quote=EXACT.add(self.realized_quote, gain),
            opened_at=opened_at if after else None,
            updated_at=at,
        )

    def _released_cost(self, signed_base: Decimal) -> Decimal:
        if abs(signed_base) == abs(self.signed_base):
            return self.cost_quote
        product = EXACT.multiply(self.cost_quote, EXACT.minus(signed_base))
        return _QUOTIENT.divide(product, self.signed_base)


def base_of(symbol: str) -> str:
    """Return the currency that is bought and sold."""
    return symbol.partition("/")[0]


def quote_of(symbol: str) -> str:
    """Return the currency that is paid."""
    return symbol.partition("/")[2].partition(":")[0]


def signed_base_of(fill: Fill) -> Decimal:
    """Return what the fill traded, base currency, negative for a sell, before fees."""
    return fill.qty_base if fill.side.sign > 0 else EXACT.minus(fill.qty_base)


def cash_changes(fill: Fill) -> dict[str, Decimal]:
    """Return what a fill adds to the account's cash, by currency; a fee in base is not cash."""
    value = EXACT.multiply(signed_base_of(fill), fill.price)
    quote = quote_of(fill.symbol)
    changes = {quote: EXACT.minus(value)}
    if fill.fee and fill.fee_asset != base_of(fill.symbol):
        changes[fill.fee_asset] = EXACT.subtract(changes.get(fill.fee_asset, ZERO), fill.fee)
    return changes
