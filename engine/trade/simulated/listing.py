"""What a simulated venue lists: ticks and lots of the size that real venues have."""

from __future__ import annotations

import math
from decimal import Decimal

from engine.market.feed import MarketType
from engine.trade.instrument import Instrument
from engine.types import FloatArray

MIN_NOTIONAL_QUOTE = Decimal(5)
_DIGITS_MAX = 8
_LOT_VALUE_QUOTE = 1.0


def instrument_like(symbol: str, market_type: MarketType, prices: FloatArray) -> Instrument:
    """Return an instrument that fits the prices of a symbol.

    Parameters
    ----------
    prices : ndarray of shape (n,), float64, > 0: the tick is the finest step they are written with,
        at most 8 digits; a lot is worth between 0.1 and 1 of the quote currency at the last price
    """
    n_digits = max(_n_decimals(float(price)) for price in prices[-2_000:])
    n_lot_digits = max(0, math.ceil(math.log10(float(prices[-1]) / _LOT_VALUE_QUOTE)))
    lot = Decimal(1).scaleb(-min(n_lot_digits, _DIGITS_MAX))
    return Instrument(
        symbol=symbol,
        market_type=market_type,
        tick=Decimal(1).scaleb(-min(n_digits, _DIGITS_MAX)),
        lot=lot,
        min_qty_base=lot,
        min_notional_quote=MIN_NOTIONAL_QUOTE,
    )


def _n_decimals(price: float) -> int:
    exponent = Decimal(repr(price)).normalize().as_tuple().exponent
    return max(0, -int(exponent))
