"""A few bulk reads that the parts need besides the store's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from actors.candidate import Candidate
from actors.proof_request import KnownTrial
from engine.store.curves import CurveRow
from engine.store.database import Store
from engine.store.tables import candidates, evaluations, strategies
from engine.types import MS_PER_DAY

_IDS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class KnownResult:
    """What the ledger holds of a strategy that is complete in a cycle's contexts.

    Attributes
    ----------
    fitness : mean over the validation contexts, nan when undefined on any
    is_failed : whether an evaluation failed
    """

    fitness: float
    is_failed: bool


@dataclass(frozen=True, slots=True)
class PlainCandidate:
    """A candidate, and whether this cycle is the first that met its strategy."""

    candidate: Candidate
    is_new: bool


def known_trial(curve: CurveRow) -> KnownTrial:
    """Return a holdout curve, which has one point a day, as daily returns."""
    points = curve.points.astype(np.float64)
    before = points[:-1]
    daily = np.zeros(before.shape[0])
    np.divide(np.diff(points), before, out=daily, where=before > 0.0)
    return KnownTrial(curve.strategy_id, curve.start_at // MS_PER_DAY, daily)


async def known_results(
    store: Store,
    strategy_ids: Sequence[str],
    context_ids: Sequence[int],
    validation_ids: Sequence[int],
) -> dict[str, KnownResult]:
    """Return the strategies whose evaluations are all in the ledger, with what they amount to."""
    rows: dict[str, dict[int, tuple[str, float | None]]] = {}
    columns = (
        evaluations.c.strategy_id,
        evaluations.c.context_id,
        evaluations.c.status,
        evaluations.c.fitness,
    )
    async with store.read() as connection:
        for start in range(0, len(strategy_ids), _IDS_PER_QUERY):
            part = strategy_ids[start : start + _IDS_PER_QUERY]
            statement = select(*columns).where(
                evaluations.c.strategy_id.in_(part),
                evaluations.c.context_id.in_(list(context_ids)),
            )
            for strategy_id, context_id, status, fitness in await connection.execute(statement):
                rows.setdefault(strategy_id, {})[context_id] = (status, fitness)
    wanted = set(context_ids)
    return {
        strategy_id: _result(found, validation_ids)
        for strategy_id, found in rows.items()
        if found.keys() >= wanted
    }


async def candidates_after(
    store: Store, cycle_id: int, after_idx: int, limit: int, status: str
) -> list[PlainCandidate]:
    """Return the next candidates of one status, without what only the store's own page has."""
    c, s = candidates.c, strategies.c
    statement = (
        select(c.idx, c.strategy_id, s.genome, s.cycle_id)
        .join(strategies, s.id == c.strategy_id)
        .where(c.cycle_id == cycle_id, c.idx > after_idx, c.status == status)
        .order_by(c.idx)
        .limit(limit)
    )
    async with store.read() as connection:
        return [
            PlainCandidate(Candidate(row[0], row[1], row[2]), row[3] == cycle_id)
            for row in (await connection.execute(statement)).all()
        ]


async def drawn_ids(store: Store, cycle_id: int) -> dict[str, int]:
    """Return the place of every strategy that a cycle has drawn, by id."""
    c = candidates.c
    statement = select(c.strategy_id, c.idx).where(c.cycle_id == cycle_id).order_by(c.idx.desc())
    async with store.read() as connection:
        return {str(row[0]): int(row[1]) for row in await connection.execute(statement)}


async def statuses_of(store: Store, strategy_ids: Sequence[str]) -> dict[str, str]:
    """Return where strategies stand, by id; unknown ids are left out."""
    found: dict[str, str] = {}
    async with store.read() as connection:
        for start in range(0, len(strategy_ids), _IDS_PER_QUERY):
            part = strategy_ids[start : start + _IDS_PER_QUERY]
            statement = select(strategies.c.id, strategies.c.status).where(
                strategies.c.id.in_(part)
            )
            found.update({row[0]: row[1] for row in await connection.execute(statement)})
    return found


async def parentage_of(store: Store, strategy_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return genome text and generation of strategies, by id."""
    found: dict[str, tuple[str, int]] = {}
    columns = (strategies.c.id, strategies.c.genome, strategies.c.generation)
    async with store.read() as connection:
        for start in range(0, len(strategy_ids), _IDS_PER_QUERY):
            part = strategy_ids[start : start + _IDS_PER_QUERY]
            statement = select(*columns).where(strategies.c.id.in_(part))
            for row in await connection.execute(statement):
                found[row[0]] = (row[1], int(row[2]))
    return found


def _result(
    found: dict[int, tuple[str, float | None]], validation_ids: Sequence[int]
) -> KnownResult:
    values = [found[context_id][1] for context_id in validation_ids]
    defined = [value for value in values if value is not None]
    is_defined = bool(values) and len(defined) == len(values)
    # numpy's mean over one row of the results gives the same bits as this sum, left to right.
    fitness = sum(defined) / len(defined) if is_defined else math.nan
    return KnownResult(fitness, any(status == "failed" for status, _ in found.values()))
