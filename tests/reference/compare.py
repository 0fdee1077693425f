"""Compare the engine's backtest with the reference simulator on random genomes.

`python -m tests.reference.compare 2000` from the folder that holds tests/ compares 2,000 of them
and prints what differs; the golden test compares some dozens.
"""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.backtest.costs import Costs
from engine.backtest.metric_names import METRIC_NAMES
from engine.backtest.run import BacktestResult, BacktestSettings, Trade, backtest
from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.strategy.columns import compute_columns, required_operands
from engine.strategy.genome import Genome, Risk, Sizing
from engine.types import TIMEFRAME_MS, Bars
from tests.reference.markets import is_wild, real_bars, rough_bars
from tests.reference.measures import measure
from tests.reference.simulator import DAY_MS, YEAR_DAYS, Fill, Run, Series, Simulator

RELATIVE = 1e-9
# A difference of two prices, equities or means keeps the rounding of what it was taken from, so
# near zero it has no relative precision: there it is held to 1e-12 of those terms.
ROUNDING = 1e-12
SYMBOLS = ("BTC/USDT", "ETH/USDT", "DOGE/USDT", "SOL/USDT")
FRACTIONS = (0.003, 0.005, 0.01, 0.02, 0.04)


@dataclass(frozen=True)
class Case:
    """One genome on one market."""

    name: str
    genome: Genome
    bars: Bars
    timeframe: str
    settings: BacktestSettings
    start: int
    stop: int


@dataclass(frozen=True)
class Outcome:
    """What both said."""

    engine: BacktestResult
    run: Run
    metrics: dict[str, float]
    differences: list[str]


def make_case(index: int, market: Path | None, n_bars: int = 2_500) -> Case:
    """Return the case at `index`; even ones are real bars when there are any."""
    timeframe = ("5m", "1h")[index // 2 % 2]
    is_real = market is not None and index % 2 == 0
    # Eight genomes share a stretch of bars.
    seed = index // 8
    if is_real:
        assert market is not None
        symbol = SYMBOLS[seed % len(SYMBOLS)]
        bars = real_bars(market, symbol, timeframe, seed, n_bars)
    else:
        symbol, bars = "rough", rough_bars(seed, n_bars, timeframe)
    rng = np.random.default_rng([index, 79])
    genome = make_genome(index, timeframe, rng)
    if not is_real and is_wild(seed) and rng.random() < 0.5:
        exits = genome.exits.model_copy(update={"stop_frac": 0.005})
        genome = genome.with_changes(exits=exits, risk=Risk(leverage=3.0))
    costs = Costs() if rng.random() < 0.6 else Costs(float(rng.choice([0.0, 0.004])), 0.0)
    start = 0 if rng.random() < 0.6 else int(rng.integers(0, max(1, len(bars) // 3)))
    stop = len(bars) if rng.random() < 0.6 else int(rng.integers(start + 1, len(bars) + 1))
    return Case(
        f"{index}:{symbol}:{timeframe}:{start}-{stop}",
        genome,
        bars,
        timeframe,
        BacktestSettings(costs=costs),
        start,
        stop,
    )


def make_genome(index: int, timeframe: str, rng: np.random.Generator) -> Genome:
    """Return a drawn genome, most of them with exits drawn anew so that every kind is frequent."""
    higher = ("15m", "1h") if timeframe == "5m" else ("4h",)
    genome = draw_genome(Draws.keyed(2027, index), Universe(timeframe, "perp", higher))
    if rng.random() < 0.3:
        return genome

    def maybe(share: float) -> float | None:
        return float(rng.choice(FRACTIONS)) if rng.random() < share else None

    exits = {
        "stop_frac": float(rng.choice(FRACTIONS)),
        "target_frac": maybe(0.6),
        "trailing_frac": maybe(0.5),
        "max_bars": int(rng.integers(1, 60)) if rng.random() < 0.5 else None,
        "on_opposite": bool(rng.random() < 0.7),
    }
    sizing = Sizing(rng.choice([Sizing.FIXED, Sizing.KELLY, Sizing.VOLATILITY]))
    risk = Risk(
        sizing=sizing,
        size_frac=float(rng.choice([0.3, 1.0])),
        leverage=float(rng.choice([1.0, 3.0])),
        volatility_target=0.5 if sizing is Sizing.VOLATILITY else None,
    )
    return genome.with_changes(exits=genome.exits.model_copy(update=exits), risk=risk)


def series_of(genome: Genome, bars: Bars, timeframe: str) -> Series:
    """Return what the genome reads as plain lists."""
    series: Series = {
        name: getattr(bars, name).tolist() for name in ("open", "high", "low", "close", "volume")
    }
    columns = compute_columns(bars, timeframe, required_operands([genome]))
    return series | {key: columns.matrix[row].tolist() for key, row in columns.index.items()}


def simulate(case: Case) -> tuple[Run, dict[str, float]]:
    """Run the reference simulator."""
    bar_ms = TIMEFRAME_MS[case.timeframe]
    settings = case.settings
    simulator = Simulator(
        case.genome,
        series_of(case.genome, case.bars, case.timeframe),
        case.bars.timestamp.tolist(),
        bar_ms,
        settings.initial_capital_quote,
        settings.costs.commission_frac,
        settings.costs.slippage_frac,
    )
    run = simulator.run(case.start, case.stop)
    metrics = measure(run, bar_ms, case.stop, settings.min_trades_fitness, settings.drawdown_weight)
    return run, metrics


def compare(case: Case) -> Outcome:
    """Run both and list every difference."""
    result = engine_run(case)
    run, metrics = simulate(case)
    found = differences(result, run, metrics, TIMEFRAME_MS[case.timeframe])
    return Outcome(result, run, metrics, [f"{case.name}: {text}" for text in found])


def engine_run(case: Case) -> BacktestResult:
    """Run the engine."""
    return backtest(case.genome, case.bars, case.timeframe, case.settings, case.start, case.stop)


def differences(
    result: BacktestResult, run: Run, metrics: dict[str, float], bar_ms: int
) -> list[str]:
    """Return every difference in words, none when both agree."""
    return [
        *_trade_differences(result, run),
        *_equity_differences(result, run),
        *_metric_differences(result, run, metrics, YEAR_DAYS * DAY_MS / bar_ms),
    ]


def is_same(ours: float, theirs: float, scale: float = 1.0) -> bool:
    """Whether two numbers agree; nan with nan, an infinity with itself."""
    if math.isnan(ours) or math.isnan(theirs):
        return math.isnan(ours) and math.isnan(theirs)
    return math.isclose(ours, theirs, rel_tol=RELATIVE, abs_tol=ROUNDING * scale)


def _trade_differences(result: BacktestResult, run: Run) -> list[str]:
    pairs: list[tuple[Trade, Fill]] = list(zip(result.trades, run.account.closed, strict=False))
    out = [
        f"trade {number}: {trade} is not {fill}"
        for number, (trade, fill) in enumerate(pairs)
        if not _same_trade(trade, fill)
    ]
    if len(result.trades) != len(run.account.closed):
        out.append(f"{len(result.trades)} trades are not {len(run.account.closed)}")
    held = run.account.held
    if (result.open_trade is None) != (held is None):
        out.append(f"open {result.open_trade} is not {held}")
    elif result.open_trade is not None and held is not None:
        ours = result.open_trade
        if (ours.side, ours.entry_bar, ours.exit_bar) != (held.side, held.entry_bar, None) or not (
            is_same(ours.entry, held.entry) and is_same(ours.qty_base, held.qty)
        ):
            out.append(f"open {ours} is not {held}")
    return out[:2]


def _same_trade(trade: Trade, fill: Fill) -> bool:
    exact = (trade.side, trade.entry_bar, trade.exit_bar, trade.reason) == (
        fill.side,
        fill.entry_bar,
        fill.exit_bar,
        fill.reason,
    )
    if not exact or trade.exit is None or fill.exit is None:
        return False
    return (
        is_same(trade.entry, fill.entry)
        and is_same(trade.exit, fill.exit)
        and is_same(trade.qty_base, fill.qty)
        and is_same(trade.pnl_quote, fill.pnl, fill.committed)
        and is_same(trade.net_return, fill.net_return)
        and is_same(trade.equity_after_quote, fill.equity_after)
    )


def _equity_differences(result: BacktestResult, run: Run) -> list[str]:
    if result.equity.shape[0] != len(run.equity):
        return [f"{result.equity.shape[0]} equity points are not {len(run.equity)}"]
    return [
        f"equity[{point}] {ours!r} is not {theirs!r}"
        for point, (ours, theirs) in enumerate(zip(result.equity.tolist(), run.equity, strict=True))
        if not is_same(ours, theirs)
    ][:1]


def _metric_differences(
    result: BacktestResult, run: Run, metrics: dict[str, float], bars_per_year: float
) -> list[str]:
    if set(metrics) != set(METRIC_NAMES):
        return [f"metrics not in both: {set(metrics) ^ set(METRIC_NAMES)}"]
    # A year has more bars than the run: growth a year multiplies rounding by the quotient.
    a_year = bars_per_year / metrics["n_bars"]
    annual = dict.fromkeys(("annual_log_growth", "fitness", "annual_return"), max(1.0, a_year))
    scale = dict.fromkeys(METRIC_NAMES, 1.0) | annual
    scale["expectancy_quote"] = metrics["final_equity_quote"]
    return [
        f"{name} {result.metrics[name]!r} is not {metrics[name]!r}"
        for name in METRIC_NAMES
        if not is_same(result.metrics[name], metrics[name], scale[name])
    ]


def main() -> int:
    """Compare as many cases as asked for; exit 1 when any differs."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    folder = Path(__file__).resolve().parents[3] / "shared" / "market"
    market = folder if folder.is_dir() else None
    began = time.perf_counter()
    n_different = n_trades = n_traded = 0
    reasons: dict[str, int] = {}
    for index in range(count):
        outcome = compare(make_case(index, market))
        n_different += bool(outcome.differences)
        n_trades += len(outcome.run.account.closed)
        n_traded += bool(outcome.run.account.closed)
        for fill in outcome.run.account.closed:
            reasons[str(fill.reason)] = reasons.get(str(fill.reason), 0) + 1
        for text in outcome.differences:
            print(text)
    seconds = time.perf_counter() - began
    print(
        f"{count} genomes, {n_traded} of them traded, {n_trades} trades {reasons}: "
        f"{n_different} differ; {'real and rough' if market else 'rough'} bars, {seconds:.0f} s"
    )
    return int(n_different > 0)


if __name__ == "__main__":
    os.nice(10)
    sys.exit(main())
