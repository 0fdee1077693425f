"""Alerts: what needs a person, one row per cause, however often it is told.

Acknowledging is a short transaction of the console's own, as a command is: it works with the
runtime dead, and the event that says who did it is written with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, update

from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.events import Event, write_events
from engine.store.json_text import storable
from engine.store.tables import alerts

LEVELS = ("warn", "error")
_COLUMNS = (
    "key",
    "level",
    "title",
    "message",
    "subject",
    "raised_at",
    "last_at",
    "count",
    "acknowledged_by",
)
# Told again after it was over, an alert begins anew; told twice of one instant, it is told once.
_TELL_AGAIN = """ON CONFLICT (key) DO UPDATE SET
    level = excluded.level, title = excluded.title, message = excluded.message,
    subject = excluded.subject, last_at = excluded.last_at,
    raised_at = CASE WHEN alerts.resolved_at IS NULL
        THEN alerts.raised_at ELSE excluded.raised_at END,
    count = CASE WHEN alerts.resolved_at IS NULL THEN alerts.count + 1 ELSE 1 END,
    acknowledged_by = CASE WHEN alerts.resolved_at IS NULL THEN alerts.acknowledged_by ELSE '' END,
    acknowledged_at = CASE WHEN alerts.resolved_at IS NULL
        THEN alerts.acknowledged_at ELSE NULL END,
    sent_at = CASE WHEN alerts.resolved_at IS NULL THEN alerts.sent_at ELSE NULL END,
    resolved_at = NULL
    WHERE excluded.last_at > alerts.last_at
    AND (alerts.resolved_at IS NULL OR excluded.last_at > alerts.resolved_at)"""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One cause for alarm.

    Attributes
    ----------
    key : unique name of the cause, such as account.halted:paper
    level : warn or error
    title, message : a few words, and one sentence
    subject : what it is about, as kind:id (strategy:…, account:…, order:…, symbol:…, part:…,
        cycle:…), may be empty
    raised_at, last_at : UTC ms when it was told first and last
    count : how often it was told since it was raised
    acknowledged_by, acknowledged_at : who has seen it, empty and None before
    resolved_at : UTC ms when it was over, None while it lasts
    sent_at : UTC ms when people were last told of it outside, None before
    """

    key: str
    level: str
    title: str
    message: str
    subject: str
    raised_at: int
    last_at: int
    count: int
    acknowledged_by: str
    acknowledged_at: int | None
    resolved_at: int | None
    sent_at: int | None


async def raise_alert(
    store: Store, *, key: str, level: str, title: str, message: str, subject: str = "", at: int
) -> AlertRow:
    """Tell of a cause and return its alert; one that was acknowledged stays so until it is over.

    Parameters
    ----------
    at : UTC ms; telling twice of the same instant, or of one before its end, changes nothing
    """
    values = (key, level, title, message, subject, at, at, 1, "")
    clean = tuple(storable(value) if isinstance(value, str) else value for value in values)
    async with store.write() as connection:
        await insert_rows(connection, alerts, _COLUMNS, [clean], _TELL_AGAIN)
        row = (await connection.execute(select(alerts).where(alerts.c.key == clean[0]))).one()
        return _alert(row)


async def resolve_alert(store: Store, key: str, at: int) -> bool:
    """Say that a cause is over since `at`; False when it was not raised, or raised again since."""
    statement = (
        update(alerts)
        .where(alerts.c.key == key, alerts.c.resolved_at.is_(None), alerts.c.last_at <= at)
        .values(resolved_at=at)
    )
    async with store.write() as connection:
        return bool((await connection.execute(statement)).rowcount)


async def mark_alert_sent(store: Store, key: str, at: int) -> None:
    """Remember that people were told of an alert outside at `at`."""
    async with store.write() as connection:
        await connection.execute(update(alerts).where(alerts.c.key == key).values(sent_at=at))


async def acknowledge_alert(store: Store, key: str, who: str, now_at: int) -> bool:
    """Remember who has seen an alert, with an event; False when it is over or was seen before."""
    statement = (
        update(alerts)
        .where(
            alerts.c.key == key,
            alerts.c.resolved_at.is_(None),
            alerts.c.acknowledged_at.is_(None),
        )
        .values(acknowledged_by=storable(who), acknowledged_at=now_at)
        .returning(alerts.c.title)
    )
    async with store.write() as connection:
        row = (await connection.execute(statement)).first()
        if row is None:
            return False
        message = f"{who} has seen: {row.title}"
        event = Event(now_at, "info", "alert.acknowledged", message, key, fields={"who": who})
        await write_events(connection, [event])
    return True


async def active_alerts(store: Store, limit: int = 100) -> list[AlertRow]:
    """Return at most `limit` alerts that are not over: unseen first, then newest first."""
    statement = (
        select(alerts)
        .where(alerts.c.resolved_at.is_(None))
        .order_by(alerts.c.acknowledged_at.is_not(None), alerts.c.last_at.desc(), alerts.c.key)
        .limit(limit)
    )
    async with store.read() as connection:
        return [_alert(row) for row in await connection.execute(statement)]


async def get_alert(store: Store, key: str) -> AlertRow | None:
    """Return one alert, over or not, None when it was never raised."""
    async with store.read() as connection:
        row = (await connection.execute(select(alerts).where(alerts.c.key == key))).first()
    return None if row is None else _alert(row)


def _alert(row: Row[Any]) -> AlertRow:
    return AlertRow(**row._mapping)
