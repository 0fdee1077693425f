"""One account as it runs: what is looked at, how often, and what follows from it.

Every look is an async method that may run twice and raises nothing that a venue's bad day explains;
`loops` puts them on the clock. What a strategy wants comes from outside, through the desk.

Survives a crash: nothing of its own; the journal and the latch hold all that matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from engine.clock import Clock
from engine.errors import VenueError, VenueRejected
from engine.risk.breakers import RiskAction
from engine.risk.latch import LatchReading, TradingState
from engine.trade.concurrent_desk import ConcurrentDesk
from engine.trade.errands import Errands
from engine.trade.order_watch import watch_orders
from engine.trade.orders import OrderState, OrderType, Purpose
from engine.trade.position_watch import PositionWish, Sighting, watch_position
from engine.trade.reconcile import ReconcileReport
from engine.trade.records import LatchRecord
from engine.trade.risk_keeper import RiskKeeper
from engine.trade.watch_post import PositionsSeen, WatchPost
from engine.trading_settings import Limits, Orders

RECONCILE_S = 5.0
VOUCH_S = 15.0
"""A reconciliation that is older vouches for nothing."""
MONITOR_SILENT_S = 2.0
"""A monitor that was not heard of for so long is stood in for."""
LOOK_S = 0.25
PRICE_S = 0.5
"""Between two looks at quotes: with more of them, exchanges count too many requests."""
TICK_S = 0.5
GUARD_S = 0.25
RESTING_S = 1.0
"""Between two looks at orders of which nothing is expected but that they rest."""
OUT_S = 1.0
PUSHED_S = 0.05
"""Least time between two looks that the exchange asked for: it tells every part of a fill."""
DEAF_S = 15.0
"""Between two tries to be told of changes, while the exchange does not tell."""

_SEVERITY = {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 2}
_WHO = "risk officer"

Sleep = Callable[[float], Awaitable[None]]
Tell = Callable[[str, str, str], None]


class AccountRunner:
    """Keep one account: ask, watch, compare, guard.

    Parameters
    ----------
    desk : of the account, at its gateway
    post : what its monitors see and do
    risk : the officer's memory
    wall : this machine's clock, for what people read
    errands : work that nobody waits for
    sleep : coroutine function of seconds, on the clock that the loops keep
    tell : tells the operator a kind, a subject and words

    Attributes
    ----------
    heard_s : monotonic s at which each monitor was heard of last, by name
    n_looks, n_failed : looks at the exchange, and those it did not answer
    venue_words : what the exchange said last when it could not be asked, empty while it can
    """

    def __init__(
        self,
        desk: ConcurrentDesk,
        post: WatchPost,
        risk: RiskKeeper,
        clock: Clock,
        wall: Clock,
        orders: Orders,
        limits: Limits,
        errands: Errands,
        sleep: Sleep,
        tell: Tell,
    ) -> None:
        self.desk = desk
        self.post = post
        self.risk = risk
        self.heard_s = {"orders": -MONITOR_SILENT_S, "positions": -MONITOR_SILENT_S}
        self.venue_words = ""
        self.n_looks = 0
        self.n_failed = 0
        self._gateway = desk.gateway
        self._clock = clock
        self._wall = wall
        self._orders = orders
        self._limits = limits
        self._errands = errands
        self._sleep = sleep
        self._tell = tell
        self._seen: dict[tuple[str, str], Sighting] = {}
        self._vouched_s: float | None = None
        self._dead_man_s: float | None = None
        self._pushed = asyncio.Event()
        self._deaf_words = ""
        self.reconciled_at: int | None = None
        self.dead_man_at: int | None = None

    # The clock

    def loops(self) -> list[Callable[[], Awaitable[None]]]:
        """Return the loops that keep the account, to be run side by side for ever."""
        listening = [self._listen] if self._gateway.exchange.capabilities.pushes else []
        return [
            *listening,
            lambda: self._every(self.look_at_orders, self._poll_s, rest=self._rest),
            lambda: self._every(self.look_at_prices, lambda: PRICE_S),
            lambda: self._every(self.compare, lambda: RECONCILE_S),
            lambda: self._every(self.stand_in, lambda: LOOK_S, asks=False),
            lambda: self._every(self.guard, lambda: GUARD_S, asks=False),
            lambda: self._every(self.desk.on_tick, lambda: TICK_S, asks=False),
        ]

    async def _every(
        self,
        look: Callable[[], Awaitable[object]],
        pause_s: Callable[[], float],
        *,
        asks: bool = True,
        rest: Sleep | None = None,
    ) -> None:
        while True:
            self.n_looks += asks
            try:
                await look()
                wait_s = pause_s()
            except VenueError as exc:
                self.n_failed += asks
                wait_s = self._away(exc)
            await (rest or self._sleep)(wait_s)

    def _poll_s(self) -> float:
        poll_s = self._orders.poll_ms / 1000
        exchange = self._gateway.exchange
        if exchange.capabilities.pushes and exchange.is_pushing:
            # Word comes by itself; a word that is lost costs this second.
            return max(poll_s, RESTING_S)
        rests = (OrderState.ACCEPTED, OrderState.PARTIAL)
        is_moving = any(
            order.state not in rests or order.request.type in (OrderType.MARKET, OrderType.LIMIT)
            for order in self._gateway.book.active_orders()
        )
        return poll_s if is_moving else max(poll_s, RESTING_S)

    async def _listen(self) -> None:
        """Note every word of the exchange that something about our orders changed."""
        while True:
            try:
                await self._gateway.exchange.changed()
            except VenueError as exc:
                self._note_deaf(exc.message)
                await self._sleep(DEAF_S)
                continue
            self._note_deaf("")
            self._pushed.set()

    def _note_deaf(self, words: str) -> None:
        if words and not self._deaf_words:
            subject = f"account:{self._gateway.account}"
            self._tell("pushes.lost", subject, f"{words}; orders are asked for instead")
        self._deaf_words = words

    async def _rest(self, seconds: float) -> None:
        """Sleep, but not past a word of the exchange."""
        if not self._gateway.exchange.capabilities.pushes:
            await self._sleep(seconds)
            return
        await self._sleep(min(PUSHED_S, seconds))
        sleeping = asyncio.ensure_future(self._sleep(max(0.0, seconds - PUSHED_S)))
        told = asyncio.ensure_future(self._pushed.wait())
        try:
            await asyncio.wait((sleeping, told), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in (sleeping, told):
                waiting.cancel()
            await asyncio.gather(sleeping, told, return_exceptions=True)
        self._pushed.clear()

    def _away(self, exc: VenueError) -> float:
        self.venue_words = exc.message
        asked_s = exc.fields.get("retry_after_s")
        return max(OUT_S, asked_s) if isinstance(asked_s, float) else OUT_S

    # Looks

    async def look_at_orders(self) -> None:
        """Ask the exchange what is new of our orders."""
        await self.desk.ask()
        self.venue_words = ""

    async def look_at_prices(self) -> None:
        """Ask for the quotes that matter, and hand them to risk and strategies."""
        for symbol in self.post.symbols():
            ticker = await self._gateway.exchange.ticker(symbol)
            if self.post.take_ticker(ticker):
                self.risk.take_price(symbol, ticker.last)
                await self.desk.on_price(symbol, ticker.last)

    async def stand_in(self) -> None:
        """Do the work of a monitor that is silent."""
        if self._is_silent("orders"):
            seen = self.post.orders()
            wishes = watch_orders(seen.orders, seen.prices, seen.now_at, seen.terms)
            await self.post.carry_out_orders(wishes)
        if self._is_silent("positions"):
            self.post.carry_out_positions(self.judged(self.post.positions()))

    def judged(self, seen: PositionsSeen) -> list[PositionWish]:
        """Return what the rules wish about positions, remembering what was seen of each."""
        wishes, self._seen = watched(seen, self._seen, self._limits)
        return wishes

    async def compare(self) -> ReconcileReport:
        """Reconcile, and remember when it was clean."""
        report = await self._gateway.reconcile()
        if report.is_clean:
            self._vouched_s = self._clock.monotonic_s()
            self.reconciled_at = self._wall.now_at()
        await self._refresh_dead_man()
        return report

    async def guard(self) -> None:
        """Heed the latch, whoever set it, and the breakers."""
        reading = self._gateway.gate.latch.read()
        if not self._note_latch(reading):
            return
        if reading.state is not TradingState.ACTIVE:
            self._cancel_entries(reading)
        self._heed_breakers(reading)
        self.post.clear_away()

    def vouch(self) -> str:
        """Renew the lease, if a clean reconciliation allows it; say why not otherwise."""
        report = self._gateway.report
        if report is None:
            return "the account was not reconciled yet"
        if not report.is_clean:
            return report.words
        age_s = self._clock.monotonic_s() - (self._vouched_s or 0.0)
        if self._vouched_s is None or age_s > VOUCH_S:
            return f"the last clean reconciliation is {age_s:.0f} s old"
        self._gateway.gate.lease.renew()
        return ""

    # Inside

    def _is_silent(self, monitor: str) -> bool:
        return self._clock.monotonic_s() - self.heard_s[monitor] >= MONITOR_SILENT_S

    def _note_latch(self, reading: LatchReading) -> bool:
        """Write a change of the latch down; False while it cannot be acted on yet."""
        known = self._gateway.book.latch
        if known is not None and known.state is reading.state:
            return True
        is_rearmed = known is not None and reading.state is TradingState.ACTIVE
        if is_rearmed and not self.risk.rearm(reading.who, reading.reason, self._gateway.record):
            return False
        reason = reading.reason or reading.detail
        self._gateway.record([LatchRecord(reading.state, reading.who, reason)])
        self._tell(
            "latch.changed", f"account:{self._gateway.account}", f"{reading.state}: {reason}"
        )
        return True

    def _cancel_entries(self, reading: LatchReading) -> None:
        for order in self._gateway.book.active_orders():
            if order.request.adds_exposure and order.state is not OrderState.CANCELING:
                reason = f"{reading.state}: {reading.detail}"
                self._errands.begin(self._gateway.cancel(order.client_id, reason))

    def _heed_breakers(self, reading: LatchReading) -> None:
        action = self.risk.observe(self._gateway.record)
        if _SEVERITY[action.trading_state] > _SEVERITY[reading.state]:
            trips = self.risk.breakers.tripped(self._clock.now_at())
            words = "; ".join(trip.message for trip in trips)
            latch, now_at = self._gateway.gate.latch, self._wall.now_at()
            if action.trading_state is TradingState.HALTED:
                latch.halt(_WHO, words, now_at)
            else:
                latch.reduce(_WHO, words, now_at)
            # At once: whoever arms next must be seen to have armed after this.
            self._note_latch(latch.read())
            self._tell("breaker.tripped", f"account:{self._gateway.account}", words)
        if action is RiskAction.FLATTEN:
            self.flatten("a breaker closes everything")

    def flatten(self, reason: str, symbol: str | None = None) -> None:
        """Begin to cancel every order and close every position; call again until it is flat.

        Parameters
        ----------
        symbol : only what is of it; None means all
        """
        book = self._gateway.book
        keys = {(p.strategy_id, p.symbol) for p in book.open_positions()}
        chosen = sorted(key for key in keys if symbol in (None, key[1]))
        closing = (Purpose.FLATTEN, Purpose.RISK, Purpose.EXIT)
        for order in book.active_orders():
            request = order.request
            if symbol in (None, request.symbol) and request.purpose not in closing:
                self._errands.begin(self._gateway.cancel(order.client_id, reason))
        for key in chosen:
            self.post.close(*key, reason, Purpose.FLATTEN)

    async def _refresh_dead_man(self) -> None:
        if not self._gateway.exchange.capabilities.dead_man:
            return
        now_s = self._clock.monotonic_s()
        if self._dead_man_s is not None and now_s - self._dead_man_s < self._orders.dead_man_s / 4:
            return
        try:
            timeout_ms = round(self._orders.dead_man_s * 1000)
            await self._gateway.exchange.refresh_dead_man(timeout_ms)
        except VenueRejected as exc:
            self._tell("dead_man.refused", f"account:{self._gateway.account}", exc.message)
            return
        self._dead_man_s, self.dead_man_at = now_s, self._wall.now_at()


def watched(
    seen: PositionsSeen, before: dict[tuple[str, str], Sighting], limits: Limits
) -> tuple[list[PositionWish], dict[tuple[str, str], Sighting]]:
    """Return what the rules wish about every position, and what to remember of each."""
    wishes: list[PositionWish] = []
    after: dict[tuple[str, str], Sighting] = {}
    for position in seen.positions:
        key = (position.holding.strategy_id, position.holding.symbol)
        ticker = seen.tickers.get(position.holding.symbol)
        found, after[key] = watch_position(
            position, ticker, seen.now_at, seen.now_s, before.get(key, Sighting()), limits
        )
        wishes.extend(found)
    return wishes, after


async def until_started(
    start: Callable[[], Awaitable[ReconcileReport]], sleep: Sleep, tell: Callable[[str], None]
) -> ReconcileReport:
    """Start a gateway, again and again while its exchange does not answer."""
    told = ""
    while True:
        try:
            return await start()
        except VenueError as exc:
            if exc.message != told:
                told = exc.message
                tell(told)
        await sleep(OUT_S)
