"""Which limit to change, and to what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from console.limit_change import LimitRow, Number, lets_more_pass, limit_text, read_limit
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row

_COLUMNS = (
    LiveColumn("limit", "limit", 24),
    LiveColumn("file", "file", 8, is_number=True),
    LiveColumn("force", "in force", 9, is_number=True),
    LiveColumn("words", "what", 24, takes_rest=True),
)

Wish = tuple[LimitRow, Number]


class LimitScreen(ModalScreen[Wish | None]):
    """Choose a limit with enter, type its new value, enter again; nothing is changed yet.

    Parameters
    ----------
    rows : limits that can be changed
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "no", show=False),
        Binding("j", "row(1)", show=False),
        Binding("k", "row(-1)", show=False),
    ]
    DEFAULT_CSS = """
    LimitScreen { align: center middle; background: $background 60%; }
    LimitScreen > Vertical {
        width: 92; max-width: 98%; height: 24; max-height: 96%; border: heavy $warning;
        background: $surface; padding: 0 1; border-title-style: bold;
    }
    LimitScreen LiveTable { height: 1fr; }
    LimitScreen Label, LimitScreen Static { height: auto; width: 100%; }
    LimitScreen #typed { color: $warning; height: 1; }
    LimitScreen Input { height: 1; border: none; padding: 0 1; background: $panel; }
    LimitScreen Input:focus { border: none; background: $primary 20%; }
    """

    def __init__(self, rows: Sequence[LimitRow]) -> None:
        super().__init__()
        self._rows = {row.key: row for row in rows}

    def compose(self) -> ComposeResult:
        """Yield the limits and the new value."""
        with Vertical() as box:
            box.border_title = "Edit a limit of the configuration"
            box.border_subtitle = "enter chooses · esc changes nothing"
            yield LiveTable(_COLUMNS, "limits")
            yield Label("", id="what", markup=False)
            field = Input(id="value", select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield Static("", id="typed", markup=False)

    def on_mount(self) -> None:
        """List the limits."""
        table = self.query_one("#limits", LiveTable)
        table.fit_columns(self.app.size.width)
        colours = self.app.theme_variables
        table.show_rows(tuple(self._rows), lambda key: limit_cells(self._rows[key], colours))
        table.focus()
        self._tell()

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Say what the limit under the cursor is."""
        event.stop()
        self._tell()

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Let its new value be typed."""
        event.stop()
        self.query_one("#value", Input).focus()
        self._tell()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what the new value would do."""
        event.stop()
        self._tell()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on with a value that differs."""
        event.stop()
        row = self._chosen()
        value = None if row is None else read_limit(row, event.value)
        if row is None or value is None or not is_change(row, value):
            self._tell()
        else:
            self.dismiss((row, value))

    def action_row(self, step: int) -> None:
        """Move in the list."""
        table = self.query_one("#limits", LiveTable)
        table.move_cursor(table.cursor_row + step)

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss(None)

    def _chosen(self) -> LimitRow | None:
        return self._rows.get(self.query_one("#limits", LiveTable).selected_key or "")

    def _tell(self) -> None:
        row = self._chosen()
        if row is None:
            return
        what = f"New {row.key} ({row.unit}), now {limit_text(row.in_file, row.unit)}:"
        self.query_one("#what", Label).update(what)
        words = typed_words(row, self.query_one("#value", Input).value)
        self.query_one("#typed", Static).update(words)


def is_change(row: LimitRow, value: Number) -> bool:
    """Return whether a value is another than the file's, or than what is in force."""
    return value != row.in_file or (row.in_force is not None and value != row.in_force)


def typed_words(row: LimitRow, text: str) -> str:
    """Return what a typed value would do, or what is wrong with it."""
    if not text.strip():
        hint = "8% or 0.08" if row.unit.startswith("fraction") else "a number"
        return f"{hint}; enter goes on to a question"
    value = read_limit(row, text)
    if value is None:
        whole = "a whole number" if isinstance(row.in_file, int) else "a number"
        return f"✗ {text.strip()!r} is not {whole} of {row.unit}"
    if not is_change(row, value):
        return "that is what it is now"
    shown = f"{limit_text(row.in_file, row.unit)} → {limit_text(value, row.unit)}"
    if lets_more_pass(row.key, row.in_file, value):
        return f"▲ {shown}: lets more pass, its name has to be typed"
    return f"{shown}: lets less pass"


def limit_cells(row: LimitRow, colours: dict[str, str]) -> Row:
    """Return the cells of one limit."""
    differs = row.in_force is not None and row.in_force != row.in_file
    return {
        "limit": LiveCell(row.key),
        "file": LiveCell(limit_text(row.in_file, row.unit)),
        "force": LiveCell(
            ("▲" if differs else "") + limit_text(row.in_force, row.unit),
            colours["warning"] if differs else colours["muted"],
        ),
        "words": LiveCell(row.words, colours["muted"]),
    }
