"""A screen of several tables: keys act on the one that has the focus."""

from __future__ import annotations

from textual.events import Resize

from console.format import age
from console.screens.frame import FrameScreen
from console.snapshot import Snapshot
from console.widgets.live_table import LiveTable

ACCOUNT_FRESH_MS = 10_000


class TablesScreen(FrameScreen):
    """Rows are moved through with the same keys in every table; tab goes to the next."""

    DEFAULT_CSS = """
    TablesScreen LiveTable {
        border: solid $border; border-title-color: $foreground; border-subtitle-color: $muted;
    }
    TablesScreen LiveTable:focus { border: solid $primary; }
    TablesScreen LiveTable.-stale { border-subtitle-color: $warning; }
    """

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

    def action_top(self) -> None:
        """Move to the first row."""
        self.table.action_first()

    def action_bottom(self) -> None:
        """Move to the last row."""
        self.table.action_last()


def account_age(snapshot: Snapshot, now_at: int) -> tuple[str, bool]:
    """Return the age of what the shown account's gateway told last, and whether it is old."""
    row = snapshot.account_row
    if row is None:
        return "its gateway has told nothing yet", False
    is_old = now_at - row.updated_at > ACCOUNT_FRESH_MS
    told = f"{age(row.updated_at, now_at)} old"
    return (f"▲ {told}" if is_old else told), is_old
