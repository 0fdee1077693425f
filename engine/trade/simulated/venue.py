"""A simulated venue in time: an engine on a price feed, every change on the disk before it is told.

Owns: the engine's state and its file. Survives a crash: everything that was ever answered. Prices
are walked again from where they were last saved, which gives the same fills, because nothing
between was told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from engine.trade.exchange import Fill
from engine.trade.instrument import Instrument
from engine.trade.simulated.book_order import BookOrder, NewOrder, VenueEvent
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.perp_account import PerpAccount
from engine.trade.simulated.price_feed import PriceFeed
from engine.trade.simulated.refusals import Refusal, refused
from engine.trade.simulated.snapshot import restore_order, restore_state, state_text
from engine.trade.simulated.symbol_market import Phase
from engine.trade.simulated.venue_store import VenueStore
from engine.trade.simulated.venue_time import VenueTime

ENGINE_STATE = "engine"
CLOCK_STATE = "clock"
RESERVE_S = 5.0
"""Real seconds that the clock is reserved ahead on the disk."""

_LEVERAGE_MAX = 125


class Venue:
    """One venue with one account.

    Parameters
    ----------
    engine : MatchingEngine, fresh; what the store holds is put back into it
    feed : PriceFeed
    time : VenueTime, starting at the mark the store holds, if it holds one
    store : VenueStore

    Attributes
    ----------
    engine, feed, time, store : as given
    on_saved : told every event of an order once it is on the disk, oldest first
    """

    def __init__(
        self, engine: MatchingEngine, feed: PriceFeed, time: VenueTime, store: VenueStore
    ) -> None:
        self.engine = engine
        self.feed = feed
        self.time = time
        self.store = store
        self._walked_to_at = time.now_at()
        self._reserved_at = 0
        self._changed: dict[int, BookOrder] = {}
        self._filled: list[tuple[int, Fill]] = []
        self._unsaid: list[tuple[BookOrder, VenueEvent]] = []
        self.on_saved: Callable[[Sequence[tuple[BookOrder, VenueEvent]]], None] | None = None
        engine.book.archive = store.order
        self._restore()

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Return what is listed."""
        return self.engine.instruments

    def now_at(self) -> int:
        """Return the venue's clock, UTC ms."""
        return self.time.now_at()

    def catch_up(self) -> None:
        """Walk the prices up to now, and save what that made of orders.

        Raises
        ------
        StoreError : it cannot be written; the process must end without another answer.
        """
        now_at = self.now_at()
        for step in self.feed.steps(self._walked_to_at, now_at):
            if step.symbol not in self.engine.markets:
                continue
            if step.bid is not None and step.ask is not None:
                self._note(self.engine.on_quote(step.symbol, step.bid, step.ask, step.at))
            if step.is_jump or self.engine.markets[step.symbol].phase is Phase.SILENT:
                self._note(self.engine.on_trade(step.symbol, step.price, step.at))
            else:
                self._note(self.engine.on_move(step.symbol, step.price, step.at))
        self._walked_to_at = max(self._walked_to_at, now_at)
        if self._changed or self._reserved_at - now_at < RESERVE_S / 2 * 1000 * self.time.speed:
            self._save()

    def place(self, new: NewOrder) -> BookOrder:
        """Take an order, fill what can be filled now, save it, and return it.

        Raises
        ------
        VenueRejected : refused; its field `refusal` says why.
        StoreError : it cannot be written; the process must end without another answer.
        """
        self.catch_up()
        market = self.engine.markets.get(new.symbol)
        if market is not None and market.phase is Phase.SILENT:
            raise refused(Refusal.NO_PRICE, f"{new.symbol} has no price yet")
        if self.store.is_short_of_space and not new.reduce_only:
            raise refused(
                Refusal.PLANNED, "the simulated exchange's disk is full: it takes exits only"
            )
        self._note(self.engine.place(new, self.now_at()))
        order = self.engine.book.orders[new.client_id]
        self._note(self.engine.settle(new.symbol))
        self._save()
        return order

    def cancel(self, symbol: str, client_ids: Iterable[str]) -> list[BookOrder]:
        """Cancel orders that rest, save that, and return them.

        Raises
        ------
        VenueRejected : one of them does not rest.
        StoreError : as `place`.
        """
        self.catch_up()
        cancelled = []
        for client_id in client_ids:
            order = self.engine.book.orders.get(client_id)
            if order is None or not order.is_open or order.new.symbol != symbol:
                raise refused(Refusal.UNKNOWN_ORDER, f"{symbol}: {client_id} does not rest")
            self._note(self.engine.cancel(symbol, client_id, self.now_at()))
            cancelled.append(order)
        self._save()
        return cancelled

    def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set notional / margin of a perpetual.

        Raises
        ------
        VenueRejected : out of range, or not a perpetual.
        """
        account = self.engine.account
        if not isinstance(account, PerpAccount) or not 1 <= leverage <= _LEVERAGE_MAX:
            raise refused(Refusal.LEVERAGE, f"{symbol}: leverage {leverage} is not allowed")
        account.leverage[symbol] = Decimal(leverage)
        self._save()

    def find(self, symbol: str, *, client_id: str = "", number: int = 0) -> BookOrder | None:
        """Return an order by either of its ids."""
        found = None
        if client_id:
            found = self.engine.book.find(client_id)
        elif number:
            live = self.engine.book.open.get(symbol, {}).get(number)
            found = live or self.store.order_numbered(number)
        return found if found is not None and found.new.symbol == symbol else None

    def close(self) -> None:
        """Save where the clock stands and let go of the file."""
        self.catch_up()
        self._save(is_last=True)
        self.store.close()

    def _restore(self) -> None:
        text = self.store.state(ENGINE_STATE)
        if text is not None:
            restore_state(self.engine, text)
            for order in self.store.open_orders():
                restore_order(self.engine, order)
            walked = self.store.state("walked")
            if walked is not None:
                self._walked_to_at = int(walked)
        else:
            self._walked_to_at -= 1
        self.catch_up()
        self._save()

    def _note(self, events: Iterable[VenueEvent]) -> None:
        for event in events:
            order = self.engine.book.orders[event.order.client_id]
            self._changed[order.number] = order
            self._unsaid.append((order, event))
            if event.fill is not None:
                self._filled.append((order.number, event.fill))

    def _save(self, *, is_last: bool = False) -> None:
        now_at = self.now_at()
        ahead_ms = 0 if is_last else int(RESERVE_S * 1000 * self.time.speed)
        self._reserved_at = now_at + ahead_ms
        self.store.save(
            self._changed.values(),
            self._filled,
            (
                (ENGINE_STATE, state_text(self.engine)),
                (CLOCK_STATE, str(self._reserved_at)),
                ("walked", str(self._walked_to_at)),
            ),
        )
        self.engine.book.forget_ended(self._changed.values())
        self._changed.clear()
        self._filled.clear()
        said, self._unsaid = self._unsaid, []
        if said and self.on_saved is not None:
            self.on_saved(said)
