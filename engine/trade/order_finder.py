"""Finding an order at an exchange, by our id or its number, in whichever list holds it.

Some exchanges keep stops in a list apart, and a stop that was triggered becomes an order with
another number there. Both are one order to us, under our id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from engine.errors import VenueRejected
from engine.market.ccxt_client import PERP_SUFFIX
from engine.trade.client_ids import FINDS_BY_CLIENT_ID
from engine.trade.exchange import Fill, VenueOrder
from engine.trade.id_spelling import spelling_of
from engine.trade.known_ids import KnownIds
from engine.trade.listing import Listing
from engine.trade.live_door import TradeDoor
from engine.trade.live_errors import Refusal
from engine.trade.live_markets import Markets
from engine.trade.live_orders import fill_of, successor_of, venue_order, with_successor
from engine.trade.orders import OrderRequest, OrderType

APART = {"trigger": True}
"""What ccxt is told to look into the list of conditional orders."""


class OrderFinder:
    """Look orders up, and remember their ids."""

    def __init__(self, door: TradeDoor, markets: Markets) -> None:
        self.ids = KnownIds()
        self._door = door
        self._client = door.client
        self._markets = markets
        venue = markets.exchange_name.removesuffix(PERP_SUFFIX)
        self.spelling = spelling_of(venue)
        self._finds_by_client_id = venue in FINDS_BY_CLIENT_ID

    @property
    def lists(self) -> tuple[bool, ...]:
        """Return the lists there are: False is the plain one, True the one apart."""
        return (False, True) if self._markets.has_list_apart else (False,)

    def is_apart(self, kind: OrderType) -> bool:
        """Return whether orders of this type are in the list apart."""
        return kind in (OrderType.STOP, OrderType.TARGET) and self._markets.has_list_apart

    def told(
        self, answer: Any, listing: Listing, *, is_apart: bool, request: OrderRequest | None = None
    ) -> VenueOrder:
        """Return what ccxt's order structure says, and remember its ids.

        Raises
        ------
        ValueError : it says too little.
        """
        spelled = {**answer, "clientOrderId": self._client_id(answer)}
        order = venue_order(spelled, listing, self._door.clock.now_at(), request)
        self.ids.learn(order, is_apart=is_apart)
        return order

    async def find(self, listing: Listing, client_id: str) -> VenueOrder | None:
        """Return an order by our id, None when the exchange has none by it.

        Raises
        ------
        VenueUnavailable : no usable answer.
        """
        known = self.ids.of(client_id)
        for is_apart in self.lists if known is None else (known.is_apart,):
            venue_id = "" if known is None else known.venue_id
            answer = await self._fetch(listing, client_id, venue_id, is_apart=is_apart)
            if answer is not None:
                return await self._followed(answer, listing, is_apart=is_apart)
        return None

    async def open_page(self, listing: Listing | None, *, is_apart: bool) -> list[VenueOrder]:
        """Return the open orders of a symbol, or of all, in one of the lists."""
        name = None if listing is None else listing.venue_symbol
        params = self._markets.type_params if listing is None else {}
        params |= APART if is_apart else {}

        async def read() -> list[VenueOrder]:
            answers = await self._client.fetch_open_orders(name, None, None, params)
            found = ((a, self._markets.by_venue_symbol.get(str(a.get("symbol")))) for a in answers)
            return [self.told(answer, place, is_apart=is_apart) for answer, place in found if place]

        return await self._door.read("its open orders", read)

    async def own(self, trades: Sequence[Mapping[str, Any]], listing: Listing) -> list[Fill]:
        """Return fills with our order ids, those of others with none.

        Raises
        ------
        VenueUnavailable : no usable answer about whose one of them is.
        """
        symbol = listing.instrument.symbol
        for number in sorted({str(trade.get("order") or "") for trade in trades}):
            if number and self.ids.owner(symbol, number) is None:
                await self._learn_owner(number, listing)

        async def read() -> list[Fill]:
            return [
                fill_of(trade, listing, self.ids.owner(symbol, str(trade.get("order"))) or "")
                for trade in trades
            ]

        return await self._door.read(f"fills of {symbol}", read)

    async def _followed(
        self, answer: Mapping[str, Any], listing: Listing, *, is_apart: bool
    ) -> VenueOrder:
        """Return an order, with the fate of the one it became when it was triggered."""

        async def read() -> VenueOrder:
            return self.told(answer, listing, is_apart=is_apart)

        order = await self._door.read("an order", read)
        became = successor_of(answer)
        if not became or became == order.venue_id:
            return order
        self.ids.note_owner(order.symbol, became, order.client_id)
        later = await self._fetch(listing, "", became, is_apart=False)
        if later is None:
            return order

        async def read_later() -> VenueOrder:
            return venue_order(later, listing, self._door.clock.now_at())

        return with_successor(order, await self._door.read("an order", read_later))

    async def _fetch(
        self, listing: Listing, client_id: str, venue_id: str, *, is_apart: bool
    ) -> Mapping[str, Any] | None:
        """Return ccxt's structure of one order, None when this list has none such."""
        params: dict[str, Any] = dict(APART) if is_apart else {}
        if not venue_id and self._finds_by_client_id:
            params["clientOrderId"] = self.spelling.out(client_id)
        is_askable = bool(venue_id or "clientOrderId" in params)
        name = listing.venue_symbol

        async def read() -> Mapping[str, Any] | None:
            if is_askable and self._client.has.get("fetchOrder"):
                found: Mapping[str, Any] = await self._client.fetch_order(
                    venue_id or None, name, params
                )
                return found
            return await self._looked_up(name, client_id, venue_id, params)

        try:
            return await self._door.read(f"order {client_id or venue_id}", read)
        except VenueRejected as exc:
            if exc.fields.get("refusal") is Refusal.UNKNOWN_ORDER:
                return None
            raise

    async def _looked_up(
        self, name: str, client_id: str, venue_id: str, params: dict[str, Any]
    ) -> Mapping[str, Any] | None:
        for ask in self._order_lists():
            for order in await ask(name, None, None, params):
                found: Mapping[str, Any] = order
                if venue_id and found.get("id") == venue_id:
                    return found
                if client_id and self._client_id(found) == client_id:
                    return found
        return None

    def _client_id(self, answer: Mapping[str, Any]) -> str:
        return self.spelling.back(str(answer.get("clientOrderId") or ""))

    def _order_lists(self) -> list[Callable[..., Awaitable[Any]]]:
        client = self._client
        ended = {
            "fetchOrders": client.fetch_orders,
            "fetchCanceledAndClosedOrders": client.fetch_canceled_and_closed_orders,
            "fetchClosedOrders": client.fetch_closed_orders,
            "fetchCanceledOrders": client.fetch_canceled_orders,
        }
        asked = [ask for name, ask in ended.items() if client.has.get(name) is True]
        return [client.fetch_open_orders, *asked]

    async def _learn_owner(self, number: str, listing: Listing) -> None:
        """Learn whose the order is that was filled.

        Nothing is learned before every question was answered: a fill that is taken for somebody
        else's because an answer was lost would never be counted.
        """
        symbol = listing.instrument.symbol
        answer = await self._fetch(listing, "", number, is_apart=False)
        client_id: str | None = None if answer is None else self._client_id(answer)
        if answer is None:
            client_id = self.ids.owner(symbol, number, is_apart=True)
        stops = await self._stops(listing)
        if client_id is not None:
            self.ids.note_owner(symbol, number, client_id)
        for stop in stops:
            became, ours = successor_of(stop), self._client_id(stop)
            if became and ours:
                self.ids.note_owner(symbol, became, ours)

    async def _stops(self, listing: Listing) -> list[Mapping[str, Any]]:
        """Return the conditional orders of a symbol, where an exchange lists them apart."""
        if not (self._markets.has_list_apart and self._client.has.get("fetchOrders")):
            return []

        async def read() -> list[Mapping[str, Any]]:
            found: list[Mapping[str, Any]] = await self._client.fetch_orders(
                listing.venue_symbol, None, None, dict(APART)
            )
            return found

        return await self._door.read(f"stops of {listing.instrument.symbol}", read)
