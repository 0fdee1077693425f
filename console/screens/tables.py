"""A screen of several tables: keys act on the one that has the focus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from textual.events import Resize

from console.format import age
from console.row_order import RowOrder
from console.screens.frame import FrameScreen
from console.snapshot import Snapshot
from console.widgets.live_table import LiveTable, Row

ACCOUNT_FRESH_MS = 10_000
T = TypeVar("T")


class TablesScreen(FrameScreen):
    """Rows are moved through with the same keys in every table; tab goes to the next.

    Attributes
    ----------
    HOLDS : what the tables hold that are sorted, by their ids
    MARKABLE : ids of the tables whose rows may be marked
    """

    HOLDS: ClassVar[Mapping[str, str]] = {}
    MARKABLE: ClassVar[tuple[str, ...]] = ()

    DEFAULT_CSS = """
    TablesScreen LiveTable {
        border: solid $border; border-title-color: $foreground; border-subtitle-color: $muted;
    }
    TablesScreen LiveTable:focus { border: solid $primary; }
    TablesScreen LiveTable.-stale { border-subtitle-color: $warning; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.row_orders: dict[str, RowOrder[Any]] = {}
        self._marked: dict[str, list[str]] = {}

    @property
    def table(self) -> LiveTable:
        """Return the table that has the focus, else the first."""
        focused = self.focused
        return focused if isinstance(focused, LiveTable) else self.query(LiveTable).first()

    def on_mount(self) -> None:
        """Show the columns there is room for."""
        self.fit_tables(self.size.width)
        self.focus_body()

    def on_resize(self, event: Resize) -> None:
        """Show the columns there is room for."""
        if self.is_ready:
            self.fit_tables(event.size.width)

    def list_rows(
        self,
        table_id: str,
        rows: Iterable[T],
        key_of: Callable[[T], str],
        cells_of: Callable[[T], Row],
    ) -> None:
        """Show rows in the table's order; what is gone is not marked any more."""
        table = self.query_one(f"#{table_id}", LiveTable)
        order = self.row_orders.get(table_id)
        listed = {key_of(row): row for row in (rows if order is None else order.applied(rows))}
        table.show_rows(tuple(listed), lambda key: cells_of(listed[key]))
        self._mark(table, [key for key in self._marked.get(table_id, ()) if key in listed])

    def row_order(self) -> RowOrder[Any] | None:
        """Return the order of the table that has the focus, None where rows keep their places."""
        return self.row_orders.get(self.table.id or "")

    def order_words(self) -> list[str]:
        """Return how tables are sorted whose rows do not stand as they come."""
        return [
            f"{self.HOLDS[table_id]} {order.words}"
            for table_id, order in self.row_orders.items()
            if not order.is_usual
        ]

    def marked_words(self) -> list[str]:
        """Return how many rows are marked, of which table."""
        return [
            f"marked {len(keys)} {self.HOLDS[table_id]}"
            for table_id, keys in self._marked.items()
            if keys
        ]

    def chosen_keys(self) -> list[str]:
        """Return the marked rows of the table that has the focus, else the one under the cursor."""
        marked = self._marked.get(self.table.id or "", [])
        under = self.table.selected_key
        return list(marked) or ([] if under is None else [under])

    def unmark(self) -> None:
        """Take every mark away."""
        for table in self.query(LiveTable):
            self._mark(table, [])
        self.refresh_frame()

    def fit_tables(self, width: int) -> None:
        """Show the columns there is room for in every table."""
        for table in self.query(LiveTable):
            table.fit_columns(width)

    def focus_body(self) -> None:
        """Give the keys to the table that had them."""
        self.set_focus(self.table)

    def action_row_next(self) -> None:
        """Move one row down."""
        self.table.action_cursor_down()

    def action_row_previous(self) -> None:
        """Move one row up."""
        self.table.action_cursor_up()

    def action_sort_next(self) -> None:
        """Sort the table that has the focus by its next column."""
        self._reorder(RowOrder.next)

    def action_sort_reverse(self) -> None:
        """Turn the order of the table that has the focus round."""
        self._reorder(RowOrder.reverse)

    def action_mark(self) -> None:
        """Mark the row under the cursor, or take its mark away, and go on to the next."""
        table, key = self.table, self.table.selected_key
        if table.id not in self.MARKABLE:
            words = " and ".join(self.HOLDS[table_id] for table_id in self.MARKABLE)
            self.console.say(f"{{mark}} marks {words}: tab goes there", "warn")
        elif key is not None:
            marked = self._marked.get(table.id, [])
            kept = [other for other in marked if other != key]
            self._mark(table, kept if key in marked else [*marked, key])
            table.action_cursor_down()
            self.refresh_frame()

    def action_top(self) -> None:
        """Move to the first row."""
        self.table.action_first()

    def action_bottom(self) -> None:
        """Move to the last row."""
        self.table.action_last()

    def _reorder(self, change: Callable[[RowOrder[Any]], None]) -> None:
        order = self.row_order()
        if order is None:
            self.console.say("the rows of this table keep their places", "warn")
        else:
            change(order)
            self.refresh_all()

    def _mark(self, table: LiveTable, keys: list[str]) -> None:
        self._marked[table.id or ""] = keys
        table.show_marks(keys)


def account_age(snapshot: Snapshot, now_at: int) -> tuple[str, bool]:
    """Return the age of what the shown account's gateway told last, and whether it is old."""
    row = snapshot.account_row
    if row is None:
        return "its gateway has told nothing yet", False
    is_old = now_at - row.updated_at > ACCOUNT_FRESH_MS
    told = f"{age(row.updated_at, now_at)} old"
    return (f"▲ {told}" if is_old else told), is_old
