"""Reading the trial ledger: a cycle's evaluations in key order, their digest, their summary.

A cycle's evaluations are those of its candidates (rejected ones left out) in its contexts,
whichever cycle computed them. Rows are read block by block: memory stays flat for any cycle.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Subquery, func, select

from engine.backtest.metric_names import METRIC_INDEX, METRIC_NAMES, N_METRICS
from engine.store.database import Store
from engine.store.strategies import StrategyRow, strategy_columns, strategy_of
from engine.store.tables import candidates, cycle_contexts, evaluations, strategies
from engine.store.tables import contexts as contexts_table
from engine.store.trial_context import CONTEXT_COLUMNS, TrialContext, context_of
from engine.types import FloatArray, IntArray, Segment

_ROWS_PER_BLOCK = 12_000
_HEAD = ("strategy_id", "context_id", "cycle_id", "status", "error")
_EVALUATION = tuple(evaluations.c[name] for name in (*_HEAD, *METRIC_NAMES))
_HEX_PER_ROW = 16 * N_METRICS
# Not part of any key: the separators of the digest's text.
_BETWEEN, _END = "\x1f", "\n"


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationRow:
    """One evaluation.

    Attributes
    ----------
    cycle_id : the cycle that computed it first
    status : ok or failed
    error : why it failed, None when ok
    metrics : ndarray of shape (N_METRICS,), float64 in the order of METRIC_NAMES, nan is undefined
    """

    strategy_id: str
    context_id: int
    context: TrialContext
    cycle_id: int
    status: str
    error: str | None
    metrics: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationBlock:
    """Some evaluations in key order, column by column.

    Attributes
    ----------
    strategy_ids, statuses, errors : n values each
    context_ids, cycle_ids : ndarray of shape (n,), int64
    metrics : ndarray of shape (n, N_METRICS), float64, nan is undefined
    """

    strategy_ids: list[str]
    context_ids: IntArray
    cycle_ids: IntArray
    statuses: list[str]
    errors: list[str | None]
    metrics: FloatArray


@dataclass(frozen=True, slots=True)
class CycleStatistics:
    """What a cycle's evaluations add up to.

    Attributes
    ----------
    evaluations : rows in all; ok and failed add up to it
    reused : rows that an earlier cycle had computed
    by_segment, by_symbol : rows of each
    median_validation_trades : over the evaluations on validation that are ok, nan without any
    """

    evaluations: int
    ok: int
    failed: int
    reused: int
    by_segment: dict[str, int]
    by_symbol: dict[str, int]
    median_validation_trades: float


@dataclass(frozen=True, slots=True)
class BestRow:
    """One of a cycle's best strategies and what it did on its best symbol.

    Attributes
    ----------
    fitness : mean validation fitness over symbols in this cycle
    symbol : the symbol with the highest validation fitness, None without evaluations
    metrics : by name, on that symbol's validation segment; nan is undefined
    """

    strategy: StrategyRow
    fitness: float
    symbol: str | None
    metrics: dict[str, float]


async def contexts_of_cycle(store: Store, cycle_id: int) -> dict[int, TrialContext]:
    """Return the cycle's contexts by id, in the order of their keys."""
    statement = (
        select(contexts_table)
        .join(cycle_contexts, cycle_contexts.c.context_id == contexts_table.c.id)
        .where(cycle_contexts.c.cycle_id == cycle_id)
    )
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all()
    found = [(context_of(row._mapping), int(row.id)) for row in rows]
    return {context_id: item for item, context_id in sorted(found)}


async def evaluation_blocks(store: Store, cycle_id: int) -> AsyncIterator[EvaluationBlock]:
    """Yield a cycle's evaluations in key order, some thousands at a time.

    The order is strategy id, then the fields of `TrialContext` one after the other.
    """
    ranks = {
        context_id: rank for rank, context_id in enumerate(await contexts_of_cycle(store, cycle_id))
    }
    if not ranks:
        return
    n_strategies = max(1, _ROWS_PER_BLOCK // len(ranks))
    last = ""
    while True:
        page = (
            select(candidates.c.strategy_id)
            .distinct()
            .where(
                candidates.c.cycle_id == cycle_id,
                candidates.c.strategy_id > last,
                candidates.c.status != "rejected",
            )
            .order_by(candidates.c.strategy_id)
            .limit(n_strategies)
            .subquery()
        )
        statement = (
            select(*_EVALUATION)
            .join(page, page.c.strategy_id == evaluations.c.strategy_id)
            .where(evaluations.c.context_id.in_(list(ranks)))
        )
        async with store.read() as connection:
            ids = (await connection.execute(select(page.c.strategy_id))).scalars().all()
            rows = (await connection.execute(statement)).all()
        if rows:
            yield _block(rows, sorted(ids), ranks)
        if len(ids) < n_strategies:
            return
        last = max(ids)


async def evaluations_of_cycle(store: Store, cycle_id: int) -> AsyncIterator[EvaluationRow]:
    """Yield a cycle's evaluations one by one in key order, with flat memory."""
    known = await contexts_of_cycle(store, cycle_id)
    async for block in evaluation_blocks(store, cycle_id):
        for i, strategy_id in enumerate(block.strategy_ids):
            context_id = int(block.context_ids[i])
            yield EvaluationRow(
                strategy_id,
                context_id,
                known[context_id],
                int(block.cycle_ids[i]),
                block.statuses[i],
                block.errors[i],
                block.metrics[i],
            )


async def evaluations_of_strategy(store: Store, strategy_id: str) -> list[EvaluationRow]:
    """Return every evaluation a strategy ever had, in the order of the contexts' keys."""
    statement = (
        select(*_EVALUATION, *(contexts_table.c[name] for name in CONTEXT_COLUMNS))
        .join(contexts_table, contexts_table.c.id == evaluations.c.context_id)
        .where(evaluations.c.strategy_id == strategy_id)
    )
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all()
    first = len(_HEAD)
    found = [
        EvaluationRow(
            str(row.strategy_id),
            int(row.context_id),
            context_of(row._mapping),
            int(row.cycle_id),
            str(row.status),
            row.error,
            np.array(tuple(row)[first : first + N_METRICS], dtype=np.float64),
        )
        for row in rows
    ]
    return sorted(found, key=lambda item: item.context)


async def results_digest(store: Store, cycle_id: int) -> str:
    """Return the SHA-256 (hex) over a cycle's evaluations in key order.

    Each contributes its key, its status and every metric as the 16 hex digits of its big-endian
    float64; nan is always 7ff8000000000000. No row ids, times or durations: the same work gives the
    same digest in any store.
    """
    texts = {
        context_id: _BETWEEN.join(str(getattr(item, name)) for name in CONTEXT_COLUMNS)
        for context_id, item in (await contexts_of_cycle(store, cycle_id)).items()
    }
    digest = hashlib.sha256()
    async for block in evaluation_blocks(store, cycle_id):
        metrics = np.where(np.isnan(block.metrics), np.nan, block.metrics + 0.0)
        digits = metrics.astype(">f8").tobytes().hex()
        parts: list[str] = []
        heads = zip(block.strategy_ids, block.context_ids.tolist(), block.statuses, strict=True)
        for i, (strategy_id, context_id, status) in enumerate(heads):
            start = i * _HEX_PER_ROW
            row = digits[start : start + _HEX_PER_ROW]
            parts += (
                strategy_id,
                _BETWEEN,
                texts[context_id],
                _BETWEEN,
                status,
                _BETWEEN,
                row,
                _END,
            )
        digest.update("".join(parts).encode())
    return digest.hexdigest()


async def cycle_statistics(store: Store, cycle_id: int) -> CycleStatistics:
    """Return the counts of a cycle's evaluations and their median number of validation trades."""
    known = await contexts_of_cycle(store, cycle_id)
    drawn = _drawn(cycle_id)
    reused = (evaluations.c.cycle_id != cycle_id).label("reused")
    counted = (
        select(evaluations.c.context_id, evaluations.c.status, reused, func.count().label("n"))
        .join(drawn, drawn.c.strategy_id == evaluations.c.strategy_id)
        .where(evaluations.c.context_id.in_(list(known)))
        .group_by(evaluations.c.context_id, evaluations.c.status, reused)
    )
    validation = [i for i, item in known.items() if item.segment == Segment.VALIDATION]
    traded = (
        select(evaluations.c.n_trades)
        .join(drawn, drawn.c.strategy_id == evaluations.c.strategy_id)
        .where(evaluations.c.context_id.in_(validation), evaluations.c.status == "ok")
    )
    async with store.read() as connection:
        rows = (await connection.execute(counted)).all()
        n_trades = (await connection.execute(traded)).scalars().all()
    by_segment: dict[str, int] = {}
    by_symbol: dict[str, int] = {}
    for row in rows:
        item = known[int(row.context_id)]
        by_segment[item.segment] = by_segment.get(item.segment, 0) + row.n
        by_symbol[item.symbol] = by_symbol.get(item.symbol, 0) + row.n
    defined = np.array([n for n in n_trades if n is not None], dtype=np.float64)
    total = sum(row.n for row in rows)
    failed = sum(row.n for row in rows if row.status == "failed")
    return CycleStatistics(
        evaluations=total,
        ok=total - failed,
        failed=failed,
        reused=sum(row.n for row in rows if row.reused),
        by_segment=dict(sorted(by_segment.items())),
        by_symbol=dict(sorted(by_symbol.items())),
        median_validation_trades=float(np.median(defined)) if defined.size else math.nan,
    )


async def best(store: Store, cycle_id: int, limit: int = 10) -> list[BestRow]:
    """Return the cycle's candidates of highest fitness, best first, ties by id."""
    fitness = func.max(candidates.c.fitness).label("cycle_fitness")
    top = (
        select(candidates.c.strategy_id, fitness)
        .where(candidates.c.cycle_id == cycle_id, candidates.c.fitness.is_not(None))
        .group_by(candidates.c.strategy_id)
        .order_by(fitness.desc(), candidates.c.strategy_id)
        .limit(limit)
        .subquery()
    )
    standing = (
        select(*strategy_columns(), top.c.cycle_fitness)
        .join(top, top.c.strategy_id == strategies.c.id)
        .order_by(top.c.cycle_fitness.desc(), strategies.c.id)
    )
    known = await contexts_of_cycle(store, cycle_id)
    validation = [i for i, item in known.items() if item.segment == Segment.VALIDATION]
    measured = (
        select(*_EVALUATION)
        .join(top, top.c.strategy_id == evaluations.c.strategy_id)
        .where(evaluations.c.context_id.in_(validation), evaluations.c.status == "ok")
    )
    async with store.read() as connection:
        rows = (await connection.execute(standing)).all()
        found = (await connection.execute(measured)).all()
    choice = _best_symbols(found, known)
    return [
        BestRow(strategy_of(row), float(row.cycle_fitness), *choice.get(str(row.id), (None, {})))
        for row in rows
    ]


def _best_symbols(
    rows: Sequence[Any], known: dict[int, TrialContext]
) -> dict[str, tuple[str | None, dict[str, float]]]:
    ranked: dict[str, tuple[tuple[float, TrialContext], FloatArray]] = {}
    for row in rows:
        metrics = np.array(tuple(row)[len(_HEAD) :], dtype=np.float64)
        fitness = float(metrics[METRIC_INDEX["fitness"]])
        item = known[int(row.context_id)]
        # Smallest first: highest fitness, undefined last, then the order of the contexts.
        rank = (math.inf if math.isnan(fitness) else -fitness, item)
        if row.strategy_id not in ranked or rank < ranked[row.strategy_id][0]:
            ranked[row.strategy_id] = (rank, metrics)
    return {
        strategy_id: (rank[1].symbol, dict(zip(METRIC_NAMES, metrics.tolist(), strict=True)))
        for strategy_id, (rank, metrics) in ranked.items()
    }


def _drawn(cycle_id: int) -> Subquery:
    return (
        select(candidates.c.strategy_id)
        .distinct()
        .where(candidates.c.cycle_id == cycle_id, candidates.c.status != "rejected")
        .subquery()
    )


def _block(rows: Sequence[Any], ids: Sequence[str], ranks: dict[int, int]) -> EvaluationBlock:
    columns = list(zip(*rows, strict=True))
    strategy_ids, context_ids, cycle_ids, statuses, errors = columns[: len(_HEAD)]
    place = {strategy_id: i for i, strategy_id in enumerate(ids)}
    order = np.lexsort(
        ([ranks[context_id] for context_id in context_ids], [place[i] for i in strategy_ids])
    )
    metrics = np.array(columns[len(_HEAD) :], dtype=np.float64).T[order]
    places = order.tolist()
    return EvaluationBlock(
        strategy_ids=[strategy_ids[i] for i in places],
        context_ids=np.array(context_ids, dtype=np.int64)[order],
        cycle_ids=np.array(cycle_ids, dtype=np.int64)[order],
        statuses=[statuses[i] for i in places],
        errors=[errors[i] for i in places],
        metrics=np.ascontiguousarray(metrics),
    )
