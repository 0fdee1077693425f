"""Screen 2: the leaderboard, fit and validation kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.events import Resize

from console.bindings import Place, bindings_of
from console.deploy_desk import DeployDesk
from console.format import age, count, drawdown, number, percent, short_id, signed_percent
from console.poller import Watch
from console.screens.compare import MOST_COMPARED, CompareScreen
from console.screens.frame import FrameScreen
from console.screens.preview import preview_content
from console.snapshot import FitScore, LeaderboardQuery, LeaderboardView, Snapshot
from console.states import state_style
from console.widgets.footer import PromptLine
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from console.widgets.panel import Panel
from console.widgets.titles import entitle

if TYPE_CHECKING:
    from engine.store.strategies import StrategyRow

SORT_KEYS = (
    "fitness",
    "sharpe",
    "max_drawdown",
    "n_trades",
    "total_return",
    "win_rate",
    "profit_factor",
    "generation",
    "created_at",
)
_EVERY_COLUMN = 1_000
_COLUMNS = (
    LiveColumn("rank", "#", 4, is_number=True),
    LiveColumn("id", "id", 8),
    LiveColumn("type", "type", 15),
    LiveColumn("origin", "origin", 9, min_screen=140),
    LiveColumn("gen", "gen", 3, is_number=True, min_screen=118),
    LiveColumn("fit", "fit fitness", 11, is_number=True),
    LiveColumn("fitness", "val fitness", 11, is_number=True),
    LiveColumn("sharpe", "val Sharpe", 10, is_number=True, min_screen=90),
    LiveColumn("drawdown", "val DD", 6, is_number=True, min_screen=105),
    LiveColumn("trades", "trades", 6, is_number=True, min_screen=112),
    LiveColumn("return", "return", 8, is_number=True, min_screen=150),
    LiveColumn("wins", "wins", 6, is_number=True, min_screen=160),
    LiveColumn("status", "status", 11),
    LiveColumn("symbol", "best on", 8, min_screen=120),
)


class StrategiesScreen(FrameScreen):
    """All strategies, best first, filtered and sorted; the one under the cursor in words."""

    PLACE = Place.STRATEGIES
    NAME = "Strategies"
    AUTO_FOCUS = "#list"
    BINDINGS = bindings_of(Place.STRATEGIES, "screen")

    DEFAULT_CSS = """
    StrategiesScreen #list { height: 1fr; border: solid $border; border-title-color: $foreground; }
    StrategiesScreen #preview { height: 7; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._query = LeaderboardQuery()
        self._shown: LeaderboardView | None = None
        self._marked: list[str] = []
        self._is_wide = False

    def body(self) -> ComposeResult:
        """Yield the table and the preview."""
        table = LiveTable(_COLUMNS, "list")
        table.border_title = "Leaderboard (validation unless noted; costs included)"
        yield table
        yield Panel("Preview", "preview")

    def on_mount(self) -> None:
        """Take the row limit from the configuration."""
        self._query = LeaderboardQuery(limit=self.console.session.config.console.rows_max)
        self._fit(self.size.width)
        self.focus_body()

    def crumbs(self) -> str:
        """Return place, rows of all, sort and filter."""
        view = self._view()
        shown = f"{len(view.rows):,} of {view.total:,}" if view is not None else "–"
        arrow = "↓" if self._query.descending else "↑"
        filtered = f"  filter {self._query.text}" if self._query.text else ""
        marked = f"  marked {len(self._marked)}" if self._marked else ""
        return f"strategies  {shown}  sort {self._query.sort}{arrow}{filtered}{marked}"

    def watch_for(self) -> Watch:
        """Return the page that is listed."""
        return Watch(leaderboard=self._query)

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """List the page, when it is the one that was asked for."""
        table = self.query_one(LiveTable)
        view = self._view()
        if view is not None and view.query == self._query and view is not self._shown:
            self._shown = view
            self._list(view)
        stale = ""
        if snapshot.store is not None and self.console.is_stale(now_at):
            stale = f"▲ {age(snapshot.store.read_at, now_at)} old"
        entitle(table, foot=stale)
        self._show_preview()

    def on_resize(self, event: Resize) -> None:
        """Show the columns there is room for."""
        if self.is_ready:
            self._fit(event.size.width)

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Preview the row under the cursor."""
        event.stop()
        self._show_preview()

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Open the strategy under the cursor."""
        event.stop()
        self.console.open_strategy(event.key)

    def filter_typed(self, text: str) -> None:
        """List only strategies with these words."""
        self._ask(self._query.sort, self._query.descending, text.strip())

    def focus_body(self) -> None:
        """Give the keys to the table."""
        self.set_focus(self.query_one(LiveTable))

    def go_back(self) -> bool:
        """Close the prompt, then drop the filter."""
        if super().go_back():
            return True
        if not self._query.text:
            return False
        self.filter_typed("")
        return True

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(PromptLine).ask("/", self._query.text)

    def action_sort_next(self) -> None:
        """Sort by the next column."""
        place = SORT_KEYS.index(self._query.sort)
        self._ask(SORT_KEYS[(place + 1) % len(SORT_KEYS)], descending=True, text=self._query.text)

    def action_sort_reverse(self) -> None:
        """Turn the order round."""
        self._ask(self._query.sort, not self._query.descending, self._query.text)

    def action_row_next(self) -> None:
        """Move one row down."""
        self.query_one(LiveTable).action_cursor_down()

    def action_row_previous(self) -> None:
        """Move one row up."""
        self.query_one(LiveTable).action_cursor_up()

    def action_top(self) -> None:
        """Move to the first row."""
        self.query_one(LiveTable).action_first()

    def action_bottom(self) -> None:
        """Move to the last row."""
        self.query_one(LiveTable).action_last()

    def action_mark(self) -> None:
        """Mark the strategy under the cursor, or take its mark away, and go on to the next."""
        table, view = self.query_one(LiveTable), self._view()
        key = table.selected_key
        if key is None or view is None:
            return
        if key in self._marked:
            self._marked.remove(key)
        elif len(self._marked) == MOST_COMPARED:
            self.console.say(f"{MOST_COMPARED} are marked: {{compare}} compares them", "warn")
            return
        else:
            self._marked.append(key)
        table.show_marks(self._marked)
        table.action_cursor_down()
        self.refresh_frame()

    def action_compare(self) -> None:
        """Show the marked strategies side by side."""
        view = self._view()
        rows = {} if view is None else {row.id: row for row in view.rows}
        found = [rows[key] for key in self._marked if key in rows]
        if view is None or len(found) < 2:
            self.console.say("{mark} marks strategies: two to four of this list", "warn")
            return
        self.app.push_screen(CompareScreen([(row, view.fit.get(row.id)) for row in found]))

    def action_columns_wide(self) -> None:
        """Show every column, moved through with the arrows, or those that fit."""
        self._is_wide = not self._is_wide
        self._fit(self.size.width)
        self.query_one(LiveTable).scroll_to(x=0, animate=False)

    def action_id_copy(self) -> None:
        """Copy the whole id of the strategy under the cursor."""
        self.console.copy_id(self.query_one(LiveTable).selected_key)

    def action_strategy_promote(self) -> None:
        """Promote the strategy under the cursor, after a question."""
        if (row := self._row()) is not None:
            self.console.desk.promote(row)

    def action_strategy_pause(self) -> None:
        """Pause the strategy under the cursor, or resume it, after a yes."""
        if (row := self._row()) is not None:
            self.console.desk.pause_or_resume(row)

    def action_strategy_retire(self) -> None:
        """Retire the strategy under the cursor, after a yes."""
        if (row := self._row()) is not None:
            self.console.desk.retire([row])

    def action_deploy_new(self) -> None:
        """Bring the strategy under the cursor out as a Worker, after a yes."""
        if (row := self._row()) is not None:
            DeployDesk(self.console).deploy(row)

    def _fit(self, width: int) -> None:
        self.query_one(LiveTable).fit_columns(_EVERY_COLUMN if self._is_wide else width)

    def _list(self, view: LeaderboardView) -> None:
        colours = self.app.theme_variables
        ranked = {row.id: (rank, row) for rank, row in enumerate(view.rows, start=1)}
        self.query_one(LiveTable).show_rows(
            tuple(ranked), lambda key: _cells(*ranked[key], view.fit.get(key), colours)
        )

    def _row(self) -> StrategyRow | None:
        view = self._view()
        key = self.query_one(LiveTable).selected_key
        return None if view is None else next((r for r in view.rows if r.id == key), None)

    def _ask(self, sort: str, descending: bool, text: str) -> None:
        self._query = LeaderboardQuery(sort, descending, text, self._query.limit)
        self.console.look_at(self.watch_for())
        self.refresh_frame()

    def _view(self) -> LeaderboardView | None:
        snapshot = self.console.snapshot
        return None if snapshot is None or snapshot.store is None else snapshot.store.leaderboard

    def _show_preview(self) -> None:
        panel = self.query_one("#preview", Panel)
        view, row = self._view(), self._row()
        title = "Preview" if row is None else f"Preview {short_id(row.id)}"
        score = None if view is None or row is None else view.fit.get(row.id)
        snapshot = self.console.snapshot
        panel.show(preview_content(snapshot, view, row, score), title=title)


def _cells(rank: int, row: StrategyRow, fit: FitScore | None, colours: dict[str, str]) -> Row:
    style = state_style(row.status)
    signs = {True: colours["success"], False: colours["error"]}
    return {
        "rank": LiveCell(str(rank)),
        "id": LiveCell(short_id(row.id)),
        "type": LiveCell(row.type.replace("_", " ")),
        "origin": LiveCell(row.origin.replace("_", " ")),
        "gen": LiveCell(str(row.generation)),
        "fit": LiveCell(number(fit.fitness if fit else None), colours["muted"]),
        "fitness": LiveCell(
            number(row.fitness), signs[row.fitness > 0] if row.fitness == row.fitness else ""
        ),
        "sharpe": LiveCell(number(row.sharpe)),
        "drawdown": LiveCell(drawdown(row.max_drawdown)),
        "trades": LiveCell(count(row.n_trades)),
        "return": LiveCell(signed_percent(row.total_return)),
        "wins": LiveCell(percent(row.win_rate, 0)),
        "status": LiveCell(f"{style.glyph} {row.status}", colours[style.colour]),
        "symbol": LiveCell(row.best_symbol or "–"),
    }
