"""The gateway: the only writer of an account, through which every order leaves.

Every order is written down and synced before it is sent, with the risk officer's verdict; orders
that are decided together share one fsync. The latch and the lease are asked after that, right
before the send. An answer that does not come makes an order UNKNOWN, and only the exchange's word
resolves it: it is asked for, never sent again.

What adds exposure fails closed: without a journal, a latch, a lease, a reconciliation or a verdict
it does not leave. What reduces it fails open: it leaves even when nothing can be written any more.

Survives a crash: everything, through the journal; starting and recovering are one path.
May run twice: submitting under one id (the first order is returned), cancelling, starting.
Owns: the account's journal and book.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from engine.clock import Clock
from engine.errors import (
    OrderStateUnknown,
    StoreError,
    UsageError,
    VenueRejected,
    VenueUnavailable,
)
from engine.risk.latch import Latch
from engine.risk.verdict import RiskVerdict
from engine.trade.account_book import AccountBook
from engine.trade.adoption import opening_records
from engine.trade.bookkeeper import Bookkeeper, OrderNews
from engine.trade.exchange import AccountView, Exchange, Fill, VenueOrder
from engine.trade.instrument import Instrument, round_qty, why_too_small
from engine.trade.journal import Journal
from engine.trade.lease import Lease
from engine.trade.netting import why_netted
from engine.trade.order_reader import OVERLAP_MS, OrderReader
from engine.trade.orders import Order, OrderRequest, OrderState
from engine.trade.reconcile import ReconcileReport, is_perpetual, price_of
from engine.trade.reconciler import Reconciler
from engine.trade.records import IntentRecord, NoteRecord, OrderRecord, Record
from engine.trade.send_gate import SendGate
from engine.trading_settings import Orders

__all__ = ["Gateway", "OrderNews"]

Judge = Callable[[OrderRequest], RiskVerdict]
OnTrouble = Callable[[str, str], None]

STARTED = "gateway.started"
RECANCEL_S = 1.0
LATE_ANSWER_S = 1.0
_S = OrderState
_WHO = "gateway"


class Gateway:
    """Send orders, cancel them, and know how they stand.

    Parameters
    ----------
    account : whose
    exchange : the venue
    journal : of the account, opened by the caller; its lock keeps a second gateway out
    latch : read from the disk before every send
    clock : this machine's
    lease : renewed by others, read here
    judge : the risk officer's verdict on an order that adds exposure; None asks nobody (replays
        with the limits off)
    settings : the [orders] section
    quote_asset : the currency that the account is valued in

    Attributes
    ----------
    book : orders, positions and cash as the journal tells them
    on_news : called after every change of an order, whoever caused it; must not block
    on_trouble : called with a kind and words for what an operator must hear at once
    """

    def __init__(
        self,
        account: str,
        exchange: Exchange,
        journal: Journal,
        latch: Latch,
        clock: Clock,
        lease: Lease,
        judge: Judge | None,
        settings: Orders,
        quote_asset: str = "USDT",
    ) -> None:
        self.account = account
        self.exchange = exchange
        self.judge = judge
        self.book = AccountBook(account, quote_asset)
        self.instruments: Mapping[str, Instrument] = {}
        self.on_trouble: OnTrouble | None = None
        self.gate = SendGate(latch, lease, clock, settings.rate_per_minute)
        self._clock = clock
        self._settings = settings
        self._keeper = Bookkeeper(journal, self.book, clock, self._journal_died)
        self._reader = OrderReader(exchange, self._keeper, clock, settings.timeout_s)
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._reconciler = Reconciler(
            exchange, self._keeper, self._reader, self.gate, self.poll, self._sending
        )
        self._is_loaded = False
        self._is_started = False
        self._is_noted = False
        self._opening: list[Record] = []
        self._polling = asyncio.Lock()
        self._sent_s: dict[str, float] = {}
        self._cancel_wishes: dict[str, str] = {}
        self._cancelled_s: dict[str, float] = {}

    @property
    def report(self) -> ReconcileReport | None:
        """Return what the newest reconciliation found, None before the first."""
        return self._reconciler.report

    @property
    def on_news(self) -> Callable[[OrderNews], None] | None:
        """Return who is told of every change of an order."""
        return self._keeper.on_news

    @on_news.setter
    def on_news(self, listener: Callable[[OrderNews], None] | None) -> None:
        self._keeper.on_news = listener

    @property
    def on_record(self) -> Callable[[Record, int], None] | None:
        """Return who is told of every line of the journal, from the first on."""
        return self._keeper.on_record

    @on_record.setter
    def on_record(self, listener: Callable[[Record, int], None] | None) -> None:
        self._keeper.on_record = listener

    @property
    def foreign_fills(self) -> Sequence[Fill]:
        """Return the fills in this account that are not of our orders."""
        return tuple(self._keeper.foreign_fills.values())

    def fills_of(self, strategy_id: str, symbol: str) -> Sequence[Fill]:
        """Return what changed a strategy's position, oldest first; see `Bookkeeper`."""
        return self._keeper.fills_of(strategy_id, symbol)

    @property
    def journal(self) -> Journal:
        """Return the account's journal, to read."""
        return self._keeper.journal

    async def start(self) -> ReconcileReport:
        """Load the journal, ask the exchange what became of every order, and reconcile.

        Nothing that adds exposure is sent before the report is clean. May be called again after it
        raised.

        Raises
        ------
        DataError : the journal is damaged, or another account's.
        VenueUnavailable : the exchange does not answer.
        """
        if not self._is_loaded:
            self._keeper.load()
            self._doubt()
            self._is_loaded = True
        self.instruments = await self._reader.within(self.exchange.instruments())
        self._reconciler.instruments = self.instruments
        venue_at = await self._reader.within(self.exchange.now_at())
        view = await self._reader.within(self.exchange.account_view())
        is_first = self._begin(view)
        if is_first:
            self._note_start(venue_at)
        self._is_started = True
        await self.poll()
        await self._reader.sweep(self._symbols(), skip=self._sending, is_deep=True)
        if not is_first and not self._is_noted:
            # Only now is every fill before `venue_at` counted: a life that ends before has not
            # moved the instant from which the next one asks.
            self._note_start(venue_at)
        return await self.reconcile()

    async def submit(self, request: OrderRequest) -> Order:
        """Send an order, once; the same id again returns the first order as it stands.

        The order that comes back is REJECTED, with the reason, when it was refused here or there;
        UNKNOWN when nobody knows yet. A refusal that could not be written down is returned too, and
        forgotten: its id may be tried again.

        Raises
        ------
        UsageError : of another account, an unknown symbol, or the gateway was not started.
        """
        known = self.book.orders.get(request.client_id)
        if known is not None:
            return known
        instrument = self._instrument(request)
        verdict, request, refusal = self._judged(request, instrument)
        refusal = refusal or why_netted(request, self.book, instrument)
        refusal = refusal or self.gate.why_refused(request)
        essential = not request.adds_exposure
        records: list[Record] = [IntentRecord(request, verdict)]
        if refusal:
            records.append(OrderRecord(request.client_id, _S.REJECTED, "", refusal))
        try:
            self._keeper.write(records, essential=essential, synced=bool(refusal))
        except StoreError as exc:
            reason = f"it could not be written down: {exc.message}"
            self._trouble(
                "journal.full", f"order {request.client_id} for {request.symbol}: {reason}"
            )
            return Order(request, _S.REJECTED, reason=reason, updated_at=self._clock.now_at())
        if refusal:
            self._tell(request.client_id)
            return self.book.orders[request.client_id]
        # Whoever waits for it may be cancelled; an order on its way may not.
        task = asyncio.create_task(self._send(request))
        self._sending[request.client_id] = task
        await asyncio.shield(task)
        return self.book.orders[request.client_id]

    async def cancel(self, client_id: str, reason: str) -> Order:
        """Cancel an order and return it as it stands; one that has ended is returned as it ended.

        A lost answer leaves it CANCELING, and an order whose fate is unknown is cancelled as soon
        as it turns up: `poll` sees to both.

        Raises
        ------
        UsageError : no order has that id.
        """
        if client_id not in self.book.orders:
            raise UsageError(f"account {self.account} has no order {client_id}")
        sending = self._sending.get(client_id)
        if sending is not None:
            await asyncio.shield(sending)
        order = self.book.orders[client_id]
        if order.state.is_final:
            return order
        self._cancel_wishes[client_id] = reason
        await self._try_cancel(client_id)
        return self.book.orders[client_id]

    async def poll(self) -> Sequence[OrderNews]:
        """Ask for every active order and new fills; return what was new.

        Two polls never overlap. An order whose cancellation was lost is cancelled again, one that
        was given up without ever having existed is told as REJECTED.

        Raises
        ------
        VenueUnavailable : the exchange does not answer; ask again.
        """
        async with self._polling:
            orders = [o for o in self.book.active_orders() if o.client_id not in self._sending]
            news = await self._reader.look(orders)
            for client_id in self._late():
                # A position must not stay unseen for as long as an answer may hang.
                news += await self._reader.peek(client_id)
            # Orders bring their fills along; this is for those that come after the end.
            symbols = self._reader.unswept({order.request.symbol for order in orders})
            news += await self._reader.sweep(symbols, skip=self._sending)
            self._cross_opposites()
            for client_id in list(self._cancel_wishes):
                await self._try_cancel(client_id)
            return news

    async def reconcile(self) -> ReconcileReport:
        """Compare the book with the exchange; nothing adds exposure while they differ.

        Raises
        ------
        VenueUnavailable : the exchange does not answer: what the last report said still holds, for
            as long as the lease does.
        """
        return await self._reconciler.reconcile()

    async def adopt(self, who: str, reason: str, subject: str | None = None) -> ReconcileReport:
        """Take over what the exchange says, of one difference or all; see `Reconciler`."""
        return await self._reconciler.adopt(who, reason, subject)

    async def disown(self, who: str, reason: str, subject: str | None = None) -> ReconcileReport:
        """Leave one difference, or all, to somebody else; see `Reconciler`."""
        return await self._reconciler.disown(who, reason, subject)

    def note(self, topic: str, message: str, **fields: object) -> None:
        """Write a line for the audit into the journal: what an operator or a breaker did."""
        self._keeper.write([NoteRecord(topic, message, fields)], essential=True)

    def record(self, records: Sequence[Record]) -> None:
        """Write down what is no order: marks of the account's worth, changes of the latch."""
        self._keeper.write(records, essential=True)

    async def close(self) -> None:
        """Wait for what is being sent, then let go of the journal."""
        while self._sending:
            await asyncio.wait(list(self._sending.values()))
        self._keeper.journal.close()

    # Sending

    def _late(self) -> list[str]:
        due_s = self._clock.monotonic_s() - LATE_ANSWER_S
        return [name for name, sent_s in self._sent_s.items() if sent_s <= due_s]

    async def _send(self, request: OrderRequest) -> None:
        client_id = request.client_id
        try:
            await self._send_out(request)
        finally:
            self._sending.pop(client_id, None)
            self._sent_s.pop(client_id, None)

    async def _send_out(self, request: OrderRequest) -> None:
        client_id = request.client_id
        # By now whatever else was decided at this instant is written: one fsync is for all of it.
        unwritten = self._keeper.sync(essential=not request.adds_exposure)
        refusal = self.gate.why_refused(request)
        if unwritten and request.adds_exposure:
            refusal = f"it could not be written down: {unwritten}"
        if refusal:
            self._keeper.move(self.book.orders[client_id], _S.REJECTED, refusal)
            return
        self.gate.count(request)
        self._sent_s[client_id] = self._clock.monotonic_s()
        state, reason = _S.UNKNOWN, ""
        seen: VenueOrder | None = None
        try:
            seen = await asyncio.wait_for(self.exchange.submit(request), self._settings.timeout_s)
        except VenueUnavailable as exc:
            state, reason = _S.REJECTED, f"nothing was sent: {exc.message}"
        except VenueRejected as exc:
            reason = exc.message
            state = await self._refused(request, reason)
        except (OrderStateUnknown, TimeoutError) as exc:
            reason = f"the answer was lost: {exc}"
        except Exception as exc:
            # Our bug, in the middle of a send: the order may exist.
            self._lost(client_id, f"{type(exc).__name__}: {exc}")
            raise
        order = self.book.orders[client_id]
        if seen is not None:
            await self._reader.take(order, seen)
        elif state is _S.UNKNOWN:
            self._lost(client_id, reason)
        elif order.state is _S.INTENT:
            self._keeper.move(order, state, reason)

    async def _refused(self, request: OrderRequest, reason: str) -> OrderState:
        """Return what a refusal means: a message that came twice is refused the second time."""
        self._reader.sent(request.client_id)
        order = self.book.orders[request.client_id]
        try:
            found = await self._reader.within(
                self.exchange.find_order(request.symbol, request.client_id)
            )
        except VenueUnavailable:
            return _S.UNKNOWN
        if found is None:
            return _S.REJECTED
        await self._reader.take(order, found)
        return self.book.orders[request.client_id].state

    def _lost(self, client_id: str, reason: str) -> None:
        self._reader.sent(client_id)
        self._keeper.move(self.book.orders[client_id], _S.UNKNOWN, reason)

    # Cancelling

    async def _try_cancel(self, client_id: str) -> None:
        """Cancel what somebody wants cancelled, unless that was asked a moment ago."""
        order = self.book.orders[client_id]
        if order.state.is_final:
            self._cancel_wishes.pop(client_id, None)
            self._cancelled_s.pop(client_id, None)
            return
        now_s = self._clock.monotonic_s()
        asked_s = self._cancelled_s.get(client_id)
        is_recent = asked_s is not None and now_s - asked_s < RECANCEL_S
        if is_recent or order.state in (_S.UNKNOWN, _S.INTENT):
            return
        self._cancelled_s[client_id] = now_s
        if order.state is not _S.CANCELING:
            self._keeper.move(order, _S.CANCELING, self._cancel_wishes[client_id])
        order = self.book.orders[client_id]
        try:
            seen = await asyncio.wait_for(
                self.exchange.cancel(order.request.symbol, client_id), self._settings.timeout_s
            )
        except (VenueUnavailable, OrderStateUnknown, TimeoutError):
            return
        except VenueRejected:
            # It has ended already, or was never there: the venue says which.
            await self._ask_quietly(client_id)
            return
        await self._reader.take(order, seen)

    async def _ask_quietly(self, client_id: str) -> None:
        try:
            await self._reader.ask(client_id)
        except VenueUnavailable:
            return

    def _cross_opposites(self) -> None:
        """Cross positions that the exchange has netted: only news out of order leads to any."""
        if not is_perpetual(self.instruments):
            return
        sides: dict[str, set[bool]] = {}
        for position in self.book.open_positions():
            sides.setdefault(position.symbol, set()).add(position.signed_base > 0)
        for symbol, held in sides.items():
            price = price_of(self.book, symbol)
            if len(held) > 1 and price is not None:
                self._keeper.cross(symbol, price)

    # Starting

    def _doubt(self) -> None:
        """Take every order that may have been on its way when we died for unknown."""
        for order in self.book.active_orders():
            if order.state in (_S.INTENT, _S.SUBMITTED):
                self._keeper.move(order, _S.UNKNOWN, "the gateway died while it was being sent")
            if order.state is _S.CANCELING:
                self._cancel_wishes[order.client_id] = order.reason
        for order in self.book.unknown_orders():
            self._reader.sent(order.client_id)
        self.gate.remember(
            order.request.created_at
            for order in self.book.orders.values()
            if order.request.adds_exposure and order.state is not _S.REJECTED
        )

    def _begin(self, view: AccountView) -> bool:
        """Learn from when on fills may be missing; in a first life, write down what is owned.

        Returns
        -------
        bool : True in the first life of the account.
        """
        starts = [
            int(line.record.fields["venue_at"])
            for line in self._keeper.journal.read()
            if isinstance(line.record, NoteRecord) and line.record.topic == STARTED
        ]
        if starts:
            # An order of the last life can only have filled after that life began.
            self._reader.since_at = starts[-1] - OVERLAP_MS
            return False
        self._reader.since_at = view.at - OVERLAP_MS
        self._opening = opening_records(view, self.book.quote_asset)
        return True

    def _note_start(self, venue_at: int) -> None:
        """Write down that a life begins, the first together with what the account owns."""
        message = (
            f"account {self.account} starts with {len(self.book.orders)} orders in its journal"
        )
        note = NoteRecord(STARTED, message, {"venue_at": venue_at})
        self._keeper.write([*self._opening, note], essential=True)
        self._opening = []
        self._is_noted = True

    def _symbols(self) -> list[str]:
        return sorted({order.request.symbol for order in self.book.orders.values()})

    # Rules

    def _judged(
        self, request: OrderRequest, instrument: Instrument
    ) -> tuple[RiskVerdict | None, OrderRequest, str]:
        """Return the verdict, the order as it is allowed, and why it is refused (or nothing)."""
        if self.judge is None or not request.adds_exposure:
            return None, request, ""
        verdict = self.judge(request)
        if not verdict.allowed:
            return verdict, request, f"risk: {verdict.reason}"
        qty_base, notional_quote = request.qty_base, request.notional_quote
        if verdict.qty_base is not None:
            qty_base, notional_quote = round_qty(verdict.qty_base, instrument), None
            too_small = why_too_small(qty_base, request.reference_price, instrument)
            if too_small:
                return verdict, request, f"risk: sized down ({verdict.reason}): {too_small}"
        elif verdict.notional_quote is not None:
            notional_quote = verdict.notional_quote
        return verdict, replace(request, qty_base=qty_base, notional_quote=notional_quote), ""

    def _instrument(self, request: OrderRequest) -> Instrument:
        if not self._is_started:
            raise UsageError(f"account {self.account}: the gateway was not started")
        if request.account != self.account:
            raise UsageError(f"order {request.client_id} is of account {request.account}")
        instrument = self.instruments.get(request.symbol)
        if instrument is None:
            raise UsageError(f"account {self.account}: the exchange does not list {request.symbol}")
        return instrument

    def _journal_died(self, words: str) -> None:
        """Halt when nothing can be written down any more; what reduces still leaves."""
        reason = f"the journal of account {self.account} cannot be written: {words}"
        outcome = self.gate.latch.halt(_WHO, reason, self._clock.now_at())
        state = "HALTED" if outcome.is_halted else "NOT HALTED, the latch cannot be written either"
        self._trouble("journal.dead", f"{state}: {reason}")

    def _tell(self, client_id: str) -> None:
        if self.on_news is not None:
            self.on_news(OrderNews(self.book.orders[client_id]))

    def _trouble(self, kind: str, words: str) -> None:
        if self.on_trouble is not None:
            self.on_trouble(kind, words)
