"""Written strategies: how fast free JavaScript backtests, and how long it takes to get there.

The sources are the honest ones of the tests, written by hand in every style the guide allows.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.bars import EXCHANGE, SYMBOLS, TIMEFRAME, load
from bench.report import line, say
from engine.backtest.run import BacktestSettings, Evaluator, prepare_series
from engine.deploy.bundle import worker_bundle
from engine.deploy.workerd import Workerd
from engine.errors import RuntimeUnavailable
from engine.strategy.javascript.run import Script, backtest_script, run_script
from engine.strategy.javascript.source import Source
from engine.types import Bars
from engine.validate.risk_rules import RiskLimits
from engine.validate.script_check import check_script, read_valid_script

_SOURCES = Path(__file__).resolve().parents[1] / "tests" / "parity" / "honest"
_RISK_FRAC = 0.02
_N_SIGNALS = 2_000
_TOKEN = "a token for benchmarks only"  # noqa: S105 - opens nothing


def run_scripts(store: Path) -> int:
    """Print the line of written strategies."""
    load_average = os.getloadavg()[0]
    market = load(store, n_symbols=1)
    bars = market.series[SYMBOLS[0]]
    contents = [path.read_bytes() for path in sorted(_SOURCES.glob("*.js"))]
    say(f"scripts: reading, bundling and validating {len(contents)} sources")
    read_s = [_seconds(lambda c=content: read_valid_script(c)) for content in contents]
    sources = [source for source in map(_valid, contents) if source is not None]
    bundle_s = [_seconds(lambda s=source: Script(s)) for source in sources]
    limits = RiskLimits(TIMEFRAME, "perp")
    validate_s = [
        _seconds(lambda c=content: check_script(c, lambda _meta: (bars, limits)))
        for content in contents
    ]
    say(f"scripts: backtesting {len(sources)} over {len(bars):,} bars")
    wall_s, cpu_s = _backtests(sources, bars)
    started_s, signals_s = asyncio.run(_served(sources[0], bars))
    text = line(
        "scripts",
        market=market.label.value,
        load_average=load_average,
        runs=len(sources),
        bars=len(bars),
        bars_per_s=len(sources) * len(bars) / sum(wall_s),
        bars_per_s_inside=len(sources) * len(bars) / sum(cpu_s),
        slowest_bars_per_s_inside=len(bars) / max(cpu_s),
        read_ms=float(np.median(read_s)) * 1e3,
        bundle_ms=float(np.median(bundle_s)) * 1e3,
        validate_s=float(np.median(validate_s)),
        validate_s_most=max(validate_s),
        workerd_start_ms=started_s * 1e3,
        signal_ms_p50=float(np.percentile(signals_s, 50)) * 1e3,
        signal_ms_p99=float(np.percentile(signals_s, 99)) * 1e3,
    )
    print(text, flush=True)
    return 0


def _valid(content: bytes) -> Source | None:
    return read_valid_script(content)[0]


def _seconds(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _backtests(sources: list[Source], bars: Bars) -> tuple[list[float], list[float]]:
    """Return seconds of each backtest: by the wall, sandbox included, and inside V8."""
    prepared = prepare_series(SYMBOLS[0], EXCHANGE, TIMEFRAME, "perp", bars, ())
    evaluator = Evaluator(prepared, BacktestSettings())
    wall_s, cpu_s = [], []
    for source in sources:
        began_s = time.perf_counter()
        meta, run = run_script(source, bars)
        backtest_script(meta, run.answers, evaluator, _RISK_FRAC)
        wall_s.append(time.perf_counter() - began_s)
        cpu_s.append(run.cpu_s)
    return wall_s, cpu_s


async def _served(source: Source, bars: Bars) -> tuple[float, list[float]]:
    """Return seconds until a workerd serves a strategy, and of each signal; NaN without workerd."""
    with tempfile.TemporaryDirectory(prefix="paddock-bench-") as folder:
        workerd = Workerd(Path(folder), {"main": worker_bundle(source, "bench")}, _TOKEN)
        began_s = time.perf_counter()
        try:
            await workerd.start()
        except RuntimeUnavailable as exc:
            say(f"scripts: {exc.message}")
            return float("nan"), [float("nan")]
        try:
            async with workerd.client("main") as client:
                await client.health()
                started_s = time.perf_counter() - began_s
                signals_s, state = [], "null"
                for t in range(_N_SIGNALS):
                    asked_s = time.perf_counter()
                    window = bars.slice(max(0, t - 40), t + 1)
                    state = (await client.signal(window, state)).state
                    signals_s.append(time.perf_counter() - asked_s)
        finally:
            await workerd.stop()
    return started_s, signals_s
