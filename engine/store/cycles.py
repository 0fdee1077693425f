"""Cycles and their stages: what runs, how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table, insert, select, update

from engine.errors import InvariantError, StoreError, UsageError
from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.json_text import from_text, to_text
from engine.store.tables import cycles
from engine.store.tables import stages as stages_table

UNFINISHED = ("running", "paused")
_SEED_LIMIT = 2**63
_JSON_COLUMNS = ("symbols", "settings", "summary")


@dataclass(frozen=True, slots=True)
class CycleRow:
    """One cycle as stored.

    Attributes
    ----------
    status : running, paused, done, failed or cancelled
    count : candidates asked for
    days : length of the window, days
    edge : the planted edge of a generated market in words, empty otherwise
    wave : 0 for a single cycle, otherwise the number of the wave, from 1
    *_at : UTC ms, None when it has not happened
    """

    id: int
    seed: int
    status: str
    stage: str
    count: int
    symbols: tuple[str, ...]
    timeframe: str
    days: int
    exchange: str
    market_label: str
    edge: str
    workers: int
    settings: Mapping[str, Any]
    config_hash: str
    data_hash: str
    state_hash: str
    code_version: str
    created_at: int
    started_at: int | None
    finished_at: int | None
    results_digest: str | None
    summary: Mapping[str, Any] | None
    error: str | None
    wave: int
    window_start_at: int | None
    window_end_at: int | None


@dataclass(frozen=True, slots=True)
class StageRow:
    """How far one stage of a cycle is.

    Attributes
    ----------
    status : waiting, running, done or failed
    done, total, failed : counts of the stage's own unit
    rate_per_s : units a second, None before it is known
    """

    cycle_id: int
    name: str
    position: int
    status: str
    done: int
    total: int
    failed: int
    rate_per_s: float | None
    started_at: int | None
    updated_at: int | None
    finished_at: int | None
    note: str


async def create_cycle(
    store: Store,
    *,
    seed: int,
    count: int,
    symbols: Sequence[str],
    timeframe: str,
    days: int,
    exchange: str,
    market_label: str,
    created_at: int,
    edge: str = "",
    workers: int = 0,
    settings: Mapping[str, Any] | None = None,
    config_hash: str = "",
    data_hash: str = "",
    state_hash: str = "",
    code_version: str = "",
    status: str = "running",
    stage: str = "",
    wave: int = 0,
    window_start_at: int | None = None,
    window_end_at: int | None = None,
) -> CycleRow:
    """Insert a cycle and return it with its new id.

    Raises
    ------
    UsageError : a seed that does not fit into 64 bits.
    """
    if not -_SEED_LIMIT <= seed < _SEED_LIMIT:
        raise UsageError(f"seed {seed} is too large: use one below {_SEED_LIMIT}", seed=seed)
    values: dict[str, object] = {
        "seed": seed,
        "status": status,
        "stage": stage,
        "count": count,
        "symbols": to_text(list(symbols)),
        "timeframe": timeframe,
        "days": days,
        "exchange": exchange,
        "market_label": market_label,
        "edge": edge,
        "workers": workers,
        "settings": to_text(dict(settings or {})),
        "config_hash": config_hash,
        "data_hash": data_hash,
        "state_hash": state_hash,
        "code_version": code_version,
        "created_at": created_at,
        "wave": wave,
        "window_start_at": window_start_at,
        "window_end_at": window_end_at,
    }
    async with store.write() as connection:
        statement = insert(cycles).values(values).returning(*cycles.c)
        return _cycle((await connection.execute(statement)).one())


async def get_cycle(store: Store, cycle_id: int) -> CycleRow:
    """Return one cycle.

    Raises
    ------
    StoreError : no cycle has that id.
    """
    async with store.read() as connection:
        row = (await connection.execute(select(cycles).where(cycles.c.id == cycle_id))).first()
    if row is None:
        raise _unknown(cycle_id)
    return _cycle(row)


async def latest_cycle(store: Store) -> CycleRow | None:
    """Return the newest cycle, None in an empty store."""
    rows = await recent_cycles(store, 1)
    return rows[0] if rows else None


async def unfinished_cycles(store: Store) -> list[CycleRow]:
    """Return the cycles that are running or paused, oldest first."""
    statement = select(cycles).where(cycles.c.status.in_(UNFINISHED)).order_by(cycles.c.id)
    async with store.read() as connection:
        return [_cycle(row) for row in await connection.execute(statement)]


async def recent_cycles(store: Store, limit: int) -> list[CycleRow]:
    """Return at most `limit` cycles, newest first."""
    statement = select(cycles).order_by(cycles.c.id.desc()).limit(limit)
    async with store.read() as connection:
        return [_cycle(row) for row in await connection.execute(statement)]


async def update_cycle(store: Store, cycle_id: int, **columns: object) -> None:
    """Set columns of one cycle; symbols, settings and summary are given as values, not text.

    Raises
    ------
    StoreError : no cycle has that id.
    InvariantError : there is no such column.
    """
    _check_columns(cycles, columns, fixed=("id",))
    values = {
        name: to_text(value) if name in _JSON_COLUMNS and value is not None else value
        for name, value in columns.items()
    }
    if not values:
        return
    async with store.write() as connection:
        result = await connection.execute(
            update(cycles).where(cycles.c.id == cycle_id).values(values)
        )
        if result.rowcount == 0:
            raise _unknown(cycle_id)


async def save_stage(store: Store, cycle_id: int, name: str, **columns: object) -> None:
    """Insert the stage, or set the given columns of it.

    A new stage starts as position 0, waiting, with all counts 0 and an empty note.

    Raises
    ------
    StoreError : no cycle has that id.
    InvariantError : there is no such column.
    """
    _check_columns(stages_table, columns, fixed=("cycle_id", "name"))
    defaults: dict[str, object] = {
        "position": 0,
        "status": "waiting",
        "done": 0,
        "total": 0,
        "failed": 0,
        "note": "",
    }
    values = {**defaults, **columns, "cycle_id": cycle_id, "name": name}
    changes = ", ".join(f'"{column}" = excluded."{column}"' for column in columns)
    conflict = (
        f"ON CONFLICT (cycle_id, name) DO {f'UPDATE SET {changes}' if changes else 'NOTHING'}"
    )
    async with store.write() as connection:
        await insert_rows(
            connection, stages_table, list(values), [tuple(values.values())], conflict
        )


async def stages(store: Store, cycle_id: int) -> list[StageRow]:
    """Return the stages of a cycle in their order."""
    statement = (
        select(stages_table)
        .where(stages_table.c.cycle_id == cycle_id)
        .order_by(stages_table.c.position, stages_table.c.name)
    )
    async with store.read() as connection:
        return [StageRow(**row._mapping) for row in await connection.execute(statement)]


def _cycle(row: Row[Any]) -> CycleRow:
    values = dict(row._mapping)
    values["symbols"] = tuple(from_text(values["symbols"]))
    values["settings"] = from_text(values["settings"])
    values["summary"] = from_text(values["summary"])
    return CycleRow(**values)


def _check_columns(table: Table, columns: Mapping[str, object], fixed: tuple[str, ...]) -> None:
    wrong = [name for name in columns if name in fixed or name not in table.c]
    if wrong:
        raise InvariantError(
            f"table {table.name} has no column {wrong[0]!r} that may be set", column=wrong[0]
        )


def _unknown(cycle_id: int) -> StoreError:
    return StoreError(
        f"cycle {cycle_id} is not in the store: `paddock status` lists the last ones",
        cycle_id=cycle_id,
    )
