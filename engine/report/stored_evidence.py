"""What the store knows of one strategy on one symbol, all measured on the same bars and costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import UsageError
from engine.store.cycles import CycleRow, get_cycle
from engine.store.database import Store
from engine.store.evaluations import EvaluationRow, evaluations_of_strategy
from engine.store.events import EventRow, events_page
from engine.store.strategies import LineageRow, StoredStrategy, get_strategy, lineage
from engine.store.verdicts import VerdictRow, verdicts_of
from engine.types import Segment

# Far more generations than any home breeds: the walk ends at the roots.
_GENERATIONS = 100_000
_N_EVENTS = 200
_INSIDE = (Segment.FIT, Segment.VALIDATION)


@dataclass(frozen=True, slots=True, eq=False)
class StoredEvidence:
    """One strategy on one symbol.

    Attributes
    ----------
    cycle : the one that computed the rows of fit and validation
    rows : fit, validation and holdout, each at most once, measured with the same costs
    lineage : the strategy itself first, then its ancestors
    history : changes of its status, oldest first
    """

    stored: StoredStrategy
    symbol: str
    cycle: CycleRow
    rows: tuple[EvaluationRow, ...]
    verdicts: tuple[VerdictRow, ...]
    lineage: tuple[LineageRow, ...]
    history: tuple[EventRow, ...]


async def read_evidence(store: Store, id_or_prefix: str, symbol: str | None) -> StoredEvidence:
    """Return what the store knows of a strategy on a symbol; by default on its best one.

    Raises
    ------
    UsageError : no strategy, or several, by that id; never evaluated, or not on that symbol.
    """
    stored = await get_strategy(store, id_or_prefix)
    strategy_id = stored.row.id
    every = await evaluations_of_strategy(store, strategy_id)
    chosen = _symbol(strategy_id, stored.row.best_symbol, every, symbol)
    rows = rows_that_belong_together([row for row in every if row.context.symbol == chosen])
    cycle = await get_cycle(store, rows[0].cycle_id)
    return StoredEvidence(
        stored=stored,
        symbol=chosen,
        cycle=cycle,
        rows=rows,
        verdicts=tuple(await verdicts_of(store, strategy_id)),
        lineage=tuple(await lineage(store, strategy_id, _GENERATIONS)),
        history=tuple(
            await events_page(store, kind="strategy", subject=strategy_id, limit=_N_EVENTS)
        ),
    )


def rows_that_belong_together(rows: Sequence[EvaluationRow]) -> tuple[EvaluationRow, ...]:
    """Return the latest fit and validation on the same bars, and the latest holdout beside them.

    Parameters
    ----------
    rows : one strategy's evaluations on one symbol, at least one of them on fit or validation
    """
    inside = [row for row in rows if row.context.segment in _INSIDE]
    newest = max(inside, key=_age_of)
    found = []
    for segment in (Segment.FIT, Segment.VALIDATION):
        same = [row for row in inside if row.context.segment == segment and _alike(row, newest)]
        found += [max(same, key=_age_of)] if same else []
    unseen = [
        row
        for row in rows
        if row.context.segment == Segment.HOLDOUT and _costs_of(row) == _costs_of(newest)
    ]
    found += [max(unseen, key=_age_of)] if unseen else []
    return tuple(found)


def _symbol(
    strategy_id: str, best: str | None, rows: Sequence[EvaluationRow], asked: str | None
) -> str:
    known = sorted({r.context.symbol for r in rows if r.context.segment in _INSIDE})
    if not known:
        raise UsageError(
            f"strategy {strategy_id[:8]} has never been evaluated: there is nothing to report; "
            "`paddock strategies` lists those that have been",
            id=strategy_id,
        )
    if asked is None:
        return best if best in known else known[0]
    if asked not in known:
        raise UsageError(
            f"--symbol {asked}: strategy {strategy_id[:8]} was evaluated on {', '.join(known)}",
            symbol=asked,
        )
    return asked


def _age_of(row: EvaluationRow) -> tuple[int, int]:
    return row.cycle_id, row.context.window_end_at


def _alike(row: EvaluationRow, other: EvaluationRow) -> bool:
    return row.context.series_hash == other.context.series_hash and (
        _costs_of(row) == _costs_of(other)
    )


def _costs_of(row: EvaluationRow) -> tuple[str, str, str, str]:
    context = row.context
    return context.exchange, context.timeframe, context.costs_hash, context.engine_version
