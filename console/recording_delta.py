"""What changed from one picture of plain JSON values to the next, and back.

A change is a plain value that takes the old one's place, or one of four acts:
`{"=": whole value}`, `{"~": changes by key, "-": keys that went}` of an object,
`{"#": changes by place}` of a list that kept its length, and `{"@": parts}` of any list, where
`[start, n]` takes n items of the old list and `{"+": items}` brings new ones.
"""

from __future__ import annotations

import json
from typing import Any

from engine.errors import DataError


class _Same:
    """Nothing changed."""


SAME = _Same()


def change(old: Any, new: Any) -> Any:
    """Return what turns `old` into `new`, `SAME` when nothing has to."""
    if old is new:
        return SAME
    if isinstance(old, dict) and isinstance(new, dict):
        return _change_of_object(old, new)
    if isinstance(old, list) and isinstance(new, list):
        return _change_of_list(old, new)
    if type(old) is type(new) and (old == new or (old != old and new != new)):
        return SAME
    return {"=": new} if isinstance(new, dict | list) else new


def changed(old: Any, told: Any) -> Any:
    """Return `old` after a change; it stays as it is itself.

    Raises
    ------
    DataError : it is not a change of this value.
    """
    try:
        return _changed(old, told)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as exc:
        raise DataError(f"not a change of what was there: {exc!r}") from exc


def _change_of_object(old: dict[str, Any], new: dict[str, Any]) -> Any:
    told: dict[str, Any] = {}
    for key, value in new.items():
        if key not in old:
            told[key] = {"=": value}
            continue
        found = change(old[key], value)
        if found is not SAME:
            told[key] = found
    gone = [key for key in old if key not in new]
    if gone:
        return {"~": told, "-": gone}
    return {"~": told} if told else SAME


def _change_of_list(old: list[Any], new: list[Any]) -> Any:
    in_place: dict[str, Any] = {}
    if len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            found = change(before, after)
            if found is not SAME:
                in_place[str(place)] = found
        if not in_place:
            return SAME
        if len(in_place) <= 2:
            return {"#": in_place}
    moved = {"@": _parts(old, new)}
    if in_place and len(_text(in_place)) <= len(_text(moved)):
        return {"#": in_place}
    return moved


def _parts(old: list[Any], new: list[Any]) -> list[Any]:
    places = {_text(item): place for place, item in reversed(list(enumerate(old)))}
    parts: list[Any] = []
    for item in new:
        place = places.get(_text(item))
        last = parts[-1] if parts else None
        if place is None:
            if isinstance(last, dict):
                last["+"].append(item)
            else:
                parts.append({"+": [item]})
        elif isinstance(last, list) and last[0] + last[1] == place:
            last[1] += 1
        else:
            parts.append([place, 1])
    return parts


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _changed(old: Any, told: Any) -> Any:
    if not isinstance(told, dict):
        return told
    if "=" in told:
        return told["="]
    if "~" in told:
        gone = set(told.get("-", ()))
        kept = {key: value for key, value in old.items() if key not in gone}
        kept.update({key: _changed(old.get(key), part) for key, part in told["~"].items()})
        return kept
    if "#" in told:
        items = list(old)
        for place, part in told["#"].items():
            items[int(place)] = _changed(items[int(place)], part)
        return items
    return [item for part in told["@"] for item in _items(old, part)]


def _items(old: list[Any], part: Any) -> list[Any]:
    if isinstance(part, dict):
        found: list[Any] = part["+"]
        return found
    start, n = part
    if start < 0 or n < 0 or start + n > len(old):
        raise ValueError(f"{part} of {len(old)}")
    return old[start : start + n]
