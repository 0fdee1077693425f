"""Metrics of real equity curves beside empyrical's and quantstats'; see `bench/definitions.py`."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from bench.bars import EXCHANGE, TIMEFRAME, load
from bench.bollinger import bollinger_genome
from bench.crossover import crossover_genome
from bench.definitions import Curve, Definition, definitions
from bench.equality import SYMBOLS, side_genome
from bench.report import TOLERANCE, line, say
from bench.sweep import SETTINGS
from engine.backtest.run import BacktestResult, Evaluator, prepare_series
from engine.strategy.genome import Condition, ConstantOperand, Genome, IndicatorOperand
from engine.strategy.library import library_genome
from engine.types import Bars, bars_per_year

_LIBRARY = ("momentum_breakout", "momentum", "bollinger_reversion", "ema_trend")


def run_metrics(store: Path) -> int:
    """Print a line for each definition; return 1 when one fails on some curve, else 0."""
    market = load(store, n_symbols=len(SYMBOLS))
    say("metrics: loading empyrical and quantstats")
    pandas, table = _libraries()
    curves = [
        curve for symbol in SYMBOLS for curve in _curves(symbol, market.series[symbol], pandas)
    ]
    for curve in curves:
        say(f"metrics: {curve.name}: {len(curve.trades)} trades over {len(curve.days)} days")
    worst = 0
    for definition in table:
        some = [curve for curve in curves if (len(curve.trades) == 0) is definition.is_idle]
        text, holds = compare(definition, some, market.label.value)
        print(text, flush=True)
        if not holds:
            say(f"metrics: {definition.metric} and {definition.call} are not as the table says")
            worst = 1
    return worst


def compare(definition: Definition, curves: Sequence[Curve], market: str) -> tuple[str, bool]:
    """Return a definition's line, and whether it holds on every curve and differs as it says.

    Raises
    ------
    ValueError : no curves.
    """
    theirs = np.array([definition.theirs(curve) for curve in curves], dtype=np.float64)
    expected = np.array([definition.expected(curve) for curve in curves], dtype=np.float64)
    ours = np.array([curve.metrics[definition.metric] for curve in curves], dtype=np.float64)
    if not theirs.size:
        raise ValueError(f"{definition.call} needs a curve to be compared on")
    apart = float(np.max(_apart(theirs, expected)))
    from_ours = float(np.max(_apart(theirs, ours)))
    is_same = definition.restated is None
    # A difference that nothing shows is none: then the row is wrong.
    holds = apart <= TOLERANCE and (is_same or from_ours > TOLERANCE)
    fields: dict[str, Any] = {
        "market": market,
        "metric": definition.metric,
        "theirs": definition.call,
        "same_definition": is_same,
        "holds": holds,
        "curves": len(curves),
        "max_difference": apart,
    }
    if not is_same:
        fields |= {
            "difference": definition.difference,
            "reason": definition.reason,
            "example_ours": float(ours[0]),
            "example_theirs": float(theirs[0]),
        }
    return line("metrics", **fields), holds


def _apart(a: Any, b: Any) -> Any:
    """Return |a - b| / max(1, |a|, |b|); nothing between two undefined or two equal infinities."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b) / np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    apart[(np.isnan(a) & np.isnan(b)) | (a == b)] = 0.0
    apart[np.isnan(apart)] = np.inf
    return apart


def _libraries() -> tuple[Any, tuple[Definition, ...]]:
    # Plotting comes with quantstats; what it keeps stays out of the user's home.
    os.environ["MPLCONFIGDIR"] = str(Path(sys.prefix) / "matplotlib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        empyrical = import_module("empyrical")
        quantstats = import_module("quantstats.stats")
    # It says aloud that a run has no trades; the table says it too.
    warnings.filterwarnings("ignore", message="No non-zero returns")
    return import_module("pandas"), definitions(empyrical, quantstats)


def _curves(symbol: str, bars: Bars, pandas: Any) -> Iterator[Curve]:
    genomes = _genomes()
    prepared = prepare_series(symbol, EXCHANGE, TIMEFRAME, "perp", bars, (), list(genomes.values()))
    evaluator = Evaluator(prepared, SETTINGS)
    for name, genome in genomes.items():
        yield _curve(f"{symbol} {name}", evaluator.backtest(genome), pandas)


def _curve(name: str, result: BacktestResult, pandas: Any) -> Curve:
    opens_at = pandas.to_datetime(result.timestamp, unit="ms")
    equity = pandas.Series(result.equity[1:], index=opens_at)
    before = pandas.Series(result.equity[:1], index=opens_at[:1] - pandas.Timedelta(days=1))
    bar_equity = pandas.concat([before, equity])
    day_equity = pandas.concat([before, equity.resample("1D").last().dropna()])
    return Curve(
        name,
        result.metrics,
        bars_per_year(TIMEFRAME),
        bar_equity.pct_change().iloc[1:],
        day_equity.pct_change().iloc[1:],
        pandas.Series([trade.pnl_quote for trade in result.trades], dtype="float64"),
    )


def _genomes() -> dict[str, Genome]:
    rsi = IndicatorOperand(name="rsi")
    never = Condition(left=rsi, op=">", right=ConstantOperand(value=1_000.0))
    return {
        **{name: library_genome(name, TIMEFRAME) for name in _LIBRARY},
        "crossover 50/200": crossover_genome(50, 200),
        "reversing crossover 20/100": side_genome((20, 100), is_reversing=True),
        "bollinger 20/2/30": bollinger_genome(20, 2.0, 30.0),
        "idle": crossover_genome(12, 26).with_changes(long_entry=(never,)),
    }
