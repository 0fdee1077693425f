"""A candidate on its way to a worker, and how chunks of them are sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actors.chunk_result import ChunkResult
from actors.cycle_brief import CycleBrief, CycleNotOpen
from actors.dispatch import ChunkReport
from actors.ports import Peer, PeerLost
from engine.backtest.metric_names import N_METRICS


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate on its way to a worker."""

    idx: int
    strategy_id: str
    genome: str


async def send_to(
    worker: Peer, method: str, brief: CycleBrief, chunk: Sequence[Candidate], timeout_s: float
) -> ChunkReport:
    """Run a chunk on a worker, opening the cycle there first when the worker does not know it.

    Raises
    ------
    PeerLost : the worker died, or did not answer in time.
    """
    for _ in range(2):
        try:
            report: ChunkReport = await worker.call(
                method, brief.cycle_id, chunk, timeout_s=timeout_s
            )
            return report
        except CycleNotOpen:
            await worker.call("open_cycle", brief, timeout_s=timeout_s)
    raise PeerLost(f"{worker.name} was restarted twice in a row", peer=worker.name)


def failure_of(brief: CycleBrief, candidate: Candidate, error: str) -> ChunkResult:
    """Return what is recorded of a candidate that breaks every worker it is given to."""
    width = len(brief.context_ids)
    return ChunkResult(
        cycle_id=brief.cycle_id,
        context_ids=np.array(brief.context_ids, dtype=np.int64),
        strategy_ids=[candidate.strategy_id] * width,
        metrics=np.full((width, N_METRICS), np.nan),
        errors=dict.fromkeys(range(width), error),
        idxs=np.empty(0, dtype=np.int64),
        fitness=np.empty(0),
        failed_idxs=np.array([candidate.idx], dtype=np.int64),
    )
