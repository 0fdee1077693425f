"""Questions the console asks the store beside the ready-made ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.snapshot import ControlsView, EvaluationView, FitScore, StrategyView

if TYPE_CHECKING:
    from engine.store.cycles import CycleRow
    from engine.store.database import Store

_IDS_PER_QUERY = 500
N_ANCESTOR_GENERATIONS = 6
N_HISTORY = 50


async def fit_scores(store: Store, ids: Sequence[str]) -> dict[str, FitScore]:
    """Return each strategy's mean fitness and Sharpe over its evaluations on the fit segment."""
    from sqlalchemy import func, select

    from engine.store.tables import contexts, evaluations
    from engine.types import Segment

    found: dict[str, FitScore] = {}
    async with store.read() as connection:
        for start in range(0, len(ids), _IDS_PER_QUERY):
            statement = (
                select(
                    evaluations.c.strategy_id,
                    func.avg(evaluations.c.fitness).label("fitness"),
                    func.avg(evaluations.c.sharpe).label("sharpe"),
                )
                .join(contexts, contexts.c.id == evaluations.c.context_id)
                .where(
                    evaluations.c.strategy_id.in_(list(ids[start : start + _IDS_PER_QUERY])),
                    contexts.c.segment == str(Segment.FIT),
                )
                .group_by(evaluations.c.strategy_id)
            )
            for row in await connection.execute(statement):
                found[str(row.strategy_id)] = FitScore(_real(row.fitness), _real(row.sharpe))
    return found


async def strategy_view(store: Store, strategy_id: str) -> StrategyView:
    """Return everything about one strategy, named by its id or the start of it.

    Raises
    ------
    UsageError : no strategy, or several, by that name.
    """
    from engine.store.curves import load_curves
    from engine.store.events import events_page
    from engine.store.strategies import get_strategy, lineage
    from engine.store.verdicts import verdicts_of

    stored = await get_strategy(store, strategy_id)
    whole_id = stored.row.id
    return StrategyView(
        row=stored.row,
        genome=stored.genome,
        evaluations=await _evaluations(store, whole_id),
        lineage=tuple(await lineage(store, whole_id, N_ANCESTOR_GENERATIONS)),
        curves=tuple(await load_curves(store, whole_id)),
        history=tuple(await events_page(store, kind="strategy", subject=whole_id, limit=N_HISTORY)),
        verdicts=tuple(await verdicts_of(store, whole_id)),
    )


async def cycle_controls(store: Store, cycle: CycleRow) -> ControlsView | None:
    """Return a finished cycle's negative controls, None when it made none.

    They are suspicious when the cycle said so itself.
    """
    from engine.store.events import events_page

    counts = None if cycle.summary is None else cycle.summary.get("controls")
    if not counts:
        return None
    told = await events_page(
        store, kind="cycle.controls", level="error", cycle_id=cycle.id, limit=1
    )
    return ControlsView(cycle.id, counts, is_suspicious=bool(told))


async def _evaluations(store: Store, strategy_id: str) -> tuple[EvaluationView, ...]:
    from engine.backtest.metric_names import METRIC_NAMES
    from engine.store.evaluations import evaluations_of_strategy

    return tuple(
        EvaluationView(
            symbol=row.context.symbol,
            segment=row.context.segment,
            exchange=row.context.exchange,
            timeframe=row.context.timeframe,
            window_start_at=row.context.window_start_at,
            window_end_at=row.context.window_end_at,
            metrics=dict(zip(METRIC_NAMES, row.metrics.tolist(), strict=True)),
            error=row.error or "",
        )
        for row in await evaluations_of_strategy(store, strategy_id)
    )


def _real(value: float | None) -> float:
    return math.nan if value is None else float(value)
