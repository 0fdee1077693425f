"""The exchange port over ccxt: one account at a real exchange, or at the simulated one's REST face.

What is sent is sent once: nothing here repeats a submit or a cancel. An answer that did not come
is told as such and never guessed. Prices and quantities were rounded before; they are checked here,
because ccxt would cut them off without a word.

Survives a crash: nothing is kept but what was learned about ids, and that is asked for again.
May run twice: everything but `submit`, which the exchange refuses the second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from engine.clock import Clock
from engine.errors import OrderStateUnknown, VenueRejected, VenueUnavailable
from engine.market.ccxt_client import PERP_SUFFIX
from engine.trade.client_ids import check_takes_client_ids
from engine.trade.exchange import AccountView, Capabilities, Fill, Ticker, VenueOrder
from engine.trade.instrument import Instrument
from engine.trade.keys import Redactor
from engine.trade.known_ids import KnownOrder
from engine.trade.listing import Listing
from engine.trade.live_account import account_view
from engine.trade.live_client import forgets_after_ms
from engine.trade.live_door import TradeDoor
from engine.trade.live_errors import Refusal
from engine.trade.live_markets import Markets
from engine.trade.live_orders import OrderCall, order_call, why_imprecise, why_too_cheap
from engine.trade.live_reads import closed_bars, fill_pages, ticker
from engine.trade.order_finder import APART, OrderFinder
from engine.trade.order_pushes import OrderPushes
from engine.trade.orders import OrderRequest
from engine.trade.pace import urgent
from engine.types import Bars

_CLOCK_LIFE_S = 60.0
_ALL_EVERY_S = 60.0
_KNOWN_MAX = 20


class CcxtExchange:
    """One account behind a ccxt client.

    Parameters
    ----------
    account : its name
    exchange_name : a ccxt id, with `-perp` behind it for linear perpetuals
    client : from `trading_client`; closed by `close`
    clock : this machine's
    redacted : takes the account's keys out of a text
    quote_asset : the currency that spot positions are valued in
    symbols : those with orders, as far as is known; others are looked for once a minute
    asks_all : look for orders of every symbol every time, whatever it costs
    pushes : what the exchange tells by itself; None where it is not listened to

    Attributes
    ----------
    page : address of the exchange's own page, for the day when nothing else helps

    Raises
    ------
    ConfigError : the exchange takes no order ids of ours.
    """

    def __init__(
        self,
        account: str,
        exchange_name: str,
        client: Any,
        clock: Clock,
        redacted: Redactor,
        *,
        quote_asset: str = "USDT",
        symbols: Sequence[str] = (),
        asks_all: bool = False,
        pushes: OrderPushes | None = None,
    ) -> None:
        check_takes_client_ids(exchange_name)
        self._account = account
        self._name = exchange_name
        self._client = client
        self._clock = clock
        self._quote_asset = quote_asset
        self._symbols = set(symbols)
        self._door = TradeDoor(exchange_name.removesuffix(PERP_SUFFIX), client, clock, redacted)
        self._markets = Markets(exchange_name, self._door)
        self._finder = OrderFinder(self._door, self._markets)
        self._asks_all = asks_all
        self._pushes = pushes
        self._asked_all_s = -_ALL_EVERY_S
        self._ahead: tuple[int, float] | None = None
        self.page = str(client.urls.get("www") or "")

    def __repr__(self) -> str:
        return f"CcxtExchange({self._account!r}, {self._name!r})"

    @property
    def account(self) -> str:
        """Return the account's name."""
        return self._account

    @property
    def capabilities(self) -> Capabilities:
        """Return what the exchange can do, as ccxt knows it."""
        create = self._markets.features("createOrder")
        holds_stops = bool(create.get("stopLossPrice") or create.get("triggerPrice"))
        is_perp, has = self._markets.is_perp, self._client.has
        return Capabilities(
            holds_stops=holds_stops,
            # A stop on spot locks the balance that the target would need.
            rests_both=holds_stops and is_perp,
            notional_orders=not is_perp and bool(has.get("createMarketBuyOrderWithCost")),
            dead_man=bool(has.get("cancelAllOrdersAfter")),
            pushes=self._pushes is not None,
            forgets_after_ms=forgets_after_ms(self._client),
        )

    async def instruments(self) -> Mapping[str, Instrument]:
        """Return what is listed, by symbol; asked for again when older than an hour."""
        await self._markets.load(again=True)
        listed = self._markets.by_symbol.items()
        return {symbol: item.instrument for symbol, item in listed if item.is_active}

    async def now_at(self) -> int:
        """Return the exchange's clock, this machine's where it does not tell."""
        if not self._client.has.get("fetchTime"):
            return self._clock.now_at()
        told_at = int(await self._door.read("its clock", self._client.fetch_time))
        self._ahead = (told_at - self._clock.now_at(), self._clock.monotonic_s())
        return told_at

    async def submit(self, request: OrderRequest) -> VenueOrder:
        """Send an order, once.

        Raises
        ------
        VenueRejected : refused, here or there; `refusal` in its fields says why, and
            `duplicate_id` means that the first order of this id counts.
        VenueUnavailable : too many requests, or no list of markets: nothing happened.
        OrderStateUnknown : no answer; ask for the order by its id.
        """
        listing = await self._markets.of(request.symbol, is_traded=True)
        self._symbols.add(request.symbol)
        _check(request, listing)
        call = order_call(request, listing, self._markets.features("createOrder"))
        call.params["clientOrderId"] = self._finder.spelling.out(request.client_id)
        is_apart = self._finder.is_apart(request.type)
        self._finder.ids.expect(request.client_id, is_apart=is_apart)

        async def send() -> VenueOrder:
            answer = await self._create(call)
            return self._finder.told(answer, listing, is_apart=is_apart, request=request)

        what = f"order {request.client_id} for {request.symbol}"
        return await self._door.ask("submit", what, send, client_id=request.client_id)

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        """Cancel an order and return it; one that ended already is returned as it ended.

        Raises
        ------
        VenueRejected : there is no such order.
        VenueUnavailable : it could not be looked up, or too many requests: nothing was cancelled.
        OrderStateUnknown : no answer, or none yet on how it ended; ask.
        """
        listing = await self._listing(symbol)
        known = self._finder.ids.of(client_id)
        if known is None or not known.venue_id:
            found = await self._finder.find(listing, client_id)
            if found is None:
                raise self._absent(symbol, client_id)
            known = self._finder.ids.of(client_id)
            if found.state.is_final or known is None:
                return found
        what = f"the cancel of order {client_id} for {symbol}"
        refused: VenueRejected | None = None
        try:
            await self._send_cancel(listing, known, what, client_id)
        except VenueRejected as exc:
            refused = exc
        return await self._how_it_ended(listing, client_id, what, refused)

    async def find_order(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Return an order by our id, None when the exchange has none by that id (yet)."""
        return await self._finder.find(await self._listing(symbol), client_id)

    async def open_orders(self, symbol: str | None = None) -> Sequence[VenueOrder]:
        """Return the orders that rest, oldest first, ours and others'."""
        await self._markets.load()
        pages = [
            self._finder.open_page(listing, is_apart=is_apart)
            for listing in await self._asked_one_by_one(symbol)
            for is_apart in self._finder.lists
        ]
        found = [order for page in await asyncio.gather(*pages) for order in page]
        self._symbols |= {order.symbol for order in found}
        return sorted(found, key=lambda order: (order.at, order.venue_id))

    async def fills(self, symbol: str, since_at: int) -> Sequence[Fill]:
        """Return the fills of a symbol at or after an instant, oldest first.

        Notes
        -----
        Exchanges keep them for some months; nothing older than 90 days is asked for.
        """
        listing = await self._listing(symbol)
        features = self._markets.features("fetchMyTrades")
        now_at = await self._about_now_at()
        trades = await self._door.read(
            f"fills of {symbol}",
            lambda: fill_pages(self._client, listing, since_at, now_at, features),
        )
        return await self._finder.own(trades, listing)

    async def account_view(self) -> AccountView:
        """Return balances and positions."""
        await self._markets.load()
        return await self._door.read(
            "balances and positions",
            lambda: account_view(self._client, self._markets, self._quote_asset, self.now_at),
        )

    async def ticker(self, symbol: str) -> Ticker:
        """Return the quotes."""
        listing = await self._listing(symbol)
        with urgent():
            return await self._door.read(
                f"quotes of {symbol}", lambda: ticker(self._client, listing, self._clock.now_at())
            )

    async def closed_bars(self, symbol: str, timeframe: str, since_at: int) -> Bars:
        """Return the closed bars that open at or after an instant, oldest first."""
        listing = await self._listing(symbol)
        end_at = await self.now_at()
        return await self._door.read(
            f"{timeframe} bars of {symbol}",
            lambda: closed_bars(self._client, self._name, listing, timeframe, since_at, end_at),
        )

    async def refresh_dead_man(self, timeout_ms: int) -> None:
        """Tell the exchange that we live; it cancels all orders when not told again in time.

        Raises
        ------
        VenueRejected : it has no such timer.
        """
        if not self.capabilities.dead_man:
            message = f"{self._door.venue} has no dead-man timer"
            raise VenueRejected(message, refusal=Refusal.UNSUPPORTED)
        await self._door.read(
            "the dead-man timer", lambda: self._client.cancel_all_orders_after(timeout_ms)
        )

    @property
    def is_pushing(self) -> bool:
        """Return whether a websocket is open by which the exchange could tell of a change now."""
        return self._pushes is not None and self._pushes.is_open

    async def changed(self) -> None:
        """Return when the exchange has told that something about our orders changed.

        Raises
        ------
        VenueUnavailable : the channel broke; the next call opens another.
        VenueRejected : it has none for us.
        """
        if self._pushes is None:
            message = f"{self._door.venue} is not listened to"
            raise VenueRejected(message, refusal=Refusal.UNSUPPORTED)
        await self._pushes.changed()

    async def close(self) -> None:
        """Let go of connections; orders and positions stay."""
        if self._pushes is not None:
            await self._pushes.close()
        await self._client.close()

    @property
    def cancels_all(self) -> bool:
        """Return whether all orders of a symbol can be cancelled with one request."""
        return bool(self._client.has.get("cancelAllOrders"))

    @property
    def keeps_stops_apart(self) -> bool:
        """Return whether stops and targets are in a list of their own."""
        return self._markets.has_list_apart

    async def cancel_all(self, symbol: str, *, stops_too: bool = True) -> None:
        """Cancel every order of a symbol.

        Parameters
        ----------
        stops_too : False leaves stops and targets, where they are kept apart

        Raises
        ------
        VenueRejected : the exchange cannot.
        VenueUnavailable, OrderStateUnknown : look at the open orders, and ask again.
        """
        listing = await self._listing(symbol)
        if not (stops_too or self.keeps_stops_apart):
            message = f"{self._door.venue} cannot cancel all orders of {symbol} but its stops"
            raise VenueRejected(message, refusal=Refusal.UNSUPPORTED)
        for is_apart in self._finder.lists if stops_too else (False,):
            await self._cancel_list(listing, dict(APART) if is_apart else {})

    async def cancel_resting(self, order: VenueOrder) -> None:
        """Cancel an order that `open_orders` has told of, whoever placed it.

        Raises
        ------
        VenueRejected : it has ended, or cannot be cancelled.
        VenueUnavailable, OrderStateUnknown : look at the open orders, and ask again.
        """
        listing = await self._listing(order.symbol)
        ids, number = self._finder.ids, order.venue_id
        is_apart = ids.owner(order.symbol, number) is None and any(self._finder.lists)
        what = f"the cancel of order {order.client_id or number} for {order.symbol}"
        await self._send_cancel(listing, KnownOrder(number, is_apart), what, order.client_id)

    async def _send_cancel(
        self, listing: Listing, known: KnownOrder, what: str, client_id: str
    ) -> None:
        params = dict(APART) if known.is_apart else {}

        async def send() -> None:
            await self._client.cancel_order(known.venue_id, listing.venue_symbol, params)

        await self._door.ask("cancel", what, send, client_id=client_id)

    async def _cancel_list(self, listing: Listing, params: dict[str, Any]) -> None:
        what = f"the cancel of all orders of {listing.instrument.symbol}"
        try:
            await self._door.ask(
                "cancel", what, lambda: self._client.cancel_all_orders(listing.venue_symbol, params)
            )
        except VenueRejected as exc:
            # Some say no when there is nothing to cancel.
            if exc.fields.get("refusal") is not Refusal.UNKNOWN_ORDER:
                raise

    async def _create(self, call: OrderCall) -> Any:
        client = self._client
        if call.cost is None:
            return await client.create_order(
                call.symbol, call.type, call.side, call.amount, call.price, call.params
            )
        side = client.create_market_sell_order_with_cost
        if call.side == "buy":
            side = client.create_market_buy_order_with_cost
        return await side(call.symbol, call.cost, call.params)

    async def _how_it_ended(
        self, listing: Listing, client_id: str, what: str, refused: VenueRejected | None
    ) -> VenueOrder:
        """Return an order after its cancel was taken or refused."""
        try:
            found = await self._finder.find(listing, client_id)
        except VenueUnavailable as exc:
            message = f"{self._door.venue} answered {what} and does not say how it ended: ask again"
            raise OrderStateUnknown(message, client_id=client_id) from exc
        if found is None:
            raise refused or self._absent(listing.instrument.symbol, client_id)
        if found.state.is_final:
            return found
        if refused is not None:
            raise refused
        message = f"{self._door.venue} took {what}, and it is still open: ask again"
        raise OrderStateUnknown(message, client_id=client_id)

    async def _about_now_at(self) -> int:
        """Return the exchange's clock as asked for at most a minute ago and gone on by ours.

        It may be months from ours: the simulated exchange has a time of its own.
        """
        if self._ahead is None or self._clock.monotonic_s() - self._ahead[1] > _CLOCK_LIFE_S:
            return await self.now_at()
        return self._clock.now_at() + self._ahead[0]

    async def _listing(self, symbol: str) -> Listing:
        listing = await self._markets.of(symbol)
        self._symbols.add(symbol)
        return listing

    async def _asked_one_by_one(self, symbol: str | None) -> list[Listing | None]:
        if symbol is not None:
            return [await self._listing(symbol)]
        listed = self._markets.by_symbol
        known: list[Listing | None] = [listed[n] for n in sorted(self._symbols) if n in listed]
        if self._markets.features("fetchOpenOrders").get("symbolRequired"):
            return known
        # Asking for all at once may cost as much as asking for forty symbols one by one. In
        # between, those that never had an order here are left out.
        age_s = self._clock.monotonic_s() - self._asked_all_s
        if self._asks_all or not 0 < len(known) <= _KNOWN_MAX or age_s >= _ALL_EVERY_S:
            self._asked_all_s = self._clock.monotonic_s()
            return [None]
        return known

    def _absent(self, symbol: str, client_id: str) -> VenueRejected:
        return VenueRejected(
            f"{self._door.venue} has no order {client_id} for {symbol}: nothing was cancelled",
            client_id=client_id,
            symbol=symbol,
            refusal=Refusal.UNKNOWN_ORDER,
        )


def _check(request: OrderRequest, listing: Listing) -> None:
    """Refuse an order whose numbers the exchange would cut off or refuse."""
    problem = why_imprecise(request, listing.instrument)
    if problem is None and (cheap := why_too_cheap(request, listing.instrument)):
        problem = cheap, Refusal.NOTIONAL_MIN
    if problem is None and request.notional_quote and listing.instrument.market_type == "perp":
        problem = "an order sized in quote currency is for spot", Refusal.UNSUPPORTED
    if problem is not None:
        words, refusal = problem
        raise VenueRejected(
            f"order {request.client_id} for {request.symbol} was not sent: {words}",
            client_id=request.client_id,
            symbol=request.symbol,
            refusal=refusal,
        )
