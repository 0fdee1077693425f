"""The command palette, over the same table as the keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from console.availability import why_disabled
from console.bindings import Entry, entries_at
from console.key_words import with_keys

if TYPE_CHECKING:
    from console.app import PaddockApp

# Keys that act on the widget that has the focus: there is nothing to do from a palette.
_LEFT_OUT = ("palette", "command", "strategy.open", "ancestor.open", "pane.next")


class TablePalette(Provider):
    """Everything that can be done here, found by its words."""

    @property
    def console(self) -> PaddockApp:
        """Return the app, by its own type."""
        return cast("PaddockApp", self.app)

    async def discover(self) -> Hits:
        """Yield everything that can be done here."""
        for entry, run in self._entries():
            yield DiscoveryHit(entry.title, run, help=self._help(entry))

    async def search(self, query: str) -> Hits:
        """Yield what matches."""
        matcher = self.matcher(query)
        for entry, run in self._entries():
            score = matcher.match(f"{entry.title} {' '.join(entry.words)}")
            if score > 0:
                yield Hit(score, matcher.highlight(entry.title), run, help=self._help(entry))

    def _entries(self) -> Iterable[tuple[Entry, Callable[[], Any]]]:
        for entry in entries_at(self.console.place, self.console.keymap.entries):
            if entry.id not in _LEFT_OUT and not entry.takes:
                yield entry, partial(self.console.run_entry, entry)

    def _help(self, entry: Entry) -> str:
        reason = why_disabled(entry.id, self.console.snapshot)
        return f"not now: {with_keys(self.screen, reason)}" if reason else entry.key_text
