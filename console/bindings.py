"""The one table of what the console can do: keys, words, danger, and what is said about it.

Key bindings, footers, the `?` page, the palette, `:` completion and the README are made from it.
An entry without keys is reached through the palette and the command line only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.binding import BindingType

# Handled by the focused widget itself: bound nowhere else, shown like the rest.
WIDGET_KEYS = ("enter", "tab")
_MOST_KEYS = 10


class Danger(IntEnum):
    """How much is asked before it is done: nothing, a yes, a typed name."""

    SAFE = 0
    COSTLY = 1
    RISKY = 2


class Place(StrEnum):
    """Where an entry works."""

    EVERYWHERE = "everywhere"
    OVERVIEW = "overview"
    STRATEGIES = "strategies"
    STRATEGY = "strategy"
    BACKTESTS = "backtests"
    LEARNERS = "learners"
    ORDERS = "orders"
    ORDER = "order"
    DEPLOYMENTS = "deployments"
    RISK = "risk"
    EVENTS = "events"
    SETTINGS = "settings"
    HALT = "halt"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing the console can do.

    Attributes
    ----------
    id : stable name, and the name of its action with `.` as `_`
    keys : Textual key names; the first is shown
    title : what it does, in few words
    place : where it works
    words : what may be typed after `:`
    danger : how much is asked first
    footer : order in the footer, 0 leaves it out
    takes : what is typed after its word
    footer_on : places whose footer shows it, all when empty
    """

    id: str
    keys: tuple[str, ...]
    title: str
    place: Place = Place.EVERYWHERE
    words: tuple[str, ...] = ()
    danger: Danger = Danger.SAFE
    footer: int = 0
    takes: str = ""
    footer_on: tuple[Place, ...] = ()

    @property
    def action(self) -> str:
        """Return the name of the action method, without `action_`."""
        return self.id.replace(".", "_")

    @property
    def name(self) -> str:
        """Return what the keymap calls it: its place and its id (`overview.alert.ack`)."""
        return f"{self.place}.{self.id}"

    @property
    def key_text(self) -> str:
        """Return the keys as people read them (`^k/F9`)."""
        return "/".join(key_text(key) for key in self.keys)


# Signs that a keyboard has, by Textual's names, and keys that people call otherwise.
SIGNS = {
    "exclamation_mark": "!",
    "quotation_mark": '"',
    "number_sign": "#",
    "dollar_sign": "$",
    "percent_sign": "%",
    "ampersand": "&",
    "apostrophe": "'",
    "left_parenthesis": "(",
    "right_parenthesis": ")",
    "asterisk": "*",
    "plus": "+",
    "comma": ",",
    "minus": "-",
    "full_stop": ".",
    "slash": "/",
    "colon": ":",
    "semicolon": ";",
    "less_than_sign": "<",
    "equals_sign": "=",
    "greater_than_sign": ">",
    "question_mark": "?",
    "at": "@",
    "left_square_bracket": "[",
    "backslash": "\\",
    "right_square_bracket": "]",
    "circumflex_accent": "^",
    "underscore": "_",
    "grave_accent": "`",
    "left_curly_bracket": "{",
    "vertical_line": "|",
    "right_curly_bracket": "}",
    "tilde": "~",
}
_KEY_TEXT = {**SIGNS, "escape": "esc"}


_DEPLOY = ("deploy-new",)


def _promotion(place: Place) -> tuple[Entry, ...]:
    return (
        Entry(
            "strategy.promote",
            ("plus",),
            "promote",
            place,
            words=("promote",),
            danger=Danger.RISKY,
            footer=7,
        ),
        Entry("strategy.pause", ("p",), "pause/resume it", place, danger=Danger.COSTLY),
        Entry(
            "strategy.retire",
            ("x",),
            "retire",
            place,
            words=("retire",),
            danger=Danger.COSTLY,
            footer=8,
        ),
    )


def _rows(place: Place) -> tuple[Entry, ...]:
    return (
        Entry("row.next", ("j",), "next row", place),
        Entry("row.previous", ("k",), "previous row", place),
        Entry("top", ("g",), "first row", place),
        Entry("bottom", ("G",), "last row", place),
        Entry("id.copy", ("y",), "copy id", place),
    )


def _sorting(place: Place) -> tuple[Entry, ...]:
    return (
        Entry("sort.next", ("s",), "sort", place),
        Entry("sort.reverse", ("S",), "reverse", place),
    )


def _deployments() -> tuple[Entry, ...]:
    place = Place.DEPLOYMENTS
    return (
        Entry("deploy.new", ("d",), "deploy", place, words=_DEPLOY, danger=Danger.COSTLY, footer=5),
        Entry("rollout.raise", ("plus",), "raise", place, danger=Danger.RISKY, footer=6),
        Entry("rollout.lower", ("minus",), "lower", place, danger=Danger.COSTLY, footer=7),
        Entry("rollback", ("u",), "rollback", place, danger=Danger.COSTLY, footer=8),
        Entry("entries.pause", ("p",), "pause entries", place, footer=8),
        Entry("workers", ("w",), "workers", place, words=("workers",), footer=9),
        Entry("strategy.retire", ("x",), "retire", place, words=("retire",), danger=Danger.COSTLY),
        Entry("mark", ("space",), "mark", place),
        *_sorting(place),
        *_rows(place),
    )


def _strategy() -> tuple[Entry, ...]:
    place = Place.STRATEGY
    return (
        Entry("tab.next", ("right_square_bracket",), "next tab", place, footer=3),
        Entry("tab.previous", ("left_square_bracket",), "tab before", place),
        Entry("symbol.next", ("m",), "symbol", place, footer=4),
        Entry("symbol.previous", ("M",), "symbol before", place),
        Entry("segment.next", ("i",), "segment", place, footer=6),
        Entry("view.next", ("v",), "another view", place, words=("view",), footer=7),
        Entry("version.next", ("greater_than_sign",), "next version", place),
        Entry("version.previous", ("less_than_sign",), "version before", place),
        Entry("ancestor.open", ("enter",), "open the ancestor", place),
        Entry("filter", ("slash",), "filter/find", place, words=("filter", "find"), takes="TEXT"),
        Entry("find.next", ("n",), "next match", place),
        Entry("find.previous", ("N",), "match before", place),
        *_sorting(place),
        Entry("pane.next", ("tab",), "pane", place),
        Entry("pane.zoom", ("z",), "zoom the pane", place),
        Entry("run.again", ("r",), "compute trades", place, danger=Danger.COSTLY, footer=7),
        Entry("run.stop", ("X",), "stop that", place),
        Entry("deploy.new", ("d",), "deploy", place, words=_DEPLOY, danger=Danger.COSTLY),
        *_rows(place),
    )


ENTRIES: tuple[Entry, ...] = (
    Entry("halt", ("ctrl+k", "f9"), "HALT all trading, now", words=("halt",)),
    Entry("help", ("question_mark",), "help", words=("help", "keys"), footer=1),
    Entry("tour", (), "a short tour of the screens", words=("tour",)),
    Entry("jump", ("ctrl+o",), "jump to a pane", words=("jump",)),
    Entry(
        "changes",
        ("D",),
        "since yesterday",
        words=("changes", "yesterday"),
        footer=7,
        footer_on=(Place.OVERVIEW, Place.EVENTS),
    ),
    Entry("command", ("colon",), "go", footer=2),
    Entry("go.overview", ("1",), "Overview", words=("overview", "1")),
    Entry("go.strategies", ("2",), "Strategies", words=("strategies", "2")),
    Entry("go.backtests", ("3",), "Backtests", words=("backtests", "runs", "3")),
    Entry("go.learners", ("4",), "Learners", words=("learners", "4")),
    Entry("go.orders", ("5",), "Orders & positions", words=("orders", "positions", "5")),
    Entry("go.deployments", ("6",), "Deployments", words=("deployments", "deploy", "6")),
    Entry("go.risk", ("7",), "Risk & kill switches", words=("risk", "7")),
    Entry("go.events", ("8",), "Events", words=("events", "log", "8")),
    Entry("go.settings", ("9",), "Settings", words=("settings", "9")),
    Entry(
        "account.next",
        ("a",),
        "account",
        words=("account",),
        footer=8,
        footer_on=(Place.ORDERS, Place.RISK),
    ),
    Entry("open", (), "open a strategy by its id", words=("strat", "strategy", "open"), takes="ID"),
    Entry("palette", ("ctrl+p",), "palette", footer=9),
    Entry("back", ("escape", "backspace"), "back"),
    Entry("leave", ("q",), "back/quit", footer=10),
    Entry("quit.ask", ("ctrl+q",), "quit; the runtime keeps running", words=("quit", "q")),
    Entry("runtime.start", ("u",), "start the runtime", words=("up",)),
    Entry("runtime.stop", (), "stop the runtime", words=("down",), danger=Danger.COSTLY),
    Entry("record", (), "record what is seen/end that", words=("record",)),
    Entry("theme.next", (), "next theme", words=("theme",)),
    Entry("poll.faster", ("plus",), "look more often"),
    Entry("poll.slower", ("minus",), "look less often"),
    Entry(
        "cycle.start",
        ("c",),
        "start cycle",
        words=("cycle", "start"),
        danger=Danger.COSTLY,
        footer=4,
        footer_on=(Place.OVERVIEW,),
    ),
    Entry(
        "cycle.pause",
        ("p",),
        "pause/resume",
        words=("pause", "resume"),
        danger=Danger.COSTLY,
        footer=5,
        footer_on=(Place.OVERVIEW,),
    ),
    Entry(
        "cycle.cancel",
        ("X",),
        "cancel cycle",
        Place.OVERVIEW,
        words=("cancel",),
        danger=Danger.COSTLY,
        footer=7,
    ),
    Entry(
        "paper.arm",
        ("A",),
        "arm paper",
        Place.OVERVIEW,
        words=("arm",),
        danger=Danger.RISKY,
    ),
    Entry("alert.open", ("enter",), "open alert", Place.OVERVIEW, footer=3),
    Entry("alert.ack", ("x",), "seen", Place.OVERVIEW, words=("seen",), footer=6),
    Entry("pane.next", ("tab",), "pane", Place.OVERVIEW, footer=8),
    Entry("pane.zoom", ("z",), "zoom the pane", Place.OVERVIEW),
    Entry(
        "filter", ("slash",), "filter", Place.STRATEGIES, words=("filter",), footer=3, takes="TEXT"
    ),
    Entry("sort.next", ("s",), "sort", Place.STRATEGIES, footer=5),
    Entry("sort.reverse", ("S",), "reverse", Place.STRATEGIES, footer=6),
    Entry("strategy.open", ("enter",), "open", Place.STRATEGIES, footer=4),
    Entry("mark", ("space",), "mark", Place.STRATEGIES),
    Entry("compare", ("m",), "compare the marked", Place.STRATEGIES, words=("compare",)),
    Entry("columns.wide", ("w",), "all columns; arrows move", Place.STRATEGIES),
    Entry("row.next", ("j",), "next row", Place.STRATEGIES),
    Entry("row.previous", ("k",), "previous row", Place.STRATEGIES),
    Entry("top", ("g",), "first row", Place.STRATEGIES),
    Entry("bottom", ("G",), "last row", Place.STRATEGIES),
    Entry("id.copy", ("y",), "copy id", Place.STRATEGIES),
    *_promotion(Place.STRATEGIES),
    Entry("deploy.new", ("d",), "deploy", Place.STRATEGIES, words=_DEPLOY, danger=Danger.COSTLY),
    *_strategy(),
    *_promotion(Place.STRATEGY),
    Entry("run.open", ("enter",), "open strategy", Place.BACKTESTS, footer=3),
    Entry("filter", ("slash",), "filter", Place.BACKTESTS, footer=4, takes="TEXT"),
    Entry("failed.only", ("exclamation_mark",), "failed only", Place.BACKTESTS, footer=5),
    Entry("run.again", ("r",), "run again", Place.BACKTESTS, danger=Danger.COSTLY, footer=6),
    Entry("run.cancel", ("x",), "stop that", Place.BACKTESTS, footer=7),
    *_sorting(Place.BACKTESTS),
    *_rows(Place.BACKTESTS),
    Entry("run.open", ("enter",), "open strategy", Place.LEARNERS, footer=3),
    Entry("pane.next", ("tab",), "table", Place.LEARNERS, footer=4),
    Entry("lesson.next", ("right_square_bracket",), "next list", Place.LEARNERS, footer=5),
    Entry("lesson.previous", ("left_square_bracket",), "previous list", Place.LEARNERS, footer=6),
    *_sorting(Place.LEARNERS),
    *_rows(Place.LEARNERS),
    Entry("order.history", ("enter",), "history", Place.ORDERS, footer=3),
    Entry("mark", ("space",), "mark", Place.ORDERS, footer=6),
    Entry("order.cancel", ("x",), "cancel", Place.ORDERS, danger=Danger.COSTLY, footer=4),
    Entry(
        "symbol.flatten",
        ("F",),
        "flatten symbol",
        Place.ORDERS,
        words=("flatten",),
        danger=Danger.RISKY,
        footer=5,
    ),
    Entry("pane.next", ("tab",), "table", Place.ORDERS, footer=6),
    *_sorting(Place.ORDERS),
    Entry("row.next", ("j",), "next row", Place.ORDERS),
    Entry("row.previous", ("k",), "previous row", Place.ORDERS),
    Entry("top", ("g",), "first row", Place.ORDERS),
    Entry("bottom", ("G",), "last row", Place.ORDERS),
    Entry("id.copy", ("y",), "copy id", Place.ORDERS, footer=8),
    Entry("order.open", ("enter",), "open", Place.ORDER, footer=3),
    Entry("order.cancel", ("x",), "cancel", Place.ORDER, danger=Danger.COSTLY, footer=4),
    Entry("row.next", ("j",), "next row", Place.ORDER),
    Entry("row.previous", ("k",), "previous row", Place.ORDER),
    Entry("id.copy", ("y",), "copy id", Place.ORDER, footer=5),
    Entry("run.open", ("enter",), "open strategy", Place.DEPLOYMENTS, footer=3),
    Entry("pane.next", ("tab",), "table", Place.DEPLOYMENTS),
    *_deployments(),
    Entry("reduce", ("R",), "reduce-only", Place.RISK, words=("reduce",), footer=3),
    Entry("rearm", ("U",), "re-arm", Place.RISK, words=("rearm",), danger=Danger.RISKY, footer=4),
    Entry("drill", ("t",), "test the switch", Place.RISK, words=("drill",), footer=5),
    Entry(
        "limit.edit",
        ("e",),
        "edit a limit",
        Place.RISK,
        words=("limit",),
        danger=Danger.RISKY,
        footer=5,
    ),
    Entry("audit", ("l",), "audit", Place.RISK, words=("audit",), footer=6),
    Entry("pane.next", ("tab",), "pane", Place.RISK, footer=7),
    Entry("event.open", ("enter",), "open its object", Place.EVENTS, footer=3),
    Entry("filter", ("slash",), "filter", Place.EVENTS, footer=4, takes="TEXT"),
    Entry("errors.only", ("exclamation_mark",), "errors", Place.EVENTS, footer=5),
    Entry("follow", ("f",), "follow", Place.EVENTS, footer=6),
    Entry("time.next", ("t",), "time", Place.EVENTS, footer=7),
    Entry("expand", ("space",), "expand", Place.EVENTS, footer=8),
    Entry("find.next", ("n",), "next match", Place.EVENTS),
    Entry("find.previous", ("N",), "match before", Place.EVENTS),
    Entry("view.save", ("w",), "save", Place.EVENTS, words=("save",), footer=9),
    *_rows(Place.EVENTS),
    Entry("edit", ("e",), "edit the file", Place.SETTINGS, words=("edit",), footer=3),
    Entry(
        "reload",
        ("r",),
        "reload",
        Place.SETTINGS,
        words=("reload",),
        danger=Danger.COSTLY,
        footer=4,
    ),
    Entry("changed.only", ("d",), "diff vs running", Place.SETTINGS, footer=5),
    Entry("theme.change", ("T",), "theme", Place.SETTINGS, footer=6),
    Entry("keymap", ("K",), "all keys", Place.SETTINGS, footer=7),
    Entry("pane.next", ("tab",), "pane", Place.SETTINGS, footer=8),
    *_rows(Place.SETTINGS),
    Entry("flatten.ask", ("F",), "flatten: then Y", Place.HALT, danger=Danger.RISKY),
    Entry("flatten.now", ("Y",), "flatten, within 10 s of F", Place.HALT, danger=Danger.RISKY),
    Entry("stops.cancel", ("C",), "cancel stops too", Place.HALT, danger=Danger.RISKY),
    Entry("halt.risk", ("7",), "risk screen", Place.HALT),
    Entry("overlay.close", ("escape", "enter", "q"), "close; stays halted", Place.HALT),
    Entry("replay.pause", ("p",), "pause/play", Place.REPLAY, words=("play",)),
    Entry("replay.next", ("full_stop",), "next picture", Place.REPLAY),
    Entry("replay.previous", ("comma",), "picture before", Place.REPLAY),
    Entry("replay.forward", ("greater_than_sign",), "a minute on", Place.REPLAY),
    Entry("replay.backward", ("less_than_sign",), "a minute back", Place.REPLAY),
    Entry("replay.start", ("0",), "first picture", Place.REPLAY),
    Entry("replay.end", ("dollar_sign",), "last picture", Place.REPLAY),
    Entry("replay.faster", ("plus",), "faster", Place.REPLAY),
    Entry("replay.slower", ("minus",), "slower", Place.REPLAY),
    Entry("replay.follow", ("o",), "follow the operator", Place.REPLAY, words=("follow",)),
    Entry("replay.at", (), "go to a moment", Place.REPLAY, words=("at",), takes="TIME"),
)


# What changes something, beside what asks first; a console that only looks has none of them.
# Halting and reducing make things safer and stay.
_ACTING = (
    "entries.pause",
    "alert.ack",
    "runtime.start",
    "drill",
    "rearm",
    "strategy.pause",
    "reload",
    "edit",
)


def is_acting(entry: Entry) -> bool:
    """Return whether an entry is missing from a console that only looks."""
    return entry.danger is not Danger.SAFE or entry.id in _ACTING


def acts(action: str, place: Place) -> bool:
    """Return whether an action of a place, or of the app, changes something."""
    name = action.removeprefix("app.")
    return any(
        entry.action == name and is_acting(entry)
        for entry in ENTRIES
        if entry.place in (place, Place.EVERYWHERE)
    )


def key_text(key: str) -> str:
    """Return one Textual key name as people read it."""
    if key in _KEY_TEXT:
        return _KEY_TEXT[key]
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return key.upper() if key.startswith("f") and key[1:].isdigit() else key


def entries_of(place: Place, entries: Iterable[Entry] = ENTRIES) -> tuple[Entry, ...]:
    """Return what belongs to one place alone."""
    return tuple(entry for entry in entries if entry.place is place)


def entries_at(place: Place, entries: Sequence[Entry] = ENTRIES) -> tuple[Entry, ...]:
    """Return what works at one place: its own, then what works everywhere.

    A key that the place has taken for itself is left to it; the entry is still in the palette.
    """
    own = entries_of(place, entries)
    if place is Place.EVERYWHERE:
        return own
    taken = {key for entry in own for key in entry.keys}
    return own + tuple(
        replace(entry, keys=tuple(key for key in entry.keys if key not in taken))
        if taken.intersection(entry.keys)
        else entry
        for entry in entries_of(Place.EVERYWHERE, entries)
    )


def bindings_of(place: Place, scope: str) -> list[BindingType]:
    """Return Textual's bindings for one place; halting works over modals, prompts and the palette.

    Parameters
    ----------
    scope : "app" or "screen", where the actions are
    """
    from textual.binding import Binding

    return [
        Binding(
            ",".join(entry.keys),
            entry.action if scope == "screen" else f"app.{entry.action}",
            entry.title,
            show=False,
            priority=entry.id == "halt",
            id=entry.name,
        )
        for entry in entries_of(place)
        if entry.keys and entry.keys[0] not in WIDGET_KEYS
    ]


def footer_entries(place: Place, entries: Sequence[Entry] = ENTRIES) -> list[Entry]:
    """Return the entries of a footer, at most ten, in their order."""
    shown = [
        entry
        for entry in entries_at(place, entries)
        if entry.footer and entry.keys and (not entry.footer_on or place in entry.footer_on)
    ]
    ranked = sorted(shown, key=lambda entry: entry.footer)
    return [*ranked[: _MOST_KEYS - 1], *ranked[_MOST_KEYS - 1 :][-1:]]


def find_by_word(word: str, place: Place, entries: Sequence[Entry] = ENTRIES) -> Entry | None:
    """Return the entry that a word after `:` means at a place."""
    for entry in entries_at(place, entries):
        if word.lower() in entry.words:
            return entry
    return None


def all_words(place: Place) -> list[str]:
    """Return every word that `:` knows at a place, for completion."""
    return sorted({word for entry in entries_at(place) for word in entry.words})


def markdown_table(entries: Iterable[Entry] = ENTRIES) -> str:
    """Return the table of keys as Markdown, for the README."""
    lines = ["| key | does | where |", "|---|---|---|"]
    # What is the same in several places is one line.
    rows: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        keys = " ".join(f"`{key_text(key)}`" for key in entry.keys)
        typed = f"`:{entry.words[0]}`" if entry.words else ""
        rows.setdefault((keys or typed, entry.title), []).append(str(entry.place))
    for (keys, title), places in rows.items():
        lines.append(f"| {keys} | {title} | {', '.join(places)} |")
    return "\n".join(lines)
