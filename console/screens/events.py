"""Screen 8: everything that was told, followed as it comes, found again by words."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import work
from textual.app import ComposeResult
from textual.content import Content

from console.bindings import Place, bindings_of
from console.event_pages import words_of
from console.format import age, instant, short_id
from console.pages import EventsQuery, EventsView, PagesWatch
from console.poller import Watch
from console.screens.tables import TablesScreen
from console.snapshot import Snapshot
from console.states import state_style
from console.widgets.footer import PromptLine
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from console.widgets.panel import Panel
from engine.store.filter_words import passes

if TYPE_CHECKING:
    from engine.store.events import EventRow

_STRATEGY_ID = re.compile(r"[0-9a-f]{16,64}")
_COLUMNS = (
    LiveColumn("time", "time", 15),
    LiveColumn("level", "level", 7),
    LiveColumn("kind", "kind", 18),
    LiveColumn("message", "what", 30, takes_rest=True),
    LiveColumn("subject", "about", 10, min_screen=100),
    LiveColumn("cycle", "cycle", 6, is_number=True, min_screen=100),
)
_TIMES = ("clock", "date", "age")
_NOTHING = (
    "Nothing was told yet: {cycle.start} on screen 1 starts a cycle, "
    "{runtime.start} starts the runtime."
)


class EventsScreen(TablesScreen):
    """One page of events; the newest are followed until one scrolls back."""

    PLACE = Place.EVENTS
    NAME = "Events"
    AUTO_FOCUS = "#list"
    BINDINGS = bindings_of(Place.EVENTS, "screen")

    DEFAULT_CSS = """
    EventsScreen #list { height: 1fr; }
    EventsScreen #event { height: 9; }
    EventsScreen #event.-closed { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._query = EventsQuery()
        self._rows: dict[str, EventRow] = {}
        self._shown: tuple[EventsView, str, int] | None = None
        self._time = _TIMES[0]
        self._is_placed = False
        self._sought = ""

    def body(self) -> ComposeResult:
        """Yield the list and the event under the cursor."""
        table = LiveTable(_COLUMNS, "list")
        table.border_title = "Events"
        yield table
        yield Panel("Event", "event")

    def on_mount(self) -> None:
        """Take the row limit from the configuration."""
        self._query = EventsQuery(limit=self.console.session.config.console.rows_max)

    @property
    def is_following(self) -> bool:
        """Return whether new events come in at the end."""
        return self._query.before_id is None and self._query.after_id is None

    def crumbs(self) -> str:
        """Return the filter, and how many events came since one scrolled back."""
        words = ["events"]
        if self._query.level == "error":
            words.append("errors only")
        if self._query.text:
            words.append(f"filter {self._query.text}")
        view = self._view()
        if self.is_following:
            words.append("following")
        elif view is not None:
            words.append(f"paused, {view.n_newer:,} new: {{bottom}} goes there")
        return " · ".join(words)

    def watch_for(self) -> Watch:
        """Return the page that is listed."""
        return Watch(pages=PagesWatch(events=self._query))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """List the page; while following, the newest stays under the cursor."""
        view = self._view()
        table = self.query_one("#list", LiveTable)
        if view is None or view.query != self._query:
            if snapshot.store is None or snapshot.problem:
                table.say_when_empty(snapshot.problem or _NOTHING)
            return
        second = now_at // 1000 if self._time == "age" else 0
        if self._shown != (view, self._time, second):
            self._shown = (view, self._time, second)
            self._rows = {str(row.id): row for row in view.rows}
            colours = self.app.theme_variables
            rows, how = self._rows, self._time
            is_last = table.cursor_row >= table.row_count - 1
            table.say_when_empty(
                f"No event matches {self._query.text!r}; {{back}} shows all again."
                if self._query.text
                else _NOTHING
            )
            table.show_rows(tuple(rows), lambda key: event_cells(rows[key], how, now_at, colours))
            if self.is_following and (is_last or not self._is_placed):
                # How far it can scroll is known once it is laid out.
                self.call_after_refresh(self._place)
        self._show_event()

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Show the event under the cursor; reaching an end of the page asks for the next."""
        event.stop()
        self._show_event()
        table = self.query_one("#list", LiveTable)
        view = self._view()
        if view is None or view.query != self._query or len(view.rows) < 2:
            return
        place, n_rows = table.cursor_row, table.row_count
        if place == 0 and n_rows >= self._query.limit:
            # A page back that keeps a quarter of this one, so that the cursor finds its row.
            self._ask(before_id=view.rows[n_rows // 4].id)
        elif place == n_rows - 1 and not self.is_following and view.n_newer:
            if view.n_newer <= n_rows // 2:
                self._ask()
            else:
                self._ask(after_id=view.rows[3 * n_rows // 4].id)
        elif self.is_following and self._is_placed and place < n_rows - 1:
            self._ask(before_id=view.rows[-1].id + 1)

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Go to what the event is about."""
        event.stop()
        self.action_event_open()

    def filter_typed(self, text: str) -> None:
        """List only events with these words; `level=warn` and `kind=cycle` are understood."""
        self._is_placed = False
        self._sought = text.strip() or self._sought
        self._query = EventsQuery(self._query.level, text.strip(), limit=self._query.limit)
        self._ask()

    def go_back(self) -> bool:
        """Close the prompt, then drop the filter."""
        if super().go_back():
            return True
        if not self._query.text and self._query.level == "info":
            return False
        self._query = EventsQuery(limit=self._query.limit)
        self.filter_typed("")
        return True

    def action_event_open(self) -> None:
        """Go to what the event under the cursor is about."""
        row = self._row()
        if row is None:
            return
        if _STRATEGY_ID.fullmatch(row.subject):
            self.console.open_strategy(row.subject)
        elif row.kind.startswith("order"):
            self.console.open_order(row.subject)
        elif row.subject in self.console.session.accounts:
            self.console.open_object("risk", row.subject)
        else:
            self.console.say("this event is about nothing that has a screen of its own", "warn")

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(PromptLine).ask("/", self._query.text)

    def action_find_next(self) -> None:
        """Go to the next event that matches the last filter."""
        self._find(1)

    def action_find_previous(self) -> None:
        """Go to the match before."""
        self._find(-1)

    def action_errors_only(self) -> None:
        """List errors only, or all again."""
        level = "info" if self._query.level == "error" else "error"
        self._is_placed = False
        self._query = EventsQuery(level, self._query.text, limit=self._query.limit)
        self._ask()

    def action_follow(self) -> None:
        """Follow the newest, or stay where one is."""
        view = self._view()
        if self.is_following and view is not None and view.rows:
            self._ask(before_id=view.rows[-1].id + 1)
        else:
            self.action_bottom()

    def action_bottom(self) -> None:
        """Go to the newest event and follow."""
        self._is_placed = False
        self._shown = None
        self._ask()
        self.refresh_all()

    def action_top(self) -> None:
        """Go to the first event there is."""
        self._ask(after_id=0)
        self.query_one("#list", LiveTable).move_cursor(0)

    def action_time_next(self) -> None:
        """Show the time of day, the date, or the age."""
        self._time = _TIMES[(_TIMES.index(self._time) + 1) % len(_TIMES)]
        self.refresh_all()

    def action_expand(self) -> None:
        """Show or hide the whole event."""
        self.query_one("#event", Panel).toggle_class("-closed")

    def action_id_copy(self) -> None:
        """Copy what the event under the cursor is about."""
        row = self._row()
        self.console.copy_id(None if row is None else row.subject)

    @work
    async def action_view_save(self) -> None:
        """Write the listed page to a file."""
        rows = tuple(self._rows.values())
        if not rows:
            self.console.say("nothing is listed", "warn")
            return
        stamp = datetime.fromtimestamp(self.console.clock.now_at() / 1000, UTC)
        path = self.console.session.home / "views" / f"events-{stamp:%Y%m%dT%H%M%SZ}.txt"
        try:
            await asyncio.to_thread(_write, path, rows)
        except OSError as exc:
            self.console.say(f"{path} cannot be written: {exc.strerror or exc}", "error")
        else:
            self.console.say(f"{len(rows):,} events are in {path}", "ok")

    def _find(self, step: int) -> None:
        """Move to a listed event that holds what was last filtered by."""
        table = self.query_one("#list", LiveTable)
        words, _, _ = words_of(self._sought)
        if not words:
            words = (
                "{filter} says what to find; {back} lists all again, "
                "{find.next} and {find.previous} go on"
            )
            self.console.say(words, "warn")
            return
        rows = list(self._rows.values())
        place = table.cursor_row + step
        while 0 <= place < len(rows):
            row = rows[place]
            if passes(words, f"{row.message} {row.subject} {row.kind}"):
                table.move_cursor(place)
                return
            place += step
        where = "below" if step > 0 else "above"
        self.console.say(f"no event {where} on this page matches {words!r}", "warn")

    def _place(self) -> None:
        self.query_one("#list", LiveTable).action_last()
        self._is_placed = True

    def _ask(self, before_id: int | None = None, after_id: int | None = None) -> None:
        query = self._query
        self._query = EventsQuery(query.level, query.text, before_id, after_id, query.limit)
        self.console.look_at(self.watch_for())
        self.refresh_frame()

    def _show_event(self) -> None:
        row = self._row()
        title = "Event" if row is None else f"{instant(row.at)}  {row.level}  {row.kind}"
        self.query_one("#event", Panel).show(event_content(row), title=title)

    def _row(self) -> EventRow | None:
        return self._rows.get(self.query_one("#list", LiveTable).selected_key or "")

    def _view(self) -> EventsView | None:
        snapshot = self.console.snapshot
        store = None if snapshot is None else snapshot.store
        return None if store is None or store.pages is None else store.pages.events


def event_time(at: int, how: str, now_at: int) -> str:
    """Return an instant as time of day, as date and time, or as age."""
    if how == "age":
        return age(at, now_at)
    stamp = datetime.fromtimestamp(at / 1000, UTC)
    clock = f"{stamp:%H:%M:%S}.{stamp.microsecond // 1000:03d}Z"
    return clock if how == "clock" else f"{stamp:%m-%d %H:%M:%SZ}"


def event_cells(row: EventRow, how: str, now_at: int, colours: dict[str, str]) -> Row:
    """Return the cells of one event."""
    style = state_style(row.level)
    subject = short_id(row.subject) if _STRATEGY_ID.fullmatch(row.subject) else row.subject
    return {
        "time": LiveCell(event_time(row.at, how, now_at), colours["muted"]),
        "level": LiveCell(f"{style.glyph} {row.level}", colours[style.colour]),
        "kind": LiveCell(row.kind),
        "message": LiveCell(" ".join(row.message.split())),
        "subject": LiveCell(subject, colours["muted"]),
        "cycle": LiveCell("" if row.cycle_id is None else str(row.cycle_id), colours["muted"]),
    }


def event_content(row: EventRow | None) -> Content:
    """Return a whole event, its facts included."""
    if row is None:
        return Content.styled("No event is chosen.", "$muted")
    about = f"about {row.subject}" if row.subject else "about nothing in particular"
    cycle = "" if row.cycle_id is None else f" · cycle {row.cycle_id}"
    lines = [Content(row.message), Content.styled(f"{about}{cycle} · event {row.id}", "$muted")]
    lines += [
        Content.assemble((f"{name}  ", "$muted"), _fact(value))
        for name, value in row.fields.items()
    ]
    return Content("\n").join(lines)


def _fact(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _write(path: Path, rows: tuple[EventRow, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{instant(row.at)} {row.level:<5} {row.kind} {row.message}"
        f" [{row.subject}] {dict(row.fields)}"
        for row in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
