"""The trial ledger: every evaluation of every candidate ever made, exactly once.

A row is keyed by a strategy and a context (series, window, segment, costs, engine version). A
cycle's rows are those of its candidates in its contexts, whichever cycle computed them first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import func, select

from engine.backtest.metric_names import METRIC_NAMES, N_METRICS
from engine.errors import InvariantError
from engine.store.bulk import IGNORE, batches, insert_rows
from engine.store.database import Store
from engine.store.evaluations import (
    BestRow,
    CycleStatistics,
    EvaluationBlock,
    EvaluationRow,
    best,
    contexts_of_cycle,
    cycle_statistics,
    evaluation_blocks,
    evaluations_of_cycle,
    evaluations_of_strategy,
    results_digest,
)
from engine.store.json_text import storable
from engine.store.tables import contexts as contexts_table
from engine.store.tables import cycle_contexts, evaluations
from engine.store.trial_context import CONTEXT_COLUMNS, TrialContext
from engine.types import FloatArray, IntArray

# Writing lives here and reading in `evaluations`; callers find the whole ledger in this module.
__all__ = [
    "BestRow",
    "CycleStatistics",
    "EvaluationBlock",
    "EvaluationRow",
    "TrialContext",
    "best",
    "contexts_of_cycle",
    "cycle_statistics",
    "ensure_contexts",
    "evaluation_blocks",
    "evaluations_of_cycle",
    "evaluations_of_strategy",
    "record",
    "recorded_pairs",
    "results_digest",
    "strategies_scored",
    "trials_total",
]

_EVALUATION_COLUMNS = (
    "strategy_id",
    "context_id",
    "cycle_id",
    "status",
    "error",
    "created_at",
    *METRIC_NAMES,
)
# SQLite allows 32,766 variables in a statement; short lists also keep the statement cache small.
_IDS_PER_QUERY = 500


async def ensure_contexts(
    store: Store, cycle_id: int, contexts: Sequence[TrialContext], *, is_linked: bool = True
) -> list[int]:
    """Store the contexts that are new and return the ids of all, in order.

    Parameters
    ----------
    is_linked : make them contexts of the cycle, whose candidates have a row in each; those of the
        holdout are not, for few candidates get that far and nothing may learn from them
    """
    rows = [tuple(getattr(item, name) for name in CONTEXT_COLUMNS) for item in contexts]
    async with store.write() as connection:
        await insert_rows(connection, contexts_table, CONTEXT_COLUMNS, rows, IGNORE)
        ids: list[int] = []
        for item in contexts:
            found = await connection.execute(
                select(contexts_table.c.id).filter_by(
                    **{name: getattr(item, name) for name in CONTEXT_COLUMNS}
                )
            )
            ids.append(int(found.scalar_one()))
        if not is_linked:
            return ids
        links = [
            (cycle_id, context_id, item.symbol, item.segment)
            for context_id, item in zip(ids, contexts, strict=True)
        ]
        columns = ("cycle_id", "context_id", "symbol", "segment")
        await insert_rows(connection, cycle_contexts, columns, links, IGNORE)
    return ids


async def record(
    store: Store,
    *,
    cycle_id: int,
    context_ids: IntArray,
    strategy_ids: Sequence[str],
    metrics: FloatArray,
    errors: Mapping[int, str] | None = None,
    now_at: int,
) -> int:
    """Write evaluations in one transaction, skip those already there, return how many were new.

    Parameters
    ----------
    cycle_id : the cycle that computed them
    context_ids : ndarray of shape (n,), int64, from `ensure_contexts`
    strategy_ids : n ids, stored before by `add_candidates`
    metrics : ndarray of shape (n, N_METRICS), float64 in the order of METRIC_NAMES; NaN is
        undefined, infinities are kept, -0.0 becomes 0.0
    errors : by row, the error of evaluations that failed; their status is `failed`
    now_at : UTC ms

    Raises
    ------
    StoreError : an unknown cycle, strategy or context; a full disk. Nothing was written.
    InvariantError : shapes that do not agree.
    """
    n = len(strategy_ids)
    if metrics.shape != (n, N_METRICS) or np.shape(context_ids) != (n,):
        raise InvariantError(
            f"evaluations of {n} strategies need metrics of shape ({n}, {N_METRICS}) and {n}"
            f" contexts, not {metrics.shape} and {np.shape(context_ids)}"
        )
    failed = errors or {}
    values = (np.asarray(metrics, dtype=np.float64) + 0.0).tolist()
    heads = zip(strategy_ids, np.asarray(context_ids).tolist(), values, strict=True)
    rows = [
        (
            strategy_id,
            context_id,
            cycle_id,
            "failed" if i in failed else "ok",
            storable(failed[i]) if i in failed else None,
            now_at,
            *row,
        )
        for i, (strategy_id, context_id, row) in enumerate(heads)
    ]
    async with store.write() as connection:
        return await insert_rows(connection, evaluations, _EVALUATION_COLUMNS, rows, IGNORE)


async def recorded_pairs(
    store: Store, context_ids: Sequence[int] | IntArray, strategy_ids: Sequence[str]
) -> set[tuple[str, int]]:
    """Return which (strategy id, context id) of the given ones are in the ledger."""
    wanted = [int(context_id) for context_id in context_ids]
    found: set[tuple[str, int]] = set()
    async with store.read() as connection:
        for part in batches(strategy_ids, _IDS_PER_QUERY):
            statement = select(evaluations.c.strategy_id, evaluations.c.context_id).where(
                evaluations.c.strategy_id.in_(part), evaluations.c.context_id.in_(wanted)
            )
            rows = await connection.execute(statement)
            found.update((str(row[0]), int(row[1])) for row in rows)
    return found


async def strategies_scored(
    store: Store,
    exchange: str,
    symbol: str,
    timeframe: str,
    segment: str,
    without: Sequence[str] = (),
) -> int:
    """Return how many strategies were ever scored on a segment of one symbol, in any window.

    Parameters
    ----------
    without : ids that are not counted
    """
    statement = (
        select(func.count(func.distinct(evaluations.c.strategy_id)))
        .join(contexts_table, contexts_table.c.id == evaluations.c.context_id)
        .where(
            contexts_table.c.exchange == exchange,
            contexts_table.c.symbol == symbol,
            contexts_table.c.timeframe == timeframe,
            contexts_table.c.segment == segment,
            evaluations.c.strategy_id.not_in(list(without)),
        )
    )
    async with store.read() as connection:
        return int((await connection.execute(statement)).scalar_one())


async def trials_total(store: Store) -> int:
    """Return the number of evaluations ever recorded."""
    async with store.read() as connection:
        statement = select(func.count()).select_from(evaluations)
        return int((await connection.execute(statement)).scalar_one())
