"""Paper results in the trial ledger: a row like any other, of a segment of its own.

Bars that came after everything that a strategy was made from and scored on could not have been
looked at: what it did there is evidence, segment `paper`. Any other bars are a replay of what may
have been seen, segment `replay`; the live gate reads the first and never the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select

from engine.backtest.metric_names import METRIC_NAMES
from engine.store.database import Store
from engine.store.evaluations import EvaluationRow, evaluations_of_strategy
from engine.store.ledger import ensure_contexts, record
from engine.store.tables import contexts, cycles, evaluations, strategies
from engine.store.trial_context import TrialContext
from engine.types import Segment

PAPER_SEGMENT = "paper"
REPLAY_SEGMENT = "replay"


@dataclass(frozen=True, slots=True, eq=False)
class PaperEvaluation:
    """What one strategy did on paper.

    Attributes
    ----------
    context : its segment is set by `save_paper_evaluations`
    metrics : by name; what is missing is undefined
    """

    strategy_id: str
    context: TrialContext
    metrics: Mapping[str, float]


async def save_paper_evaluations(
    store: Store, rows: Sequence[PaperEvaluation], now_at: int
) -> dict[str, int]:
    """Record results of strategies that the store knows; one recorded before stays as it is.

    Returns
    -------
    dict : how many rows were new, by segment; strategies that the store does not know, or whose
        cycle is unknown, are left out.
    """
    made = await _made_in(store, [row.strategy_id for row in rows])
    saved = {PAPER_SEGMENT: 0, REPLAY_SEGMENT: 0}
    for row in rows:
        if row.strategy_id not in made:
            continue
        cycle_id, seen_until_at = made[row.strategy_id]
        is_unseen = seen_until_at is not None and row.context.window_start_at >= seen_until_at
        segment = PAPER_SEGMENT if is_unseen else REPLAY_SEGMENT
        context = TrialContext(
            **{
                **{name: getattr(row.context, name) for name in TrialContext.__dataclass_fields__},
                "segment": segment,
            }
        )
        ids = await ensure_contexts(store, cycle_id, [context], is_linked=False)
        saved[segment] += await record(
            store,
            cycle_id=cycle_id,
            context_ids=np.array(ids, dtype=np.int64),
            strategy_ids=[row.strategy_id],
            metrics=np.array([[row.metrics.get(name, np.nan) for name in METRIC_NAMES]]),
            now_at=now_at,
        )
    return saved


async def paper_evaluations_of(
    store: Store, strategy_id: str, symbol: str
) -> tuple[EvaluationRow, ...]:
    """Return what a strategy did on bars that nothing had seen, oldest window first."""
    rows = await evaluations_of_strategy(store, strategy_id)
    found = [
        row for row in rows if row.context.segment == PAPER_SEGMENT and row.context.symbol == symbol
    ]
    return tuple(sorted(found, key=lambda row: row.context.window_start_at))


async def _made_in(store: Store, ids: Sequence[str]) -> dict[str, tuple[int, int | None]]:
    """Return each strategy's cycle, and until when bars are known to have been looked at for it.

    That is the end of its cycle's window, or of any later bars that it was scored on.
    """
    wanted = sorted(set(ids))
    origin = (
        select(strategies.c.id, cycles.c.id, cycles.c.window_end_at)
        .join(cycles, cycles.c.id == strategies.c.cycle_id)
        .where(strategies.c.id.in_(wanted))
    )
    scored = (
        select(evaluations.c.strategy_id, func.max(contexts.c.window_end_at))
        .join(contexts, contexts.c.id == evaluations.c.context_id)
        .where(
            evaluations.c.strategy_id.in_(wanted),
            contexts.c.segment.in_([segment.value for segment in Segment]),
        )
        .group_by(evaluations.c.strategy_id)
    )
    async with store.read() as connection:
        made = (await connection.execute(origin)).all()
        seen = {str(row[0]): int(row[1]) for row in (await connection.execute(scored)).all()}
    return {
        str(row[0]): (
            int(row[1]),
            None if row[2] is None else max(int(row[2]), seen.get(str(row[0]), 0)),
        )
        for row in made
    }
