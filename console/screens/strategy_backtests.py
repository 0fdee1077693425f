"""Sub-tab Backtests: every evaluation of the strategy, each with its bars, costs and engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult

from console.pages import RunRow, RunsQuery, RunsView
from console.row_order import RowOrder
from console.screens.backtests import RUN_COLUMNS, RUN_KEYS, run_cells, run_content
from console.screens.strategy_tab import Chosen, StrategyTab
from console.snapshot import Snapshot, StrategyView
from console.widgets.live_table import LiveTable
from console.widgets.panel import Panel
from console.widgets.titles import entitle
from engine.store.filter_words import passes

_KEYS: Mapping[str, Any] = RUN_KEYS
_NOTHING = (
    "It was never evaluated: {cycle.start} on screen 1 starts a cycle, whose backtests land here."
)


class BacktestsTab(StrategyTab):
    """The strategy's rows of the trial ledger."""

    NAME = "Backtests"

    DEFAULT_CSS = """
    BacktestsTab #evaluations { height: 1fr; }
    BacktestsTab #evaluation { height: 8; }
    """

    def __init__(self) -> None:
        super().__init__(id="backtests-tab")
        self._rows: dict[str, RunRow] = {}
        self._text = ""
        self._order: RowOrder[RunRow] = RowOrder(_KEYS)
        self._fact: object = None

    def compose(self) -> ComposeResult:
        """Yield the list and the run under the cursor."""
        columns = [column for column in RUN_COLUMNS if column.key != "strategy"]
        yield LiveTable(columns, "evaluations")
        yield Panel("Evaluation", "evaluation")

    def show(self, view: StrategyView, chosen: Chosen, snapshot: Snapshot, now_at: int) -> None:
        """List the evaluations."""
        table = self.query_one("#evaluations", LiveTable)
        runs = self._runs(snapshot, view.row.id)
        table.border_title = "Evaluations of the trial ledger"
        if runs is None:
            table.say_when_empty("reading…")
            return
        fact = (runs, self._text, chosen.segment, self._order.fact, now_at // 10_000)
        if fact != self._fact:
            self._fact = fact
            kept = [
                row
                for row in runs.rows
                if (not chosen.segment or row.segment == chosen.segment)
                and passes(self._text, f"{row.symbol} {row.segment} {row.status} {row.cycle_id}")
            ]
            self._rows = {str(row.id): row for row in self._order.applied(kept)}
            rows, colours = self._rows, self.app.theme_variables
            table.show_rows(tuple(rows), lambda key: run_cells(rows[key], now_at, colours))
        entitle(table, foot=f"{len(self._rows):,} of {len(runs.rows):,}")
        table.say_when_empty(
            f"No evaluation matches {self._text!r}; {{back}} shows all again."
            if self._text
            else f"None on {chosen.segment}: {{segment.next}} shows the others."
            if chosen.segment and runs.rows
            else _NOTHING
        )
        self._show_one(now_at)

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Show the evaluation under the cursor."""
        event.stop()
        self._show_one(self.console.clock.now_at())

    @property
    def crumb(self) -> str:
        """Return the order and the filter."""
        return f"{self._order.words}{f'  filter {self._text}' if self._text else ''}"

    @property
    def filter_text(self) -> str:
        """Return the filter that is set."""
        return self._text

    def filter_by(self, text: str) -> bool:
        """List only evaluations with these words."""
        self._text = text
        return True

    def step_sort(self, *, is_reversing: bool) -> bool:
        """Sort by the next column, or turn the order round."""
        if is_reversing:
            self._order.reverse()
        else:
            self._order.next()
        return True

    def _show_one(self, now_at: int) -> None:
        key = self.query_one("#evaluations", LiveTable).selected_key or ""
        row = self._rows.get(key)
        title = "Evaluation" if row is None else f"Evaluation {row.id:,}"
        words = run_content(row, now_at, leads_on=False)
        self.query_one("#evaluation", Panel).show(words, title=title)

    def _runs(self, snapshot: Snapshot, strategy_id: str) -> RunsView | None:
        store = snapshot.store
        runs = None if store is None or store.pages is None else store.pages.runs
        if runs is None or runs.query.text not in ("", strategy_id):
            return None
        if runs.query.text == strategy_id:
            return runs
        # A recording holds a page of all strategies: the rows of this one are picked from it.
        mine = tuple(row for row in runs.rows if row.strategy_id == strategy_id)
        return RunsView(RunsQuery(text=strategy_id), mine) if mine else None
