"""The order of a list's rows: by which column, and which way round."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class RowOrder(Generic[T]):
    """Sort rows that are all there; `s` goes to the next column and `S` turns the order round.

    Parameters
    ----------
    keys : what to sort by, in words, and how it is read from a row; the first is how rows come,
        None leaves them as they are
    """

    def __init__(self, keys: Mapping[str, Callable[[T], Any] | None]) -> None:
        self._keys = dict(keys)
        self._names = list(keys)
        self.name = self._names[0]
        self.is_descending = True

    @property
    def words(self) -> str:
        """Return the order in words (`sort return↓`)."""
        return f"sort {self.name}{'↓' if self.is_descending else '↑'}"

    @property
    def fact(self) -> tuple[str, bool]:
        """Return what changes when the order does."""
        return self.name, self.is_descending

    @property
    def is_usual(self) -> bool:
        """Return whether the rows stand as they come."""
        return self.is_descending and self.name == self._names[0]

    def next(self) -> None:
        """Sort by the next column, largest first."""
        self.name = self._names[(self._names.index(self.name) + 1) % len(self._names)]
        self.is_descending = True

    def reverse(self) -> None:
        """Turn the order round."""
        self.is_descending = not self.is_descending

    def applied(self, rows: Iterable[T]) -> list[T]:
        """Return the rows in order; what is undefined stands last, whichever way round."""
        found = list(rows)
        read = self._keys[self.name]
        if read is None:
            return found if self.is_descending else found[::-1]
        defined = [row for row in found if not _is_undefined(read(row))]
        undefined = [row for row in found if _is_undefined(read(row))]
        return sorted(defined, key=read, reverse=self.is_descending) + undefined


def _is_undefined(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
