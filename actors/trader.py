"""The trader: hosts the gateway and the strategies of one account, in one process.

From a bar's close to an order on its way nothing leaves this process. Everything it tells the store
may be late or lost; what it must not forget is in the account's journal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from actors.account_projection import AccountProjection
from actors.account_publisher import AccountPublisher
from actors.hosted import Casting
from actors.model_keeper import ModelKeeper
from actors.roster import OnFailure, PartSpec, PeerOf
from actors.strategy_seats import StrategySeats
from actors.teller import Teller
from engine.clock import Clock
from engine.config import database_url
from engine.deploy.version_watch import VersionReport
from engine.errors import (
    DataError,
    PaddockError,
    StoreError,
    UsageError,
    VenueError,
    VenueUnavailable,
)
from engine.garbage import set_aside
from engine.store.database import Store
from engine.store.deployments import newest_deployments
from engine.trade.account_clock import RATE_SPAN_S, AccountClock
from engine.trade.account_runner import OUT_S, until_started
from engine.trade.accounts import PAPER, account_folder, account_latch
from engine.trade.assembly import Assembly, Terms, assemble
from engine.trade.exchange import Exchange
from engine.trade.journal import Journal
from engine.trade.order_watch import OrderWish
from engine.trade.position_watch import PositionWish
from engine.trade.records import Record
from engine.trade.simulated.endpoint import read_endpoint
from engine.trade.venues import open_exchange, quote_asset
from engine.trade.watch_post import OrdersSeen, PositionsSeen
from engine.trading_settings import Orders
from engine.types import Bars, timeframe_ms

CAST_S = 2.0
CLOCK_S = 2.0
_JOURNAL_PAUSE_S = 0.5
_END_S = 3.0
_LEVELS = {
    "journal.dead": "error",
    "journal.full": "error",
    "journal.damaged": "error",
    "journal.recovered": "warn",
    "breaker.tripped": "error",
    "position.closed": "warn",
    "position.warned": "warn",
    "position.not_closed": "error",
    "position.order_refused": "warn",
    "latch.changed": "warn",
    "dead_man.refused": "warn",
    "bars.late": "warn",
    "trader.waits": "warn",
    "strategy.not_traded": "warn",
}

Opener = Callable[[], Awaitable[Exchange]]


class Trader:
    """Trade one account.

    Survives a crash: everything of the account, through its journal; starting and recovering are
    one path. Strategies come from the store, their positions from the journal.
    May run twice: every call; a second process on the account is refused by the journal's lock.
    Owns: the account's gateway, and with it the journal.

    Parameters
    ----------
    opener : opens the account's exchange; by default the configured one
    """

    def __init__(
        self,
        spec: PartSpec,
        peer_of: PeerOf,
        clock: Clock,
        on_failure: OnFailure,
        opener: Opener | None = None,
    ) -> None:
        self._spec = spec
        self._config = spec.config
        self._account = spec.name.partition("-")[2]
        self._wall = clock
        self._clock = AccountClock(clock)
        self._on_failure = on_failure
        self._recorder = peer_of("recorder")
        self._teller = Teller(self._recorder, clock, spec.name, _LEVELS)
        self._opener = opener or self._open_configured
        self._store: Store | None = None
        self._exchange: Exchange | None = None
        self._journal: Journal | None = None
        self._assembly: Assembly | None = None
        self._seats: StrategySeats | None = None
        self._began_s = clock.monotonic_s()
        self._ready_s: float | None = None
        self._state = "starting"
        self._words = ""
        self._recast = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the store and begin; the exchange may come later."""
        self._store = await Store.open(database_url(self._config), read_only=True, create=False)
        for work in (self._teller.keep, self._live):
            self._tasks.append(asyncio.create_task(self._guard(work)))

    async def stop(self) -> None:
        """Send nothing more, wait for what is on its way, and let go of the journal."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._seats is not None:
            await self._seats.stop()
        if self._assembly is not None:
            await self._assembly.errands.stop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._assembly.gateway.close(), _END_S)
        if self._journal is not None:
            self._journal.close()
        if self._exchange is not None:
            with contextlib.suppress(TimeoutError, PaddockError):
                await asyncio.wait_for(self._exchange.close(), _END_S)
        if self._store is not None:
            await self._store.close()

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return how the account stands."""
        assembly = self._assembly
        detail: dict[str, Any] = {"account": self._account, "words": self._words}
        if assembly is None or self._ready_s is None:
            return self._state, detail
        book = assembly.gateway.book
        detail["ready_ms"] = round((self._ready_s - self._began_s) * 1000)
        detail["strategies"] = 0 if self._seats is None else len(self._seats.hosted)
        detail["orders"] = len(book.active_orders())
        detail["positions"] = len(book.open_positions())
        detail["n_requests"] = assembly.runner.n_looks
        detail["n_failed"] = assembly.runner.n_failed
        detail["venue"] = assembly.runner.venue_words
        report = assembly.gateway.report
        if report is not None and not report.is_clean:
            return "alert", {**detail, "words": report.words}
        return ("alert" if assembly.runner.venue_words else "trading"), detail

    # What others ask

    async def vouch(self) -> str:
        """Renew the lease if the account is reconciled; say why not otherwise."""
        if self._assembly is None or self._ready_s is None:
            return f"account {self._account}: {self._words or 'starting'}"
        return self._assembly.runner.vouch()

    async def orders_to_watch(self) -> OrdersSeen | None:
        """Return what the order monitor judges, None before there is an account."""
        if self._assembly is None or self._ready_s is None:
            return None
        self._assembly.runner.heard_s["orders"] = self._wall.monotonic_s()
        return self._assembly.post.orders()

    async def carry_out_orders(self, wishes: Sequence[OrderWish]) -> None:
        """Do what the order monitor wishes."""
        try:
            await self._ready().post.carry_out_orders(wishes)
        except VenueError as exc:
            self._words = exc.message

    async def positions_to_watch(self) -> PositionsSeen | None:
        """Return what the position monitor judges, None before there is an account."""
        if self._assembly is None or self._ready_s is None:
            return None
        self._assembly.runner.heard_s["positions"] = self._wall.monotonic_s()
        return self._assembly.post.positions()

    async def carry_out_positions(self, wishes: Sequence[PositionWish]) -> None:
        """Begin what the position monitor wishes."""
        self._ready().post.carry_out_positions(wishes)

    async def recast(self) -> None:
        """Look at once who trades: somebody was promoted, paused or retired."""
        self._recast.set()

    async def cancel_order(self, client_id: str, who: str, reason: str) -> dict[str, Any]:
        """Cancel an order for an operator and return how it stands."""
        assembly = self._ready()
        order = assembly.gateway.book.orders.get(client_id)
        if order is None:
            raise UsageError(f"account {self._account} has no order {client_id}")
        assembly.gateway.note("order.cancel", f"{who} cancels {client_id}: {reason}", who=who)
        order = await assembly.gateway.cancel(client_id, f"{who}: {reason}")
        return {"client_id": client_id, "state": order.state.value}

    async def flatten_symbol(self, symbol: str, who: str, reason: str) -> dict[str, Any]:
        """Begin to cancel and close everything of a symbol, for an operator."""
        assembly = self._ready()
        if symbol not in assembly.gateway.instruments:
            raise UsageError(f"the exchange of account {self._account} does not list {symbol}")
        held = [p for p in assembly.gateway.book.open_positions() if p.symbol == symbol]
        assembly.gateway.note("symbol.flatten", f"{who} flattens {symbol}: {reason}", who=who)
        assembly.runner.flatten(f"{who}: {reason}", symbol)
        return {"symbol": symbol, "positions": len(held)}

    async def note(self, topic: str, message: str, who: str) -> None:
        """Write what an operator did into the account's journal."""
        self._ready().gateway.note(topic, message, who=who)

    async def worker_reports(self) -> list[VersionReport] | None:
        """Return how deployed versions do, None before there is an account."""
        if self._seats is None or self._ready_s is None:
            return None
        return self._seats.workers.reports()

    async def recent_bars(self, strategy_id: str, n_bars: int) -> dict[str, tuple[str, Bars]]:
        """Return market type and newest closed bars of each symbol a strategy trades here."""
        assembly, seats = self._ready(), self._seats
        found: dict[str, tuple[str, Bars]] = {}
        for hosted in [] if seats is None else list(seats.hosted.values()):
            if hosted.strategy_id == strategy_id:
                timeframe = hosted.genome.timeframe
                since_at = self._clock.now_at() - (n_bars + 1) * timeframe_ms(timeframe)
                exchange = assembly.gateway.exchange
                bars = await exchange.closed_bars(hosted.symbol, timeframe, since_at)
                kind = assembly.gateway.instruments[hosted.symbol].market_type
                newest = bars.slice(max(0, len(bars) - n_bars), len(bars))
                found[hosted.symbol] = (kind, newest)
        return found

    async def adopt(self, who: str, reason: str, subject: str | None) -> dict[str, Any]:
        """Take over what the exchange says; see `Reconciler.adopt`."""
        report = await self._ready().gateway.adopt(who, reason, subject)
        return self._after_word(report.is_clean, report.words)

    async def disown(self, who: str, reason: str, subject: str | None) -> dict[str, Any]:
        """Leave a difference to somebody else; see `Reconciler.disown`."""
        report = await self._ready().gateway.disown(who, reason, subject)
        return self._after_word(report.is_clean, report.words)

    async def differences(self) -> list[dict[str, str]]:
        """Return what journal and exchange differ in, in words."""
        report = await self._ready().gateway.reconcile()
        return [
            {
                "kind": found.kind.value,
                "subject": found.subject,
                "words": found.words,
                "adopt": found.adopt,
                "disown": found.disown,
            }
            for found in report.differences
        ]

    # Living

    async def _live(self) -> None:
        self._exchange = await self._opened()
        await self._learn_time(self._exchange)
        self._journal = await self._opened_journal()
        # Twice, some way apart: how fast it runs shows only then.
        await asyncio.sleep(RATE_SPAN_S)
        await self._learn_time(self._exchange)
        assembly, seats, publisher = self._assembled(self._exchange, self._journal)
        self._assembly, self._seats = assembly, seats
        try:
            await until_started(assembly.gateway.start, asyncio.sleep, self._wait_for)
        except DataError as exc:
            # Trying again would find the same: an operator has to look, nothing is traded.
            self._state, self._words = "alert", exc.message
            self._teller.tell("journal.damaged", f"account:{self._account}", exc.message)
            return
        await publisher.publish_all(assembly)
        set_aside()
        self._ready_s = self._wall.monotonic_s()
        self._state, self._words = "trading", ""
        message = f"account {self._account} is ready after {self._ready_s - self._began_s:.1f} s"
        self._teller.tell("trader.ready", f"account:{self._account}", message)
        works: list[Callable[[], Awaitable[None]]] = [
            *assembly.runner.loops(),
            lambda: self._keep_time(assembly.gateway.exchange),
            lambda: self._keep_cast(assembly, seats),
            lambda: publisher.keep(assembly, seats),
            ModelKeeper(assembly, seats, self._clock, asyncio.sleep).keep,
        ]
        await asyncio.gather(*(work() for work in works))

    async def _opened(self) -> Exchange:
        while True:
            try:
                return await self._opener()
            except PaddockError as exc:
                self._wait_for(exc.message)
            await asyncio.sleep(OUT_S)

    async def _open_configured(self) -> Exchange:
        return await open_exchange(self._account, self._config, self._wall)

    async def _opened_journal(self) -> Journal:
        """Open the journal.

        A predecessor that is dying may hold it for a moment; one that is damaged waits for an
        operator, and nothing is traded meanwhile.
        """
        folder = account_folder(self._config.paths.home, self._account)
        while True:
            try:
                journal = await asyncio.to_thread(
                    Journal.open, folder, self._account, now_at=self._clock.now_at()
                )
            except (StoreError, DataError) as exc:
                self._wait_for(exc.message)
                await asyncio.sleep(_JOURNAL_PAUSE_S)
                continue
            if journal.recovery is not None:
                words = f"a crash tore line {journal.recovery.seq} of the journal: it was cut off"
                self._teller.tell("journal.recovered", f"account:{self._account}", words)
            return journal

    def _assembled(
        self, exchange: Exchange, journal: Journal
    ) -> tuple[Assembly, StrategySeats, AccountPublisher]:
        config, home = self._config, self._config.paths.home
        latch = account_latch(home, self._account)
        endpoint = read_endpoint(home) if self._account == PAPER else None
        label = "LIVE" if endpoint is None else endpoint.label
        venue = "simulated" if self._account == PAPER else config.trading.live_exchange
        projection = AccountProjection(self._account, venue, label, self._wall, config.orders)
        publisher = AccountPublisher(self._recorder, projection, self._clock)
        terms = Terms(
            orders=paced(config.orders, self._clock.rate),
            limits=config.limits,
            default_stop_frac=config.backtest.default_stop_frac,
            price_life_s=config.trading.stale_data_s,
            quote_asset=quote_asset(config),
        )
        assembly = assemble(
            exchange,
            journal,
            latch,
            terms,
            clock=self._clock,
            wall=self._wall,
            sleep=asyncio.sleep,
            tell=self._tell,
            on_failure=self._on_failure,
            on_news=publisher.hear,
        )
        seats = StrategySeats(
            config, assembly, self._clock, asyncio.sleep, self._tell, self._on_failure, self._wall
        )

        def hear(record: Record, at: int) -> None:
            assembly.risk.take_record(record, at)
            seats.take_record(record, at)

        assembly.gateway.on_record = hear
        return assembly, seats, publisher

    async def _learn_time(self, exchange: Exchange) -> None:
        """Ask for the exchange's time until it answers."""
        while True:
            try:
                await self._ask_time(exchange)
                return
            except VenueError as exc:
                self._wait_for(exc.message)
            await asyncio.sleep(OUT_S)

    async def _ask_time(self, exchange: Exchange) -> None:
        asked_s, timeout_s = self._wall.monotonic_s(), self._config.orders.timeout_s
        try:
            venue_at = await asyncio.wait_for(exchange.now_at(), timeout_s)
        except TimeoutError:
            raise VenueUnavailable(
                f"account {self._account}: the exchange did not tell its time within"
                f" {timeout_s:g} s; it is asked again"
            ) from None
        self._clock.set(venue_at, asked_s, self._wall.monotonic_s())

    async def _keep_time(self, exchange: Exchange) -> None:
        while True:
            await asyncio.sleep(CLOCK_S)
            with contextlib.suppress(VenueError):
                await self._ask_time(exchange)

    async def _keep_cast(self, assembly: Assembly, seats: StrategySeats) -> None:
        """Seat whom the store says, and look again."""
        settings = self._config
        most = settings.pools.paper_max if self._account == PAPER else settings.pools.live_max
        casting = Casting(self._opened_store, self._account, self._not_traded)
        while True:
            book = assembly.gateway.book
            held = {(p.strategy_id, p.symbol) for p in book.open_positions()}
            held |= {(o.request.strategy_id, o.request.symbol) for o in book.active_orders()}
            try:
                rows = await newest_deployments(self._opened_store)
                await seats.workers.take_rows([row for row in rows if row.account == self._account])
                cast = await casting.read(assembly.gateway.instruments.keys(), held, most)
                await seats.seat(cast)
                assembly.post.is_staffed = True
            except (VenueError, StoreError) as exc:
                self._words = exc.message
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._recast.wait(), CAST_S)
            self._recast.clear()

    # Telling

    def _tell(self, kind: str, subject: str, words: str) -> None:
        self._teller.tell(kind, subject, words)

    def _not_traded(self, strategy_id: str, words: str) -> None:
        self._tell("strategy.not_traded", strategy_id, f"account {self._account}: {words}")

    def _wait_for(self, words: str) -> None:
        self._state = "waiting"
        if words != self._words:
            self._words = words
            self._teller.tell("trader.waits", f"account:{self._account}", words)

    # Itself

    def _after_word(self, is_clean: bool, words: str) -> dict[str, Any]:
        """Make the traders anew: positions have changed without an order of theirs."""
        if self._seats is not None:
            self._seats.renew()
        return {"clean": is_clean, "words": words}

    def _ready(self) -> Assembly:
        if self._assembly is None or self._ready_s is None:
            raise UsageError(f"account {self._account} is not ready: {self._words or 'starting'}")
        return self._assembly

    @property
    def _opened_store(self) -> Store:
        if self._store is None:
            raise UsageError("the trader has not opened the store yet")
        return self._store

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            await self._on_failure(error)


def paced(orders: Orders, rate: float) -> Orders:
    """Return how long orders may live on a market that runs faster than the world.

    What is fast there is the market, not the way to it: an order has as long as anywhere, by our
    own clock.
    """
    if rate <= 1.0:
        return orders
    return orders.model_copy(
        update={
            "entry_timeout_s": orders.entry_timeout_s * rate,
            "linger_s": orders.linger_s * rate,
        }
    )
