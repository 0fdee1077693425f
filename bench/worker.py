"""One process of W4: draws chunks of genomes, or evaluates them on the shared columns."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from engine.backtest.metric_names import N_METRICS
from engine.backtest.run import BacktestSettings, Evaluator, PreparedSeries
from engine.errors import StrategyError
from engine.evolve.draws import Draws, keyed_generator
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.strategy.columns import Columns, SeriesOperandValue
from engine.strategy.genome import BarOperand, Genome
from engine.types import Bars, FloatArray, Segment

CHUNK = 500
UNIVERSE = Universe.of("5m", "spot", ("5m", "15m", "1h", "4h"))
_WARM_UP_GENOMES = 60

Census = dict[str, tuple[int, SeriesOperandValue]]
"""By operand key: how many genomes read it, and the operand."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What every worker stands on; the columns themselves are mapped from `place`."""

    place: Path
    symbol: str
    exchange: str
    timeframe: str
    bars: Bars
    segments: tuple[tuple[Segment, int, int], ...]
    index: dict[str, int]

    @property
    def n_columns(self) -> int:
        """Return the number of shared columns."""
        return len(self.index)


@dataclass(frozen=True, slots=True, eq=False)
class ChunkDone:
    """A chunk's results.

    Attributes
    ----------
    metrics : ndarray of shape (n_genomes, n_segments, N_METRICS), NaN for failed genomes
    parse_s, evaluate_s : processor time
    """

    metrics: FloatArray
    n_failed: int
    parse_s: float
    evaluate_s: float


class _Desk:
    # What this process evaluates with; a pool's functions have no other place to keep it.
    evaluator: Evaluator | None = None


def chunk_path(place: Path, start: int) -> Path:
    """Return where the genomes from index `start` on are kept, one JSON text a line."""
    return place / f"genomes-{start:08d}.jsonl"


def open_ground(ground: Ground | None, n_processes: int, together: Barrier) -> None:
    """Prepare this process, then wait for the others: none begins before all are ready."""
    if n_processes == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if ground is not None:
        _Desk.evaluator = _evaluator(ground)
    together.wait()


def is_ready() -> bool:
    """Answer, which no process does before all are prepared."""
    return True


def _evaluator(ground: Ground) -> Evaluator:
    """Map the columns and compile the kernels."""
    # Read-only, as arrays from an object store are.
    matrix = np.asarray(np.load(ground.place / "columns.npy", mmap_mode="r"))
    prepared = PreparedSeries(
        symbol=ground.symbol,
        exchange=ground.exchange,
        timeframe=ground.timeframe,
        market_type="spot",
        bars=ground.bars,
        series_hash="",
        segments=ground.segments,
        columns=Columns(matrix, ground.index),
    )
    warm = Evaluator(prepared, BacktestSettings())
    for index in range(_WARM_UP_GENOMES):
        warm.evaluate(_genome(0, index))
    return Evaluator(prepared, BacktestSettings())


def draw_chunk(job: tuple[Path, int, int, int]) -> Census:
    """Draw the genomes start <= index < stop of a seed into a file; return what they read."""
    place, seed, start, stop = job
    counts: Counter[str] = Counter()
    operands: dict[str, SeriesOperandValue] = {}
    lines = []
    for index in range(start, stop):
        genome = _genome(seed, index)
        lines.append(genome.canonical_json())
        read = {operand.key: operand for operand in genome.operands()}
        operands |= read
        counts.update(read.keys())
    chunk_path(place, start).write_text("\n".join(lines))
    return {
        key: (counts[key], operand)
        for key, operand in operands.items()
        # Fields of the bars themselves are read in place.
        if not (isinstance(operand, BarOperand) and operand.timeframe is None)
    }


def evaluate_chunk(path: Path) -> ChunkDone:
    """Read one chunk's genomes and evaluate each on every segment."""
    evaluator = _Desk.evaluator
    if evaluator is None:
        raise RuntimeError("evaluate_chunk needs open_ground first")
    began_s = time.process_time()
    genomes = [Genome.from_json(text) for text in path.read_text().splitlines()]
    parsed_s = time.process_time()
    n_segments = len(evaluator.prepared.segments)
    metrics = np.full((len(genomes), n_segments, N_METRICS), np.nan)
    n_failed = 0
    for i, genome in enumerate(genomes):
        try:
            metrics[i] = evaluator.evaluate(genome)
        except StrategyError:
            n_failed += 1
    done_s = time.process_time()
    return ChunkDone(metrics, n_failed, parsed_s - began_s, done_s - parsed_s)


def _genome(seed: int, index: int) -> Genome:
    return draw_genome(Draws(keyed_generator(seed, index, 0)), UNIVERSE)
