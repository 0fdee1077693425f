"""A titled, scrollable box of text that repaints only when its text changes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from console.key_words import content_with_keys
from console.widgets.titles import entitle


class Panel(VerticalScroll):
    """A box with a title.

    Parameters
    ----------
    title : str
    panel_id : str
    wraps : bool, whether long lines go on in the next row or are cut
    """

    DEFAULT_CSS = """
    Panel {
        border: solid $border;
        border-title-color: $foreground;
        border-subtitle-color: $muted;
        background: $background;
        padding: 0 1;
        scrollbar-size-vertical: 1;
    }
    Panel:focus { border: solid $primary; }
    Panel.-stale > Static { text-opacity: 60%; }
    Panel > Static { width: 100%; height: auto; }
    Panel.-lines > Static { text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, title: str, panel_id: str, *, wraps: bool = True) -> None:
        super().__init__(id=panel_id, classes="" if wraps else "-lines")
        self.border_title = title
        self._is_cut = not wraps
        self._shown: Content | None = None
        self._body = Static("", markup=False)

    def compose(self) -> ComposeResult:
        """Yield the text."""
        yield self._body

    @property
    def text_width(self) -> int:
        """Return how many cells a line may take; a sensible number before the first layout."""
        return max(20, (self.size.width or 62) - 1)

    def show(
        self, content: Content, *, title: str | None = None, stale: str = "", foot: str = ""
    ) -> None:
        """Show this text, greyed with its age when it is stale.

        Parameters
        ----------
        foot : stands in the lower border; the age when empty
        """
        entitle(self, title=title, foot=foot or stale)
        self.set_class(bool(stale), "-stale")
        content = content_with_keys(self, content)
        before, self._shown = self._shown, content
        # To Textual contents of other colours are equal.
        if before is None or not before.is_same(content):
            is_as_high = before is not None and self._is_as_high(before, content)
            self._body.update(content, layout=not is_as_high)

    def _is_as_high(self, before: Content, content: Content) -> bool:
        # Lines that are cut take a row each.
        return self._is_cut and before.plain.count("\n") == content.plain.count("\n")
