"""Sub-tab Code: the strategy as it is stored, or beside one of its parents; read only."""

from __future__ import annotations

from textual.app import ComposeResult

from console.format import short_id
from console.genome_text import CodeLine, code_lines, difference_lines
from console.key_words import with_keys
from console.screens.strategy_tab import Chosen, StrategyTab
from console.snapshot import Snapshot, StrategyView
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from engine.store.filter_words import passes
from engine.strategy.written import is_written

_COLUMNS = (
    LiveColumn("line", "line", 5, is_number=True),
    LiveColumn("mark", "", 1),
    LiveColumn("text", "", 40, takes_rest=True),
)


class CodeTab(StrategyTab):
    """Its lines; `v` shows what differs from a parent, `/` finds, `n` and `N` go on."""

    NAME = "Code"

    DEFAULT_CSS = "CodeTab #code { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="code-tab")
        self._lines: dict[str, CodeLine] = {}
        self._parents: tuple[str, ...] = ()
        self._other = ""
        self._text = ""
        self._fact: object = None

    def compose(self) -> ComposeResult:
        """Yield the lines."""
        table = LiveTable(_COLUMNS, "code")
        table.has_header = False
        yield table

    def show(self, view: StrategyView, chosen: Chosen, snapshot: Snapshot, now_at: int) -> None:
        """Show a strategy's code."""
        stored = {} if view.facts is None else view.facts.parents
        self._parents = tuple(stored)
        if self._other not in stored:
            self._other = ""
        table = self.query_one("#code", LiveTable)
        fact = (view.row.id, self._other, self._text)
        if fact != self._fact:
            self._fact = fact
            if self._other:
                lines = difference_lines(view.genome, stored[self._other])
            else:
                lines = [CodeLine(" ", text) for text in code_lines(view.genome)]
            self._lines = {str(n): line for n, line in enumerate(lines, start=1)}
            table.show_rows(tuple(self._lines), self._cells)
        kind = "JavaScript" if is_written(view.genome) else "genome"
        n_changed = sum(line.mark != " " for line in self._lines.values())
        against = f", {n_changed:,} lines differ from {short_id(self._other)}"
        table.border_title = f"Code: {kind}{against if self._other else ''} (read only)"
        table.border_subtitle = with_keys(self, self._hint())

    @property
    def crumb(self) -> str:
        """Return what is sought."""
        return f"find {self._text}" if self._text else ""

    @property
    def filter_text(self) -> str:
        """Return what is sought."""
        return self._text

    def filter_by(self, text: str) -> bool:
        """Find lines with these words; the first after the cursor is gone to."""
        self._text = text
        if text:
            self.find(0)
        return True

    def find(self, step: int) -> bool:
        """Go to the next line with the words, the one before, or (0) the first from here on."""
        if not self._text:
            return False
        table, n_lines = self.query_one("#code", LiveTable), len(self._lines)
        place = table.cursor_row + step
        for _ in range(n_lines):
            place %= n_lines
            if self._is_match(str(place + 1)):
                table.move_cursor(place)
                return True
            place += step or 1
        self.console.say(f"no line matches {self._text!r}", "warn")
        return True

    def next_view(self) -> bool:
        """Show the code alone, or what differs from the next parent."""
        if not self._parents:
            self.console.say("it has no stored parent to compare it with", "warn")
            return True
        choices = ("", *self._parents)
        self._other = choices[(choices.index(self._other) + 1) % len(choices)]
        return True

    def _is_match(self, key: str) -> bool:
        return bool(self._text) and passes(self._text, self._lines[key].text)

    def _cells(self, key: str) -> Row:
        line, colours = self._lines[key], self.app.theme_variables
        style = {"+": colours["success"], "-": colours["error"]}.get(line.mark, "")
        if self._is_match(key):
            style = f"{style} bold reverse".strip()
        return {
            "line": LiveCell(key, colours["muted"]),
            "mark": LiveCell(line.mark, style),
            "text": LiveCell(line.text, style),
        }

    def _hint(self) -> str:
        if not self._parents:
            return "no parent is stored: nothing to compare it with"
        after = ("", *self._parents)
        following = after[(after.index(self._other) + 1) % len(after)]
        return f"{{view.next}}: {f'against parent {short_id(following)}' if following else 'alone'}"
