"""Filters of words as conditions of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_

from engine.store.filter_words import split_inverse


def conditions(
    text: str | None, columns: Sequence[ColumnElement[Any]]
) -> list[ColumnElement[bool]]:
    """Return what a row must fulfil: each word in one of the columns, whatever its case."""
    words, is_inverse = split_inverse(text)
    # A column that is NULL holds no word; its own answer would be NULL, which no `not` turns.
    texts = [func.coalesce(column, "") for column in columns]
    found = [or_(*(one.icontains(word, autoescape=True) for one in texts)) for word in words]
    return [not_(and_(*found))] if is_inverse and found else found
