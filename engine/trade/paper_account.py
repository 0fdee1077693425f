"""One account of a replay: venue, journal, gateway and desk, all of them in this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from engine.clock import Clock
from engine.errors import VenueUnavailable
from engine.risk.latch import Latch
from engine.risk.verdict import RiskVerdict
from engine.trade.desk import Desk
from engine.trade.exchange import Fill
from engine.trade.gateway import Gateway
from engine.trade.instrument import Instrument
from engine.trade.journal import JOURNAL_FILE, Journal, verify_journal
from engine.trade.lease import Lease
from engine.trade.orders import Order
from engine.trade.records import FillRecord, IntentRecord
from engine.trade.replay_terms import ReplayTerms
from engine.trade.simulated.book_order import VenueEvent
from engine.trade.simulated.exchange import SimulatedExchange, Sleep
from engine.trade.simulated.matching import MatchingEngine

T = TypeVar("T")

HOST = "replay"
_RESERVE_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class AccountEnd:
    """What is left of an account when its replay has ended.

    Attributes
    ----------
    orders : by client id, oldest first
    verdicts : of the risk officer, by client id
    fills : with the strategy that each is of, in the order they were counted
    is_agreed : positions and cash of the journal are those of the venue
    words : how journal and venue compare
    n_lines : of the journal
    is_journal_whole : every line of it verified
    """

    account: str
    orders: Mapping[str, Order]
    verdicts: Mapping[str, RiskVerdict]
    fills: tuple[tuple[str, Fill], ...]
    is_agreed: bool
    words: str
    n_lines: int
    is_journal_whole: bool


class PaperAccount:
    """One account of a replay; made by `PaperAccount.open`.

    Attributes
    ----------
    exchange : the venue of this account alone
    journal : the gateway's, for reading
    """

    def __init__(
        self,
        folder: Path,
        exchange: SimulatedExchange,
        journal: Journal,
        gateway: Gateway,
        lease: Lease,
        clock: Clock,
        sleep: Sleep,
        *,
        is_instant: bool,
    ) -> None:
        self.exchange = exchange
        self.journal = journal
        self.gateway = gateway
        self.desk = Desk(gateway, clock)
        self._folder = folder
        self._lease = lease
        self._sleep = sleep
        self._is_instant = is_instant
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        exchange.on_news = self._on_event

    @classmethod
    async def open(
        cls,
        name: str,
        folder: Path,
        clock: Clock,
        instruments: Mapping[str, Instrument],
        balance_quote: Decimal,
        terms: ReplayTerms,
        sleep: Sleep,
    ) -> PaperAccount:
        """Open an account with an empty journal, armed, and reconciled with its venue.

        Parameters
        ----------
        folder : of the account; made when missing
        instruments : all of one quote currency
        sleep : waits on `clock`, where things take time
        """
        quote = next(iter(instruments.values())).quote
        engine = MatchingEngine(instruments, terms.venue_rules(), {quote: balance_quote})
        exchange = SimulatedExchange(
            engine,
            clock,
            account=name,
            faults=terms.faults,
            latency_ms=terms.latency_ms,
            sleep=sleep,
        )
        latch = Latch(folder / "halt", name, HOST)
        latch.arm(HOST, "a replay begins", clock.now_at())
        lease = Lease(clock, terms.orders.lease_s)
        lease.renew()
        journal = Journal.open(folder, name, reserve_bytes=_RESERVE_BYTES, now_at=clock.now_at())
        gateway = Gateway(name, exchange, journal, latch, clock, lease, None, terms.orders, quote)
        account = cls(
            folder, exchange, journal, gateway, lease, clock, sleep, is_instant=terms.is_instant
        )
        await account._insist(gateway.start)
        return account

    def renew_lease(self) -> None:
        """Vouch for the account, as the watchdog does for a real one."""
        self._lease.renew()

    async def ask(self) -> None:
        """Ask the venue what is new; one that does not answer is asked again another time."""
        with contextlib.suppress(VenueUnavailable):
            await self.desk.ask()

    async def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something: at once, or, where things take time, while it goes on."""
        if self._is_instant:
            await work
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def is_busy(self) -> bool:
        """Return whether something that was begun has not ended.

        Raises
        ------
        Exception : what went wrong in it.
        """
        if self._failure is not None:
            raise self._failure
        return bool(self._tasks)

    async def end(self) -> AccountEnd:
        """Compare with the venue, close and verify the journal."""
        report = await self._insist(self.gateway.reconcile)
        book = self.gateway.book
        records = [line.record for line in self.journal.read()]
        verdicts = {
            record.request.client_id: record.verdict
            for record in records
            if isinstance(record, IntentRecord) and record.verdict is not None
        }
        fills = {
            (record.fill.symbol, record.fill.id): (record.strategy_id, record.fill)
            for record in records
            if isinstance(record, FillRecord)
        }
        await self.gateway.close()
        await self.exchange.close()
        verified = verify_journal(self._folder / JOURNAL_FILE)
        return AccountEnd(
            account=book.account,
            orders=dict(book.orders),
            verdicts=verdicts,
            fills=tuple(fills.values()),
            is_agreed=report.is_clean,
            words=report.words,
            n_lines=verified.n_lines,
            is_journal_whole=verified.is_whole,
        )

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until the venue answers."""
        while True:
            try:
                return await ask()
            except VenueUnavailable:
                await self._sleep(1.0)

    async def _on_event(self, event: VenueEvent) -> None:
        # Where things take time, the venue does not wait for whoever hears of it.
        await self.do(self.ask())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()
