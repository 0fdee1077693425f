"""The venue's books: orders, fills, and the account they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from engine.trade.exchange import Fill
from engine.trade.instrument import Instrument
from engine.trade.orders import OrderState
from engine.trade.simulated.accounts import SpotAccount
from engine.trade.simulated.book_order import BookOrder, NewOrder, VenueEvent
from engine.trade.simulated.perp_account import PerpAccount


class OrderBook:
    """Every order and fill of one account; each change is one method.

    Attributes
    ----------
    orders : every order by client id, until it is forgotten
    open : those that may still fill, by symbol and number, oldest first
    trades : every fill by symbol, oldest first
    n_orders, n_trades : numbers given so far
    archive : finds an order that was forgotten by its client id, None when none ever is
    """

    def __init__(
        self, instruments: Mapping[str, Instrument], account: SpotAccount | PerpAccount
    ) -> None:
        self.account = account
        self.orders: dict[str, BookOrder] = {}
        self.open: dict[str, dict[int, BookOrder]] = {symbol: {} for symbol in instruments}
        self.trades: dict[str, list[Fill]] = {symbol: [] for symbol in instruments}
        self.n_orders = 0
        self.n_trades = 0
        self.archive: Callable[[str], BookOrder | None] | None = None

    def find(self, client_id: str) -> BookOrder | None:
        """Return an order by its client id, None when there never was one."""
        order = self.orders.get(client_id)
        if order is None and self.archive is not None:
            return self.archive(client_id)
        return order

    def add(self, new: NewOrder, at: int) -> BookOrder:
        """Accept an order and hold back what it needs."""
        self.n_orders += 1
        order = BookOrder(new, self.n_orders, at, at)
        self.orders[new.client_id] = order
        self.open[new.symbol][order.number] = order
        self.account.lock(order)
        return order

    def fill(self, order: BookOrder, qty_base: Decimal, price: Decimal, at: int) -> VenueEvent:
        """Execute a part of an order, or all of it."""
        new = order.new
        charge = self.account.fill(order, qty_base, price)
        self.n_trades += 1
        fill = Fill(
            id=str(self.n_trades),
            client_id=new.client_id,
            symbol=new.symbol,
            side=new.side,
            qty_base=qty_base,
            price=price,
            fee=charge.amount,
            fee_asset=charge.asset,
            at=at,
        )
        self.trades[new.symbol].append(fill)
        order.fills.append(fill)
        order.filled_base += qty_base
        order.filled_quote += qty_base * price
        order.updated_at = at
        is_whole = new.qty_base is not None and order.filled_base >= new.qty_base
        order.state = OrderState.FILLED if is_whole else OrderState.PARTIAL
        self._settle(order)
        return VenueEvent(order.told(), fill)

    def end(self, order: BookOrder, state: OrderState, reason: str, at: int) -> VenueEvent:
        """Close an order for good."""
        order.state = state
        order.reason = reason
        order.updated_at = at
        self._settle(order)
        return VenueEvent(order.told())

    def forget_ended(self, orders: Iterable[BookOrder]) -> None:
        """Drop fills, and those of the orders that have ended; the archive keeps them."""
        for order in orders:
            if not order.is_open:
                self.orders.pop(order.new.client_id, None)
        for fills in self.trades.values():
            fills.clear()

    def _settle(self, order: BookOrder) -> None:
        self.account.release(order)
        if not order.is_open:
            self.open[order.new.symbol].pop(order.number, None)
