"""The pages of keys: what works here and why it may not, and how every key may be changed."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from console.availability import why_disabled
from console.bindings import Entry, Place, entries_at, entries_of
from console.help_words import FRAME_WORDS, PLACE_WORDS, PlaceWords
from console.keymap import Keymap
from console.snapshot import Snapshot

_TERM_WIDTH = 22


class PageScreen(ModalScreen[None]):
    """A page to read over a screen.

    Parameters
    ----------
    title : str
    content : Content
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "close", "close", show=False),
        Binding("j", "scroll('down')", "down", show=False),
        Binding("k", "scroll('up')", "up", show=False),
        Binding("g", "scroll('home')", "top", show=False),
        Binding("G", "scroll('end')", "bottom", show=False),
    ]
    DEFAULT_CSS = """
    PageScreen { align: center middle; background: $background 60%; }
    PageScreen > VerticalScroll {
        width: 104; max-width: 96%; height: auto; max-height: 90%; border: heavy $primary;
        background: $surface; padding: 1 2; border-title-style: bold; scrollbar-size-vertical: 1;
    }
    PageScreen Static { height: auto; }
    """

    def __init__(self, title: str, content: Content) -> None:
        super().__init__()
        self._title = title
        self._content = content

    def compose(self) -> ComposeResult:
        """Yield the page."""
        with VerticalScroll() as box:
            box.border_title = self._title
            box.border_subtitle = "esc closes, j k scroll"
            yield Static(self._content, markup=False)

    def show(self, content: Content) -> None:
        """Show another text."""
        self._content = content
        self.query_one(Static).update(content)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_scroll(self, where: str) -> None:
        """Move the page."""
        box = self.query_one(VerticalScroll)
        {
            "down": box.scroll_down,
            "up": box.scroll_up,
            "home": box.scroll_home,
            "end": box.scroll_end,
        }[where](animate=False)


class HelpScreen(PageScreen):
    """What a place shows, its keys, with the reason for those that do nothing now, its words."""

    def __init__(self, place: Place, snapshot: Snapshot | None, keymap: Keymap) -> None:
        super().__init__(f"Help: {place}", help_content(place, snapshot, keymap))


class KeymapScreen(PageScreen):
    """Every entry by the name that `[console.keys]` knows it by, with its keys."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__("Keys, and how to change them", keymap_content(keymap))


def help_content(place: Place, snapshot: Snapshot | None, keymap: Keymap) -> Content:
    """Return what a place shows, its keys and words, then those of everywhere."""
    words = PLACE_WORDS.get(place, PlaceWords(""))
    here = entries_at(place, keymap.entries)
    own = {entry.name for entry in entries_of(place)}
    parts = [
        ("", [Content(keymap.told(words.shows, place))] if words.shows else []),
        (
            str(place).capitalize(),
            [_key_line(entry, snapshot, keymap) for entry in here if entry.name in own],
        ),
        ("Words", _term_lines(words, keymap, place)),
        (
            "Everywhere",
            [_key_line(entry, snapshot, keymap) for entry in here if entry.name not in own],
        ),
        ("The first rows", _term_lines(FRAME_WORDS, keymap, place)),
    ]
    lines: list[Content] = []
    for title, part in parts:
        if part:
            lines += [Content.styled(title, "bold")] if title else []
            lines += [*part, Content("")]
    return Content("\n").join(lines)


def keymap_content(keymap: Keymap) -> Content:
    """Return every entry's name, keys and meaning, those with other keys than usual marked."""
    lines = [
        Content(
            "To change a key, write its name and the keys into config.toml, and start again:\n"
            '  [console.keys]\n  "cycle.start" = "C"        "overview.alert.ack" = "a,f2"\n'
            "A name without its place means every place. F9 and ctrl+k always halt."
        ),
        Content(""),
    ]
    # What is not as usual is what one looks for.
    for entry in sorted(keymap.entries, key=lambda entry: entry.name not in keymap.changed):
        is_changed = entry.name in keymap.changed
        lines.append(
            Content.assemble(
                ("▸ " if is_changed else "  ", "$warning"),
                f"{entry.name:<32}",
                (f"{entry.key_text or '–':<14}", "bold $primary"),
                entry.title,
                ("  (changed)" if is_changed else "", "$warning"),
            )
        )
    return Content("\n").join(lines)


def _key_line(entry: Entry, snapshot: Snapshot | None, keymap: Keymap) -> Content:
    reason = keymap.told(why_disabled(entry.id, snapshot), entry.place)
    typed = f"  :{entry.words[0]}{f' {entry.takes}' if entry.takes else ''}" if entry.words else ""
    return Content.assemble(
        (f"  {entry.key_text or '–':<15}", "bold $primary" if not reason else "$muted"),
        (f"{entry.title:<34}", "" if not reason else "$muted"),
        (typed, "$muted"),
        (f"  not now: {reason}" if reason else "", "$warning"),
    )


def _term_lines(words: PlaceWords, keymap: Keymap, place: Place) -> list[Content]:
    return [
        Content.assemble((f"  {term:<{_TERM_WIDTH}}", "bold"), f" {keymap.told(meaning, place)}")
        for term, meaning in words.terms
    ]
