"""What an exchange lists, loaded once an hour, and what ccxt knows that it can."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from engine.errors import VenueRejected
from engine.market.ccxt_client import PERP_SUFFIX
from engine.trade.listing import Listing, listings
from engine.trade.live_door import TradeDoor
from engine.trade.live_errors import Refusal

MARKETS_LIFE_S = 3600.0


class Markets:
    """The symbols of one exchange and market type.

    Parameters
    ----------
    exchange_name : a ccxt id, with `-perp` behind it for linear perpetuals

    Attributes
    ----------
    by_symbol, by_venue_symbol : Listing, by our spelling and by ccxt's, also what is not traded now
    """

    def __init__(self, exchange_name: str, door: TradeDoor) -> None:
        self.exchange_name = exchange_name
        self.is_perp = exchange_name.endswith(PERP_SUFFIX)
        self.by_symbol: Mapping[str, Listing] = {}
        self.by_venue_symbol: Mapping[str, Listing] = {}
        self._door = door
        self._loaded_s = 0.0

    @property
    def has_list_apart(self) -> bool:
        """Return whether conditional orders are kept in a list of their own."""
        return bool(self.features("fetchOpenOrders").get("trigger"))

    @property
    def type_params(self) -> dict[str, Any]:
        """Return what a request without a symbol needs, lest ccxt take it to be of spot."""
        has = self._door.client.has
        return {"type": "swap"} if self.is_perp and has.get("spot") else {}

    def features(self, method: str) -> Mapping[str, Any]:
        """Return what ccxt says of a method for this market type, empty when nothing."""
        features = self._door.client.features or {}
        part = features.get("swap" if self.is_perp else "spot") or {}
        if self.is_perp:
            part = part.get("linear") or {}
        found: Mapping[str, Any] = part.get(method) or {}
        return found

    async def load(self, *, again: bool = False) -> None:
        """Load the list when it is not there, or when asked to and it is older than an hour.

        Raises
        ------
        VenueUnavailable : no usable answer, and no list of before.
        """
        age_s = self._door.clock.monotonic_s() - self._loaded_s
        if self.by_symbol and not (again and age_s > MARKETS_LIFE_S):
            return
        client = self._door.client

        async def read() -> dict[str, Listing]:
            markets = await client.load_markets(bool(self.by_symbol))
            found = listings(self.exchange_name, markets, client.precisionMode)
            if not found:
                raise ValueError("the list of markets came empty")
            return found

        self.by_symbol = await self._door.read("its list of markets", read)
        self.by_venue_symbol = {item.venue_symbol: item for item in self.by_symbol.values()}
        self._loaded_s = self._door.clock.monotonic_s()

    async def of(self, symbol: str, *, is_traded: bool = False) -> Listing:
        """Return one symbol.

        Parameters
        ----------
        is_traded : refuse one that is not traded now

        Raises
        ------
        VenueRejected : there is no such symbol; names the nearest.
        VenueUnavailable : the list could not be loaded.
        """
        await self.load()
        listing = self.by_symbol.get(symbol)
        if listing is None or (is_traded and not listing.is_active):
            traded = [name for name, item in self.by_symbol.items() if item.is_active]
            close = difflib.get_close_matches(symbol, traded, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else "check the symbol"
            raise VenueRejected(
                f"{self._door.venue} does not trade {symbol} now: {hint}",
                symbol=symbol,
                refusal=Refusal.UNKNOWN_SYMBOL,
            )
        return listing
