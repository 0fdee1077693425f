"""Equity curves of the few strategies worth drawing, as 32-bit floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, and_, select

from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.tables import contexts, curves
from engine.store.trial_context import TrialContext, context_of
from engine.types import Segment

_COLUMNS = ("strategy_id", "context_id", "points", "start_at", "end_at")
_OVERWRITE = (
    "ON CONFLICT (strategy_id, context_id) DO UPDATE SET points = excluded.points,"
    " start_at = excluded.start_at, end_at = excluded.end_at"
)


@dataclass(frozen=True, slots=True, eq=False)
class CurveRow:
    """An equity curve.

    Attributes
    ----------
    points : ndarray of shape (n_points,), float32, equity as a multiple of the initial capital
    start_at, end_at : UTC ms of the first and the last point
    """

    strategy_id: str
    context_id: int
    points: npt.NDArray[np.float32]
    start_at: int
    end_at: int


@dataclass(frozen=True, slots=True, eq=False)
class StoredCurve:
    """An equity curve and the context it was measured in."""

    curve: CurveRow
    context: TrialContext


async def save_curve(store: Store, row: CurveRow) -> None:
    """Store one curve in place of any the strategy had in that context."""
    await save_curves(store, [row])


async def save_curves(store: Store, rows: Sequence[CurveRow]) -> None:
    """Store curves in one transaction; each strategy and context at most once in `rows`."""
    values = [
        (
            row.strategy_id,
            int(row.context_id),
            np.ascontiguousarray(row.points, dtype="<f4").tobytes(),
            row.start_at,
            row.end_at,
        )
        for row in rows
    ]
    async with store.write() as connection:
        await insert_rows(connection, curves, _COLUMNS, values, _OVERWRITE)


async def load_curves(store: Store, strategy_id: str) -> list[StoredCurve]:
    """Return every curve of a strategy, in the order of the contexts' keys."""
    found = await _load(store, curves.c.strategy_id == strategy_id)
    return sorted(found, key=lambda item: item.context)


async def holdout_curves(
    store: Store, exchange: str, symbol: str, timeframe: str, limit: int
) -> list[StoredCurve]:
    """Return the holdout curves of strategies ever scored on this series, by their ids.

    Ids are content hashes, so that the first `limit` are a fair and repeatable sample.
    """
    condition = and_(
        contexts.c.exchange == exchange,
        contexts.c.symbol == symbol,
        contexts.c.timeframe == timeframe,
        contexts.c.segment == Segment.HOLDOUT.value,
    )
    return await _load(store, condition, limit)


async def _load(
    store: Store, condition: ColumnElement[bool], limit: int | None = None
) -> list[StoredCurve]:
    statement = (
        select(curves, *(c for c in contexts.c if c.name != "id"))
        .join(contexts, contexts.c.id == curves.c.context_id)
        .where(condition)
        .order_by(curves.c.strategy_id, curves.c.context_id)
        .limit(limit)
    )
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all()
    return [
        StoredCurve(
            CurveRow(
                row.strategy_id,
                int(row.context_id),
                np.frombuffer(row.points, dtype="<f4").astype(np.float32),
                int(row.start_at),
                int(row.end_at),
            ),
            context_of(row._mapping),
        )
        for row in rows
    ]
