"""The reading half of a gateway: asks the exchange how orders stand and what was filled.

Reads may be repeated at will and never send anything. An order that nobody finds is only given up
once a request for it could no longer arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from engine.clock import Clock
from engine.errors import VenueRejected, VenueUnavailable
from engine.trade.bookkeeper import Bookkeeper, OrderNews
from engine.trade.exchange import Exchange, Fill, VenueOrder
from engine.trade.orders import Order, OrderState
from engine.trade.venue_word import is_short_of_fills

OVERLAP_MS = 300_000
"""How far back fills are asked for again: venues publish some late, and set their clocks."""

SWEEP_S = 5.0
"""How often fills are asked for that no order has brought along."""

_ONE_BY_ONE = 8
_Answer = TypeVar("_Answer")


class OrderReader:
    """Ask about orders and fills, and hand what is new to the bookkeeper.

    Parameters
    ----------
    timeout_s : longest wait for an answer

    Attributes
    ----------
    since_at : UTC ms of the venue's clock before which no fill can be missing
    """

    def __init__(
        self, exchange: Exchange, keeper: Bookkeeper, clock: Clock, timeout_s: float
    ) -> None:
        self._exchange = exchange
        self._keeper = keeper
        self._clock = clock
        self._timeout_s = timeout_s
        self.since_at = 0
        self._newest_at: dict[str, int] = {}
        self._swept_s: dict[str, float] = {}
        self._turns: dict[tuple[str, bool], _Turn] = {}
        # By order: the monotonic second after which nobody was sending it any more.
        self._missing_since_s: dict[str, float] = {}

    async def within(self, answer: Awaitable[_Answer]) -> _Answer:
        """Return an answer that only reads, or give up.

        Raises
        ------
        VenueUnavailable : it did not come in time, or the exchange did not want to tell.
        """
        try:
            return await asyncio.wait_for(answer, self._timeout_s)
        except VenueRejected as exc:
            # A refusal to tell says nothing about what was asked for.
            raise VenueUnavailable(exc.message, **exc.fields) from exc
        except TimeoutError:
            raise VenueUnavailable(
                f"account {self._exchange.account}: the exchange did not answer within"
                f" {self._timeout_s:g} s"
            ) from None

    def sent(self, client_id: str) -> None:
        """Note that from now on nobody sends this order any more."""
        self._missing_since_s[client_id] = self._clock.monotonic_s()

    async def ask(self, client_id: str) -> list[OrderNews]:
        """Ask for one order and return what is new.

        Raises
        ------
        VenueUnavailable : no answer; nothing has changed.
        """
        order = self._keeper.book.orders[client_id]
        seen = await self.within(self._exchange.find_order(order.request.symbol, client_id))
        if seen is not None:
            return await self.take(order, seen)
        return self._give_up(order)

    async def peek(self, client_id: str) -> list[OrderNews]:
        """Ask for an order whose answer is late, without giving it up when nobody finds it.

        Raises
        ------
        VenueUnavailable : no answer; nothing has changed.
        """
        order = self._keeper.book.orders[client_id]
        seen = await self.within(self._exchange.find_order(order.request.symbol, client_id))
        return [] if seen is None else await self.take(order, seen)

    async def take(self, order: Order, seen: VenueOrder) -> list[OrderNews]:
        """Believe a word about an order, after fetching the fills that it speaks of.

        Parameters
        ----------
        order : as it stood when the venue was asked; when it has changed since, the word is stale
        """
        fills: Sequence[Fill] = seen.fills
        if is_short_of_fills(order, seen, self._keeper.new_fills(order, fills)):
            fills = (*fills, *await self._missing_fills(order, seen))
        current = self._keeper.book.orders[order.client_id]
        if current.state is not order.state:
            return []
        self._missing_since_s.pop(order.client_id, None)
        told = self._keeper.take(current, seen, fills)
        return [] if told is None else [told]

    async def look(self, orders: Collection[Order]) -> list[OrderNews]:
        """Ask how these orders stand, with as few requests as their symbols allow.

        Raises
        ------
        VenueUnavailable : no answer; what was told before it has been taken.
        """
        news: list[OrderNews] = []
        resting = await self._resting(sorted({order.request.symbol for order in orders}))
        for order in orders:
            seen = resting.get(order.client_id)
            if seen is not None:
                news += await self.take(order, seen)
            elif self._keeper.book.orders[order.client_id].state is order.state:
                news += await self.ask(order.client_id)
        return news

    def unswept(self, symbols: Collection[str]) -> list[str]:
        """Return those of `symbols` whose fills were not swept lately: that is a dear question."""
        due_s = self._clock.monotonic_s() - SWEEP_S
        return sorted(name for name in symbols if self._swept_s.get(name, due_s) <= due_s)

    async def sweep(
        self, symbols: Iterable[str], *, skip: Collection[str] = (), is_deep: bool = False
    ) -> list[OrderNews]:
        """Count every fill of these symbols that was not counted yet.

        Parameters
        ----------
        skip : orders that are being sent: their fills come with the answer
        is_deep : ask from the earliest instant that a fill could be missing from

        Raises
        ------
        VenueUnavailable : no answer; the fills of earlier symbols are counted.
        """
        news: list[OrderNews] = []
        for symbol in symbols:
            fills = await self._fills(symbol, is_deep=is_deep)
            self._swept_s[symbol] = self._clock.monotonic_s()
            news += self._keeper.count(fill for fill in fills if fill.client_id not in skip)
        return news

    async def _fills(self, symbol: str, *, is_deep: bool) -> Sequence[Fill]:
        """Return the symbol's fills; whoever asks while others do shares the next answer.

        Orders of one bar are filled together, and each asks: one by one they would wait for the
        exchange's rate limit, with positions that nobody knows of yet.
        """
        turn = self._turns.setdefault((symbol, is_deep), _Turn())
        n_begun = turn.n_begun
        async with turn.lock:
            if turn.n_answered <= n_begun:
                turn.n_begun += 1
                number = turn.n_begun
                try:
                    turn.answer = await self._ask_for_fills(symbol, is_deep=is_deep)
                except VenueUnavailable as exc:
                    turn.answer = exc
                turn.n_answered = number
            # It was begun after this caller had asked.
            answer = turn.answer
        if isinstance(answer, VenueUnavailable):
            raise answer
        return answer

    async def _ask_for_fills(self, symbol: str, *, is_deep: bool) -> Sequence[Fill]:
        newest_at = self._newest_at.get(symbol, 0)
        since_at = self.since_at if is_deep else max(self.since_at, newest_at - OVERLAP_MS)
        fills = await self.within(self._exchange.fills(symbol, since_at))
        if fills:
            self._newest_at[symbol] = max(newest_at, *(fill.at for fill in fills))
        return fills

    async def _missing_fills(self, order: Order, seen: VenueOrder) -> Sequence[Fill]:
        """Return the symbol's fills; none when they cannot be had now: the order stays open."""
        fills: Sequence[Fill] = ()
        for is_deep in (False, True):
            try:
                fills = await self._fills(order.request.symbol, is_deep=is_deep)
            except VenueUnavailable:
                return fills
            if not is_short_of_fills(order, seen, self._keeper.new_fills(order, fills)):
                break
        return fills

    async def _resting(self, symbols: Sequence[str]) -> Mapping[str, VenueOrder]:
        if len(symbols) > _ONE_BY_ONE:
            pages = [await self.within(self._exchange.open_orders())]
        else:
            pages = [await self.within(self._exchange.open_orders(name)) for name in symbols]
        return {seen.client_id: seen for page in pages for seen in page}

    def _give_up(self, order: Order) -> list[OrderNews]:
        """Take an order that the venue does not know for lost, once it can no longer arrive."""
        current = self._keeper.book.orders[order.client_id]
        if current.state is not order.state or current.state.is_final:
            return []
        now_s = self._clock.monotonic_s()
        since_s = self._missing_since_s.setdefault(order.client_id, now_s)
        waited_ms = (now_s - since_s) * 1000
        news: list[OrderNews | None] = []
        if waited_ms <= self._exchange.capabilities.forgets_after_ms:
            if current.state is not OrderState.UNKNOWN:
                reason = "the exchange does not find it"
                news.append(self._keeper.move(current, OrderState.UNKNOWN, reason))
        else:
            self._missing_since_s.pop(order.client_id, None)
            if current.venue_id:
                ended, reason = OrderState.CANCELED, "the exchange no longer knows it"
            else:
                ended, reason = OrderState.REJECTED, "it never reached the exchange"
            if current.state is not OrderState.UNKNOWN:
                news.append(self._keeper.move(current, OrderState.UNKNOWN, reason))
                current = self._keeper.book.orders[order.client_id]
            news.append(self._keeper.move(current, ended, reason))
        return [told for told in news if told is not None]


@dataclass(slots=True)
class _Turn:
    """One question that several may ask at once.

    Attributes
    ----------
    n_begun : how often it was asked
    n_answered : the number of the question that `answer` is to
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    n_begun: int = 0
    n_answered: int = 0
    answer: Sequence[Fill] | VenueUnavailable = ()
