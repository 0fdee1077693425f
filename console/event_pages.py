"""Pages of events, read so that a million of them cost no more than a thousand.

Pages are found by id. What was read is kept, and each look asks only for what was told since.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from console.pages import EventsQuery, EventsView

if TYPE_CHECKING:
    from engine.store.database import Store
    from engine.store.events import EventRow

LEVELS = ("debug", "info", "warn", "error")


class EventPages:
    """The page that is looked at; one event loop owns it."""

    def __init__(self) -> None:
        self._view: EventsView | None = None
        self._seen_id = 0

    async def view(self, store: Store, query: EventsQuery) -> EventsView:
        """Return the page of a query."""
        newest_id = await _newest_id(store)
        known = self._view
        if known is None or known.query != query or newest_id < self._seen_id:
            rows = await _page(store, query, after_id=query.after_id, before_id=query.before_id)
            n_newer = 0
            if rows and (query.before_id is not None or query.after_id is not None):
                n_newer = await _count_after(store, query, rows[-1].id)
            self._view = EventsView(query, tuple(rows), n_newer)
        elif newest_id > self._seen_id:
            self._view = await self._follow(store, known)
        self._seen_id = newest_id
        return self._view or EventsView(query, ())

    async def _follow(self, store: Store, known: EventsView) -> EventsView:
        query = known.query
        if query.before_id is not None or query.after_id is not None:
            n_new = await _count_after(store, query, self._seen_id)
            return replace(known, n_newer=known.n_newer + n_new) if n_new else known
        fresh = await _page(store, query, after_id=self._seen_id)
        if not fresh:
            return known
        if len(fresh) >= query.limit:
            # More were told than fit: the newest page has them, without a gap.
            return EventsView(query, tuple(await _page(store, query)))
        return EventsView(query, (*known.rows, *fresh)[-query.limit :])


def words_of(text: str) -> tuple[str, str | None, str | None]:
    """Return the words, the kind and the level that a filter names (`level=warn kind=cycle`)."""
    kind = level = None
    words = []
    for word in text.split():
        name, is_set, value = word.partition("=")
        if is_set and name == "kind" and value:
            kind = value
        elif is_set and name == "level" and value in LEVELS:
            level = value
        else:
            words.append(word)
    return " ".join(words), kind, level


async def _page(
    store: Store,
    query: EventsQuery,
    *,
    after_id: int | None = None,
    before_id: int | None = None,
) -> list[EventRow]:
    from engine.store.events import events_page

    words, kind, level = words_of(query.text)
    return await events_page(
        store,
        after_id=after_id,
        before_id=before_id,
        level=level or query.level,
        kind=kind,
        text=words or None,
        limit=query.limit,
    )


async def _newest_id(store: Store) -> int:
    from sqlalchemy import func, select

    from engine.store.tables import events

    async with store.read() as connection:
        found = (await connection.execute(select(func.max(events.c.id)))).scalar_one()
    return 0 if found is None else int(found)


async def _count_after(store: Store, query: EventsQuery, after_id: int) -> int:
    from sqlalchemy import func, or_, select

    from engine.store.tables import events
    from engine.store.text_filter import conditions

    words, kind, level = words_of(query.text)
    levels = LEVELS[LEVELS.index(level or query.level) :]
    counted: Any = select(func.count()).select_from(events).where(events.c.id > after_id)
    counted = counted.where(events.c.level.in_(levels))
    if kind is not None:
        below = events.c.kind.startswith(f"{kind}.", autoescape=True)
        counted = counted.where(or_(events.c.kind == kind, below))
    columns = (events.c.message, events.c.subject, events.c.kind)
    counted = counted.where(*conditions(words, columns))
    async with store.read() as connection:
        return int((await connection.execute(counted)).scalar_one())
