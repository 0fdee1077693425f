"""Values to plain JSON and back by their declared types, so that equal values are equal bytes.

Decimals and instants stay exact: a Decimal is a string, an instant a whole number, and a float that
JSON cannot hold (nan, inf) a string as well.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from typing import Any, Union

from engine.errors import DataError, InvariantError

Decode = Callable[[Any], Any]


def canonical(value: object) -> str:
    """Return `value` (as `plain` returns it) as one line of ASCII JSON with sorted keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(value: object) -> Any:
    """Return a value made of dataclasses, enums, Decimals and containers as plain JSON values.

    Raises
    ------
    InvariantError : something else is in it.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if dataclasses.is_dataclass(value):
        return {name: plain(getattr(value, name)) for name in _field_names(value.__class__)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [plain(item) for item in value]
        return sorted(items, key=canonical) if isinstance(value, set | frozenset) else items
    raise InvariantError(f"a {type(value).__name__} cannot be written to the journal")


def rebuilt(kind: type, fields: Mapping[str, Any]) -> Any:
    """Return the dataclass `kind` that `plain` made `fields` of.

    A field that is not there takes its default: it was written before the field existed.

    Raises
    ------
    DataError : a field is missing, unknown (of a newer version), or not of its type.
    """
    return _decoder(kind)(fields)


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@cache
def _decoder(hint: Any) -> Decode:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _optional(_decoder(next(item for item in arguments if item is not types.NoneType)))
    if origin is tuple:
        return _tuple(_decoder(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _checked(dict)
    if dataclasses.is_dataclass(hint):
        return _dataclass(typing.cast("type", hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if hint is Decimal:
        return _decimal
    if hint is float:
        return _float
    if hint in (str, int, bool):
        return _checked(hint)
    raise InvariantError(f"no rule reads {hint!r} from the journal")


def _dataclass(kind: type) -> Decode:
    hints = typing.get_type_hints(kind)
    fields = {field.name: _decoder(hints[field.name]) for field in dataclasses.fields(kind)}
    in_order = tuple(fields.items())
    needed = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise _unreadable(value, kind.__name__)
        if value.keys() == fields.keys():
            return kind(*[read(value[name]) for name, read in in_order])
        missing = [name for name in needed if name not in value]
        if missing:
            raise DataError(f"{kind.__name__} has no {missing[0]}")
        unknown = [name for name in value if name not in fields]
        if unknown:
            raise DataError(f"{kind.__name__} has {unknown[0]!r}: a newer version wrote it")
        return kind(**{name: fields[name](item) for name, item in value.items()})

    return decode


def _optional(read: Decode) -> Decode:
    return lambda value: None if value is None else read(value)


def _tuple(read: Decode) -> Decode:
    def decode(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _unreadable(value, "list")
        return tuple([read(item) for item in value])

    return decode


def _enum(kind: type[Enum]) -> Decode:
    members = {member.value: member for member in kind}

    def decode(value: Any) -> Enum:
        try:
            return members[value]
        except (KeyError, TypeError) as exc:
            raise _unreadable(value, kind.__name__) from exc

    return decode


def _checked(kind: type) -> Decode:
    def decode(value: Any) -> Any:
        # By type and not by isinstance: True is not a number.
        if type(value) is not kind:
            raise _unreadable(value, kind.__name__)
        return value

    return decode


def _decimal(value: Any) -> Decimal:
    if type(value) is not str:
        raise _unreadable(value, "number")
    try:
        return Decimal(value)
    except InvalidOperation as exc:
        raise _unreadable(value, "number") from exc


def _float(value: Any) -> float:
    if type(value) not in (int, float, str):
        raise _unreadable(value, "number")
    try:
        return float(value)
    except (ValueError, OverflowError) as exc:
        raise _unreadable(value, "number") from exc


def _unreadable(value: Any, kind: str) -> DataError:
    return DataError(f"{str(value)[:60]!r} is not a {kind}")
