"""Balances and positions from ccxt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from engine.trade.exchange import AccountView, VenuePosition
from engine.trade.instrument import ZERO
from engine.trade.listing import ONE, Listing, exact
from engine.trade.live_markets import Markets


async def account_view(
    client: Any, markets: Markets, quote_asset: str, now_at: Callable[[], Awaitable[int]]
) -> AccountView:
    """Return what the account holds.

    Parameters
    ----------
    quote_asset : on spot, what is held of a currency is a position of the symbol against this one
    now_at : tells the exchange's clock, for balances that do not say when

    Raises
    ------
    ValueError : the answer is not made of balances, or of positions.
    """
    told = await client.fetch_balance()
    totals = told["total"]
    balances = {
        str(asset): total for asset, text in totals.items() if (total := exact(text)) is not None
    }
    at = int(told.get("timestamp") or await now_at())
    if markets.is_perp:
        balances |= _wallets(told.get("info"))
        return AccountView(at, balances, _contracts(await client.fetch_positions(), markets))
    balances = {asset: total for asset, total in balances.items() if total}
    spot = ((f"{asset}/{quote_asset}", total) for asset, total in balances.items())
    held = {name: VenuePosition(name, total) for name, total in spot if name in markets.by_symbol}
    return AccountView(at, balances, held)


def _wallets(raw: Any) -> dict[str, Decimal]:
    """Return wallet balances where they are told: ccxt's add what is not realized yet."""
    assets = raw.get("assets") if isinstance(raw, Mapping) else None
    found = {}
    for row in assets if isinstance(assets, list) else ():
        wallet = exact(row.get("walletBalance"))
        if wallet is not None and row.get("asset"):
            found[str(row["asset"])] = wallet
    return found


def _contracts(told: Any, markets: Markets) -> dict[str, VenuePosition]:
    found: dict[str, VenuePosition] = {}
    for row in told:
        name = str(row["symbol"])
        listing = markets.by_venue_symbol.get(name)
        contract_base = _contract_base(row, listing)
        signed = (exact(row.get("contracts")) or ZERO) * contract_base
        if not signed:
            continue
        if row.get("side") == "short":
            signed = -abs(signed)
        symbol = listing.instrument.symbol if listing is not None else name
        # An account that holds both sides at once is told by what they come to.
        before = found[symbol].signed_base if symbol in found else ZERO
        found[symbol] = VenuePosition(
            symbol,
            before + signed,
            exact(row.get("entryPrice")),
            exact(row.get("liquidationPrice")) or None,
        )
    return {symbol: held for symbol, held in found.items() if held.signed_base}


def _contract_base(row: Mapping[str, Any], listing: Listing | None) -> Decimal:
    if listing is not None:
        return listing.contract_base
    return exact(row.get("contractSize")) or ONE
