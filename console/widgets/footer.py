"""The last two rows: what was just said or is being typed, and the keys of this screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.timer import Timer
from textual.widgets import Input, Static

from console.availability import why_disabled
from console.bindings import ENTRIES, Entry, Place, footer_entries
from console.snapshot import Snapshot

SAID_FOR_S = 8.0
_WAY_OUT = "leave"
SAY_STYLES = {"info": "", "ok": "$success", "warn": "$warning", "error": "$error"}


def footer_content(
    place: Place, snapshot: Snapshot | None, width: int, entries: Sequence[Entry] = ENTRIES
) -> Content:
    """Return the keys of a place; those that cannot be used now are grey, none is cut in half."""
    parts = {
        entry.id: Content.assemble(*_key_words(entry, bool(why_disabled(entry.id, snapshot))))
        for entry in footer_entries(place, entries)
    }
    # The way out is always shown; the others are dropped from the end.
    way_out = parts.pop(_WAY_OUT, Content(""))
    line = Content(" ")
    for part in parts.values():
        if line.cell_length + part.cell_length + way_out.cell_length + 4 > width:
            break
        line = Content.assemble(line, part, "  ")
    return Content.assemble(line, way_out)


def _key_words(entry: Entry, is_disabled: bool) -> tuple[tuple[str, str], tuple[str, str]]:
    if is_disabled:
        return (entry.key_text, "$muted"), (f" {entry.title}", "$muted")
    return (entry.key_text, "bold $primary"), (f" {entry.title}", "")


class KeyBar(Static):
    """Row 36."""

    DEFAULT_CSS = "KeyBar { height: 1; width: 100%; background: $panel; }"

    def __init__(self, place: Place) -> None:
        super().__init__("", markup=False)
        self._place = place
        self._shown: Content | None = None

    def show(self, snapshot: Snapshot | None, entries: Sequence[Entry] = ENTRIES) -> None:
        """Show the keys as they stand now."""
        width = self.size.width or 120
        content = footer_content(self._place, snapshot, width, entries)
        # To Textual contents of other colours are equal.
        if self._shown is None or not self._shown.is_same(content):
            self._shown = content
            self.update(content, layout=False)


class PromptLine(Horizontal):
    """Row 35: a sentence that fades, or one line being typed."""

    DEFAULT_CSS = """
    PromptLine { height: 1; width: 100%; }
    PromptLine > #mark { width: 2; display: none; color: $primary; }
    PromptLine > #said { width: 1fr; padding: 0 1; }
    PromptLine > Input {
        width: 1fr; height: 1; border: none; padding: 0; display: none; background: $background;
    }
    /* The one row is for the words: a focused field would draw its border over them. */
    PromptLine > Input:focus { border: none; padding: 0; height: 1; }
    PromptLine.-typing > #mark, PromptLine.-typing > Input { display: block; }
    PromptLine.-typing > #said { display: none; }
    """

    class Typed(Message):
        """A line was typed.

        Attributes
        ----------
        mark : ":" for a command, "/" for a filter
        """

        def __init__(self, mark: str, text: str, *, is_final: bool) -> None:
            super().__init__()
            self.mark = mark
            self.text = text
            self.is_final = is_final

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self._mark = ""
        self._hint = Content("")
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Yield the mark, the sentence and the input."""
        yield Static("", id="mark", markup=False)
        yield Static("", id="said", markup=False)
        yield Input(id="typed", select_on_focus=False)

    @property
    def is_typing(self) -> bool:
        """Return whether a line is being typed."""
        return self.has_class("-typing")

    def say(self, text: str, level: str = "info") -> None:
        """Show a sentence for some seconds."""
        self.query_one("#said", Static).update(Content.styled(text, SAY_STYLES.get(level, "")))
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SAID_FOR_S, self._fade)

    def hint(self, text: str) -> None:
        """Show this, greyed, whenever nothing is said."""
        hint = Content.styled(text, "$muted")
        if hint != self._hint:
            self._hint = hint
            if self._timer is None:
                self._fade()

    def ask(self, mark: str, text: str = "", words: list[str] | None = None) -> None:
        """Let a line be typed, completed from `words`."""
        self._mark = mark
        self.query_one("#mark", Static).update(f" {mark}")
        field = self.query_one(Input)
        field.suggester = SuggestFromList(words or [], case_sensitive=False)
        field.value = text
        field.cursor_position = len(text)
        self.add_class("-typing")
        # At once: what is typed next must find it.
        self.screen.set_focus(field)

    def close(self) -> None:
        """Stop typing."""
        self.remove_class("-typing")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass a filter on while it is typed."""
        event.stop()
        if self.is_typing and self._mark == "/":
            self.post_message(self.Typed(self._mark, event.value, is_final=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Pass the line on, once: what is typed behind it belongs to no line."""
        event.stop()
        if not self.is_typing:
            return
        mark, text = self._mark, event.value
        self.close()
        self.post_message(self.Typed(mark, text, is_final=True))

    def _fade(self) -> None:
        self._timer = None
        self.query_one("#said", Static).update(self._hint)
