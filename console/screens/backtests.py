"""Screen 3: every evaluation of the ledger, newest first, and the one under the cursor in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.content import Content

from console.bindings import Place, bindings_of
from console.format import (
    age,
    count,
    day,
    drawdown,
    number,
    percent,
    short_id,
    signed_percent,
)
from console.pages import PagesWatch, RunRow, RunsQuery, RunsView
from console.poller import Watch
from console.rerun import Rerun, rerun_content
from console.row_order import RowOrder
from console.screens.tables import TablesScreen
from console.snapshot import Snapshot, StoreView
from console.states import state_style
from console.widgets.footer import PromptLine
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from console.widgets.panel import Panel
from console.widgets.titles import entitle

RUN_COLUMNS = (
    LiveColumn("run", "run", 7, is_number=True),
    LiveColumn("strategy", "strategy", 8),
    LiveColumn("symbol", "symbol", 9),
    LiveColumn("segment", "segment", 10),
    LiveColumn("window", "window (UTC days)", 22, min_screen=118),
    LiveColumn("status", "status", 8),
    LiveColumn("fitness", "fitness", 7, is_number=True),
    LiveColumn("sharpe", "Sharpe", 6, is_number=True, min_screen=90),
    LiveColumn("drawdown", "max DD", 6, is_number=True, min_screen=100),
    LiveColumn("trades", "trades", 6, is_number=True, min_screen=126),
    LiveColumn("seed", "seed", 6, is_number=True, min_screen=150),
    LiveColumn("bars", "bars", 10, min_screen=160),
    LiveColumn("cycle", "cycle", 5, is_number=True),
    LiveColumn("age", "age", 6, is_number=True),
)
# What the listed runs are sorted by: they come newest first.
RUN_KEYS: Mapping[str, Any] = {
    "newest": None,
    "fitness": lambda row: row.metrics["fitness"],
    "Sharpe": lambda row: row.metrics["sharpe"],
    "return": lambda row: row.metrics["total_return"],
    "max DD": lambda row: row.metrics["max_drawdown"],
    "trades": lambda row: row.metrics["n_trades"],
    "symbol": lambda row: row.symbol,
    "segment": lambda row: row.segment,
}
_NOTHING = (
    "No backtest was recorded yet: {cycle.start} on screen 1 starts a cycle, "
    "whose backtests land here."
)


class BacktestsScreen(TablesScreen):
    """What ran, on which bars, with which outcome."""

    PLACE = Place.BACKTESTS
    NAME = "Backtests"
    AUTO_FOCUS = "#list"
    BINDINGS = bindings_of(Place.BACKTESTS, "screen")

    DEFAULT_CSS = """
    BacktestsScreen #list { height: 1fr; }
    BacktestsScreen #run { height: 9; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._query = RunsQuery()
        self._rows: dict[str, RunRow] = {}
        self._shown: object = None
        self._order: RowOrder[RunRow] = RowOrder(RUN_KEYS)
        self.row_orders = {"list": self._order}
        self._rerun: Rerun | None = None

    def body(self) -> ComposeResult:
        """Yield the list and the run under the cursor."""
        yield LiveTable(RUN_COLUMNS, "list")
        yield Panel("Run", "run")

    def on_mount(self) -> None:
        """Take the row limit from the configuration."""
        self._query = RunsQuery(limit=self.console.session.config.console.rows_max)

    def on_unmount(self) -> None:
        """End a run of one's own."""
        if self._rerun is not None:
            self._rerun.stop()

    def crumbs(self) -> str:
        """Return what runs, how much is recorded, how much of it failed."""
        snapshot = self.console.snapshot
        store = None if snapshot is None else snapshot.store
        words = ["backtests", *(() if store is None else _progress(store))]
        if store is not None and store.trials_total is not None:
            words.append(f"recorded {store.trials_total:,}")
        view = self._view()
        if view is not None and view.n_failed is not None:
            words.append(f"failed {view.n_failed:,}")
        if self._query.failed_only:
            words.append("failed only")
        if self._query.text:
            words.append(f"filter {self._query.text}")
        if not self._order.is_usual:
            words.append(f"{self._order.words} of those listed")
        return " · ".join(words)

    def watch_for(self) -> Watch:
        """Return the page that is listed."""
        return Watch(pages=PagesWatch(runs=self._query))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """List the page, when it is the one that was asked for."""
        table = self.query_one("#list", LiveTable)
        view = self._view()
        table.border_title = "Runs: evaluations of the trial ledger, newest first"
        if view is None or view.query != self._query:
            if snapshot.store is None or snapshot.problem:
                table.say_when_empty(snapshot.problem or _NOTHING)
            self._show_run(now_at)
            return
        minute = now_at // 10_000
        fact = (view, minute, self._order.fact)
        if self._shown != fact:
            self._shown = fact
            self._rows = {str(row.id): row for row in self._order.applied(view.rows)}
            rows, colours = self._rows, self.app.theme_variables
            table.say_when_empty(self._why_empty())
            table.show_rows(tuple(rows), lambda key: run_cells(rows[key], now_at, colours))
        stale = ""
        if snapshot.store is not None and self.console.is_stale(now_at):
            stale = f"▲ {age(snapshot.store.read_at, now_at)} old"
        entitle(table, foot=stale or f"the last {len(view.rows):,}")
        self._show_run(now_at)

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Show the run under the cursor."""
        event.stop()
        self._show_run(self.console.clock.now_at())

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Open the strategy of the run under the cursor: its report."""
        event.stop()
        if (row := self._row()) is not None:
            self.console.open_strategy(row.strategy_id)

    def filter_typed(self, text: str) -> None:
        """List only runs of these strategies, symbols, segments or cycles."""
        self._ask(self._query.failed_only, text.strip())

    def go_back(self) -> bool:
        """Close the prompt, then drop the filters."""
        if super().go_back():
            return True
        if not self._query.text and not self._query.failed_only:
            return False
        self._ask(failed_only=False, text="")
        return True

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(PromptLine).ask("/", self._query.text)

    def action_failed_only(self) -> None:
        """List failed runs only, or all again."""
        self._ask(not self._query.failed_only, self._query.text)

    def action_run_again(self) -> None:
        """Run the strategy again on the configured market, after a yes."""
        if (row := self._row()) is None:
            self.console.say("no run is chosen", "warn")
        elif self._rerun is not None and self._rerun.is_running:
            self.console.say("one run again is under way: {run.cancel} stops it", "warn")
        else:
            self.console.questions.begin(self._ask_again(row))

    def action_run_cancel(self) -> None:
        """Stop the run that r started."""
        if self._rerun is not None and self._rerun.is_running:
            self._rerun.stop()
            self.console.say("stopped; nothing was recorded")
        else:
            words = (
                "{run.cancel} stops what {run.again} started; "
                "backtests of a cycle end with {cycle.cancel} on screen 1"
            )
            self.console.say(words, "warn")

    def action_id_copy(self) -> None:
        """Copy the id of the strategy under the cursor."""
        row = self._row()
        self.console.copy_id(None if row is None else row.strategy_id)

    async def _ask_again(self, row: RunRow) -> None:
        lines = [
            f"{short_id(row.strategy_id)} on {row.symbol}, bars as [market] is configured now.",
            "It runs in a process of its own; nothing is recorded. {run.cancel} stops it.",
        ]
        if not await self.console.questions.is_confirmed("Run it again?", lines, "Run"):
            return
        self._rerun = Rerun(self.console.session, row)
        self.run_worker(self._follow(self._rerun))

    async def _follow(self, rerun: Rerun) -> None:
        self.refresh_all()
        await rerun.run()
        self.console.say(*rerun.told())
        self.refresh_all()

    def _ask(self, failed_only: bool, text: str) -> None:
        self._query = RunsQuery(failed_only, text, self._query.limit)
        self.console.look_at(self.watch_for())
        self.refresh_frame()

    def _why_empty(self) -> str:
        if self._query.failed_only:
            return "No run failed. {failed.only} or {back} shows all again."
        if self._query.text:
            return f"No run matches {self._query.text!r}; {{back}} shows all again."
        return _NOTHING

    def _show_run(self, now_at: int) -> None:
        row, rerun = self._row(), self._rerun
        panel = self.query_one("#run", Panel)
        title = "Run" if row is None else f"Run {row.id:,} of {short_id(row.strategy_id)}"
        if row is not None and rerun is not None and rerun.row.id == row.id:
            panel.show(rerun_content(rerun), title=f"{title}, run again")
        else:
            panel.show(run_content(row, now_at), title=title)

    def _row(self) -> RunRow | None:
        return self._rows.get(self.query_one("#list", LiveTable).selected_key or "")

    def _view(self) -> RunsView | None:
        snapshot = self.console.snapshot
        store = None if snapshot is None else snapshot.store
        return None if store is None or store.pages is None else store.pages.runs


def run_cells(row: RunRow, now_at: int, colours: dict[str, str]) -> Row:
    """Return the cells of one run."""
    is_failed = row.status == "failed"
    style = state_style("failed" if is_failed else "done")
    metrics = row.metrics
    return {
        "run": LiveCell(f"{row.id:,}"),
        "strategy": LiveCell(short_id(row.strategy_id)),
        "symbol": LiveCell(row.symbol),
        "segment": LiveCell(row.segment),
        "window": LiveCell(f"{day(row.window_start_at)}..{day(row.window_end_at)}"),
        "status": LiveCell(
            f"{style.glyph} {'failed' if is_failed else 'done'}", colours[style.colour]
        ),
        "fitness": LiveCell(number(metrics["fitness"])),
        "sharpe": LiveCell(number(metrics["sharpe"])),
        "drawdown": LiveCell(drawdown(metrics["max_drawdown"])),
        "trades": LiveCell(count(metrics["n_trades"])),
        "seed": LiveCell(str(row.seed)),
        "bars": LiveCell(row.series_hash[:10], colours["muted"]),
        "cycle": LiveCell(str(row.cycle_id)),
        "age": LiveCell(age(row.created_at, now_at), colours["muted"]),
    }


def run_content(row: RunRow | None, now_at: int, *, leads_on: bool = True) -> Content:
    """Return one run in words: its bars, its numbers, or why it failed.

    Parameters
    ----------
    leads_on : say that enter opens its strategy
    """
    if row is None:
        return Content.styled("No run is chosen.", "$muted")
    head = Content(
        f"{row.symbol} {row.timeframe} on {row.exchange}, {row.segment}, "
        f"{day(row.window_start_at)} to {day(row.window_end_at)} · cycle {row.cycle_id}, seed "
        f"{row.seed} · bars {row.series_hash[:10]} · engine {row.engine_version} · "
        f"{age(row.created_at, now_at)} old"
    )
    words = "enter opens the strategy: curves, ancestors, gates"
    way_on = [Content.styled(words, "$muted")] if leads_on else []
    if row.status == "failed":
        why = row.error or "it failed without a word"
        return Content("\n").join([head, Content.styled(f"✗ {why}", "$error"), *way_on])
    return Content("\n").join([head, *metric_lines(row), *way_on])


def metric_lines(row: RunRow) -> list[Content]:
    """Return the metrics of a run that is done."""
    metrics = row.metrics
    return [
        Content(
            f"fitness {number(metrics['fitness'])}  Sharpe {number(metrics['sharpe'])} a year  "
            f"return {signed_percent(metrics['total_return'])}  "
            f"deepest loss {drawdown(metrics['max_drawdown'])}"
        ),
        Content(
            f"{count(metrics['n_trades'])} trades, {percent(metrics['win_rate'], 0)} won, profit "
            f"factor {number(metrics['profit_factor'])}, in the market "
            f"{percent(metrics['exposure'], 0)} of the time; costs included"
        ),
    ]


def _progress(store: StoreView) -> tuple[str, ...]:
    stage = next((row for row in store.stages if row.name == "backtest"), None)
    if stage is None or store.cycle is None or stage.status != "running":
        return ()
    words = f"running cycle {store.cycle.id}: {stage.done:,}/{stage.total:,}"
    return (f"{words}, {stage.failed:,} failed" if stage.failed else words,)
