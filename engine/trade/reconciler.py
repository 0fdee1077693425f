"""The comparing half of a gateway: asks, compares, and carries out the operator's word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from engine.errors import OrderStateUnknown, UsageError, VenueRejected
from engine.risk.breakers import FUNDING_REASON
from engine.trade.adoption import adopted, disowned
from engine.trade.bookkeeper import Bookkeeper
from engine.trade.exchange import AccountView, Exchange
from engine.trade.instrument import Instrument
from engine.trade.order_reader import OrderReader
from engine.trade.reconcile import (
    Difference,
    DifferenceKind,
    ReconcileReport,
    chosen_of,
    funding_of,
    is_perpetual,
    reconcile,
)
from engine.trade.records import CashRecord, NoteRecord
from engine.trade.send_gate import SendGate

_COMPARISONS = 3


class Reconciler:
    """Compare an account's book with its exchange, and open or close the gate accordingly.

    Parameters
    ----------
    poll : asks for every active order
    sending : orders on their way right now, by id; a live view

    Attributes
    ----------
    instruments : what the exchange lists
    report : of the newest comparison, None before the first
    """

    def __init__(
        self,
        exchange: Exchange,
        keeper: Bookkeeper,
        reader: OrderReader,
        gate: SendGate,
        poll: Callable[[], Awaitable[object]],
        sending: Collection[str],
    ) -> None:
        self.instruments: Mapping[str, Instrument] = {}
        self.report: ReconcileReport | None = None
        self._view: AccountView | None = None
        self._exchange = exchange
        self._keeper = keeper
        self._reader = reader
        self._gate = gate
        self._poll = poll
        self._sending = sending

    async def reconcile(self) -> ReconcileReport:
        """Compare; while they differ, nothing that adds exposure passes the gate.

        Raises
        ------
        VenueUnavailable : the exchange does not answer; the last report stands.
        """
        report = await self._compare()
        for _ in range(_COMPARISONS):
            if report.is_clean:
                break
            # News may have crossed the questions: only what stays the same differs.
            before = report
            await self._poll()
            await self._reader.sweep(self._symbols(), skip=self._sending, is_deep=True)
            report = await self._compare()
            if report.is_same(before):
                break
        if any(found.kind is DifferenceKind.LIVING_ORDER for found in report.differences):
            report = await self._end_living(report)
        if self._count_funding(report):
            report = await self._compare()
        was, self.report = self.report, report
        self._gate.why_unreconciled = "" if report.is_clean else report.words
        if not report.is_same(was):
            self._keeper.write([report.note()], essential=True)
        return report

    async def adopt(self, who: str, reason: str, subject: str | None) -> ReconcileReport:
        """Take over what the exchange says; return what is left.

        Orders that rest there and are not ours are cancelled; quantities go into positions at the
        price of now, balances are counted as paid in or out.

        Parameters
        ----------
        subject : of one difference; None means all

        Raises
        ------
        UsageError : no such difference, or one that ends by itself.
        VenueUnavailable : the exchange does not answer; what was written before stays.
        """
        chosen = chosen_of(await self.reconcile(), subject)
        for found in chosen:
            if found.is_order:
                await self._cancel_foreign(found)
            elif found.kind is DifferenceKind.QUANTITY:
                ticker = await self._reader.within(self._exchange.ticker(found.symbol))
                records = adopted(found, self._keeper.book, ticker.last, who, reason)
                self._keeper.write(records, essential=True)
        # What was taken into positions has been paid for: only the rest of the money still differs.
        wanted = {found.subject for found in chosen if found.kind is DifferenceKind.BALANCE}
        for found in (await self._compare()).differences:
            is_wanted = subject is None or found.subject in wanted
            if found.kind is DifferenceKind.BALANCE and is_wanted:
                records = adopted(found, self._keeper.book, None, who, reason)
                self._keeper.write(records, essential=True)
        return await self._settled("account.adopted", f"{who} adopted", chosen, reason)

    async def disown(self, who: str, reason: str, subject: str | None) -> ReconcileReport:
        """Leave differences to somebody else; return what is left.

        Raises
        ------
        UsageError : no such difference, or one that cannot be somebody else's.
        VenueUnavailable : the exchange does not answer.
        """
        chosen = chosen_of(await self.reconcile(), subject)
        refused = [found.words for found in chosen if not found.disown]
        if refused:
            raise UsageError(f"this cannot be disowned, only adopted: {'; '.join(refused)}")
        records = [record for found in chosen for record in disowned(found, who, reason)]
        self._keeper.write(records, essential=True)
        return await self._settled("account.disowned", f"{who} disowned", chosen, reason)

    async def _compare(self) -> ReconcileReport:
        resting = await self._reader.within(self._exchange.open_orders())
        view = await self._reader.within(self._exchange.account_view())
        self._view = view
        return reconcile(
            self._keeper.book,
            resting,
            view,
            self.instruments,
            foreign_fills=tuple(self._keeper.foreign_fills.values()),
            sending=frozenset(self._sending),
        )

    def _count_funding(self, report: ReconcileReport) -> bool:
        """Count what a venue paid or took for holding perpetuals; True when there was any."""
        book, view = self._keeper.book, self._view
        if report.is_clean or view is None or not is_perpetual(self.instruments):
            return False
        funding = funding_of(report, view, book.quote_asset)
        if not funding:
            return False
        reason = f"{FUNDING_REASON}, as the exchange's balance shows"
        self._keeper.write([CashRecord(book.quote_asset, funding, reason)], essential=True)
        return True

    async def _end_living(self, report: ReconcileReport) -> ReconcileReport:
        """Cancel our own orders that rest at the exchange although they have ended here.

        A request that came later than any should; whoever wanted it has long made another one.
        """
        for found in report.differences:
            if found.kind is not DifferenceKind.LIVING_ORDER:
                continue
            note = NoteRecord("order.living", f"{found.words}: cancelled", {"id": found.subject})
            self._keeper.write([note], essential=True)
            await self._cancel_foreign(found)
            await self._reader.sweep([found.symbol], skip=self._sending)
        return await self._compare()

    async def _cancel_foreign(self, found: Difference) -> None:
        try:
            await self._exchange.cancel(found.symbol, found.subject)
        except (VenueRejected, OrderStateUnknown):
            # Ended in the meantime, or the answer is lost: the next comparison says.
            return

    async def _settled(
        self, topic: str, who_did: str, chosen: Sequence[Difference], reason: str
    ) -> ReconcileReport:
        subjects = [found.subject for found in chosen]
        message = f"{who_did} {', '.join(subjects)}: {reason}"
        note = NoteRecord(topic, message, {"subjects": subjects, "reason": reason})
        self._keeper.write([note], essential=True)
        return await self.reconcile()

    def _symbols(self) -> list[str]:
        orders = self._keeper.book.orders.values()
        return sorted({order.request.symbol for order in orders})
