"""Screen 1: what runs, how far it is, whether anything is wrong."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from console.bindings import Place, bindings_of
from console.format import age
from console.poller import Watch
from console.screens.frame import FrameScreen
from console.screens.overview_text import (
    actors_content,
    actors_title,
    commands_content,
    cycle_content,
    cycle_title,
    events_content,
)
from console.screens.overview_trading import (
    ALERT_COLUMNS,
    NOTHING_NEEDED,
    alert_cells,
    alerts_title,
    equity_content,
    equity_title,
    nothing_needed,
    object_of,
)
from console.screens.tables import account_age
from console.snapshot import Snapshot
from console.trading_view import TradingView, TradingWatch
from console.widgets.live_table import LiveTable
from console.widgets.panel import Panel
from console.widgets.titles import entitle

_MOST_ALERTS, _MOST_ALERTS_NARROW = 5, 3


class OverviewScreen(FrameScreen):
    """The cycle, the account, what needs a person, the actors, the events, what was asked for."""

    PLACE = Place.OVERVIEW
    NAME = "Overview"
    AUTO_FOCUS = "#alerts"
    BINDINGS = bindings_of(Place.OVERVIEW, "screen")
    # Textual declares it so; it is never changed.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012

    DEFAULT_CSS = """
    OverviewScreen #top { height: 22; }
    OverviewScreen #bottom { height: 1fr; }
    OverviewScreen #left { width: 58%; height: 1fr; }
    OverviewScreen #right { width: 1fr; height: 1fr; }
    OverviewScreen #cycle { height: 1fr; }
    OverviewScreen #alerts {
        height: 3; border: solid $border; border-title-color: $foreground; overflow-x: hidden;
    }
    OverviewScreen #alerts:focus { border: solid $primary; }
    OverviewScreen #equity { height: 9; }
    OverviewScreen #actors { height: 1fr; }
    OverviewScreen #events { width: 58%; height: 1fr; }
    OverviewScreen #commands { width: 1fr; height: 1fr; }
    OverviewScreen.-narrow #top { height: 1fr; layout: vertical; }
    OverviewScreen.-narrow #bottom { height: 6; }
    OverviewScreen.-narrow #left { width: 100%; }
    OverviewScreen.-narrow #right { display: none; }
    OverviewScreen.-narrow #alerts.-calm { display: none; }
    """

    def body(self) -> ComposeResult:
        """Yield the six panes."""
        with Horizontal(id="top"):
            with Vertical(id="left"):
                yield Panel("Cycle", "cycle", wraps=False)
                yield LiveTable(ALERT_COLUMNS, "alerts")
            with Vertical(id="right"):
                yield Panel("Equity", "equity", wraps=False)
                yield Panel("Actors", "actors", wraps=False)
        with Horizontal(id="bottom"):
            yield Panel("Events", "events", wraps=False)
            yield Panel("Commands", "commands", wraps=False)

    def on_mount(self) -> None:
        """Show every column of the alerts: the last one is cut at the edge."""
        self.query_one("#alerts", LiveTable).fit_columns(self.size.width)

    def watch_for(self) -> Watch:
        """Return the equity too."""
        return Watch(trading=TradingWatch(equity=True))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """Fill the panes."""
        store = snapshot.store
        stale = ""
        if store is not None and self.console.is_stale(now_at):
            stale = f"▲ {age(store.read_at, now_at)} old"
        cycle = self.query_one("#cycle", Panel)
        cycle.show(
            cycle_content(snapshot, now_at, cycle.text_width, cycle.size.height),
            title=cycle_title(snapshot, now_at),
            stale=stale,
        )
        actors = self.query_one("#actors", Panel)
        actors.show(
            actors_content(
                snapshot, now_at, actors.text_width, is_starting=self.console.is_starting
            ),
            title=actors_title(snapshot, now_at),
            stale=stale,
        )
        events = self.query_one("#events", Panel)
        events.show(events_content(store, events.text_width), stale=stale)
        commands = self.query_one("#commands", Panel)
        commands.show(commands_content(store, now_at, commands.text_width), stale=stale)
        equity = self.query_one("#equity", Panel)
        told, is_old = account_age(snapshot, now_at)
        equity.show(
            equity_content(snapshot, equity.text_width, equity.size.height),
            title=equity_title(snapshot),
            stale=stale or (told if is_old else ""),
            foot=told,
        )
        self._show_alerts(snapshot.trading, stale, nothing_needed(snapshot))

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Go to what the alert is about."""
        event.stop()
        self.action_alert_open()

    def focus_body(self) -> None:
        """Give the arrows to the alerts; the other keys are the screen's."""
        self.set_focus(self.query_one("#alerts"))

    def action_alert_open(self) -> None:
        """Go to what the alert under the cursor is about."""
        if not self.console.is_allowed("alert.open"):
            return
        view = self._view()
        key = self.query_one("#alerts", LiveTable).selected_key
        row = None if view is None else next((r for r in view.alerts if r.key == key), None)
        if row is not None:
            self.console.open_object(*object_of(row))

    def action_alert_ack(self) -> None:
        """Say that the alert under the cursor was seen."""
        key = self.query_one("#alerts", LiveTable).selected_key
        if self.console.is_allowed("alert.ack") and key is not None:
            self.console.desk.acknowledge(key)

    def action_pane_zoom(self) -> None:
        """Show the focused pane alone, or all again."""
        if self.is_zoomed:
            self.zoom(None)
        elif isinstance(self.focused, Panel):
            self.zoom(self.focused)
        else:
            self.console.say("tab chooses a pane first", "warn")

    def action_paper_arm(self) -> None:
        """Arm the paper account, after its name is typed."""
        self.console.action_paper_arm()

    def action_cycle_cancel(self) -> None:
        """Cancel the running cycle, after a yes."""
        self.console.action_cycle_cancel()

    def _show_alerts(self, view: TradingView | None, stale: str, calm: str) -> None:
        table = self.query_one("#alerts", LiveTable)
        found = {} if view is None else {row.key: row for row in view.alerts}
        colours = self.app.theme_variables
        most = _MOST_ALERTS_NARROW if self.has_class("-narrow") else _MOST_ALERTS
        n_rows = min(len(found), most)
        # Borders and a row each, or the words that there is nothing.
        table.styles.height = 2 + max(1, n_rows)
        table.set_class(not found and calm == NOTHING_NEEDED, "-calm")
        table.has_header = False
        entitle(table, title=alerts_title(view), foot=stale)
        table.say_when_empty(calm)
        table.show_rows(tuple(found), lambda key: alert_cells(found[key], colours))

    def _view(self) -> TradingView | None:
        snapshot = self.console.snapshot
        return None if snapshot is None else snapshot.trading
