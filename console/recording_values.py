"""Frozen values of the console as plain JSON values, and back, by the types that they declare.

Undefined numbers stay as they are: Python's JSON has words for them.
"""

from __future__ import annotations

import ast
import base64
import dataclasses
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

from engine.errors import DataError

Decoder = Callable[[Any], Any]


class PlainValues:
    """Turn values into plain ones; what was turned last time and is the same object is not again.

    The same object then gives the same plain object, so that a comparison ends at once.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, Any]] = {}
        self._seen: dict[int, tuple[object, Any]] = {}

    def of(self, value: object) -> Any:
        """Return a whole value as plain JSON values.

        Raises
        ------
        TypeError : it holds something that no recording can hold.
        """
        self._known, self._seen = self._seen, {}
        return self._plain(value)

    def _plain(self, value: Any) -> Any:
        if value is None or isinstance(value, str | int | float):
            return value.value if isinstance(value, Enum) else value
        if dataclasses.is_dataclass(value):
            return self._fields(value)
        if isinstance(value, tuple | list):
            return [self._plain(item) for item in value]
        if isinstance(value, Mapping):
            return {str(key): self._plain(item) for key, item in value.items()}
        if isinstance(value, Decimal):
            return str(value)
        if isinstance(value, Enum):
            return value.value
        return _numbers(value)

    def _fields(self, value: Any) -> Any:
        key = id(value)
        known = self._seen.get(key) or self._known.get(key)
        if known is None or known[0] is not value:
            names = _field_names(_key(type(value)))
            known = (value, {name: self._plain(getattr(value, name)) for name in names})
        self._seen[key] = known
        return known[1]


class DeclaredValues:
    """Turn plain values back; what was turned last time and is the same object is not again.

    What did not change from one picture to the next is then the same object in both.
    """

    def __init__(self) -> None:
        self._decoders: dict[Any, Decoder] = {}
        self._known: dict[int, tuple[object, Any]] = {}
        self._seen: dict[int, tuple[object, Any]] = {}

    def of(self, kind: type[Any], plain: Any) -> Any:
        """Return the value of a declared type that plain values stand for.

        Raises
        ------
        DataError : they do not fit the type.
        """
        self._known, self._seen = self._seen, {}
        try:
            return self._decoder(kind)(plain)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as exc:
            raise DataError(f"not a {kind.__name__}: {exc}") from exc

    def _decoder(self, kind: Any) -> Decoder:
        if kind not in self._decoders:
            self._decoders[kind] = self._made(kind)
        return self._decoders[kind]

    def _made(self, kind: Any) -> Decoder:
        if dataclasses.is_dataclass(kind):
            return self._of_fields(typing.cast("type[Any]", kind))
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Union, types.UnionType):
            return self._of_union(inner)
        if origin is tuple:
            return self._of_tuple(inner)
        if origin is not None and issubclass(origin, Mapping):
            held = self._decoder(inner[1])
            return lambda plain: {key: held(item) for key, item in plain.items()}
        if origin is not None:
            return _array
        if kind is Any:
            return lambda plain: plain
        if isinstance(kind, type) and issubclass(kind, Enum):
            return typing.cast("Decoder", kind)
        simple: dict[Any, Decoder] = {
            int: _whole,
            float: float,
            str: _text,
            bool: _truth,
            Decimal: Decimal,
        }
        return simple[kind]

    def _of_fields(self, kind: type[Any]) -> Decoder:
        hints = typing.get_type_hints(kind, localns=_names_of(kind.__module__))
        held = {name: self._decoder(hints[name]) for name in _field_names(_key(kind))}

        def decode(plain: Any) -> Any:
            key = id(plain)
            known = self._seen.get(key) or self._known.get(key)
            if known is None or known[0] is not plain or type(known[1]) is not kind:
                known = (plain, kind(**{name: held[name](item) for name, item in plain.items()}))
            self._seen[key] = known
            return known[1]

        return decode

    def _of_union(self, inner: tuple[Any, ...]) -> Decoder:
        held = [self._decoder(kind) for kind in inner if kind is not types.NoneType]
        if len(held) != 1 or types.NoneType not in inner:
            raise TypeError(f"no recording can hold one of {inner}")
        return lambda plain: None if plain is None else held[0](plain)

    def _of_tuple(self, inner: tuple[Any, ...]) -> Decoder:
        held = [self._decoder(kind) for kind in inner if kind is not ...]
        if inner[-1] is ...:
            return lambda plain: tuple(held[0](item) for item in plain)
        return lambda plain: tuple(decode(item) for decode, item in zip(held, plain, strict=True))


def _key(kind: type[Any]) -> Hashable:
    # Classes can be keys, though their checker does not see it.
    return typing.cast("Hashable", kind)


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _numbers(value: Any) -> Any:
    # Arrays of 32-bit floats are the only ones that the console is given.
    if getattr(getattr(value, "dtype", None), "str", "") == "<f4" and value.ndim == 1:
        return base64.b64encode(value.tobytes()).decode()
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"no recording can hold a {type(value).__name__}")


def _array(plain: Any) -> Any:
    import numpy as np

    return np.frombuffer(base64.b64decode(plain, validate=True), dtype="<f4")


def _whole(plain: Any) -> int:
    if not isinstance(plain, int):
        raise TypeError(f"{plain!r} is no whole number")
    return plain


def _truth(plain: Any) -> bool:
    if not isinstance(plain, bool):
        raise TypeError(f"{plain!r} is neither true nor false")
    return plain


def _text(plain: Any) -> str:
    if not isinstance(plain, str):
        raise TypeError(f"{plain!r} is no text")
    return plain


@cache
def _names_of(module_name: str) -> dict[str, Any]:
    """Return what a module names in its types, imported for type checkers alone or not."""
    module = sys.modules[module_name]
    names = dict(vars(module))
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            source = importlib.import_module(node.module)
            for alias in node.names:
                if hasattr(source, alias.name):
                    names[alias.asname or alias.name] = getattr(source, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = importlib.import_module(alias.name)
                names[alias.asname or alias.name.partition(".")[0]] = (
                    top if alias.asname else sys.modules[alias.name.partition(".")[0]]
                )
    return names
