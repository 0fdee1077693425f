"""Screen 2.1: one strategy: what it does, how it did, why it stands where it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import OptionList, Static

from console.bindings import Place, bindings_of
from console.deploy_desk import DeployDesk
from console.format import short_id
from console.key_words import with_keys
from console.pages import PagesWatch, RunsQuery
from console.poller import Watch
from console.screens.frame import FrameScreen
from console.screens.strategy_backtests import BacktestsTab
from console.screens.strategy_code import CodeTab
from console.screens.strategy_deploys import DeploysTab
from console.screens.strategy_equity import EquityTab
from console.screens.strategy_lineage import LineageTab
from console.screens.strategy_summary import SummaryTab
from console.screens.strategy_tab import Chosen, StrategyTab
from console.screens.strategy_text import segments_of, symbols_of, title_of
from console.screens.strategy_trades import TradesTab
from console.snapshot import Snapshot, StrategyView
from console.widgets.footer import PromptLine
from console.widgets.live_table import LiveTable
from console.widgets.panel import Panel
from console.widgets.sub_tabs import SubTabs

if TYPE_CHECKING:
    from engine.store.cycles import CycleRow

_TABS = (SummaryTab, EquityTab, TradesTab, LineageTab, CodeTab, BacktestsTab, DeploysTab)
_NAMES = tuple(tab.NAME for tab in _TABS)


class StrategyScreen(FrameScreen):
    """One strategy, in sub-tabs.

    Parameters
    ----------
    strategy_id : str, its id or the start of it
    """

    PLACE = Place.STRATEGY
    NAME = "Strategies"
    BINDINGS = bindings_of(Place.STRATEGY, "screen")
    # Textual declares it so; it is never changed.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012

    DEFAULT_CSS = """
    StrategyScreen #missing { display: none; padding: 1 2; height: 1fr; }
    StrategyScreen.-missing #missing { display: block; }
    StrategyScreen.-missing StrategyTab, StrategyScreen.-missing SubTabs { display: none; }
    StrategyScreen .-other { display: none; }
    """

    def __init__(self, strategy_id: str) -> None:
        super().__init__()
        self.strategy_id = strategy_id
        self._tab_name = _NAMES[0]
        self._chosen = Chosen()
        self._whole_id = ""

    def body(self) -> ComposeResult:
        """Yield the row of sub-tabs and what each holds."""
        yield SubTabs(_NAMES)
        yield Static("", id="missing", markup=False)
        for kind in _TABS:
            tab = kind()
            tab.set_class(tab.NAME != self._tab_name, "-other")
            yield tab

    @property
    def tab(self) -> StrategyTab:
        """Return the sub-tab that is open."""
        return next(tab for tab in self.query(StrategyTab) if tab.NAME == self._tab_name)

    def on_mount(self) -> None:
        """Show the columns there is room for."""
        self._fit()
        self.focus_body()

    def on_resize(self, event: Resize) -> None:
        """Show the columns there is room for."""
        if self.is_ready:
            self._fit()

    def crumbs(self) -> str:
        """Return the strategy's place and standing, and how the open tab is filtered."""
        view = self._view()
        if view is None:
            return f"strategies › {self.strategy_id[:8]}"
        words = [title_of(view)]
        if self._chosen.segment:
            words.append(f"segment {self._chosen.segment}")
        if self.is_ready and self.tab.crumb:
            words.append(self.tab.crumb)
        return " · ".join(words)

    def watch_for(self) -> Watch:
        """Return the strategy that is shown, and its evaluations while they are looked at."""
        if self._tab_name != BacktestsTab.NAME:
            return Watch(strategy_id=self.strategy_id)
        limit = self.console.session.config.console.rows_max
        query = RunsQuery(text=self._whole_id or self.strategy_id, limit=limit)
        return Watch(strategy_id=self.strategy_id, pages=PagesWatch(runs=query))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """Show the strategy, when it has been read."""
        view = self._view()
        self.set_class(view is None, "-missing")
        if view is None:
            self.query_one("#missing", Static).update(with_keys(self, self._missing(snapshot)))
            return
        self._whole_id = view.row.id
        names = symbols_of(view)
        if self._chosen.symbol not in names:
            self._chosen = replace(self._chosen, symbol=names[0] if names else "")
        self.query_one(SubTabs).show(self._tab_name, self._version_words(view))
        self.tab.show(view, self._chosen, snapshot, now_at)

    def focus_body(self) -> None:
        """Give the keys to the open tab."""
        self.set_focus(self.tab.target())

    def filter_typed(self, text: str) -> None:
        """List or find these words in the open tab."""
        if self.tab.filter_by(text.strip()):
            self.refresh_all()

    def go_back(self) -> bool:
        """Close the prompt or a zoomed pane, then drop the filter."""
        if super().go_back():
            return True
        if not self.is_ready or not self.tab.filter_text:
            return False
        self.filter_typed("")
        return True

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open the ancestor under the cursor."""
        event.stop()
        if event.option.id and event.option.id != self._whole_id:
            self.console.open_strategy(event.option.id)

    def on_live_table_chosen(self, event: LiveTable.Chosen) -> None:
        """Open what is under the cursor."""
        event.stop()
        self.tab.open_row(event.key)

    def on_sub_tabs_chosen(self, event: SubTabs.Chosen) -> None:
        """Open the tab that was clicked."""
        event.stop()
        self.open_tab(event.name)

    def on_sub_tabs_stepped(self, event: SubTabs.Stepped) -> None:
        """Show the version before or after."""
        event.stop()
        self._step_version(event.step)

    def open_tab(self, name: str) -> None:
        """Open a sub-tab."""
        self.zoom(None)
        self._tab_name = name
        for tab in self.query(StrategyTab):
            tab.set_class(tab.NAME != name, "-other")
        self._fit()
        self.focus_body()
        self.console.look_at(self.watch_for())
        # What it shows depends on its size, which it has when it was laid out.
        self.call_after_refresh(self.refresh_all)

    def action_tab_next(self) -> None:
        """Open the next sub-tab."""
        self.open_tab(_NAMES[(_NAMES.index(self._tab_name) + 1) % len(_NAMES)])

    def action_tab_previous(self) -> None:
        """Open the sub-tab before."""
        self.open_tab(_NAMES[_NAMES.index(self._tab_name) - 1])

    def action_symbol_next(self) -> None:
        """Show the next symbol."""
        self._step_symbol(1)

    def action_symbol_previous(self) -> None:
        """Show the symbol before."""
        self._step_symbol(-1)

    def action_segment_next(self) -> None:
        """Show the next segment alone, then all again."""
        view = self._view()
        if view is None:
            return
        choices = ["", *_segments(view, self._chosen.symbol)]
        now = self._chosen.segment
        place = choices.index(now) if now in choices else 0
        self._chosen = replace(self._chosen, segment=choices[(place + 1) % len(choices)])
        if len(choices) == 1:
            self.console.say("nothing was measured on any segment yet", "warn")
        self.refresh_all()

    def action_version_next(self) -> None:
        """Show the next deployed version."""
        self._step_version(1)

    def action_version_previous(self) -> None:
        """Show the deployed version before."""
        self._step_version(-1)

    def action_view_next(self) -> None:
        """Show the same in another way."""
        if self.tab.next_view():
            self.focus_body()
            self.refresh_all()
        else:
            self.console.say("{view.next} works on the tabs Trades and Code", "warn")

    def action_pane_zoom(self) -> None:
        """Show the focused pane alone, or all again."""
        if self.is_zoomed:
            self.zoom(None)
        elif self._view() is None:
            self.console.say("there is nothing to zoom", "warn")
        elif isinstance(self.focused, Panel | LiveTable | OptionList):
            self.zoom(self.focused)
        else:
            self.console.say("tab chooses a pane first", "warn")

    def action_filter(self) -> None:
        """Type a filter, or what is to be found."""
        if self.tab.filter_by(self.tab.filter_text):
            self.query_one(PromptLine).ask("/", self.tab.filter_text)
        else:
            self.console.say("there is no list to filter on this tab", "warn")

    def action_find_next(self) -> None:
        """Go to the next match."""
        self._find(1)

    def action_find_previous(self) -> None:
        """Go to the match before."""
        self._find(-1)

    def action_sort_next(self) -> None:
        """Sort the list by the next column."""
        self._sort(is_reversing=False)

    def action_sort_reverse(self) -> None:
        """Turn the list round."""
        self._sort(is_reversing=True)

    def action_row_next(self) -> None:
        """Move one row down."""
        self._move("action_cursor_down", "scroll_down")

    def action_row_previous(self) -> None:
        """Move one row up."""
        self._move("action_cursor_up", "scroll_up")

    def action_top(self) -> None:
        """Move to the first row."""
        self._move("action_first", "scroll_home")

    def action_bottom(self) -> None:
        """Move to the last row."""
        self._move("action_last", "scroll_end")

    def action_id_copy(self) -> None:
        """Copy the whole id: of the row under the cursor where it has one of its own."""
        view = self._view()
        own = self.strategy_id if view is None else view.row.id
        self.console.copy_id(self.tab.id_to_copy() or own)

    def action_run_again(self) -> None:
        """Compute the trades in a process of its own, after a yes."""
        view = self._view()
        trades = self.query_one(TradesTab)
        if view is None:
            return
        if not self._chosen.symbol:
            self.console.say("it has not been evaluated on any symbol yet", "warn")
        elif trades.running is not None:
            self.console.say("trades are computed already: {run.stop} stops that", "warn")
        else:
            self.open_tab(TradesTab.NAME)
            self.console.questions.begin(self._ask_again(view, trades))

    def action_run_stop(self) -> None:
        """Stop what `r` started."""
        if self.query_one(TradesTab).stop():
            self.console.say("stopped")
        else:
            self.console.say("nothing runs: {run.again} computes the trades", "warn")

    def action_strategy_promote(self) -> None:
        """Promote it, after a question."""
        if (view := self._view()) is not None:
            self.console.desk.promote(view.row)

    def action_strategy_pause(self) -> None:
        """Pause it, or resume it, after a yes."""
        if (view := self._view()) is not None:
            self.console.desk.pause_or_resume(view.row)

    def action_strategy_retire(self) -> None:
        """Retire it, after a yes."""
        if (view := self._view()) is not None:
            self.console.desk.retire([view.row])

    def action_deploy_new(self) -> None:
        """Bring it out as a Worker, after a yes."""
        if (view := self._view()) is not None:
            DeployDesk(self.console).deploy(view.row)

    async def _ask_again(self, view: StrategyView, trades: TradesTab) -> None:
        is_paired = trades.mode == "side by side"
        what = "through paper trading, beside its backtest," if is_paired else "over its own bars"
        lines = [
            f"{short_id(view.row.id)} on {self._chosen.symbol} {what} in a process of its own.",
            "Its trades are shown here and written to a CSV in reports/ of the home. "
            "{run.stop} stops it.",
        ]
        if is_paired:
            lines.append("The ledger records it as a replay, which no gate reads.")
        if not await self.console.questions.is_confirmed("Run it again?", lines, "Run"):
            return
        snapshot = self.console.snapshot
        store = None if snapshot is None else snapshot.store
        cycles = () if store is None else store.recent_cycles
        cycle = next((row for row in cycles if row.id == view.row.cycle_id), None)
        self.run_worker(self._follow(trades, view.row.id, cycle))

    async def _follow(self, trades: TradesTab, strategy_id: str, cycle: CycleRow | None) -> None:
        self.call_after_refresh(self.refresh_all)
        await trades.run_again(strategy_id, cycle)
        self.refresh_all()

    def _find(self, step: int) -> None:
        if not self.tab.find(step):
            self.console.say("{filter} says what to find, on the tab Code", "warn")

    def _sort(self, *, is_reversing: bool) -> None:
        if self.tab.step_sort(is_reversing=is_reversing):
            self.refresh_all()
        else:
            self.console.say("{sort.next} works on the tabs Trades and Backtests", "warn")

    def _move(self, of_rows: str, of_text: str) -> None:
        focused = self.focused
        table = focused if isinstance(focused, LiveTable | OptionList) else None
        if table is None and not isinstance(focused, Panel):
            table = self.tab.table
        if table is not None:
            getattr(table, of_rows)()
        elif isinstance(focused, Panel):
            getattr(focused, of_text)(animate=False)

    def _step_symbol(self, step: int) -> None:
        view = self._view()
        names = [] if view is None else symbols_of(view)
        if not names:
            return
        now = self._chosen.symbol
        place = names.index(now) if now in names else 0
        self._chosen = replace(self._chosen, symbol=names[(place + step) % len(names)])
        if len(names) == 1:
            self.console.say(f"{names[0]} is its only symbol")
        self.refresh_all()

    def _step_version(self, step: int) -> None:
        view = self._view()
        facts = None if view is None else view.facts
        versions = [] if facts is None else [row.version for row in facts.versions]
        if not versions:
            self.console.say(
                "it has no deployed version: {deploy.new} makes one once it trades", "warn"
            )
            return
        now = self._chosen.version
        place = versions.index(now) if now in versions else len(versions) - 1
        place = min(max(0, place + step), len(versions) - 1)
        self._chosen = replace(self._chosen, version=versions[place])
        if self._tab_name != DeploysTab.NAME:
            self.open_tab(DeploysTab.NAME)
        self.refresh_all()

    def _version_words(self, view: StrategyView) -> str:
        facts = view.facts
        versions = [] if facts is None else [row.version for row in facts.versions]
        if not versions:
            return "no version deployed"
        now = self._chosen.version
        shown = now if now in versions else versions[-1]
        return f"version ‹ v{shown} / {versions[-1]} ›"

    def _fit(self) -> None:
        for table in self.query(LiveTable):
            table.fit_columns(self.size.width)

    def _view(self) -> StrategyView | None:
        snapshot = self.console.snapshot
        view = None if snapshot is None or snapshot.store is None else snapshot.store.strategy
        if view is None or not view.row.id.startswith(self.strategy_id.lower()):
            return None
        return view

    def _missing(self, snapshot: Snapshot) -> str:
        if snapshot.problem:
            return snapshot.problem
        if self.console.is_watching(self.watch_for()):
            return (
                f"No strategy has an id that starts with {self.strategy_id!r}, or several do. "
                "{back} goes back, {go.strategies} lists all."
            )
        return "reading…"


def _segments(view: StrategyView, symbol: str) -> list[str]:
    """Return the segments and accounts that there is something of, in the order of a life."""
    order = ("fit", "validation", "holdout", "paper", "replay")
    measured = {item.segment for item in view.evaluations if item.symbol == symbol}
    measured.update(segments_of(view, symbol))
    facts = view.facts
    accounts = () if facts is None else tuple(dict.fromkeys(t.account for t in facts.trades))
    return [*(name for name in order if name in measured), *(a for a in accounts if a != "paper")]
