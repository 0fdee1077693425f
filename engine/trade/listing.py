"""A market as ccxt tells it, and what Paddock makes of it: symbol, steps, minimums, contracts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ccxt.base.decimal_to_precision import DECIMAL_PLACES, TICK_SIZE

from engine.market.ccxt_client import PERP_SUFFIX, venue_symbol
from engine.trade.instrument import ZERO, Instrument, MarketType

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol of an exchange.

    Attributes
    ----------
    instrument : in base currency, whatever the exchange counts in
    venue_symbol : as ccxt spells it
    contract_base : base currency of one unit of ccxt's amounts; 1 on spot
    is_active : whether it is traded now
    """

    instrument: Instrument
    venue_symbol: str
    contract_base: Decimal
    is_active: bool = True


def exact(value: Any) -> Decimal | None:
    """Return a number of ccxt's as it was written, None when there is none.

    ccxt is told to keep numbers as text, so nothing passes through binary fractions.
    """
    if value is None:
        return None
    try:
        number = Decimal(value if isinstance(value, str) else repr(value))
    except (InvalidOperation, ValueError, TypeError):
        return None
    return number if number.is_finite() else None


def listings(
    exchange_name: str, markets: Mapping[str, Mapping[str, Any]], precision_mode: int
) -> dict[str, Listing]:
    """Return what is listed of one market type, by our symbol.

    Dated linear futures are there under ccxt's spelling, so that a position in one can be closed.

    Parameters
    ----------
    exchange_name : with `-perp` behind it for linear contracts, as everywhere
    precision_mode : how the exchange counts precision, as ccxt says

    Notes
    -----
    A market is left out when its steps cannot be told because they are significant digits, which
    depend on the price.
    """
    is_perp = exchange_name.endswith(PERP_SUFFIX)
    found: dict[str, Listing] = {}
    for name, market in markets.items():
        is_ours = market.get("linear") if is_perp else market.get("spot")
        if not is_ours or market.get("option"):
            continue
        base, quote = market.get("base"), market.get("quote")
        symbol = f"{base}/{quote}"
        if venue_symbol(exchange_name, symbol) != name:
            symbol = name
        made = _listing(symbol, name, market, precision_mode, "perp" if is_perp else "spot")
        if made is not None:
            found[symbol] = made
    return found


def _listing(
    symbol: str, name: str, market: Mapping[str, Any], precision_mode: int, kind: MarketType
) -> Listing | None:
    contract_base = (exact(market.get("contractSize")) or ONE) if kind == "perp" else ONE
    precision = market.get("precision") or {}
    limits = market.get("limits") or {}
    tick = _step(precision.get("price"), precision_mode)
    lot = _step(precision.get("amount"), precision_mode)
    if tick is None or lot is None:
        return None
    min_qty = exact((limits.get("amount") or {}).get("min")) or ZERO
    cost = exact((limits.get("cost") or {}).get("min")) or ZERO
    largest = exact((limits.get("market") or {}).get("max"))
    instrument = Instrument(
        symbol=symbol,
        market_type=kind,
        tick=tick,
        lot=_tidy(lot * contract_base),
        min_qty_base=_tidy(min_qty * contract_base),
        min_notional_quote=_tidy(cost),
        max_market_base=_tidy(largest * contract_base) if largest else None,
    )
    return Listing(instrument, name, contract_base, market.get("active") is not False)


def _step(precision: Any, precision_mode: int) -> Decimal | None:
    value = exact(precision)
    if value is None:
        return None
    if precision_mode == TICK_SIZE:
        return _tidy(value) if value > 0 else None
    if precision_mode == DECIMAL_PLACES:
        return ONE.scaleb(-int(value))
    return None


def _tidy(number: Decimal) -> Decimal:
    """Return the number without trailing zeros and without an exponent."""
    short = number.normalize()
    exponent = short.as_tuple().exponent
    return short.quantize(ONE) if isinstance(exponent, int) and exponent > 0 else short
