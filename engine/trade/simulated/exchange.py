"""The simulated exchange in this process: the port, over a matching engine and any clock.

Without latency an order acts before `submit` returns. News of fills comes by asking, as from any
venue, and, for whoever cannot wait, through `on_news` in the moment it happens: between two
executions at one price, so that an answer to the first is in time for the second.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial

from engine.clock import Clock
from engine.errors import OrderStateUnknown, VenueRejected, VenueUnavailable
from engine.trade.exchange import AccountView, Capabilities, Fill, Ticker, VenueOrder
from engine.trade.instrument import Instrument
from engine.trade.orders import OrderRequest, Side
from engine.trade.simulated.book_order import NewOrder, VenueEvent
from engine.trade.simulated.faults import NO_FAULTS, Fault, FaultKind, Faults
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.price_history import PriceHistory
from engine.trade.simulated.rate_limit import RateLimit
from engine.trade.simulated.refusals import Refusal, refused
from engine.types import Bars

OnNews = Callable[[VenueEvent], Awaitable[None] | None]
Sleep = Callable[[float], Awaitable[None]]

RECEIVE_WINDOW_MS = 5_000
"""A request that arrives later than this is refused, and so is one whose clock differs more."""


class SimulatedExchange:
    """One simulated account.

    Parameters
    ----------
    engine : MatchingEngine
    clock : its time is the venue's time, but for a planned skew
    account : its name
    history : closed bars, None when there are none to tell
    faults : such as a FaultPlan
    latency_ms : time between a request and its effect, >= 0
    sleep : waits for the latency on the same clock; needed only when there is one
    rate_limit : requests that may come in a time, None for any number
    on_news : called (and awaited) for each thing that happens to an order and that the answer to a
        request does not tell already

    Notes
    -----
    Prices come from a driver (`replay.py`) or from whoever calls `bar_open`, `bar_inside`,
    `bar_close`, `move`, `quote` and `trade`.
    """

    def __init__(
        self,
        engine: MatchingEngine,
        clock: Clock,
        *,
        account: str = "paper",
        history: PriceHistory | None = None,
        faults: Faults = NO_FAULTS,
        latency_ms: int = 0,
        sleep: Sleep | None = None,
        rate_limit: RateLimit | None = None,
        on_news: OnNews | None = None,
    ) -> None:
        if latency_ms and sleep is None:
            raise ValueError("latency needs a way to sleep on the clock")
        self.engine = engine
        self.on_news = on_news
        self._clock = clock
        self._account = account
        self._history = history
        self._faults = faults
        self._latency_ms = latency_ms
        self._sleep = sleep
        self._rate_limit = rate_limit
        self._n_requests = 0
        self._n_news = 0
        self._n_quotes = 0
        self._n_late = 0
        self._late: list[tuple[int, int, Callable[[], list[VenueEvent]], str]] = []
        self._news: deque[VenueEvent] = deque()
        self._held_back: VenueEvent | None = None
        self._is_telling = False
        self._advancing: set[str] = set()

    @property
    def account(self) -> str:
        """Return the account's name."""
        return self._account

    @property
    def capabilities(self) -> Capabilities:
        """Return what this venue can do."""
        return Capabilities(
            holds_stops=True,
            rests_both=self.engine.is_perp or not self.engine.rules.stops_lock,
            notional_orders=True,
            dead_man=False,
            pushes=False,
            forgets_after_ms=RECEIVE_WINDOW_MS,
        )

    # The port

    async def instruments(self) -> Mapping[str, Instrument]:
        """Return what is listed, by symbol."""
        await self._read()
        return self.engine.instruments

    async def now_at(self) -> int:
        """Return the venue's clock, UTC ms."""
        await self._read()
        return self._venue_at()

    async def submit(self, request: OrderRequest) -> VenueOrder:
        """Send an order, once."""
        new = NewOrder.of(request)
        act = partial(self._place, new)
        await self._send(act, new.symbol, f"order {new.client_id} for {new.symbol}", new.client_id)
        return self._told(new.client_id)

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        """Cancel an order and return it; one that ended already is returned as it ended."""
        act = partial(self._cancel, symbol, client_id)
        await self._send(act, symbol, f"cancel of {client_id} for {symbol}", client_id)
        return self._told(client_id)

    async def find_order(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Return an order by our id, None when the venue has none by that id (yet)."""
        await self._read()
        order = self.engine.order(client_id)
        return order if order is not None and order.symbol == symbol else None

    async def open_orders(self, symbol: str | None = None) -> Sequence[VenueOrder]:
        """Return the orders that rest, oldest first."""
        await self._read()
        return self.engine.open_orders(symbol)

    async def fills(self, symbol: str, since_at: int) -> Sequence[Fill]:
        """Return the fills of a symbol at or after an instant, oldest first."""
        await self._read()
        return self.engine.fills(symbol, since_at)

    async def account_view(self) -> AccountView:
        """Return balances and positions."""
        await self._read()
        return self.engine.view(self._venue_at())

    async def ticker(self, symbol: str) -> Ticker:
        """Return the quotes, absurd ones when a bad tick is planned."""
        await self._read()
        told = self.engine.ticker(symbol)
        self._n_quotes += 1
        factor = self._faults.price_factor(self._n_quotes)
        return Ticker(symbol, told.bid * factor, told.ask * factor, told.last * factor, told.at)

    async def closed_bars(self, symbol: str, timeframe: str, since_at: int) -> Bars:
        """Return the closed bars that open at or after an instant, oldest first."""
        await self._read()
        if self._history is None:
            raise VenueRejected(f"{symbol}: this exchange keeps no bars")
        return self._history.closed(symbol, timeframe, since_at, self._clock.now_at())

    async def refresh_dead_man(self, timeout_ms: int) -> None:
        """Refuse: like Binance, it has no such timer."""
        raise VenueRejected("the simulated exchange has no dead-man timer")

    @property
    def is_pushing(self) -> bool:
        """Return whether it could tell of a change by itself: it cannot."""
        return False

    async def changed(self) -> None:
        """Refuse: whoever is in its process needs no word from it."""
        raise VenueRejected("the simulated exchange pushes nothing inside its process")

    async def close(self) -> None:
        """Let go of nothing: there is no connection."""

    # Prices

    async def bar_open(self, symbol: str, open_: Decimal, at: int) -> None:
        """Show a bar's open and do all that is due at it."""
        await self._late_arrivals()
        self.engine.show_open(symbol, open_, at)
        await self._advance(symbol)

    async def bar_inside(self, symbol: str, low: Decimal, high: Decimal, at: int) -> None:
        """Show a bar's extremes and do all that is due inside it."""
        await self._late_arrivals()
        self.engine.show_inside(symbol, low, high, at)
        await self._advance(symbol)

    async def bar_close(self, symbol: str, close: Decimal, at: int) -> None:
        """Show a bar's close."""
        await self._late_arrivals()
        self.engine.show_close(symbol, close, at)
        await self._advance(symbol)

    async def move(self, symbol: str, price: Decimal, at: int) -> None:
        """Walk to a price and do all that is due on the way."""
        await self._late_arrivals()
        self.engine.show_move(symbol, price, at)
        await self._advance(symbol)

    async def quote(
        self,
        symbol: str,
        bid: Decimal,
        ask: Decimal,
        at: int,
        bid_qty: Decimal | None = None,
        ask_qty: Decimal | None = None,
    ) -> None:
        """Show best quotes and do all that is due at them."""
        await self._late_arrivals()
        self.engine.show_quote(symbol, bid, ask, at, bid_qty, ask_qty)
        await self._advance(symbol)

    async def trade(self, symbol: str, price: Decimal, at: int) -> None:
        """Show a trade of others and do all that it triggers."""
        await self._late_arrivals()
        self.engine.show_jump(symbol, price, at)
        await self._advance(symbol)

    async def depth(self, symbol: str, side: Side, price: Decimal, qty_base: Decimal) -> None:
        """Show one level of depth; 0 removes it."""
        self.engine.on_depth(symbol, side, price, qty_base)

    # Requests

    async def _read(self) -> None:
        fault = await self._begin("read")
        if fault is None or fault.kind is FaultKind.DUPLICATE_REQUEST:
            return
        if fault.kind is FaultKind.REJECT:
            raise refused(Refusal.PLANNED, "the simulated exchange refuses this by plan")
        raise VenueUnavailable(f"no answer from the simulated exchange ({fault.kind})")

    async def _send(
        self, act: Callable[[], list[VenueEvent]], symbol: str, what: str, client_id: str
    ) -> None:
        """Let a request act; tell as news what its own answer will not."""
        fault = await self._begin("send")
        kind = fault.kind if fault is not None else None
        if kind is FaultKind.REJECT:
            raise refused(Refusal.PLANNED, f"{what}: the simulated exchange refuses it by plan")
        lost = OrderStateUnknown(f"{what}: no answer", client_id=client_id)
        if fault is not None and _never_arrives(fault):
            raise lost
        if fault is not None and kind is FaultKind.DELAY:
            self._delay(act, symbol, fault.delay_ms)
            raise lost
        # The answer tells of this order; a lost one tells nothing.
        is_lost = kind in (FaultKind.DROP_ANSWER, FaultKind.SERVER_ERROR)
        answered = "" if is_lost else client_id
        try:
            await self._tell(act(), answered)
            if fault is not None and kind is FaultKind.DUPLICATE_REQUEST:
                await self._again(act, is_answer=fault.acts)
        except VenueRejected as exc:
            if is_lost:
                raise lost from exc
            raise
        finally:
            await self._advance(symbol, answered)
        if is_lost:
            raise lost

    def _delay(self, act: Callable[[], list[VenueEvent]], symbol: str, delay_ms: int) -> None:
        # What comes later than the venue's window is refused when it comes.
        if delay_ms <= RECEIVE_WINDOW_MS:
            self._n_late += 1
            due_at = self._clock.now_at() + delay_ms
            heapq.heappush(self._late, (due_at, self._n_late, act, symbol))

    async def _begin(self, asked: str) -> Fault | None:
        # What every request meets first: time, outage, rate limit, a wrong clock, its own fault.
        self._n_requests += 1
        n = self._n_requests
        if self._sleep is not None and self._latency_ms:
            await self._sleep(self._latency_ms / 1000)
        await self._late_arrivals()
        now_at = self._clock.now_at()
        if self._faults.is_out(now_at):
            raise VenueUnavailable("the simulated exchange is out: connection refused")
        if self._rate_limit is not None:
            wait_s = self._rate_limit.charge(1, self._clock.monotonic_s())
            if wait_s is not None:
                raise _too_many(wait_s)
        skew_ms = self._faults.skew_ms(now_at)
        if asked == "send" and abs(skew_ms) > RECEIVE_WINDOW_MS:
            raise VenueUnavailable(
                f"the simulated exchange's clock differs by {skew_ms} ms: outside its window",
                skew_ms=skew_ms,
            )
        fault = self._faults.of_request(n)
        if fault is not None and fault.kind is FaultKind.RATE_LIMIT:
            raise _too_many(fault.retry_after_s)
        return fault

    async def _again(self, act: Callable[[], list[VenueEvent]], *, is_answer: bool = False) -> None:
        """Let a request act whose answer nobody waits for, or, of two, the second's answer."""
        try:
            await self._tell(act(), "")
        except VenueRejected:
            if is_answer:
                raise

    async def _late_arrivals(self) -> None:
        now_at = self._clock.now_at()
        while self._late and self._late[0][0] <= now_at:
            _, _, act, symbol = heapq.heappop(self._late)
            await self._again(act)
            await self._advance(symbol)

    def _place(self, new: NewOrder) -> list[VenueEvent]:
        return self.engine.place(new, self._venue_at())

    def _cancel(self, symbol: str, client_id: str) -> list[VenueEvent]:
        return self.engine.cancel(symbol, client_id, self._venue_at())

    def _told(self, client_id: str) -> VenueOrder:
        order = self.engine.order(client_id)
        if order is None:
            raise refused(Refusal.UNKNOWN_ORDER, f"no order {client_id}", id=client_id)
        return order

    def _venue_at(self) -> int:
        now_at = self._clock.now_at()
        return now_at + self._faults.skew_ms(now_at)

    # Happenings

    async def _advance(self, symbol: str, answered: str = "") -> None:
        if symbol in self._advancing:
            # Called from within news of the same price: the outer call goes on with it.
            return
        self._advancing.add(symbol)
        try:
            while events := self.engine.advance(symbol):
                await self._tell(events, answered)
        finally:
            self._advancing.discard(symbol)

    async def _tell(self, events: Sequence[VenueEvent], answered: str = "") -> None:
        for event in events:
            if not answered or event.order.client_id != answered:
                self._queue(event)
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._news:
                event = self._news.popleft()
                outcome = self.on_news(event) if self.on_news is not None else None
                if outcome is not None:
                    await outcome
        finally:
            self._is_telling = False

    def _queue(self, event: VenueEvent) -> None:
        self._n_news += 1
        fault = self._faults.of_news(self._n_news)
        kind = fault.kind if fault is not None else None
        if kind is FaultKind.REORDER_NEWS and self._held_back is None:
            self._held_back = event
            return
        self._news.append(event)
        if kind is FaultKind.DUPLICATE_NEWS:
            self._news.append(event)
        if self._held_back is not None:
            self._news.append(self._held_back)
            self._held_back = None


def _never_arrives(fault: Fault) -> bool:
    if fault.kind is FaultKind.SERVER_ERROR:
        return not fault.acts
    return fault.kind is FaultKind.DROP_REQUEST


def _too_many(wait_s: float) -> VenueUnavailable:
    return VenueUnavailable(
        f"too many requests to the simulated exchange: ask again in {wait_s:g} s",
        retry_after_s=wait_s,
    )
