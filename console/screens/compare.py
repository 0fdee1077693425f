"""Up to four strategies side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from console.format import clipped, count, drawdown, number, percent, short_id, signed_percent
from console.snapshot import FitScore

if TYPE_CHECKING:
    from engine.store.strategies import StrategyRow

MOST_COMPARED = 4
_LABEL, _WIDTH = 18, 15
Compared = tuple["StrategyRow", FitScore | None]


class CompareScreen(ModalScreen[None]):
    """The marked strategies, the best of each line in bold.

    Parameters
    ----------
    compared : strategies with their scores on the fit segment
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,m,enter", "close", "close", show=False)
    ]
    DEFAULT_CSS = """
    CompareScreen { align: center middle; background: $background 60%; }
    CompareScreen > VerticalScroll {
        width: 84; max-width: 98%; height: auto; max-height: 96%; border: heavy $primary;
        background: $surface; padding: 0 1; border-title-style: bold;
    }
    CompareScreen Static { height: auto; }
    """

    def __init__(self, compared: Sequence[Compared]) -> None:
        super().__init__()
        self._compared = tuple(compared)

    def compose(self) -> ComposeResult:
        """Yield the table."""
        with VerticalScroll() as box:
            box.border_title = f"Compare {len(self._compared)} strategies"
            box.border_subtitle = "esc closes"
            yield Static(compare_content(self._compared), markup=False)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)


def compare_content(compared: Sequence[Compared]) -> Content:
    """Return one line a measure, one column a strategy."""
    rows = [row for row, _ in compared]
    lines = [
        _words("", [short_id(row.id) for row in rows], "bold $primary"),
        _words("type", [row.type.replace("_", " ") for row in rows]),
        _words("origin", [row.origin.replace("_", " ") for row in rows]),
        _words("direction", [f"{row.direction} {row.timeframe}" for row in rows]),
        _words("generation", [str(row.generation) for row in rows]),
        _words("status", [row.status for row in rows]),
        _words("best on", [row.best_symbol or "–" for row in rows]),
        Content(""),
        _numbers("fit fitness", [s.fitness if s else math.nan for _, s in compared], number),
        _numbers("fit Sharpe/y", [s.sharpe if s else math.nan for _, s in compared], number),
        _numbers("val fitness", [row.fitness for row in rows], number),
        _numbers("val Sharpe/y", [row.sharpe for row in rows], number),
        _numbers("val return", [row.total_return for row in rows], signed_percent),
        _numbers("val max DD", [row.max_drawdown for row in rows], drawdown, is_least=True),
        _numbers("val trades", [row.n_trades for row in rows], count),
        _numbers("val won", [row.win_rate for row in rows], percent),
        _numbers("profit factor", [row.profit_factor for row in rows], number),
    ]
    return Content("\n").join(lines)


def _words(label: str, words: Sequence[str], style: str = "") -> Content:
    cells = "".join(f"{clipped(word, _WIDTH - 1):>{_WIDTH}}" for word in words)
    return Content.assemble((f"{label:<{_LABEL}}", "$muted"), (cells, style))


def _numbers(
    label: str,
    values: Sequence[float],
    written: Callable[[float], str],
    *,
    is_least: bool = False,
) -> Content:
    defined = [value for value in values if math.isfinite(value)]
    best = (min if is_least else max)(defined) if defined else None
    cells = [
        (f"{written(value):>{_WIDTH}}", "bold $success" if value == best else "")
        for value in values
    ]
    return Content.assemble((f"{label:<{_LABEL}}", "$muted"), *cells)
