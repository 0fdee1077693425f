"""What a worker sends to the recorder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ChunkResult:
    """The evaluations of one chunk of candidates.

    Attributes
    ----------
    context_ids : ndarray of shape (n_rows,), int64
    strategy_ids : n_rows ids
    metrics : ndarray of shape (n_rows, N_METRICS), float64
    errors : by row, of evaluations that failed
    idxs, fitness : of the candidates that are evaluated now; nan is undefined
    failed_idxs : of the candidates that failed
    """

    cycle_id: int
    context_ids: IntArray
    strategy_ids: Sequence[str]
    metrics: FloatArray
    errors: Mapping[int, str]
    idxs: IntArray
    fitness: FloatArray
    failed_idxs: IntArray
