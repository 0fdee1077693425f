"""The keys as the operator wants them: `[console.keys]` over the table of bindings.

A line there names an entry, by its id or by its place and id, and the keys that do it instead of
the usual ones: `"cycle.start" = "C"`, `"overview.alert.ack" = "a,f2"`. What does not go is
refused once, at the start, before anything is drawn. F9 and ctrl+k halt, whatever is written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from console.bindings import ENTRIES, SIGNS, WIDGET_KEYS, Entry, Place, entries_of, key_text
from engine.config import table_place
from engine.errors import ConfigError

HALT_KEYS = ("ctrl+k", "f9")
_SECTION = "console.keys"
# Moving inside lists and prompts stays the same wherever one is.
_MOVING = (
    *WIDGET_KEYS,
    "shift+tab",
    "up",
    "down",
    "left",
    "right",
    "home",
    "end",
    "pageup",
    "pagedown",
)
_KEY_NAMES = {sign: name for name, sign in SIGNS.items()}
_NAMED = ("escape", "backspace", "space", "delete", "insert")
_MODIFIER = re.compile(r"(ctrl|shift|alt)\+")
NAMED_IN_TEXT = re.compile(r"\{([a-z]+(?:\.[a-z]+)*)\}")


@dataclass(frozen=True, slots=True)
class Keymap:
    """The table of bindings with the operator's keys.

    Attributes
    ----------
    entries : the whole table, in its order
    changed : names of the entries that have other keys than usual
    """

    entries: tuple[Entry, ...] = ENTRIES
    changed: tuple[str, ...] = ()

    @property
    def for_textual(self) -> dict[str, str]:
        """Return the changed keys as Textual wants them: binding id to keys."""
        return {e.name: ",".join(e.keys) for e in self.entries if e.name in self.changed}

    def shown(self, name: str, place: Place = Place.EVERYWHERE) -> str:
        """Return the first key of an entry as people read it, `:word` where it has none.

        Parameters
        ----------
        name : its id, or its place and its id
        place : whose entry is meant by an id that several places have

        Raises
        ------
        KeyError : no such entry.
        """
        meant = (f"{place}.{name}", name, f"{Place.EVERYWHERE}.{name}")
        entry = next(
            (entry for wish in meant for entry in self.entries if entry.name == wish), None
        )
        entry = entry or next((entry for entry in self.entries if entry.id == name), None)
        if entry is None:
            raise KeyError(name)
        return key_text(entry.keys[0]) if entry.keys else f":{entry.words[0]}"

    def told(self, text: str, place: Place = Place.EVERYWHERE) -> str:
        """Return a sentence with the operator's own keys where it names entries in braces.

        `{cycle.start}` is the key that starts a cycle. Braces that name no entry stay: others
        write sentences too.
        """
        return NAMED_IN_TEXT.sub(lambda found: self._shown_or(found[0], found[1], place), text)

    def _shown_or(self, otherwise: str, name: str, place: Place) -> str:
        try:
            return self.shown(name, place)
        except KeyError:
            return otherwise


def read_keymap(keys: Mapping[str, str], path: Path | None = None) -> Keymap:
    """Return the table with these keys.

    Parameters
    ----------
    keys : `[console.keys]`
    path : the file that they stand in, for errors

    Raises
    ------
    ConfigError : an unknown name or key, a key that is taken, a key of halting taken away.
    """
    try:
        return _remapped(keys)
    except _RefusalError as exc:
        where = "" if path is None else f"{table_place(path, _SECTION, exc.name)}: "
        said = f'{where}[console.keys] "{exc.name}" = "{keys[exc.name]}": {exc}'
        raise ConfigError(said, section=_SECTION, key=exc.name) from exc


class _RefusalError(Exception):
    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


def _remapped(keys: Mapping[str, str]) -> Keymap:
    given: dict[str, tuple[str, tuple[str, ...]]] = {}
    # A name with its place goes before one that is meant wherever it stands.
    for name in sorted(keys, key=lambda name: any(entry.name == name for entry in ENTRIES)):
        wanted = _keys_in(name, keys[name])
        for entry in _named(name):
            _check_may_change(name, entry, wanted)
            given[entry.name] = (name, wanted)
    entries = tuple(
        replace(entry, keys=given[entry.name][1]) if entry.name in given else entry
        for entry in ENTRIES
    )
    for entry, key, other in _clashes(entries):
        source = given.get(entry.name) or given[other.name]
        taken = other if entry.name in given else entry
        raise _RefusalError(
            source[0], f"{key_text(key)} is taken by {taken.name} ({taken.title}): choose another"
        )
    return Keymap(entries, tuple(given))


def _named(name: str) -> list[Entry]:
    found = [entry for entry in ENTRIES if name in (entry.name, entry.id)]
    if not found:
        known = sorted({e.id for e in ENTRIES} | {e.name for e in ENTRIES})
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise _RefusalError(name, f"the console knows no such thing; nearest: {near}")
    return found


def _check_may_change(name: str, entry: Entry, wanted: Sequence[str]) -> None:
    if entry.id == "halt":
        missing = [key for key in HALT_KEYS if key not in wanted]
        if missing:
            raise _RefusalError(name, "F9 and ctrl+k always halt: keep both, add others to them")
        if any(len(key) == 1 or key in _NAMED for key in wanted):
            raise _RefusalError(name, "a key that types would halt nothing while one types")
        return
    if any(key in HALT_KEYS for key in wanted):
        raise _RefusalError(name, "F9 and ctrl+k always halt and do nothing else")
    if entry.place is Place.HALT:
        raise _RefusalError(name, "the keys of the halt overlay are the same for everybody")
    if any(key in WIDGET_KEYS for key in entry.keys):
        raise _RefusalError(name, "enter and tab belong to the list that has the focus")


def _keys_in(name: str, text: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in dict.fromkeys(part.strip() for part in text.split(",")):
        if not part:
            raise _RefusalError(name, "name at least one key; a comma is called comma")
        key = _KEY_NAMES.get(part, part)
        base = _MODIFIER.sub("", key)
        if not (len(base) == 1 or base in _NAMED or base in _known_keys()):
            near = difflib.get_close_matches(base, sorted(_known_keys()), n=1, cutoff=0.0)[0]
            raise _RefusalError(name, f"{part!r} is no key; nearest: {near}")
        if key in _MOVING:
            raise _RefusalError(name, f"{key_text(key)} moves in lists and prompts: choose another")
        found.append(key)
    return tuple(found)


@cache
def _known_keys() -> frozenset[str]:
    functions = {f"f{number}" for number in range(1, 25)}
    return frozenset({*_MOVING, *functions, *SIGNS})


def _clashes(entries: Sequence[Entry]) -> Iterator[tuple[Entry, str, Entry]]:
    """Yield each key that two entries want at one place, unless both want it in the plain table.

    There a place may take a key for itself from what works everywhere.
    """
    usual = {entry.name: entry.keys for entry in ENTRIES}
    for place in Place:
        owners: dict[str, Entry] = {}
        reach = () if place in (Place.HALT, Place.EVERYWHERE) else (Place.EVERYWHERE,)
        for entry in (e for group in (place, *reach) for e in entries_of(group, entries)):
            for key in entry.keys:
                other = owners.setdefault(key, entry)
                is_usual = key in usual[entry.name] and key in usual[other.name]
                if other is not entry and not is_usual:
                    yield entry, key, other
