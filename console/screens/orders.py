"""Screen 5: positions, open orders, fills of one account."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from console.bindings import Place, bindings_of
from console.poller import Watch
from console.row_order import RowOrder
from console.screens.orders_text import (
    FILL_COLUMNS,
    FILL_KEYS,
    ORDER_COLUMNS,
    ORDER_KEYS,
    POSITION_COLUMNS,
    POSITION_KEYS,
    fill_cells,
    fill_key,
    fills_title,
    order_cells,
    orders_title,
    position_cells,
    position_key,
    positions_title,
)
from console.screens.tables import TablesScreen, account_age
from console.snapshot import Snapshot
from console.trading_view import TradingView, TradingWatch
from console.widgets.live_table import LiveTable
from console.widgets.titles import entitle

POSITIONS, ORDERS, FILLS = "positions", "orders", "fills"
_NOTHING_HELD = (
    "No position. Strategies on paper open them: {go.strategies} lists all, "
    "{strategies.strategy.promote} there promotes one."
)
_NOTHING_OPEN = "No open order."
_NOTHING_FILLED = "No fill yet in this account."


class OrdersScreen(TablesScreen):
    """What is held, what is asked for, what was filled, and at which price against the model."""

    PLACE = Place.ORDERS
    NAME = "Orders"
    AUTO_FOCUS = f"#{POSITIONS}"
    BINDINGS = bindings_of(Place.ORDERS, "screen")
    HOLDS: ClassVar = {POSITIONS: "positions", ORDERS: "open orders", FILLS: "fills"}
    MARKABLE = (ORDERS,)

    DEFAULT_CSS = """
    OrdersScreen #positions { height: 2fr; }
    OrdersScreen #orders { height: 2fr; }
    OrdersScreen #fills { height: 2fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.row_orders = {
            POSITIONS: RowOrder(POSITION_KEYS),
            ORDERS: RowOrder(ORDER_KEYS),
            FILLS: RowOrder(FILL_KEYS),
        }

    def body(self) -> ComposeResult:
        """Yield the three tables."""
        yield LiveTable(POSITION_COLUMNS, POSITIONS)
        yield LiveTable(ORDER_COLUMNS, ORDERS)
        yield LiveTable(FILL_COLUMNS, FILLS)

    def crumbs(self) -> str:
        """Return how much of the account is open, what is marked, and how tables are sorted."""
        view = self._view()
        name = self.console.account
        if view is None:
            return f"orders  account {name}"
        words = f"orders  open {view.n_orders:,}  positions {view.n_positions:,}  account {name}"
        return " · ".join([words, *self.marked_words(), *self.order_words()])

    def watch_for(self) -> Watch:
        """Return the fills too."""
        return Watch(trading=TradingWatch(fills=True))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """List what the account holds and asks for, under its age."""
        view = snapshot.trading
        if view is None:
            self._show_nothing(snapshot)
            return
        colours = self.app.theme_variables
        account_at = view.account_at(now_at)
        config = self.console.session.config
        model_frac = config.backtest.slippage_frac
        positions = self._table(POSITIONS, positions_title(view), _NOTHING_HELD)
        self.list_rows(
            POSITIONS,
            view.positions,
            position_key,
            lambda row: position_cells(row, now_at, colours),
        )
        orders = self._table(ORDERS, orders_title(view), _NOTHING_OPEN)
        self.list_rows(
            ORDERS,
            view.orders,
            lambda order: order.client_id,
            lambda order: order_cells(order, account_at, colours),
        )
        fills = self._table(
            FILLS,
            fills_title(view, model_frac, account_at, config.console.rows_max),
            _NOTHING_FILLED if view.watch.fills else "reading…",
        )
        self.list_rows(
            FILLS, view.fills, fill_key, lambda row: fill_cells(row, model_frac, colours)
        )
        told, is_old = account_age(snapshot, now_at)
        for table in (positions, orders, fills):
            entitle(table, foot=told)
            table.set_class(is_old, "-stale")

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Show the history of the order under the cursor, or of the one that filled."""
        event.stop()
        client_id = self._order_id()
        if client_id is None:
            self.console.say("tab goes to the orders: their history is what enter shows", "warn")
        else:
            self.console.open_order(client_id)

    def action_order_cancel(self) -> None:
        """Cancel the marked orders, else the one under the cursor, after a yes."""
        if not self.console.is_allowed("order.cancel"):
            return
        if self.table.id != ORDERS:
            self.console.say(
                "tab goes to the open orders: {order.cancel} cancels the one chosen there", "warn"
            )
        elif client_ids := self.chosen_keys():
            self.console.desk.cancel_orders(client_ids, self.unmark)

    def action_symbol_flatten(self) -> None:
        """Close the position under the cursor, after its symbol is typed."""
        if not self.console.is_allowed("symbol.flatten"):
            return
        key = self.query_one(f"#{POSITIONS}", LiveTable).selected_key
        if key is not None:
            self.console.desk.flatten_symbol(key.partition("\n")[0])

    def action_id_copy(self) -> None:
        """Copy the id of the order under the cursor, or of the position's strategy."""
        key = self.table.selected_key
        if key is not None and self.table.id == POSITIONS:
            key = key.partition("\n")[2]
        self.console.copy_id(self._order_id() if self.table.id == FILLS else key)

    def _order_id(self) -> str | None:
        key, view = self.table.selected_key, self._view()
        if key is None or view is None or self.table.id == POSITIONS:
            return None
        if self.table.id == ORDERS:
            return key
        return next((row.fill.client_id for row in view.fills if fill_key(row) == key), None)

    def _table(self, table_id: str, title: str, empty_words: str) -> LiveTable:
        table = self.query_one(f"#{table_id}", LiveTable)
        entitle(table, title=title)
        table.say_when_empty(empty_words)
        return table

    def _show_nothing(self, snapshot: Snapshot) -> None:
        words = (
            snapshot.problem
            or "Nothing has traded in this home yet: {runtime.start} starts the runtime."
        )
        for table_id, title in ((POSITIONS, "Positions"), (ORDERS, "Orders"), (FILLS, "Fills")):
            self._table(table_id, title, words)

    def _view(self) -> TradingView | None:
        snapshot = self.console.snapshot
        return None if snapshot is None else snapshot.trading
