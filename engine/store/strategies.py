"""Strategies: who they are, where they stand, where they come from."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from engine.errors import UsageError
from engine.store.bulk import batches, update_rows
from engine.store.candidates import (
    CandidateRow,
    add_candidates,
    candidates_page,
    count_candidates,
    known_ids,
    mark_candidates,
)
from engine.store.database import Store
from engine.store.events import Event, write_events
from engine.store.tables import candidates, strategies
from engine.store.text_filter import conditions
from engine.types import Status

# A cycle's candidates live in `candidates`; callers find them here beside the strategies they are.
__all__ = [
    "SORTS",
    "CandidateRow",
    "LineageRow",
    "ScoreRow",
    "StatusChange",
    "StoredStrategy",
    "StrategyRow",
    "add_candidates",
    "candidates_page",
    "change_status",
    "change_statuses",
    "count_candidates",
    "count_statuses",
    "genomes",
    "get_strategy",
    "known_ids",
    "leaderboard",
    "lineage",
    "mark_candidates",
    "update_scores",
]

_SCORE_COLUMNS = (
    "fitness",
    "best_symbol",
    "sharpe",
    "max_drawdown",
    "n_trades",
    "total_return",
    "win_rate",
    "profit_factor",
)
_REALS = tuple(name for name in _SCORE_COLUMNS if name != "best_symbol")
SORTS = (
    *_SCORE_COLUMNS,
    "id",
    "type",
    "origin",
    "name",
    "timeframe",
    "direction",
    "generation",
    "created_at",
    "status",
)
_NEAREST = 3
_IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """One strategy without its genome.

    Attributes
    ----------
    origin : genetic, pattern, immigrant, library, language_model, search or user
    cycle_id : the cycle that made it first
    fitness : mean validation fitness over symbols, nan when undefined
    best_symbol : the symbol with the best validation fitness, None before evaluation
    sharpe, max_drawdown, n_trades, total_return, win_rate, profit_factor : of the best symbol on
        validation, nan when undefined
    earliest_read_at : UTC ms of the earliest bar it or an ancestor ever read, None when unknown
    """

    id: str
    type: str
    origin: str
    name: str
    timeframe: str
    direction: str
    generation: int
    parent_a: str | None
    parent_b: str | None
    cycle_id: int | None
    created_at: int
    status: str
    fitness: float
    best_symbol: str | None
    sharpe: float
    max_drawdown: float
    n_trades: float
    total_return: float
    win_rate: float
    profit_factor: float
    earliest_read_at: int | None


_COLUMNS = tuple(strategies.c[field.name] for field in fields(StrategyRow))


@dataclass(frozen=True, slots=True)
class StoredStrategy:
    """One strategy with its genome as canonical JSON."""

    row: StrategyRow
    genome: str


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A strategy's standing after a cycle; see StrategyRow for the meaning of each."""

    id: str
    fitness: float
    best_symbol: str | None
    sharpe: float
    max_drawdown: float
    n_trades: float
    total_return: float
    win_rate: float
    profit_factor: float


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A strategy's new status, why, and by whom or what."""

    id: str
    status: str
    reason: str
    who: str


@dataclass(frozen=True, slots=True)
class LineageRow:
    """An ancestor and its distance: 0 is the strategy itself, 1 its parents."""

    depth: int
    row: StrategyRow


async def leaderboard(
    store: Store,
    *,
    statuses: Sequence[str] | None = None,
    type: str | None = None,
    symbol: str | None = None,
    text: str | None = None,
    sort: str = "fitness",
    descending: bool = True,
    limit: int = 500,
    offset: int = 0,
    cycle_id: int | None = None,
) -> tuple[list[StrategyRow], int]:
    """Return one page of strategies and how many there are on all pages.

    Undefined values come last in either direction; ties are broken by id.

    Parameters
    ----------
    symbol : only those whose best symbol this is
    text : words found in id, name, type, origin or best symbol, whatever their case; after a `!`,
        words that are not all found
    sort : one of `SORTS`
    cycle_id : only this cycle's candidates

    Raises
    ------
    UsageError : an unknown sort; the message names the nearest.
    """
    if sort not in SORTS:
        near = difflib.get_close_matches(sort, SORTS, n=1, cutoff=0.0)[0]
        raise UsageError(f"cannot sort by {sort!r}: did you mean {near!r}?", sort=sort)
    wanted = _filters(statuses, type, symbol, text, cycle_id)
    column = strategies.c[sort]
    order = (column.desc() if descending else column.asc()).nulls_last()
    page = select(*_COLUMNS).where(*wanted).order_by(order, strategies.c.id)
    total = select(func.count()).select_from(strategies).where(*wanted)
    async with store.read() as connection:
        rows = [
            _strategy(row) for row in await connection.execute(page.limit(limit).offset(offset))
        ]
        return rows, int((await connection.execute(total)).scalar_one())


async def best_fitness(store: Store, cycle_id: int) -> float | None:
    """Return the highest fitness that a cycle's new strategies reached, None when none has any."""
    statement = select(func.max(strategies.c.fitness)).where(strategies.c.cycle_id == cycle_id)
    async with store.read() as connection:
        found = (await connection.execute(statement)).scalar_one()
    return None if found is None else float(found)


async def get_strategy(store: Store, id_or_prefix: str) -> StoredStrategy:
    """Return the one strategy whose id is, or starts with, what is given.

    Raises
    ------
    UsageError : none or several do; the message names the nearest.
    """
    # A range finds the same ids as a prefix search, through the primary key.
    start = id_or_prefix.strip().lower()
    statement = (
        select(*_COLUMNS, strategies.c.genome)
        .where(strategies.c.id >= start, strategies.c.id < start + "\uffff")
        .order_by(strategies.c.id)
        .limit(_NEAREST + 1)
    )
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all() if start else []
        if rows and (len(rows) == 1 or rows[0].id == start):
            return _stored(rows[0])
        near = [str(row.id) for row in rows] or await _neighbours(connection, start)
    if rows:
        more = ", …" if len(near) > _NEAREST else ""
        raise UsageError(
            f"strategy {id_or_prefix!r} is ambiguous: {', '.join(near[:_NEAREST])}{more}:"
            " give more of the id",
            id=id_or_prefix,
            near=near[:_NEAREST],
        )
    hint = f"the nearest is {near[0]}" if near else "the store has no strategies yet"
    raise UsageError(
        f"strategy {id_or_prefix!r} is not in the store: {hint}", id=id_or_prefix, near=near
    )


async def genomes(store: Store, ids: Sequence[str]) -> dict[str, str]:
    """Return the canonical JSON of the given strategies by id; unknown ids are left out."""
    found: dict[str, str] = {}
    async with store.read() as connection:
        for part in batches(ids, _IDS_PER_QUERY):
            statement = select(strategies.c.id, strategies.c.genome).where(
                strategies.c.id.in_(part)
            )
            found.update({str(row[0]): str(row[1]) for row in await connection.execute(statement)})
    return found


async def lineage(store: Store, strategy_id: str, depth: int = 5) -> list[LineageRow]:
    """Return the strategy and its ancestors up to `depth` generations, nearest first.

    Ancestors that are not stored are left out; each is listed once, at its shortest distance.
    """
    found: dict[str, LineageRow] = {}
    wanted = [strategy_id]
    async with store.read() as connection:
        for distance in range(depth + 1):
            rows: list[StrategyRow] = []
            for part in batches(wanted, _IDS_PER_QUERY):
                statement = select(*_COLUMNS).where(strategies.c.id.in_(part))
                statement = statement.order_by(strategies.c.id)
                rows.extend(_strategy(row) for row in await connection.execute(statement))
            found.update({row.id: LineageRow(distance, row) for row in rows})
            parents = {parent for row in rows for parent in (row.parent_a, row.parent_b) if parent}
            wanted = sorted(parents - found.keys())
            if not wanted:
                break
    return list(found.values())


async def change_status(
    store: Store, strategy_id: str, status: str, reason: str, who: str, now_at: int
) -> bool:
    """Move one strategy to `status` and tell why; False when it stood there already.

    Raises
    ------
    UsageError : an unknown status or strategy.
    """
    return bool(
        await change_statuses(store, [StatusChange(strategy_id, status, reason, who)], now_at)
    )


async def change_statuses(store: Store, changes: Sequence[StatusChange], now_at: int) -> int:
    """Move strategies, write one event each in the same transaction, and return how many moved.

    Raises
    ------
    UsageError : an unknown status or strategy; nothing was changed.
    """
    for change in changes:
        if change.status not in set(Status):
            raise UsageError(f"unknown status {change.status!r}: use one of {' '.join(Status)}")
    async with store.write() as connection:
        before: dict[str, str] = {}
        for part in batches(sorted({change.id for change in changes}), _IDS_PER_QUERY):
            statement = select(strategies.c.id, strategies.c.status).where(
                strategies.c.id.in_(part)
            )
            before.update({str(row[0]): str(row[1]) for row in await connection.execute(statement)})
        told: list[Event] = []
        for change in changes:
            if change.id not in before:
                raise UsageError(f"strategy {change.id!r} is not in the store", id=change.id)
            if before[change.id] != change.status:
                told.append(_status_event(change, before[change.id], now_at))
                before[change.id] = change.status
        moved = [(before[event.subject], event.subject) for event in told]
        await update_rows(connection, strategies, ("id",), ("status",), sorted(set(moved)))
        await write_events(connection, told)
    return len(told)


async def update_scores(store: Store, rows: Sequence[ScoreRow]) -> int:
    """Set the standing of many strategies in one transaction and return how many were found."""
    columns = (*_SCORE_COLUMNS, "id")
    values = [tuple(getattr(row, name) for name in columns) for row in rows]
    async with store.write() as connection:
        return await update_rows(connection, strategies, ("id",), _SCORE_COLUMNS, values)


async def count_statuses(store: Store) -> dict[str, int]:
    """Return how many strategies stand in each status."""
    statement = select(strategies.c.status, func.count()).group_by(strategies.c.status)
    async with store.read() as connection:
        return {str(row[0]): int(row[1]) for row in await connection.execute(statement)}


def strategy_of(row: Any) -> StrategyRow:
    """Return the StrategyRow whose columns are in `row`, NULL scores as nan."""
    return _strategy(row)


def strategy_columns() -> tuple[ColumnElement[Any], ...]:
    """Return the columns that `strategy_of` needs."""
    return _COLUMNS


def _strategy(row: Any) -> StrategyRow:
    values = {name.name: row._mapping[name] for name in _COLUMNS}
    for name in _REALS:
        values[name] = float("nan") if values[name] is None else float(values[name])
    return StrategyRow(**values)


def _stored(row: Any) -> StoredStrategy:
    return StoredStrategy(_strategy(row), str(row.genome))


async def _neighbours(connection: Any, start: str) -> list[str]:
    prefix = start[:2]
    statement = select(strategies.c.id).order_by(strategies.c.id).limit(1000)
    near = await connection.execute(statement.where(strategies.c.id >= prefix))
    ids = [str(row[0]) for row in near]
    if not ids:
        ids = [str(row[0]) for row in await connection.execute(statement)]
    return difflib.get_close_matches(start, ids, n=_NEAREST, cutoff=0.0)


def _filters(
    statuses: Sequence[str] | None,
    type: str | None,
    symbol: str | None,
    text: str | None,
    cycle_id: int | None,
) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if statuses is not None:
        wanted.append(strategies.c.status.in_(list(statuses)))
    if type is not None:
        wanted.append(strategies.c.type == type)
    if symbol is not None:
        wanted.append(strategies.c.best_symbol == symbol)
    if cycle_id is not None:
        of_cycle: Select[Any] = select(candidates.c.strategy_id).where(
            candidates.c.cycle_id == cycle_id
        )
        wanted.append(strategies.c.id.in_(of_cycle))
    searched = (
        strategies.c.id,
        strategies.c.name,
        strategies.c.type,
        strategies.c.origin,
        strategies.c.best_symbol,
    )
    return [*wanted, *conditions(text, searched)]


def _status_event(change: StatusChange, before: str, now_at: int) -> Event:
    return Event(
        at=now_at,
        level="info",
        kind="strategy.status",
        subject=change.id,
        message=f"{before} → {change.status}: {change.reason}",
        fields={
            "from": before,
            "to": change.status,
            "reason": change.reason,
            "who": change.who,
        },
    )
