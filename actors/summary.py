"""What a finished cycle says about itself: the object that `paddock cycle --json` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from actors.cycle_brief import CycleBrief
from actors.stages import Tally
from engine.store.candidates import count_candidates
from engine.store.cycles import StageRow, stages
from engine.store.database import Store
from engine.store.evaluations import BestRow, best, cycle_statistics, results_digest
from engine.store.events import events_page
from engine.store.ledger import trials_total
from engine.store.verdicts import verdicts_of_cycle
from engine.types import Segment

_BEST = 10


async def summarise(
    store: Store, brief: CycleBrief, tally: Tally, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the summary of a cycle whose stages are done.

    Parameters
    ----------
    tally : what the backtest added up in this process; after a restart, since then
    facts : passed, promoted, controls and learned_state_hash, as the stages left them
    """
    cycle_id = brief.cycle_id
    counts = await count_candidates(store, cycle_id)
    statistics = await cycle_statistics(store, cycle_id)
    rows = await stages(store, cycle_id)
    passed = facts.get("passed")
    if passed is None:
        passed = _passed_of(rows)
    deflated = {
        (row.strategy_id, row.symbol): row.facts.get("deflated_sharpe")
        for row in await verdicts_of_cycle(store, cycle_id)
    }
    return {
        "cycle_id": cycle_id,
        "seed": brief.seed,
        "market": brief.market.label,
        "exchange": brief.market.exchange,
        "edge": brief.market.edge,
        "symbols": list(brief.symbols),
        "timeframe": brief.market.timeframe,
        "data_hash": brief.market.data_hash,
        "state_hash": brief.state_hash,
        "learned_state_hash": facts.get("learned_state_hash"),
        "results_digest": await results_digest(store, cycle_id),
        "evaluations": statistics.by_segment.get(Segment.VALIDATION.value, 0),
        "ledger_rows": statistics.evaluations,
        "generated": sum(counts.values()),
        "validated": sum(counts.values()) - counts["rejected"] - counts["generated"],
        "rejected": counts["rejected"],
        "backtested": counts["evaluated"],
        "failed": counts["failed"],
        "left_out": counts["valid"],
        "passed": passed,
        "promoted": facts.get("promoted", 0),
        "trials_total": await trials_total(store),
        "seconds": _seconds(rows),
        "bars_per_second": _rounded(tally.bars_per_second, 0),
        "median_trades": _number(statistics.median_validation_trades),
        "reused": statistics.reused,
        "workers": tally.n_workers,
        "workers_busy_frac": _rounded(tally.busy_frac, 4),
        "best": [
            _best(row, deflated.get((row.strategy.id, row.symbol or "")))
            for row in await best(store, cycle_id, _BEST)
        ],
        "controls": await _controls(store, cycle_id, facts),
    }


def _passed_of(rows: Sequence[StageRow]) -> int:
    for row in rows:
        if row.name == "filter":
            return row.done - row.failed
    return 0


def _seconds(rows: Sequence[StageRow]) -> dict[str, float]:
    spans: dict[str, float] = {}
    for row in rows:
        if row.started_at is not None and row.finished_at is not None:
            spans[row.name] = round((row.finished_at - row.started_at) / 1000, 3)
    return {**spans, "total": round(sum(spans.values()), 3)}


async def _controls(store: Store, cycle_id: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the stage left, or after a restart what its events say."""
    if "controls" in facts:
        return dict(facts["controls"])
    told = await events_page(store, kind="cycle.controls", cycle_id=cycle_id)
    return {row.subject: dict(row.fields) for row in told}


def _best(row: BestRow, deflated: float | None) -> dict[str, Any]:
    metrics = row.metrics
    return {
        "id": row.strategy.id,
        "type": row.strategy.type,
        "origin": row.strategy.origin,
        "status": row.strategy.status,
        "symbol": row.symbol,
        "fitness": _number(row.fitness),
        "sharpe": _number(metrics.get("sharpe")),
        "deflated_sharpe": _number(deflated),
        "max_drawdown": _number(metrics.get("max_drawdown")),
        "trades": _number(metrics.get("n_trades")),
        "total_return": _number(metrics.get("total_return")),
        "win_rate": _number(metrics.get("win_rate")),
        "profit_factor": _number(metrics.get("profit_factor")),
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
