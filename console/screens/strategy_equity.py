"""Sub-tab Equity: the curves, the band they were expected in, and how they kept within it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from console.format import clipped
from console.screens.equity_text import (
    band_curves,
    band_lines,
    method_words,
    traded_curves,
)
from console.screens.strategy_tab import Chosen, StrategyTab
from console.screens.strategy_text import curve_title, drawdown_curves, equity_curves
from console.snapshot import Snapshot, StrategyView
from console.widgets.curve_plot import CurvePlot
from console.widgets.panel import Panel
from console.widgets.titles import entitle

_NOTHING = (
    "No equity curve is stored: cycles keep those of the strategies that they promote. "
    "{run.again} computes its trades again, on the tab Trades."
)


class EquityTab(StrategyTab):
    """Equity as multiples of the capital, each segment from 1 at its own start."""

    NAME = "Equity"
    # Its looks depend on a class of the screen.
    SCOPED_CSS = False

    DEFAULT_CSS = """
    EquityTab #equity-plots {
        height: 1fr; border: solid $border; border-title-color: $foreground;
        border-subtitle-color: $muted;
    }
    EquityTab #equity-drawdown { height: 7; }
    EquityTab #equity-words { height: 10; }
    StrategyScreen.-narrow EquityTab #equity-drawdown { display: none; }
    StrategyScreen.-narrow EquityTab #equity-words { height: 8; }
    """

    def __init__(self) -> None:
        super().__init__(id="equity-tab")

    def compose(self) -> ComposeResult:
        """Yield the curves, and the band in words."""
        with Vertical(id="equity-plots"):
            yield CurvePlot("equity-curves")
            yield CurvePlot("equity-drawdown")
        yield Panel("Expected band", "equity-words")

    def show(self, view: StrategyView, chosen: Chosen, snapshot: Snapshot, now_at: int) -> None:
        """Show a strategy."""
        equity = equity_curves(view, chosen.symbol, chosen.segment)
        traded = traded_curves(view, chosen.symbol, chosen.segment)
        bands = band_curves(view, chosen.symbol, chosen.segment)
        plots = self.query_one("#equity-plots", Vertical)
        title = curve_title(chosen.symbol, [*equity, *traded])
        entitle(plots, title=title if equity or traded else "No equity curve is stored")
        band = "grey: expected band 80 %" if bands else "no band: see below"
        more = "" if self.screen.has_class("-narrow") else " · drawdown below"
        entitle(plots, foot=clipped(f"{band}{more}", max(20, self.size.width - 6)))
        self.query_one("#equity-curves", CurvePlot).show([*bands, *equity, *traded])
        drawn = drawdown_curves([*equity, *traded])
        self.query_one("#equity-drawdown", CurvePlot).show(drawn, is_percent=True)
        lines = band_lines(view, chosen.symbol, now_at)
        words = self.query_one("#equity-words", Panel)
        if not equity and not traded:
            lines = [Content.styled(_NOTHING, "$muted")]
        words.show(Content("\n").join([*lines, Content.styled(method_words(view), "$muted")]))

    def target(self) -> Widget | None:
        """Return the words below the curves."""
        return self.query_one("#equity-words")
