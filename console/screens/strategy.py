"""Screen 2.1: one strategy: what it does, how it did, why it stands where it stands."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from console.bindings import Place, bindings_of
from console.poller import Watch
from console.screens.frame import FrameScreen
from console.screens.strategy_text import (
    ancestor_label,
    curve_title,
    drawdown_curves,
    equity_curves,
    gates_content,
    metrics_content,
    segments_of,
    symbols_of,
    title_of,
    words_content,
)
from console.snapshot import Snapshot, StrategyView
from console.widgets.curve_plot import CurvePlot
from console.widgets.panel import Panel


class StrategyScreen(FrameScreen):
    """One strategy.

    Parameters
    ----------
    strategy_id : str, its id or the start of it
    """

    PLACE = Place.STRATEGY
    NAME = "Strategies"
    AUTO_FOCUS = "#lineage"
    BINDINGS = bindings_of(Place.STRATEGY, "screen")
    # Textual declares it so; it is never changed.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012

    DEFAULT_CSS = """
    StrategyScreen #metrics { width: 66; height: 1fr; }
    StrategyScreen #upper { height: 17; }
    StrategyScreen #plots { width: 1fr; border: solid $border; border-title-color: $foreground; }
    StrategyScreen #drawdown { height: 6; }
    StrategyScreen #lower { height: 1fr; }
    StrategyScreen #origin { width: 66; height: 1fr; }
    StrategyScreen #words { height: 1fr; }
    StrategyScreen #lineage {
        height: 6; border: solid $border; border-title-color: $foreground;
        background: $background; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    StrategyScreen #lineage:focus { border: solid $primary; }
    StrategyScreen #gates { width: 1fr; height: 1fr; }
    StrategyScreen.-narrow #body { overflow-y: auto; scrollbar-size-vertical: 1; }
    StrategyScreen.-narrow #upper { height: 1fr; min-height: 12; }
    StrategyScreen.-narrow #metrics { width: 46; }
    StrategyScreen.-narrow #lower { layout: vertical; height: auto; }
    StrategyScreen.-narrow #origin { layout: horizontal; width: 100%; height: 7; }
    StrategyScreen.-narrow #words { width: 46; }
    StrategyScreen.-narrow #lineage { width: 1fr; height: 1fr; }
    StrategyScreen.-narrow #gates { width: 100%; height: 17; }
    StrategyScreen.-narrow #drawdown { display: none; }
    """

    def __init__(self, strategy_id: str) -> None:
        super().__init__()
        self.strategy_id = strategy_id
        self._symbol = ""
        self._segment = ""
        self._ancestors: tuple[str, ...] = ()

    def body(self) -> ComposeResult:
        """Yield metrics and curves above, words, ancestors and gates below."""
        with Horizontal(id="upper"):
            yield Panel("Metrics by symbol and segment", "metrics")
            with Vertical(id="plots"):
                yield CurvePlot("equity")
                yield CurvePlot("drawdown")
        with Horizontal(id="lower"):
            with Vertical(id="origin"):
                yield Panel("What it does", "words")
                lineage = OptionList(id="lineage", markup=False)
                lineage.border_title = "Lineage (enter opens an ancestor)"
                yield lineage
            yield Panel("Gates and status", "gates")

    def crumbs(self) -> str:
        """Return the strategy's place and standing."""
        view = self._view()
        return f"strategies › {self.strategy_id[:8]}" if view is None else title_of(view)

    def watch_for(self) -> Watch:
        """Return the strategy that is shown."""
        return Watch(strategy_id=self.strategy_id)

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """Show the strategy, when it has been read."""
        view = self._view()
        metrics = self.query_one("#metrics", Panel)
        if view is None:
            metrics.show(Content(self._missing(snapshot)))
            return
        names = symbols_of(view)
        if self._symbol not in names:
            self._symbol = names[0] if names else ""
        metrics.show(metrics_content(view, self._symbol, metrics.text_width))
        self.query_one("#words", Panel).show(words_content(view))
        self.query_one("#gates", Panel).show(gates_content(view))
        self._show_curves(view)
        self._show_lineage(view)

    def focus_body(self) -> None:
        """Give the keys to the lineage."""
        self.set_focus(self.query_one("#lineage"))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open the ancestor under the cursor."""
        event.stop()
        if event.option.id and event.option.id != self.strategy_id:
            self.console.open_strategy(event.option.id)

    def action_symbol_next(self) -> None:
        """Show the next symbol's curves."""
        self._step_symbol(1)

    def action_symbol_previous(self) -> None:
        """Show the previous symbol's curves."""
        self._step_symbol(-1)

    def action_segment_next(self) -> None:
        """Show the next segment's curve alone, then all again."""
        view = self._view()
        if view is None:
            return
        choices = ["", *segments_of(view, self._symbol)]
        place = choices.index(self._segment) if self._segment in choices else 0
        self._segment = choices[(place + 1) % len(choices)]
        self._show_curves(view)

    def action_id_copy(self) -> None:
        """Copy the whole id."""
        view = self._view()
        self.console.copy_id(self.strategy_id if view is None else view.row.id)

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
            self.console.desk.retire(view.row)

    def _step_symbol(self, step: int) -> None:
        view = self._view()
        names = [] if view is None else symbols_of(view)
        if view is None or not names:
            return
        place = names.index(self._symbol) if self._symbol in names else 0
        self._symbol = names[(place + step) % len(names)]
        self.refresh_all()

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
            return f"No strategy has an id that starts with {self.strategy_id!r}."
        return "reading…"

    def _show_curves(self, view: StrategyView) -> None:
        plots = self.query_one("#plots", Vertical)
        equity = equity_curves(view, self._symbol, self._segment)
        plots.border_title = (
            curve_title(self._symbol, equity)
            if equity
            else "No equity curve is stored for this strategy"
        )
        plots.border_subtitle = "" if self.has_class("-narrow") else "drawdown below"
        self.query_one("#equity", CurvePlot).show(equity)
        self.query_one("#drawdown", CurvePlot).show(drawdown_curves(equity), is_percent=True)

    def _show_lineage(self, view: StrategyView) -> None:
        is_narrow = self.has_class("-narrow")
        self.query_one("#lineage").border_subtitle = "tab: gates, below" if is_narrow else ""
        ids = tuple(item.row.id for item in view.lineage)
        if ids == self._ancestors:
            return
        self._ancestors = ids
        lineage = self.query_one("#lineage", OptionList)
        lineage.clear_options()
        lineage.add_options(
            Option(ancestor_label(view, place), id=key) for place, key in enumerate(ids)
        )
        lineage.highlighted = 0
