"""What an exchange lists, and the one place where prices and quantities are rounded."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Literal

from engine.errors import VenueRejected

MarketType = Literal["spot", "perp"]
PriceRounding = Literal["down", "up", "nearest"]

ZERO = Decimal(0)
_ROUNDINGS = {"down": ROUND_FLOOR, "up": ROUND_CEILING, "nearest": ROUND_HALF_EVEN}


@dataclass(frozen=True, slots=True)
class Instrument:
    """One symbol as an exchange lists it.

    Attributes
    ----------
    symbol : BASE/QUOTE, as everywhere in Paddock (a perpetual too)
    market_type : spot is long only; perp allows both sides
    tick : smallest step of a price, quote currency, > 0
    lot : smallest step of a quantity, base currency, > 0
    min_qty_base : smallest quantity of an order, base currency, >= 0
    min_notional_quote : smallest price x quantity of an order that opens, quote currency, >= 0
    max_market_base : largest market order, base currency, > 0; None when the exchange does not say
    """

    symbol: str
    market_type: MarketType
    tick: Decimal
    lot: Decimal
    min_qty_base: Decimal = ZERO
    min_notional_quote: Decimal = ZERO
    max_market_base: Decimal | None = None

    @property
    def base(self) -> str:
        """Return the currency that is bought and sold."""
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        """Return the currency that is paid."""
        return self.symbol.partition("/")[2].partition(":")[0]


def round_price(price: Decimal, instrument: Instrument, rounding: PriceRounding) -> Decimal:
    """Return `price` on the instrument's tick.

    Parameters
    ----------
    rounding : a limit price rounds away from filling (buy down, sell up), a stop price towards
        triggering sooner (sell up, buy down); the caller knows which

    Raises
    ------
    VenueRejected : a price that is not finite and positive, before or after rounding.
    """
    if not (price.is_finite() and price > 0):
        raise VenueRejected(f"{instrument.symbol}: price {price} is not a positive number")
    steps = (price / instrument.tick).to_integral_value(_ROUNDINGS[rounding])
    rounded = steps * instrument.tick
    if rounded <= 0:
        raise VenueRejected(
            f"{instrument.symbol}: price {price} is under one tick of {instrument.tick}"
        )
    return rounded


def round_qty(qty_base: Decimal, instrument: Instrument) -> Decimal:
    """Return `qty_base` (>= 0) rounded down to whole lots; what is left over is dust.

    Raises
    ------
    VenueRejected : a quantity that is negative or not finite.
    """
    if not qty_base.is_finite() or qty_base < 0:
        raise VenueRejected(f"{instrument.symbol}: quantity {qty_base} is not a number >= 0")
    return (qty_base / instrument.lot).to_integral_value(ROUND_FLOOR) * instrument.lot


def why_too_small(qty_base: Decimal, price: Decimal, instrument: Instrument) -> str:
    """Say why an order of `qty_base` at `price` is under the venue's minimum, empty when it is not.

    Parameters
    ----------
    qty_base : already rounded
    """
    if qty_base <= 0:
        return f"quantity rounds to nothing: one lot is {instrument.lot} {instrument.base}"
    if qty_base < instrument.min_qty_base:
        return (
            f"quantity {qty_base} {instrument.base} is under the minimum of "
            f"{instrument.min_qty_base}"
        )
    notional = qty_base * price
    if notional < instrument.min_notional_quote:
        return (
            f"notional {notional:.8g} {instrument.quote} is under the minimum of "
            f"{instrument.min_notional_quote}"
        )
    return ""
