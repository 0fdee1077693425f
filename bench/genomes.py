"""W4: random genomes on one symbol, fit and validation, all metrics, as a cycle runs them.

Like a cycle: candidates are drawn first and kept as text; the columns that most of them read are
computed once and mapped by every worker; workers pull chunks, read the text, evaluate, and hand the
metrics back. The rate is of that last stage, by the wall clock.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np

from bench.bars import EXCHANGE, SYMBOLS, TIMEFRAME, load
from bench.memory import PeakMemory
from bench.report import line, say
from bench.worker import (
    CHUNK,
    ChunkDone,
    Ground,
    chunk_path,
    draw_chunk,
    evaluate_chunk,
    is_ready,
    open_ground,
)
from engine.backtest.metric_names import METRIC_INDEX
from engine.market.splits import Window, segment_bounds, split_window
from engine.strategy.columns import SeriesOperandValue, compute_columns
from engine.types import Bars, FloatArray, Segment, timeframe_ms

N_PROCESSES = 2
MOST_ONE_CORE = 20_000
SHARED_BYTES = 358 * 2**20
"""What a cycle's object store of 512 MB has room for."""

LEAST_COLUMNS = 100
LEAST_TRADES = 20.0
_SEED = 7
_MIB = 2**20
_TRADES = METRIC_INDEX["n_trades"]


@dataclass(slots=True)
class Stage:
    """What one pass over the chunks gave.

    Attributes
    ----------
    done_s : since the start, when each chunk came back
    trades : of both segments together, by genome
    """

    wall_s: float = 0.0
    n_genomes: int = 0
    n_failed: int = 0
    parse_s: float = 0.0
    evaluate_s: float = 0.0
    done_s: list[float] = field(default_factory=list)
    trades: list[FloatArray] = field(default_factory=list)

    @property
    def rate_per_s(self) -> float:
        """Return genomes a second by the wall clock."""
        return self.n_genomes / self.wall_s

    def add(self, done: ChunkDone, at_s: float) -> None:
        """Count one chunk."""
        self.n_genomes += done.metrics.shape[0]
        self.n_failed += done.n_failed
        self.parse_s += done.parse_s
        self.evaluate_s += done.evaluate_s
        self.done_s.append(at_s)
        self.trades.append(done.metrics[:, :, _TRADES].sum(axis=1))

    def last_to_first(self) -> float:
        """Return the rate over the last fifth of the chunks, over that of the first."""
        n = len(self.done_s) // 5
        if n == 0:
            return float("nan")
        return self.done_s[n - 1] / (self.done_s[-1] - self.done_s[-1 - n])


def run_genomes(store: Path, count: int) -> int:
    """Print the line of W4; return 1 when the strategies were too idle to mean anything."""
    market = load(store, n_symbols=1)
    bars = market.series[SYMBOLS[0]]
    with tempfile.TemporaryDirectory(prefix="paddock-bench-") as folder, PeakMemory() as memory:
        place = Path(folder)
        say(f"W4: drawing {count:,} genomes")
        drawn_s, counts, operands = _draw(place, count)
        began_s = time.perf_counter()
        ground = _ground(place, bars, counts, operands)
        columns_s = time.perf_counter() - began_s
        say(f"W4: {ground.n_columns:,} of {len(counts):,} columns shared; {N_PROCESSES} processes")
        both = _evaluate(ground, count, N_PROCESSES)
        say("W4: one process")
        alone = _evaluate(ground, min(count, MOST_ONE_CORE), 1)
    trades = float(np.median(np.concatenate(both.trades)))
    text = line(
        "W4",
        market=market.label.value,
        runs=both.n_genomes,
        bars=len(bars),
        segments=len(ground.segments),
        seconds=both.wall_s,
        genomes_per_s=both.rate_per_s,
        genomes_per_s_one_core=alone.rate_per_s,
        ns_per_bar_per_run=alone.wall_s / (alone.n_genomes * len(bars)) * 1e9,
        rate_last_to_first=both.last_to_first(),
        parse_us=alone.parse_s / alone.n_genomes * 1e6,
        evaluate_us=alone.evaluate_s / alone.n_genomes * 1e6,
        draw_us=drawn_s * N_PROCESSES / count * 1e6,
        columns_distinct=len(counts),
        columns_shared=ground.n_columns,
        columns_s=columns_s,
        trades_median=trades,
        failed=both.n_failed,
        peak_pss_mb=memory.peak_bytes / _MIB,
    )
    print(text, flush=True)
    if len(counts) < LEAST_COLUMNS or trades < LEAST_TRADES:
        say(f"W4: {len(counts)} columns and {trades:g} trades in the median: too idle to count")
        return 1
    return 0


def _draw(place: Path, count: int) -> tuple[float, Counter[str], dict[str, SeriesOperandValue]]:
    counts: Counter[str] = Counter()
    operands: dict[str, SeriesOperandValue] = {}
    jobs = [(place, _SEED, start, stop) for start, stop in _chunks(count)]
    with _pool(N_PROCESSES) as pool:
        pool.apply(is_ready)
        began_s = time.perf_counter()
        for some in pool.imap_unordered(draw_chunk, jobs):
            for key, (n_reads, operand) in some.items():
                counts[key] += n_reads
                operands[key] = operand
        return time.perf_counter() - began_s, counts, operands


def _ground(
    place: Path, bars: Bars, counts: Counter[str], operands: dict[str, SeriesOperandValue]
) -> Ground:
    limit = SHARED_BYTES // (8 * len(bars))
    ranked = sorted(counts, key=lambda key: (-counts[key], key))[:limit]
    columns = compute_columns(bars, TIMEFRAME, [operands[key] for key in sorted(ranked)])
    np.save(place / "columns.npy", columns.matrix)
    fit, validation = split_window(
        int(bars.timestamp[0]), int(bars.timestamp[-1]) + timeframe_ms(TIMEFRAME), TIMEFRAME
    )
    return Ground(
        place=place,
        symbol=SYMBOLS[0],
        exchange=EXCHANGE,
        timeframe=TIMEFRAME,
        bars=bars,
        segments=(_segment(bars, Segment.FIT, fit), _segment(bars, Segment.VALIDATION, validation)),
        index=columns.index,
    )


def _segment(bars: Bars, segment: Segment, window: Window) -> tuple[Segment, int, int]:
    return (segment, *segment_bounds(bars.timestamp, window))


def _evaluate(ground: Ground, count: int, n_processes: int) -> Stage:
    stage = Stage()
    paths = [chunk_path(ground.place, start) for start, _ in _chunks(count)]
    with _pool(n_processes, ground) as pool:
        pool.apply(is_ready)
        began_s = time.perf_counter()
        for done in pool.imap_unordered(evaluate_chunk, paths):
            stage.add(done, time.perf_counter() - began_s)
        stage.wall_s = time.perf_counter() - began_s
    return stage


def _pool(n_processes: int, ground: Ground | None = None) -> Pool:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(n_processes)
    return context.Pool(
        n_processes, initializer=open_ground, initargs=(ground, n_processes, together)
    )


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, CHUNK):
        yield start, min(start + CHUNK, count)
