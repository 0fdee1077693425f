"""What the statistics of a cycle found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, delete, select

from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.json_text import from_text, to_text
from engine.store.tables import insights as insights_table

_COLUMNS = ("cycle_id", "kind", "subject", "value", "p_value", "payload", "created_at")


@dataclass(frozen=True, slots=True)
class Insight:
    """One finding.

    Attributes
    ----------
    kind : such as correlation, segment, range, indicator
    subject : the feature, parameter or indicator it is about
    value : the effect, nan when undefined
    p_value : in [0, 1], nan when not tested
    payload : anything else, as JSON values
    """

    kind: str
    subject: str
    value: float = float("nan")
    p_value: float = float("nan")
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InsightRow:
    """A finding as stored."""

    id: int
    cycle_id: int
    kind: str
    subject: str
    value: float
    p_value: float
    payload: Mapping[str, Any]
    created_at: int


async def add_insights(store: Store, cycle_id: int, rows: Sequence[Insight], now_at: int) -> None:
    """Store a cycle's findings in place of any it had: running twice leaves one set."""
    values = [
        (cycle_id, row.kind, row.subject, row.value, row.p_value, to_text(row.payload), now_at)
        for row in rows
    ]
    async with store.write() as connection:
        await connection.execute(
            delete(insights_table).where(insights_table.c.cycle_id == cycle_id)
        )
        await insert_rows(connection, insights_table, _COLUMNS, values)


async def insights(
    store: Store, cycle_id: int | None = None, kind: str | None = None, limit: int | None = None
) -> list[InsightRow]:
    """Return findings, the newest cycle's first, in the order they were stored."""
    statement = select(insights_table).order_by(
        insights_table.c.cycle_id.desc(), insights_table.c.id
    )
    if cycle_id is not None:
        statement = statement.where(insights_table.c.cycle_id == cycle_id)
    if kind is not None:
        statement = statement.where(insights_table.c.kind == kind)
    if limit is not None:
        statement = statement.limit(limit)
    async with store.read() as connection:
        return [_insight(row) for row in await connection.execute(statement)]


def _insight(row: Row[Any]) -> InsightRow:
    values = dict(row._mapping)
    values["payload"] = from_text(values["payload"])
    for name in ("value", "p_value"):
        values[name] = float("nan") if values[name] is None else float(values[name])
    return InsightRow(**values)
