"""Sub-tab Summary: metrics and curves above, what it does, its ancestors and its gates below."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from console.screens.strategy_tab import Chosen, StrategyTab
from console.screens.strategy_text import (
    ancestor_label,
    curve_title,
    drawdown_curves,
    equity_curves,
    gates_content,
    metrics_content,
    words_content,
)
from console.snapshot import Snapshot, StrategyView
from console.widgets.curve_plot import CurvePlot
from console.widgets.panel import Panel
from console.widgets.titles import entitle


class SummaryTab(StrategyTab):
    """Everything that fits one screen."""

    NAME = "Summary"
    # Its looks depend on a class of the screen.
    SCOPED_CSS = False

    DEFAULT_CSS = """
    SummaryTab #metrics { width: 66; height: 1fr; }
    SummaryTab #upper { height: 17; }
    SummaryTab #plots { width: 1fr; border: solid $border; border-title-color: $foreground; }
    SummaryTab #drawdown { height: 6; }
    SummaryTab #lower { height: 1fr; }
    SummaryTab #origin { width: 66; height: 1fr; }
    SummaryTab #words { height: 1fr; }
    SummaryTab #lineage {
        height: 6; border: solid $border; border-title-color: $foreground;
        background: $background; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    SummaryTab #lineage:focus { border: solid $primary; }
    SummaryTab #gates { width: 1fr; height: 1fr; }
    StrategyScreen.-narrow SummaryTab { overflow-y: auto; scrollbar-size-vertical: 1; }
    StrategyScreen.-narrow SummaryTab #upper { height: 1fr; min-height: 12; }
    StrategyScreen.-narrow SummaryTab #metrics { width: 46; }
    StrategyScreen.-narrow SummaryTab #lower { layout: vertical; height: auto; }
    StrategyScreen.-narrow SummaryTab #origin { layout: horizontal; width: 100%; height: 7; }
    StrategyScreen.-narrow SummaryTab #words { width: 46; }
    StrategyScreen.-narrow SummaryTab #lineage { width: 1fr; height: 1fr; }
    StrategyScreen.-narrow SummaryTab #gates { width: 100%; height: 17; }
    StrategyScreen.-narrow SummaryTab #drawdown { display: none; }
    """

    def __init__(self) -> None:
        super().__init__(id="summary")
        self._ancestors: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
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

    def show(self, view: StrategyView, chosen: Chosen, snapshot: Snapshot, now_at: int) -> None:
        """Show a strategy."""
        metrics = self.query_one("#metrics", Panel)
        metrics.show(metrics_content(view, chosen.symbol, metrics.text_width, now_at))
        self.query_one("#words", Panel).show(words_content(view))
        self.query_one("#gates", Panel).show(gates_content(view))
        self._show_curves(view, chosen)
        self._show_lineage(view)

    def target(self) -> Widget | None:
        """Return the lineage."""
        return self.query_one("#lineage")

    def _show_curves(self, view: StrategyView, chosen: Chosen) -> None:
        plots = self.query_one("#plots", Vertical)
        equity = equity_curves(view, chosen.symbol, chosen.segment)
        entitle(
            plots,
            title=curve_title(chosen.symbol, equity)
            if equity
            else "No equity curve is stored for this strategy",
            foot="" if self.screen.has_class("-narrow") else "drawdown below",
        )
        self.query_one("#equity", CurvePlot).show(equity)
        self.query_one("#drawdown", CurvePlot).show(drawdown_curves(equity), is_percent=True)

    def _show_lineage(self, view: StrategyView) -> None:
        is_narrow = self.screen.has_class("-narrow")
        entitle(self.query_one("#lineage"), foot="tab: gates, below" if is_narrow else "")
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
