"""Events: everything worth telling, in the order it was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import UsageError
from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.json_text import from_text, storable, to_text
from engine.store.tables import events
from engine.store.text_filter import conditions

LEVELS = ("debug", "info", "warn", "error")
_COLUMNS = ("at", "level", "kind", "subject", "message", "cycle_id", "fields")


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell.

    Attributes
    ----------
    at : UTC ms
    level : debug, info, warn or error
    kind : dotted name, such as cycle.started
    subject : what it is about (strategy id, symbol, actor), may be empty
    message : one sentence
    fields : the same facts as JSON values
    """

    at: int
    level: str
    kind: str
    message: str
    subject: str = ""
    cycle_id: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as stored; `id` grows with the order of telling."""

    id: int
    at: int
    level: str
    kind: str
    subject: str
    message: str
    cycle_id: int | None
    fields: Mapping[str, Any]


async def add_events(store: Store, rows: Sequence[Event]) -> int:
    """Append events in one transaction and return how many."""
    async with store.write() as connection:
        return await write_events(connection, rows)


async def write_events(connection: AsyncConnection, rows: Sequence[Event]) -> int:
    """Append events inside a transaction that is already open."""
    values = [
        (
            row.at,
            row.level,
            row.kind,
            storable(row.subject),
            storable(row.message),
            row.cycle_id,
            to_text(row.fields),
        )
        for row in rows
    ]
    return await insert_rows(connection, events, _COLUMNS, values)


async def events_page(
    store: Store,
    *,
    after_id: int | None = None,
    before_id: int | None = None,
    level: str | None = None,
    kind: str | Sequence[str] | None = None,
    subject: str | None = None,
    text: str | None = None,
    cycle_id: int | None = None,
    limit: int = 200,
) -> list[EventRow]:
    """Return at most `limit` events, oldest first.

    Parameters
    ----------
    after_id : the first ones after this id, for following; otherwise the last ones are returned
    before_id : the last ones before this id, for scrolling back
    level : this level and those more severe
    kind : this kind, or these, and those below (`cycle` finds `cycle.started`)
    text : words found in message, subject or kind, whatever their case; after a `!`, words that
        are not all found

    Raises
    ------
    UsageError : an unknown level.
    """
    statement = _filtered(level, kind, subject, text, cycle_id)
    if before_id is not None:
        statement = statement.where(events.c.id < before_id)
    if after_id is not None:
        statement = statement.where(events.c.id > after_id).order_by(events.c.id)
    else:
        statement = statement.order_by(events.c.id.desc())
    async with store.read() as connection:
        rows = [_event(row) for row in await connection.execute(statement.limit(limit))]
    return rows if after_id is not None else rows[::-1]


async def prune_events(store: Store, keep: int) -> int:
    """Delete all but the newest `keep` events (>= 0) and return how many went."""
    oldest_gone = (
        select(events.c.id).order_by(events.c.id.desc()).limit(1).offset(keep).scalar_subquery()
    )
    async with store.write() as connection:
        return (await connection.execute(delete(events).where(events.c.id <= oldest_gone))).rowcount


def _filtered(
    level: str | None,
    kind: str | Sequence[str] | None,
    subject: str | None,
    text: str | None,
    cycle_id: int | None,
) -> Select[Any]:
    statement = select(events)
    if level is not None:
        if level not in LEVELS:
            raise UsageError(f"unknown level {level!r}: use one of {' '.join(LEVELS)}")
        if level != LEVELS[0]:
            statement = statement.where(events.c.level.in_(LEVELS[LEVELS.index(level) :]))
    if kind is not None:
        statement = statement.where(_is_of((kind,) if isinstance(kind, str) else kind))
    if subject is not None:
        statement = statement.where(events.c.subject == subject)
    if cycle_id is not None:
        statement = statement.where(events.c.cycle_id == cycle_id)
    columns = (events.c.message, events.c.subject, events.c.kind)
    return statement.where(*conditions(text, columns))


def _is_of(kinds: Sequence[str]) -> ColumnElement[bool]:
    below = (events.c.kind.startswith(f"{kind}.", autoescape=True) for kind in kinds)
    return or_(events.c.kind.in_(list(kinds)), *below)


def _event(row: Row[Any]) -> EventRow:
    values = dict(row._mapping)
    values["fields"] = from_text(values["fields"])
    return EventRow(**values)
