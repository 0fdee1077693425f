"""A table of any number of rows: only those on the screen are ever drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.key_words import with_keys


@dataclass(frozen=True, slots=True)
class LiveColumn:
    """One column.

    Attributes
    ----------
    key : name of its cells
    label : heading
    width : cells
    is_number : right-aligned
    min_screen : columns of screen below which it is left out
    takes_rest : `width` cells, or more when the table has room for them
    """

    key: str
    label: str
    width: int
    is_number: bool = False
    min_screen: int = 0
    takes_rest: bool = False


@dataclass(frozen=True, slots=True)
class LiveCell:
    """A cell's text and style."""

    text: str
    style: str = ""


Row = Mapping[str, LiveCell]
_EMPTY = LiveCell("")


class LiveTable(ScrollView, can_focus=True):
    """Rows by key, in the order they are given; the cursor stays on its key.

    A row's cells are asked for when the row is painted, and kept until the next rows come.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "live-table--header",
        "live-table--cursor",
        "live-table--empty",
        "live-table--mark",
    }
    DEFAULT_CSS = """
    LiveTable { height: 1fr; background: $background; scrollbar-size-vertical: 1; }
    LiveTable > .live-table--header { background: $surface; color: $muted; text-style: bold; }
    LiveTable > .live-table--cursor { background: $primary 30%; }
    LiveTable > .live-table--empty { color: $muted; }
    LiveTable > .live-table--mark { color: $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Highlighted(Message):
        """The cursor came to another row, or its row to another place."""

    class Chosen(Message):
        """The operator chose a row."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, columns: Sequence[LiveColumn], table_id: str) -> None:
        super().__init__(id=table_id)
        self._wanted = tuple(columns)
        self._columns: tuple[LiveColumn, ...] = ()
        self._keys: tuple[str, ...] = ()
        self._places: dict[str, int] = {}
        self._row_of: Callable[[str], Row] = lambda _key: {}
        self._drawn: dict[str, Row] = {}
        self._cursor = 0
        self._marked: frozenset[str] = frozenset()
        self._empty_words = ""
        self._known_size: Size | None = None
        self.has_header = True

    @property
    def _header_rows(self) -> int:
        return 1 if self.has_header else 0

    @property
    def row_count(self) -> int:
        """Return the number of rows."""
        return len(self._keys)

    @property
    def cursor_row(self) -> int:
        """Return the place of the row under the cursor."""
        return self._cursor

    @property
    def selected_key(self) -> str | None:
        """Return the key of the row under the cursor, None in an empty table."""
        return self._keys[self._cursor] if self._keys else None

    def cells_of(self, key: str) -> Row:
        """Return the cells of a row as they are drawn."""
        row = self._drawn.get(key)
        if row is None:
            row = self._drawn[key] = self._row_of(key)
        return row

    def say_when_empty(self, words: str) -> None:
        """Show these words in place of rows while there are none."""
        words = with_keys(self, words)
        if words != self._empty_words:
            self._empty_words = words
            self.refresh()

    def show_marks(self, keys: Collection[str]) -> None:
        """Show a star before the rows of these keys."""
        marked = frozenset(keys)
        if marked != self._marked:
            self._marked = marked
            self.refresh()

    def fit_columns(self, screen_width: int) -> None:
        """Show the columns that the screen is wide enough for."""
        columns = tuple(column for column in self._wanted if screen_width >= column.min_screen)
        if columns != self._columns:
            self._columns = columns
            self._measure()

    def show_rows(self, keys: Sequence[str], row_of: Callable[[str], Row]) -> None:
        """Show the rows of these keys in this order; `row_of` gives the cells of one."""
        under_cursor = self.selected_key
        self._keys = tuple(keys)
        self._places = {key: place for place, key in enumerate(self._keys)}
        self._row_of = row_of
        self._drawn = {}
        place = self._places.get(under_cursor or "", min(self._cursor, len(self._keys) - 1))
        self._cursor = max(0, place)
        self._measure()
        if self.selected_key != under_cursor:
            self.post_message(self.Highlighted())

    def move_cursor(self, row: int) -> None:
        """Put the cursor on a row, and the row on the screen."""
        if not self._keys:
            return
        row = min(max(0, row), len(self._keys) - 1)
        if row != self._cursor:
            old, self._cursor = self._cursor, row
            self._refresh_row(old)
            self._refresh_row(row)
            self.post_message(self.Highlighted())
        top, height = round(self.scroll_y), self._rows_seen()
        if row < top or row >= top + height:
            wanted = row if row < top else row - height + 1
            self.scroll_to(y=wanted, animate=False, immediate=True)

    def on_resize(self, event: Resize) -> None:
        """Keep the cursor in sight: it may have been put there before the size was known."""
        # Told of new rows too: they move nobody who has scrolled away.
        if event.size != self._known_size:
            self._known_size = event.size
            self.call_after_refresh(self._show_cursor)

    def _show_cursor(self) -> None:
        self.move_cursor(self._cursor)

    def action_cursor_up(self) -> None:
        """Move one row up."""
        self.move_cursor(self._cursor - 1)

    def action_cursor_down(self) -> None:
        """Move one row down."""
        self.move_cursor(self._cursor + 1)

    def action_page_up(self) -> None:
        """Move one screen up."""
        self.move_cursor(self._cursor - self._rows_seen())

    def action_page_down(self) -> None:
        """Move one screen down."""
        self.move_cursor(self._cursor + self._rows_seen())

    def action_first(self) -> None:
        """Move to the first row."""
        self.move_cursor(0)

    def action_last(self) -> None:
        """Move to the last row."""
        self.move_cursor(len(self._keys) - 1)

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if (key := self.selected_key) is not None:
            self.post_message(self.Chosen(key))

    def on_click(self, event: Click) -> None:
        """Move to the row under the mouse; choose it when the cursor is there already."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < self._header_rows:
            return
        row = round(self.scroll_y) + offset.y - self._header_rows
        if row >= len(self._keys):
            return
        if row == self._cursor:
            self.action_choose()
        self.move_cursor(row)

    def render_line(self, y: int) -> Strip:
        """Draw one line of the widget."""
        width = self.scrollable_content_region.width
        base = self.rich_style
        if y < self._header_rows:
            style = base + self.get_component_rich_style("live-table--header")
            strip = Strip([self._piece(column, column.label, style) for column in self._columns])
            left = round(self.scroll_x)
            return strip.crop_extend(left, left + width, style)
        place = round(self.scroll_y) + y - self._header_rows
        if place == 0 and not self._keys and self._empty_words:
            style = base + self.get_component_rich_style("live-table--empty")
            return Strip([Segment(f" {self._empty_words}", style)]).crop_extend(0, width, base)
        if place >= len(self._keys):
            return Strip.blank(width, base)
        style = base
        if place == self._cursor:
            style = base + self.get_component_rich_style("live-table--cursor")
        key = self._keys[place]
        row = self.cells_of(key)
        pieces = []
        for column in self._columns:
            cell = row.get(column.key, _EMPTY)
            # Textual calls the terminal's own colours ansi_red, Rich calls them red.
            named = cell.style.replace("ansi_", "")
            own = style + Style.parse(named) if named else style
            pieces.append(self._piece(column, cell.text, own))
        if key in self._marked and pieces:
            star = style + self.get_component_rich_style("live-table--mark", partial=True)
            first = pieces[0]
            pieces[:1] = [Segment("*", star), Segment(first.text[1:], first.style)]
        left = round(self.scroll_x)
        return Strip(pieces).crop_extend(left, left + width, style)

    def _piece(self, column: LiveColumn, text: str, style: Style) -> Segment:
        width = self._width_of(column)
        missing = width - cell_len(text)
        if missing < 0:
            text = set_cell_size(text, width - 1) + "…"
        elif column.is_number:
            text = " " * missing + text
        else:
            text += " " * missing
        return Segment(f" {text} ", style)

    def _width_of(self, column: LiveColumn) -> int:
        if not column.takes_rest:
            return column.width
        others = sum(other.width + 2 for other in self._columns if other is not column)
        return max(column.width, self.scrollable_content_region.width - others - 2)

    def _rows_seen(self) -> int:
        return max(1, self.scrollable_content_region.height - self._header_rows)

    def _refresh_row(self, place: int) -> None:
        y = place - round(self.scroll_y) + self._header_rows
        if self._header_rows <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def _measure(self) -> None:
        width = sum(column.width + 2 for column in self._columns)
        size = Size(width, len(self._keys) + self._header_rows)
        if size != self.virtual_size:
            self.virtual_size = size
        self.refresh()
