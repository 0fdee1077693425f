"""A cycle's candidates: which strategies it drew, in which place, and how far each came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from engine.errors import InvariantError
from engine.store.bulk import IGNORE, insert_rows, update_rows
from engine.store.database import Store
from engine.store.json_text import from_text, to_text
from engine.store.tables import candidates, strategies
from engine.types import FloatArray, IntArray, Status

STATUSES = ("generated", "valid", "rejected", "evaluated", "failed")
_CANDIDATE_COLUMNS = ("cycle_id", "idx", "strategy_id", "origin", "status", "fitness", "findings")
_STRATEGY_COLUMNS = (
    "id",
    "type",
    "origin",
    "name",
    "timeframe",
    "direction",
    "genome",
    "generation",
    "parent_a",
    "parent_b",
    "cycle_id",
    "created_at",
    "status",
    "earliest_read_at",
)
# A strategy met again keeps its row; only what it has read can reach further back.
_READ_FURTHER_BACK = (
    "ON CONFLICT (id) DO UPDATE SET earliest_read_at = excluded.earliest_read_at"
    " WHERE strategies.earliest_read_at IS NULL"
    " OR excluded.earliest_read_at < strategies.earliest_read_at"
)


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One candidate of a cycle with the strategy it is.

    Attributes
    ----------
    idx : place in the cycle, 0 and up; the key of its random draws
    strategy_id : content hash of the genome
    origin : how this cycle came to it: genetic, pattern, immigrant, library, language_model,
        search, user
    genome : canonical JSON
    status : generated, valid, rejected, evaluated or failed
    fitness : mean validation fitness over symbols in this cycle, None when undefined
    findings : JSON list of validation findings, None when there are none
    created_at : UTC ms
    earliest_read_at : UTC ms of the earliest bar it or an ancestor has read
    """

    idx: int
    strategy_id: str
    origin: str
    type: str
    timeframe: str
    direction: str
    genome: str
    generation: int = 0
    parent_a: str | None = None
    parent_b: str | None = None
    name: str = ""
    status: str = "generated"
    fitness: float | None = None
    findings: Any = None
    created_at: int = 0
    earliest_read_at: int | None = None


async def add_candidates(store: Store, cycle_id: int, rows: Sequence[CandidateRow]) -> int:
    """Store strategies and candidates in one transaction; return how many candidates were new.

    Running it twice changes nothing: known strategies and filled places are left as they are.
    """
    strategy_rows = {
        row.strategy_id: (
            row.strategy_id,
            row.type,
            row.origin,
            row.name,
            row.timeframe,
            row.direction,
            row.genome,
            row.generation,
            row.parent_a,
            row.parent_b,
            cycle_id,
            row.created_at,
            Status.GENERATED.value,
            row.earliest_read_at,
        )
        for row in reversed(rows)
    }
    candidate_rows = [
        (
            cycle_id,
            row.idx,
            row.strategy_id,
            row.origin,
            row.status,
            row.fitness,
            None if row.findings is None else to_text(row.findings),
        )
        for row in rows
    ]
    async with store.write() as connection:
        await insert_rows(
            connection,
            strategies,
            _STRATEGY_COLUMNS,
            list(strategy_rows.values()),
            _READ_FURTHER_BACK,
        )
        return await insert_rows(connection, candidates, _CANDIDATE_COLUMNS, candidate_rows, IGNORE)


async def candidates_page(
    store: Store,
    cycle_id: int,
    after_idx: int = -1,
    limit: int = 1000,
    statuses: Sequence[str] | None = None,
) -> list[CandidateRow]:
    """Return the next `limit` candidates whose place is after `after_idx`, with their genomes."""
    c, s = candidates.c, strategies.c
    columns = (
        *(c.idx, c.strategy_id, c.origin, s.type, s.timeframe, s.direction, s.genome),
        *(s.generation, s.parent_a, s.parent_b, s.name, c.status, c.fitness, c.findings),
        *(s.created_at, s.earliest_read_at),
    )
    statement = (
        select(*columns)
        .join(strategies, s.id == c.strategy_id)
        .where(c.cycle_id == cycle_id, c.idx > after_idx)
        .order_by(c.idx)
        .limit(limit)
    )
    if statuses is not None:
        statement = statement.where(c.status.in_(list(statuses)))
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all()
    return [CandidateRow(**{**row._mapping, "findings": from_text(row.findings)}) for row in rows]


async def count_candidates(store: Store, cycle_id: int) -> dict[str, int]:
    """Return how many candidates of a cycle stand in each status; absent ones are 0."""
    statement = (
        select(candidates.c.status, func.count())
        .where(candidates.c.cycle_id == cycle_id)
        .group_by(candidates.c.status)
    )
    async with store.read() as connection:
        found = {str(row[0]): int(row[1]) for row in await connection.execute(statement)}
    return {**dict.fromkeys(STATUSES, 0), **found}


async def evaluated_sample(store: Store, cycle_id: int, limit: int) -> list[tuple[str, str]]:
    """Return (id, genome) of some strategies that the cycle evaluated.

    Ids are content hashes, so that the first of them are a fair and repeatable sample.
    """
    statement = (
        select(strategies.c.id, strategies.c.genome)
        .join(candidates, candidates.c.strategy_id == strategies.c.id)
        .where(candidates.c.cycle_id == cycle_id, candidates.c.status == "evaluated")
        .order_by(strategies.c.id)
        .limit(limit)
    )
    async with store.read() as connection:
        return [(str(row[0]), str(row[1])) for row in await connection.execute(statement)]


async def known_ids(store: Store, cycle_id: int) -> set[str]:
    """Return the ids of the strategies among a cycle's candidates."""
    statement = select(candidates.c.strategy_id).where(candidates.c.cycle_id == cycle_id)
    async with store.read() as connection:
        return {str(row[0]) for row in await connection.execute(statement)}


async def mark_candidates(
    store: Store,
    cycle_id: int,
    status: str,
    idxs: Sequence[int] | IntArray,
    fitness: Sequence[float] | FloatArray | None = None,
    findings: Sequence[Any] | None = None,
) -> int:
    """Set the status of many candidates in one transaction and return how many were found.

    Parameters
    ----------
    idxs : their places in the cycle
    fitness : one number for each place, nan when undefined; None leaves what is stored
    findings : one JSON value for each place; None leaves what is stored

    Raises
    ------
    InvariantError : an unknown status, or lengths that do not agree.
    """
    if status not in STATUSES:
        raise InvariantError(f"candidates have no status {status!r}: {' '.join(STATUSES)}")
    columns: dict[str, list[Any]] = {"status": [status] * len(idxs)}
    if fitness is not None:
        columns["fitness"] = [float(value) for value in fitness]
    if findings is not None:
        columns["findings"] = [None if value is None else to_text(value) for value in findings]
    keys = {"cycle_id": [cycle_id] * len(idxs), "idx": [int(idx) for idx in idxs]}
    if any(len(values) != len(idxs) for values in columns.values()):
        raise InvariantError("fitness and findings need one value for each place")
    rows = list(zip(*columns.values(), *keys.values(), strict=True))
    async with store.write() as connection:
        return await update_rows(connection, candidates, tuple(keys), tuple(columns), rows)
