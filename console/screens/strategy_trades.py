"""Sub-tab Trades: of accounts as stored, of a backtest run again, and both side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult

from console.format import age, short_id
from console.key_words import with_keys
from console.row_order import RowOrder
from console.screens.strategy_tab import Chosen, StrategyTab
from console.screens.trade_text import (
    PAIR_COLUMNS,
    TRADE_COLUMNS,
    pair_cells,
    pair_content,
    pair_words,
    totals_content,
    trade_cells,
    trade_words,
)
from console.snapshot import Snapshot, StrategyView
from console.trade_lines import PairLine, TradeLine, stored_trades
from console.trade_runs import TradeRun
from console.widgets.live_table import LiveTable, Row
from console.widgets.panel import Panel
from console.widgets.titles import entitle
from engine.store.filter_words import passes

if TYPE_CHECKING:
    from engine.store.cycles import CycleRow

VIEWS = ("backtest", "accounts", "side by side")
_TRADE_KEYS: Mapping[str, Any] = {
    "newest": lambda line: line.entry_at,
    "profit": lambda line: line.pnl_quote,
    "return": lambda line: line.net_return,
    "held": lambda line: None if line.exit_at is None else line.exit_at - line.entry_at,
}
_PAIR_KEYS: Mapping[str, Any] = {
    "newest": lambda pair: pair.decided_at,
    "cause": lambda pair: pair.cause,
}
_EMPTY = {
    "backtest": "Trades of a backtest are not stored. {run.again} runs it again, in a process of "
    "its own.",
    "accounts": "It has closed no trade in an account yet. {strategy.promote} promotes it; "
    "{view.next} shows the backtest's.",
    "side by side": "{run.again} replays its bars on paper, beside the backtest, in a process of "
    "its own.",
}


class TradesTab(StrategyTab):
    """One table of trades; `v` changes whose."""

    NAME = "Trades"

    DEFAULT_CSS = """
    TradesTab #trades, TradesTab #pairs { height: 1fr; }
    TradesTab #trade-words { height: 7; }
    TradesTab .-hidden { display: none; }
    """

    def __init__(self) -> None:
        super().__init__(id="trades-tab")
        self.mode = VIEWS[0]
        self._is_chosen = False
        self._text = ""
        self._order: RowOrder[TradeLine] = RowOrder(_TRADE_KEYS)
        self._pair_order: RowOrder[PairLine] = RowOrder(_PAIR_KEYS)
        self._runs: dict[tuple[str, bool], TradeRun] = {}
        self._trades: dict[str, TradeLine] = {}
        self._pairs: dict[str, PairLine] = {}
        self._fact: object = None
        self._symbol = ""

    def compose(self) -> ComposeResult:
        """Yield both tables, of which one is shown, and the trade under the cursor."""
        yield LiveTable(TRADE_COLUMNS, "trades")
        yield LiveTable(PAIR_COLUMNS, "pairs")
        yield Panel("Trade", "trade-words")

    def on_unmount(self) -> None:
        """End what one started."""
        for run in self._runs.values():
            run.stop()

    @property
    def table(self) -> LiveTable | None:
        """Return the table that is shown."""
        name = "#pairs" if self.mode == "side by side" else "#trades"
        return self.query_one(name, LiveTable)

    @property
    def crumb(self) -> str:
        """Return the order and the filter."""
        order = self._pair_order if self.mode == "side by side" else self._order
        return f"{order.words}{f'  filter {self._text}' if self._text else ''}"

    @property
    def filter_text(self) -> str:
        """Return the filter that is set."""
        return self._text

    @property
    def running(self) -> TradeRun | None:
        """Return the run that is under way."""
        return next((run for run in self._runs.values() if run.is_running), None)

    def show(self, view: StrategyView, chosen: Chosen, snapshot: Snapshot, now_at: int) -> None:
        """List the trades of a strategy on the chosen symbol."""
        self._symbol = chosen.symbol
        facts = view.facts
        stored = () if facts is None else facts.trades
        if stored and not self._is_chosen:
            # What it really did comes first, until one asks for the rest.
            self.mode = "accounts"
        self._is_chosen = True
        is_paired = self.mode == "side by side"
        run = self._runs.get((chosen.symbol, is_paired))
        self.query_one("#trades").set_class(is_paired, "-hidden")
        self.query_one("#pairs").set_class(not is_paired, "-hidden")
        lines: list[TradeLine] = []
        if self.mode == "accounts":
            lines = [t for t in stored_trades(stored) if t.symbol == chosen.symbol]
        elif run is not None and not is_paired:
            lines = run.trades
        if chosen.segment and not is_paired:
            lines = [line for line in lines if line.where == chosen.segment]
        if is_paired:
            self._list_pairs([] if run is None else run.pairs)
        else:
            self._list_trades(lines, chosen)
        table = self.table
        if table is not None:
            entitle(
                table,
                title=with_keys(self, self._title(view, chosen, run)),
                foot=with_keys(self, self._subtitle(run, stored, now_at)),
            )
            table.say_when_empty(self._why_empty(run))
        self._show_one()

    def on_live_table_highlighted(self, event: LiveTable.Highlighted) -> None:
        """Show the trade under the cursor."""
        event.stop()
        self._show_one()

    def next_view(self) -> bool:
        """Show the backtest's trades, the accounts', or both side by side."""
        self.mode = VIEWS[(VIEWS.index(self.mode) + 1) % len(VIEWS)]
        self._is_chosen = True
        self._fact = None
        return True

    def step_sort(self, *, is_reversing: bool) -> bool:
        """Sort by the next column, or turn the order round."""
        order: Any = self._pair_order if self.mode == "side by side" else self._order
        order.reverse() if is_reversing else order.next()
        return True

    def filter_by(self, text: str) -> bool:
        """List only trades with these words."""
        self._text = text
        return True

    async def run_again(self, strategy_id: str, cycle: CycleRow | None) -> None:
        """Compute the shown trades in a process of its own."""
        is_paired = self.mode == "side by side"
        if self.mode == "accounts":
            self.mode = VIEWS[0]
        run = TradeRun(self.console.session, strategy_id, self._symbol, cycle, is_paired=is_paired)
        self._runs[self._symbol, is_paired] = run
        await run.run()
        self.console.say(*run.outcome())

    def stop(self) -> bool:
        """End what runs; False when nothing does."""
        run = self.running
        if run is None:
            return False
        run.stop()
        return True

    def _list_trades(self, lines: list[TradeLine], chosen: Chosen) -> None:
        last = lines[-1] if lines else None
        fact = (self.mode, chosen, self._text, self._order.fact, len(lines), last)
        if fact == self._fact:
            return
        self._fact = fact
        kept = [line for line in lines if passes(self._text, trade_words(line))]
        self._trades = {str(n): line for n, line in enumerate(self._order.applied(kept), start=1)}
        rows, colours = self._trades, self.app.theme_variables

        def cells(key: str) -> Row:
            return trade_cells(key, rows[key], colours)

        self.query_one("#trades", LiveTable).show_rows(tuple(rows), cells)

    def _list_pairs(self, pairs: list[PairLine]) -> None:
        fact = (self.mode, self._symbol, self._text, self._pair_order.fact, len(pairs))
        if fact == self._fact:
            return
        self._fact = fact
        kept = [pair for pair in pairs if passes(self._text, pair_words(pair))]
        self._pairs = {
            str(n): pair for n, pair in enumerate(self._pair_order.applied(kept), start=1)
        }
        rows, colours = self._pairs, self.app.theme_variables

        def cells(key: str) -> Row:
            return pair_cells(key, rows[key], colours)

        self.query_one("#pairs", LiveTable).show_rows(tuple(rows), cells)

    def _show_one(self) -> None:
        panel, table = self.query_one("#trade-words", Panel), self.table
        key = "" if table is None else table.selected_key or ""
        if self.mode == "side by side":
            pairs = list(self._pairs.values())
            panel.show(pair_content(self._pairs.get(key), pairs), title="Pair")
        else:
            panel.show(totals_content(self._trades.get(key), list(self._trades.values())))

    def _title(self, view: StrategyView, chosen: Chosen, run: TradeRun | None) -> str:
        where = f"{short_id(view.row.id)} on {chosen.symbol or '–'}"
        whose = {
            "backtest": "Trades of the backtest",
            "accounts": "Trades in accounts",
            "side by side": "Backtest and paper, trade by trade",
        }[self.mode]
        return f"{whose}  {where} ({{view.next}} shows {_after(self.mode)})"

    def _subtitle(self, run: TradeRun | None, stored: tuple[Any, ...], now_at: int) -> str:
        if run is not None and run.is_running:
            return "◐ runs: {run.stop} stops it"
        if self.mode == "accounts" and stored:
            return f"the last ended {age(stored[-1].exit_at, now_at)} ago"
        if run is None or run.problem:
            return ""
        return f"CSV {run.path}"

    def _why_empty(self, run: TradeRun | None) -> str:
        if self._text:
            return f"No trade matches {self._text!r}; {{back}} shows all again."
        if run is None:
            return _EMPTY[self.mode]
        if run.is_running:
            return "runs in a process of its own… {run.stop} stops it"
        return f"✗ {run.problem}" if run.problem else "It made no trade there."


def _after(mode: str) -> str:
    return VIEWS[(VIEWS.index(mode) + 1) % len(VIEWS)]
