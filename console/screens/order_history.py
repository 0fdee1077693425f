"""Screen 5.1: one order: what was asked, what became of it, what else was asked on its symbol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from console.bindings import Place, bindings_of
from console.format import clipped, clock_time, instant, number, short_id
from console.money import basis_points, price, qty, quote
from console.poller import Watch
from console.screens.orders_text import ORDER_COLUMNS, order_cells, order_name, slippage_frac
from console.screens.tables import TablesScreen, account_age
from console.snapshot import Snapshot
from console.states import state_style
from console.trading_view import OrderHistory, TradingWatch
from console.widgets.live_table import LiveTable
from console.widgets.panel import Panel
from console.widgets.titles import entitle

if TYPE_CHECKING:
    from engine.trade.orders import Order


class OrderScreen(TablesScreen):
    """One order.

    Parameters
    ----------
    client_id : str
    """

    PLACE = Place.ORDER
    NAME = "Orders"
    AUTO_FOCUS = "#others"
    BINDINGS = bindings_of(Place.ORDER, "screen")

    DEFAULT_CSS = """
    OrderScreen #upper { height: 14; }
    OrderScreen #asked { width: 50%; height: 1fr; }
    OrderScreen #became { width: 50%; height: 1fr; }
    OrderScreen #others { height: 1fr; }
    """

    def __init__(self, client_id: str) -> None:
        super().__init__()
        self.client_id = client_id

    def body(self) -> ComposeResult:
        """Yield the order, its fate, and the other orders of its symbol."""
        with Horizontal(id="upper"):
            yield Panel("Order", "asked", wraps=False)
            yield Panel("What became of it", "became")
        yield LiveTable(ORDER_COLUMNS, "others")

    def crumbs(self) -> str:
        """Return the order's place."""
        return f"orders › {order_name(self.client_id)}  account {self.console.account}"

    def watch_for(self) -> Watch:
        """Return the order."""
        return Watch(trading=TradingWatch(order_id=self.client_id))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """Show the order, once it has been read."""
        history = self._history()
        asked = self.query_one("#asked", Panel)
        view = snapshot.trading
        if history is None or view is None:
            asked.show(Content(snapshot.problem or "reading…"))
            return
        if history.order is None:
            asked.show(Content("The store has not heard of this order; the journal may have."))
            return
        told, is_old = account_age(snapshot, now_at)
        asked.show(asked_content(history.order), stale=told if is_old else "")
        self.query_one("#became", Panel).show(became_content(history))
        others = {order.client_id: order for order in history.others}
        table = self.query_one("#others", LiveTable)
        symbol = history.order.request.symbol
        entitle(table, title=f"Orders on {symbol}, newest first", foot=told)
        account_at = view.account_at(now_at)
        colours = self.app.theme_variables
        table.show_rows(tuple(others), lambda key: order_cells(others[key], account_at, colours))

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Show the order under the cursor instead."""
        event.stop()
        if event.key != self.client_id:
            self.console.open_order(event.key)

    def action_order_cancel(self) -> None:
        """Cancel this order, after a yes."""
        history = self._history()
        if history is None or history.order is None or history.order.state.is_final:
            self.console.say("cancel: the order has ended already", "warn")
        else:
            self.console.desk.cancel_orders([self.client_id])

    def action_id_copy(self) -> None:
        """Copy the whole id."""
        self.console.copy_id(self.client_id)

    def _history(self) -> OrderHistory | None:
        snapshot = self.console.snapshot
        view = None if snapshot is None else snapshot.trading
        history = None if view is None else view.history
        return history if history is not None and history.client_id == self.client_id else None


def asked_content(order: Order) -> Content:
    """Return what was asked for."""
    request = order.request
    size = (
        f"{qty(request.qty_base)} {request.symbol.partition('/')[0]}"
        if request.qty_base is not None
        else f"for {quote(request.notional_quote)} {_unit(order)}"
    )
    level = request.price or request.stop_price
    rows = (
        ("id", order.client_id),
        ("venue id", order.venue_id or "–"),
        ("strategy", short_id(request.strategy_id)),
        ("what", f"{request.side} {size}, {request.type}"),
        ("for", f"{request.purpose}{', reduce-only' if request.reduce_only else ''}"),
        ("at", f"{price(level)} {_unit(order)}" if level is not None else "the market"),
        ("decided at", f"{price(request.reference_price)} {_unit(order)}"),
        ("bar", instant(request.bar_at)),
        ("made", f"{instant(request.created_at)} {clock_time(request.created_at)}"),
    )
    return Content("\n").join(
        Content.assemble((f"{name:<11}", "$muted"), value) for name, value in rows
    )


def became_content(history: OrderHistory) -> Content:
    """Return the order's state, its fills and what was told of it."""
    order = history.order
    if order is None:
        return Content("")
    style = state_style(order.state.value)
    lines = [
        Content.assemble(
            (f"{style.glyph} {order.state.value}", f"${style.colour}"),
            f" since {clock_time(order.updated_at)}",
        )
    ]
    if order.reason:
        lines.append(Content(order.reason))
    if order.average_price is not None:
        slip = slippage_frac(history.fills)
        lines.append(
            Content(
                f"filled {qty(order.filled_base)} at {price(order.average_price)} {_unit(order)}, "
                f"slippage {basis_points(slip)}"
            )
        )
    for row in history.fills:
        fill = row.fill
        lines.append(
            Content.assemble(
                (clock_time(fill.at), "$muted"),
                f" {qty(fill.qty_base)} @ {price(fill.price)}"
                f"  fee {number(float(fill.fee), 4)} {fill.fee_asset}",
            )
        )
    for event in reversed(history.events):
        lines.append(
            Content.assemble((clock_time(event.at), "$muted"), f" {clipped(event.message, 300)}")
        )
    return Content("\n").join(lines)


def _unit(order: Order) -> str:
    return order.request.symbol.partition("/")[2]
