"""Journal and book together: nothing is believed that was not written down first.

One writer by construction: between two awaits nothing else runs, and writing never awaits. A lock
over the wire would do more harm: a stop would wait for the lost answer of an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from engine.clock import Clock
from engine.errors import StoreError
from engine.trade.account_book import AccountBook
from engine.trade.adoption import ADOPTED, attributed, held_of
from engine.trade.exchange import Fill, VenueOrder
from engine.trade.flat_ids import is_flat_id
from engine.trade.instrument import ZERO
from engine.trade.journal import Journal
from engine.trade.netting import crossings
from engine.trade.orders import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from engine.trade.positions import EXACT, quote_of, signed_base_of
from engine.trade.records import AdoptRecord, FillRecord, NoteRecord, OrderRecord, Record
from engine.trade.venue_word import changes_of, states_towards

FOREIGN_FILL = "fill.foreign"


@dataclass(frozen=True, slots=True)
class OrderNews:
    """One change of one order.

    Attributes
    ----------
    order : as it stands after the change
    fills : counted with this change, each told once
    """

    order: Order
    fills: tuple[Fill, ...] = ()


class Bookkeeper:
    """Write records down, then apply them to the book.

    Parameters
    ----------
    journal : open, owned by this object's owner
    book : empty; `load` fills it
    on_dead : called with the words once nothing at all can be written; must halt the account

    Attributes
    ----------
    on_news : called after each change of an order, in the order of the journal
    on_record : called with each record and its instant, from the journal's first on
    foreign_fills : fills in this account that are not of our orders, by (symbol, id)
    """

    def __init__(
        self, journal: Journal, book: AccountBook, clock: Clock, on_dead: Callable[[str], None]
    ) -> None:
        self.journal = journal
        self.book = book
        self.on_news: Callable[[OrderNews], None] | None = None
        self.on_record: Callable[[Record, int], None] | None = None
        self.foreign_fills: dict[tuple[str, str], Fill] = {}
        self._clock = clock
        self._on_dead = on_dead
        self._owed: list[Record] = []
        self._unsynced: list[Record] = []
        self._why_owed = ""
        self._noted: set[tuple[str, str]] = set()
        self._fills: dict[tuple[str, str], list[Fill]] = {}
        self._n_adopted = 0

    @property
    def n_owed(self) -> int:
        """Return how many records could not be written down yet."""
        return len(self._owed)

    def load(self) -> None:
        """Fold the journal into the book.

        Raises
        ------
        DataError, StoreError : the journal is damaged or cannot be read.
        """
        for line in self.journal.read():
            record = line.record
            self._apply(record, line.at)
            if isinstance(record, NoteRecord) and record.topic == FOREIGN_FILL:
                self._noted.add((str(record.fields["symbol"]), str(record.fields["fill_id"])))

    def write(self, records: Sequence[Record], *, essential: bool, synced: bool = True) -> None:
        """Write records with one fsync and apply them.

        Parameters
        ----------
        essential : exits, cancels and news: they spend the reserve of a full disk, and when nothing
            can be written they are kept in memory, for a journal must not hold up an exit
        synced : False leaves the fsync to `sync`, which must have returned nothing before anything
            is done that rests on these records

        Raises
        ------
        StoreError : not essential, and not written; nothing has changed.
        """
        if not records:
            return
        now_at, written = self._clock.now_at(), [*self._owed, *records]
        try:
            self.journal.append(written, now_at, essential=essential, synced=synced)
        except StoreError as exc:
            is_cut = self._take_back()
            if essential:
                self._owed.extend(records)
            if essential or is_cut:
                self._die(exc)
            if not essential:
                raise
        else:
            self._owed.clear()
            self._unsynced = [] if synced else [*self._unsynced, *written]
        for record in records:
            self._apply(record, now_at)

    def sync(self, *, essential: bool) -> str:
        """Have on the disk what was written; return why it is not, empty when it is.

        What cannot be is kept in memory, as if it had been essential.
        """
        if self._unsynced:
            try:
                self.journal.sync(essential=essential)
            except StoreError as exc:
                if self._take_back():
                    self._die(exc)
                return exc.message
            self._unsynced = []
        return self._why_owed if self._owed else ""

    def fills_of(self, strategy_id: str, symbol: str) -> Sequence[Fill]:
        """Return what changed a strategy's position, oldest first.

        What was adopted into it comes as a fill without a fee and of no order.
        """
        return tuple(self._fills.get((strategy_id, symbol), ()))

    def take(self, order: Order, seen: VenueOrder, fills: Iterable[Fill] = ()) -> OrderNews | None:
        """Believe the venue's word about an order; return the news, None when there is none."""
        new = self.new_fills(order, fills)
        records = [*self._fill_records(order, new), *changes_of(order, seen, new)]
        return self._change(order.client_id, records)

    def move(
        self, order: Order, state: OrderState, reason: str = "", *, essential: bool = True
    ) -> OrderNews | None:
        """Move an order to a state that the table allows, by way of SUBMITTED from INTENT."""
        if state is OrderState.REJECTED and order.state is OrderState.INTENT:
            states: tuple[OrderState, ...] = (state,)
        else:
            states = states_towards(order.state, state)
        records = [OrderRecord(order.client_id, step, "", reason) for step in states]
        return self._change(order.client_id, records, essential=essential)

    def count(self, fills: Iterable[Fill]) -> list[OrderNews]:
        """Count fills once each, whatever the state of their orders; others' are kept apart."""
        news: list[OrderNews] = []
        by_order: dict[str, list[Fill]] = {}
        foreign: list[Record] = []
        for fill in fills:
            if fill.client_id in self.book.orders:
                by_order.setdefault(fill.client_id, []).append(fill)
            elif self.book.has_fill(fill.symbol, fill.id):
                continue
            elif is_flat_id(fill.client_id):
                self._take_kill_switch(fill)
            elif (fill.symbol, fill.id) not in self.foreign_fills:
                self.foreign_fills[fill.symbol, fill.id] = fill
                if (fill.symbol, fill.id) not in self._noted:
                    foreign.append(_foreign_note(fill))
        for client_id, own in by_order.items():
            order = self.book.orders[client_id]
            told = self._change(client_id, self._fill_records(order, self.new_fills(order, own)))
            if told is not None:
                news.append(told)
        self.write(foreign, essential=True)
        return news

    def cross(self, symbol: str, price: Decimal) -> None:
        """Cross what strategies hold against each other on a perpetual, and tell them."""
        records = crossings(self.book, symbol, price)
        self.write(records, essential=True)
        for record in records:
            fill = self._fills[record.strategy_id, symbol][-1]
            self._tell_others(
                _crossing_request(fill, self.book.account), [FillRecord(fill, record.strategy_id)]
            )

    def new_fills(self, order: Order, fills: Iterable[Fill]) -> list[Fill]:
        """Return those of `fills` that are of this order and not counted yet, each once."""
        found: dict[str, Fill] = {}
        for fill in fills:
            is_own = fill.client_id == order.client_id and fill.symbol == order.request.symbol
            if is_own and not self.book.has_fill(fill.symbol, fill.id):
                found.setdefault(fill.id, fill)
        return list(found.values())

    def _take_back(self) -> bool:
        """Keep what a failed sync has cut out of the journal; False when it cut nothing."""
        if not self._unsynced or self.journal.n_unsynced:
            return False
        self._owed[:0] = self._unsynced
        self._unsynced = []
        return True

    def _die(self, error: StoreError) -> None:
        self._why_owed = error.message
        self._on_dead(error.message)

    def _apply(self, record: Record, at: int) -> None:
        if isinstance(record, FillRecord):
            if not self.book.has_fill(record.fill.symbol, record.fill.id):
                key = (record.strategy_id, record.fill.symbol)
                self._fills.setdefault(key, []).append(record.fill)
        elif isinstance(record, AdoptRecord):
            self._n_adopted += 1
            fill = _adopted_fill(record, self._n_adopted, at)
            self._fills.setdefault((record.strategy_id, record.symbol), []).append(fill)
        self.book.apply(record, at)
        if self.on_record is not None:
            self.on_record(record, at)

    def _change(
        self, client_id: str, records: Sequence[Record], *, essential: bool = True
    ) -> OrderNews | None:
        if not records:
            return None
        self.write(records, essential=essential)
        order = self.book.orders[client_id]
        fills = [record for record in records if isinstance(record, FillRecord)]
        for record in fills:
            self.foreign_fills.pop((record.fill.symbol, record.fill.id), None)
        owner = order.request.strategy_id
        news = OrderNews(order, tuple(r.fill for r in fills if r.strategy_id == owner))
        self._tell(news)
        self._tell_others(order.request, [r for r in fills if r.strategy_id != owner])
        return news

    def _fill_records(self, order: Order, fills: Sequence[Fill]) -> list[Record]:
        """Return fills of an order as records; one that only reduces never opens a position."""
        request = order.request
        if not request.reduce_only:
            return [FillRecord(fill, request.strategy_id) for fill in fills]
        records: list[Record] = []
        held = held_of(self.book, request.symbol)
        for fill in fills:
            for record in attributed(fill, held, request.strategy_id):
                records.append(record)
                base = held.get(record.strategy_id, ZERO)
                held[record.strategy_id] = EXACT.add(base, signed_base_of(record.fill))
        return records

    def _take_kill_switch(self, fill: Fill) -> None:
        records = attributed(fill, held_of(self.book, fill.symbol))
        self.write([*_kill_switch_note(fill), *records], essential=True)
        self._tell_others(_kill_switch_request(fill, self.book.account), records)

    def _tell_others(self, request: OrderRequest, records: Sequence[FillRecord]) -> None:
        """Tell strategies of fills of orders that were not theirs, as orders made for them."""
        purpose = Purpose.FLATTEN if request.purpose is Purpose.FLATTEN else Purpose.RISK
        for record in records:
            fill = record.fill
            made = replace(
                request,
                client_id=f"{request.client_id}/{fill.id}",
                strategy_id=record.strategy_id,
                purpose=purpose,
                type=OrderType.MARKET,
                qty_base=fill.qty_base,
                notional_quote=None,
                stop_price=None,
                price=None,
            )
            order = Order(made, OrderState.FILLED, updated_at=self._clock.now_at())
            order = order.filled(fill.qty_base, fill.price, order.updated_at)
            self._tell(OrderNews(order, (fill,)))

    def _tell(self, news: OrderNews) -> None:
        if self.on_news is not None:
            self.on_news(news)


def _kill_switch_note(fill: Fill) -> list[Record]:
    message = f"the kill switch sent {fill.side} {fill.qty_base} {fill.symbol} at {fill.price}"
    fields = {"symbol": fill.symbol, "fill_id": fill.id, "client_id": fill.client_id}
    return [NoteRecord("fill.kill_switch", message, fields)]


def _kill_switch_request(fill: Fill, account: str) -> OrderRequest:
    return OrderRequest(
        client_id=fill.client_id,
        account=account,
        strategy_id=ADOPTED,
        symbol=fill.symbol,
        side=fill.side,
        type=OrderType.MARKET,
        purpose=Purpose.FLATTEN,
        qty_base=fill.qty_base,
        reduce_only=True,
        bar_at=fill.at,
        created_at=fill.at,
        reference_price=fill.price,
    )


def _crossing_request(fill: Fill, account: str) -> OrderRequest:
    return replace(_kill_switch_request(fill, account), client_id="cross", purpose=Purpose.RISK)


def _adopted_fill(record: AdoptRecord, number: int, at: int) -> Fill:
    return Fill(
        id=f"adopted-{number}",
        client_id="",
        symbol=record.symbol,
        side=Side.BUY if record.signed_base > 0 else Side.SELL,
        qty_base=abs(record.signed_base),
        price=record.price,
        fee=ZERO,
        fee_asset=quote_of(record.symbol),
        at=at,
    )


def _foreign_note(fill: Fill) -> NoteRecord:
    message = (
        f"a fill that is not of Paddock's orders: {fill.side} {fill.qty_base} {fill.symbol}"
        f" at {fill.price}"
    )
    fields = {"symbol": fill.symbol, "fill_id": fill.id, "client_id": fill.client_id}
    return NoteRecord(FOREIGN_FILL, message, fields)
