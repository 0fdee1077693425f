"""W5: a whole cycle on Ray, from a running runtime, in a home of its own that is thrown away.

What Ray, storage and the processes between them add is the wall time less that of the same work
done bare: draw, columns, and evaluation divided among as many workers.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.bars import EXCHANGE, N_BARS, SYMBOLS, TIMEFRAME, BenchMarket, load
from bench.report import line, say
from engine.backtest.run import BacktestSettings, Evaluator, prepare_series
from engine.errors import RuntimeUnavailable
from engine.evolve.learned_state import LearnedState
from engine.evolve.propose import propose
from engine.evolve.universe import Shares, Universe
from engine.strategy.genome import Genome
from engine.types import MS_PER_DAY, Segment, timeframe_ms

_ROOT = Path(__file__).resolve().parent.parent
_PADDOCK = _ROOT / "scripts" / "paddock"
_SEED = 7
_DAYS = N_BARS * timeframe_ms(TIMEFRAME) // MS_PER_DAY
_TIMEOUT_S = 3 * 3600.0
# The launcher's own: the runtime has another environment and as many threads as it likes.
_NOT_PASSED_ON = (
    "NUMBA_CACHE_DIR",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "PYTHONPATH",
    "PYTHONHASHSEED",
)


@dataclass(frozen=True, slots=True)
class Home:
    """A runtime of its own in a temporary folder."""

    environment: dict[str, str]
    market: tuple[str, ...]

    def cycle(
        self, seed: int, count: int, *, state: str | None = None, workers: int | None = None
    ) -> tuple[dict[str, Any], float]:
        """Run a cycle, from the newest learned state or the one named.

        Returns
        -------
        (summary, wall seconds), from the command's start to its end.
        """
        words = [
            "cycle",
            *self.market,
            f"--timeframe={TIMEFRAME}",
            f"--days={_DAYS}",
            f"--count={count}",
            f"--seed={seed}",
            "--json",
            *([] if state is None else [f"--state={state}"]),
            *([] if workers is None else [f"--workers={workers}"]),
        ]
        began_s = time.perf_counter()
        text = self.paddock(words)
        wall_s = time.perf_counter() - began_s
        summary: dict[str, Any] = json.loads(text)
        return summary, wall_s

    def paddock(self, words: list[str]) -> str:
        """Run one command; return what it printed.

        Raises
        ------
        RuntimeUnavailable : it failed; the message ends with what it said.
        """
        done = subprocess.run(  # noqa: S603 - our own program
            [str(_PADDOCK), *words],
            env=self.environment,
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeUnavailable(
                f"paddock {words[0]} ended with {done.returncode}: {done.stderr.strip()[-2000:]}",
                command=words[0],
            )
        return done.stdout


def run_cycle(store: Path, count: int, n_rounds: int) -> int:
    """Print the line of W5: some cycles with different seeds, from a runtime that already runs."""
    market = load(store)
    spans: list[float] = []
    with _home(store) as home:
        say("W5: a first cycle, not counted")
        summary, _ = home.cycle(_SEED + n_rounds, count)
        # All start with what the first one knew: nothing.
        state = summary["state_hash"]
        for round_ in range(n_rounds):
            say(f"W5: cycle {round_ + 1} of {n_rounds}")
            summary, wall_s = home.cycle(_SEED + round_, count, state=state)
            spans.append(wall_s)
    bare_s = _bare_seconds(market, count, int(summary.get("workers") or 1))
    wall_s = median(spans)
    text = line(
        "W5",
        market=market.label.value,
        runs=summary["evaluations"],
        bars=market.n_bars,
        seconds=wall_s,
        stages_s=summary["seconds"],
        command_s=wall_s - summary["seconds"]["total"],
        bare_s=bare_s,
        overhead_s=wall_s - bare_s,
        ray_and_storage_frac=max(0.0, 1.0 - bare_s / wall_s),
        workers=summary.get("workers"),
        workers_busy_frac=summary.get("workers_busy_frac"),
        generated=summary["generated"],
        backtested=summary["backtested"],
        trades_median=summary.get("median_trades"),
    )
    print(text, flush=True)
    return 0


def run_ratio(store: Path, count: int) -> int:
    """Print a line comparing two workers with one; different seeds, so that nothing is reused."""
    found: dict[int, dict[str, Any]] = {}
    with _home(store) as home:
        first, _ = home.cycle(_SEED, 100)
        for workers in (1, 2):
            say(f"W5: {count:,} candidates, {workers} worker{'s' if workers > 1 else ''}")
            found[workers], _ = home.cycle(
                _SEED + workers, count, state=first["state_hash"], workers=workers
            )
    rates = {workers: one["bars_per_second"] for workers, one in found.items()}
    text = line(
        "W5-workers",
        runs=found[2]["evaluations"],
        bars=N_BARS,
        rate_ratio=rates[2] / rates[1],
        bars_per_second=rates,
        workers_busy_frac={workers: one["workers_busy_frac"] for workers, one in found.items()},
        stages_s={workers: one["seconds"] for workers, one in found.items()},
    )
    print(text, flush=True)
    return 0


@contextmanager
def _home(store: Path) -> Iterator[Home]:
    kept = {key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON}
    market: tuple[str, ...] = (f"--symbols={','.join(SYMBOLS)}",)
    if store.is_dir():
        market = (f"--market={store}", f"--exchange={EXCHANGE}", *market)
    with tempfile.TemporaryDirectory(prefix="paddock-bench-", ignore_cleanup_errors=True) as place:
        home = Home({**kept, "PADDOCK_PATHS__HOME": place}, market)
        say("W5: starting a runtime")
        try:
            home.paddock(["up"])
            yield home
        finally:
            home.paddock(["down"])


def _bare_seconds(market: BenchMarket, count: int, n_workers: int) -> float:
    _bare_run(market, min(count, 100))
    shared_s, divided_s = _bare_run(market, count)
    return shared_s + divided_s / n_workers


def _bare_run(market: BenchMarket, count: int) -> tuple[float, float]:
    universe = Universe.of(TIMEFRAME, "spot", ("5m", "15m", "1h", "4h"), tuple(market.series))
    began_s = time.perf_counter()
    state = LearnedState.empty()
    texts = [
        propose(_SEED, index, 0, state, universe, Shares()).genome.canonical_json()
        for index in range(count)
    ]
    genomes = [Genome.from_json(text) for text in texts]
    cut = market.n_bars * 2 // 3
    segments = ((Segment.FIT, 0, cut), (Segment.VALIDATION, cut, market.n_bars))
    prepared = [
        prepare_series(symbol, EXCHANGE, TIMEFRAME, "spot", bars, segments, genomes)
        for symbol, bars in market.series.items()
    ]
    shared_s = time.perf_counter() - began_s
    for series in prepared:
        evaluator = Evaluator(series, BacktestSettings())
        for text in texts:
            evaluator.evaluate(Genome.from_json(text))
    return shared_s, time.perf_counter() - began_s - shared_s
