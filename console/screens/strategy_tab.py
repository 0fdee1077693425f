"""What the sub-tabs of a strategy have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual.containers import Vertical
from textual.widget import Widget

from console.widgets.live_table import LiveTable

if TYPE_CHECKING:
    from console.app import PaddockApp
    from console.snapshot import Snapshot, StrategyView


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the operator looks at.

    Attributes
    ----------
    segment : fit, validation, holdout, paper, live; empty for all
    version : of its deployed versions, None where there is none
    """

    symbol: str = ""
    segment: str = ""
    version: int | None = None


class StrategyTab(Vertical):
    """One sub-tab. Keys of the screen come here; those a tab has no use for do nothing."""

    NAME: ClassVar[str]
    DEFAULT_CSS = """
    StrategyTab { height: 1fr; }
    StrategyTab LiveTable {
        border: solid $border; border-title-color: $foreground; border-subtitle-color: $muted;
    }
    StrategyTab LiveTable:focus { border: solid $primary; }
    """

    @property
    def console(self) -> PaddockApp:
        """Return the app, by its own type."""
        return cast("PaddockApp", self.app)

    @property
    def table(self) -> LiveTable | None:
        """Return the table that the keys of rows move, None where there is none."""
        tables = self.query(LiveTable)
        return tables.first() if tables else None

    @property
    def crumb(self) -> str:
        """Return what is filtered and sorted here, empty for nothing."""
        return ""

    def show(self, view: StrategyView, chosen: Chosen, snapshot: Snapshot, now_at: int) -> None:
        """Show a strategy."""

    def target(self) -> Widget | None:
        """Return what gets the keys when the tab opens."""
        return self.table

    def id_to_copy(self) -> str | None:
        """Return the id under the cursor, None for the strategy's own."""
        return None

    def open_row(self, key: str) -> None:
        """Open what is under the cursor."""

    def next_view(self) -> bool:
        """Show the same in another way; False where there is only one."""
        return False

    def step_sort(self, *, is_reversing: bool) -> bool:
        """Sort by the next column, or turn the order round; False where there is no order."""
        return False

    @property
    def filter_text(self) -> str:
        """Return the filter that is set."""
        return ""

    def filter_by(self, text: str) -> bool:
        """List or find these words; False where there is nothing to list."""
        return False

    def find(self, step: int) -> bool:
        """Go to the next match (1) or the one before (-1); False where nothing is sought."""
        return False
