"""Signs of life of every part of the runtime: one row each, overwritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select

from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.json_text import from_text, to_text
from engine.store.tables import heartbeats as heartbeats_table

_COLUMNS = ("name", "kind", "at", "state", "detail")
_OVERWRITE = (
    "ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, at = excluded.at,"
    " state = excluded.state, detail = excluded.detail"
)


@dataclass(frozen=True, slots=True)
class HeartbeatRow:
    """The last sign of life of one part.

    Attributes
    ----------
    name : unique, such as backtester-1
    kind : what it is, such as backtester
    at : UTC ms of the beat
    state : one word, such as busy, idle, starting
    detail : JSON values to show (pid, memory, rate)
    """

    name: str
    kind: str
    at: int
    state: str
    detail: Mapping[str, Any] = field(default_factory=dict)


async def beat(store: Store, rows: Sequence[HeartbeatRow]) -> None:
    """Write beats; the last of a name wins."""
    latest = {row.name: row for row in rows}
    values = [
        (row.name, row.kind, row.at, row.state, to_text(row.detail)) for row in latest.values()
    ]
    async with store.write() as connection:
        await insert_rows(connection, heartbeats_table, _COLUMNS, values, _OVERWRITE)


async def heartbeats(store: Store) -> list[HeartbeatRow]:
    """Return the last beat of every part, by name."""
    async with store.read() as connection:
        rows = await connection.execute(select(heartbeats_table).order_by(heartbeats_table.c.name))
        return [
            HeartbeatRow(row.name, row.kind, int(row.at), row.state, from_text(row.detail))
            for row in rows
        ]


async def forget_heartbeats(store: Store, names: Sequence[str]) -> None:
    """Delete the beats of parts that were ended on purpose."""
    async with store.write() as connection:
        await connection.execute(
            delete(heartbeats_table).where(heartbeats_table.c.name.in_(list(names)))
        )
