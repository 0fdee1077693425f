"""Sub-tab Lineage: the ancestors as a tree, each with its standing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content

from console.format import age, number, short_id
from console.screens.strategy_tab import Chosen, StrategyTab
from console.snapshot import Snapshot, StrategyView
from console.states import state_style
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from console.widgets.panel import Panel
from engine.store.filter_words import passes

if TYPE_CHECKING:
    from engine.store.strategies import StrategyRow

_COLUMNS = (
    LiveColumn("tree", "ancestors", 34, takes_rest=True),
    LiveColumn("how", "made by", 18),
    LiveColumn("gen", "gen", 4, is_number=True),
    LiveColumn("fitness", "val fitness", 11, is_number=True),
    LiveColumn("sharpe", "val Sharpe/y", 12, is_number=True, min_screen=110),
    LiveColumn("status", "status", 11),
    LiveColumn("age", "age", 7, is_number=True, min_screen=90),
)
MARKS = {"language_model": "!"}
LEGEND = (
    "× crossover of two   ~ mutation of one   ! language model   · drawn new or from the library"
)


@dataclass(frozen=True, slots=True)
class TreeLine:
    """One ancestor where it stands in the tree.

    Attributes
    ----------
    key : its place in the list; the same ancestor may stand in several
    branches : the lines that lead to it
    is_again : it stands further up already, with its own ancestors
    """

    key: str
    branches: str
    row: StrategyRow
    is_again: bool


class LineageTab(StrategyTab):
    """The tree; enter opens an ancestor."""

    NAME = "Lineage"

    DEFAULT_CSS = """
    LineageTab #tree { height: 1fr; }
    LineageTab #tree-words { height: 4; }
    """

    def __init__(self) -> None:
        super().__init__(id="lineage-tab")
        self._lines: dict[str, TreeLine] = {}
        self._text = ""
        self._fact: object = None
        self._own_id = ""

    def compose(self) -> ComposeResult:
        """Yield the tree and its signs."""
        table = LiveTable(_COLUMNS, "tree")
        table.border_title = "Lineage: parents below their child, nearest first"
        yield table
        yield Panel("Signs", "tree-words")

    def show(self, view: StrategyView, chosen: Chosen, snapshot: Snapshot, now_at: int) -> None:
        """Show the ancestors of a strategy."""
        self._own_id = view.row.id
        table = self.query_one("#tree", LiveTable)
        rows = tuple(item.row for item in view.lineage)
        fact = (rows, self._text, now_at // 10_000)
        if fact != self._fact:
            self._fact = fact
            lines = [
                line
                for line in tree_lines(view)
                if passes(self._text, f"{line.row.id} {line.row.origin} {line.row.status}")
            ]
            self._lines = {line.key: line for line in lines}
            held, colours = self._lines, self.app.theme_variables
            table.show_rows(tuple(held), lambda key: _cells(held[key], now_at, colours))
        table.border_subtitle = f"enter opens one · {len(rows) - 1:,} ancestors in six generations"
        table.say_when_empty(f"No ancestor matches {self._text!r}; {{back}} shows all again.")
        words = [Content.styled(LEGEND, "$muted")]
        if len(rows) == 1:
            words.append(Content("It has no stored parents: it was not bred from others."))
        self.query_one("#tree-words", Panel).show(Content("\n").join(words))

    @property
    def crumb(self) -> str:
        """Return the filter."""
        return f"filter {self._text}" if self._text else ""

    @property
    def filter_text(self) -> str:
        """Return the filter that is set."""
        return self._text

    def filter_by(self, text: str) -> bool:
        """List only ancestors with these words."""
        self._text = text
        return True

    def id_to_copy(self) -> str | None:
        """Return the ancestor under the cursor."""
        line = self._lines.get(self.query_one("#tree", LiveTable).selected_key or "")
        return None if line is None else line.row.id

    def open_row(self, key: str) -> None:
        """Open an ancestor."""
        line = self._lines.get(key)
        if line is not None and line.row.id != self._own_id:
            self.console.open_strategy(line.row.id)


def tree_lines(view: StrategyView) -> list[TreeLine]:
    """Return the strategy and its ancestors as a tree; one met again is not followed again."""
    rows = {item.row.id: item.row for item in view.lineage}
    found: list[TreeLine] = []
    seen: set[str] = set()

    def grow(row: StrategyRow, own: str, below: str) -> None:
        is_again = row.id in seen
        found.append(TreeLine(str(len(found)), own, row, is_again))
        if is_again:
            return
        seen.add(row.id)
        parents = dict.fromkeys(p for p in (row.parent_a, row.parent_b) if p in rows)
        for place, parent in enumerate(parents, start=1):
            is_last = place == len(parents)
            grow(
                rows[str(parent)],
                f"{below}{'└─ ' if is_last else '├─ '}",
                f"{below}{'   ' if is_last else '│  '}",
            )

    if view.row.id in rows:
        grow(rows[view.row.id], "", "")
    return found


def origin_mark(row: StrategyRow) -> str:
    """Return the sign of how a strategy was made."""
    if row.origin in MARKS:
        return MARKS[row.origin]
    n_parents = len({parent for parent in (row.parent_a, row.parent_b) if parent})
    return {0: "·", 1: "~", 2: "×"}[n_parents]


def _cells(line: TreeLine, now_at: int, colours: dict[str, str]) -> Row:
    row, style = line.row, state_style(line.row.status)
    again = "  (above)" if line.is_again else ""
    return {
        "tree": LiveCell(f"{line.branches}{short_id(row.id)}{again}"),
        "how": LiveCell(f"{origin_mark(row)} {row.origin.replace('_', ' ')}"),
        "gen": LiveCell(str(row.generation)),
        "fitness": LiveCell(number(row.fitness)),
        "sharpe": LiveCell(number(row.sharpe)),
        "status": LiveCell(f"{style.glyph} {row.status}", colours[style.colour]),
        "age": LiveCell(age(row.created_at, now_at), colours["muted"]),
    }
