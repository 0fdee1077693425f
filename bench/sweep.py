"""A sweep: many strategies over several series, by Paddock and by its peers, timed in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.bars import EXCHANGE, TIMEFRAME, BenchMarket
from bench.peers import (
    CAPITAL_QUOTE,
    COMMISSION_FRAC,
    SLIPPAGE_FRAC,
    Peer,
    PeerRules,
    Signals,
)
from bench.report import COMPARED, PICKED, agreement, line, say
from bench.timing import Contender, Stopwatch, Taken, alternate, median_of, middle, ratio
from engine.backtest.costs import Costs
from engine.backtest.rules import Rules
from engine.backtest.run import BacktestSettings, Evaluator, prepare_series
from engine.strategy.genome import Genome
from engine.types import Bars, FloatArray, Segment

SETTINGS = BacktestSettings(
    initial_capital_quote=CAPITAL_QUOTE, costs=Costs(COMMISSION_FRAC, SLIPPAGE_FRAC)
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One workload.

    Attributes
    ----------
    genomes : makes the strategies anew; each run of Paddock gets objects that were never used
    signals : makes a series' signals for the peers, in chunks, from the bars
    rules : what Paddock runs the decisions with, None for the genomes' own
    must_agree : whether unequal results fail the benchmark
    """

    name: str
    genomes: Callable[[], Sequence[Genome]]
    signals: Callable[[Bars], Iterable[Signals]]
    peer_rules: PeerRules
    rules: Rules | None
    must_agree: bool


@dataclass(slots=True)
class Effort:
    """How often to measure.

    Attributes
    ----------
    n_rounds : times each contender runs
    n_inner : runs of Paddock whose median counts as one of them
    """

    n_rounds: int = 3
    n_inner: int = 5


@dataclass(slots=True)
class _Last:
    # What the latest run of each contender gave.
    rows: dict[str, FloatArray] = field(default_factory=dict)


def run_sweep(
    sweep: Sweep, market: BenchMarket, peers: Sequence[Peer], effort: Effort
) -> tuple[str, bool]:
    """Measure one workload; return its JSON line and whether it holds.

    Everything from bars counts: indicators, conditions, decisions, simulation, metrics. Strategies
    exist beforehand, as the peers' parameters do, and compiling is over.
    """
    last = _Last()
    contenders: dict[str, Contender] = {"paddock": lambda: _ours(sweep, market, last)}
    contenders |= {peer.name: _theirs(peer, sweep, market, last) for peer in peers}
    compile_s = {}
    for name, run in contenders.items():
        say(f"{sweep.name}: first run of {name}, not counted")
        compile_s[name] = run().cpu_s
    contenders["paddock"] = median_of(contenders["paddock"], effort.n_inner)
    say(f"{sweep.name}: {effort.n_rounds} rounds of {', '.join(contenders)}")
    taken = alternate(contenders, effort.n_rounds)
    ours = last.rows["paddock"]
    found = {peer.name: agreement(ours, last.rows[peer.name]) for peer in peers}
    holds = not sweep.must_agree or all(one.is_equal for one in found.values())
    return line(sweep.name, **_fields(sweep, market, taken, compile_s, last, found)), holds


def _fields(
    sweep: Sweep,
    market: BenchMarket,
    taken: dict[str, list[Taken]],
    compile_s: dict[str, float],
    last: _Last,
    found: dict[str, Any],
) -> dict[str, Any]:
    trades = COMPARED.index("n_trades")
    n_runs = last.rows["paddock"].shape[0]
    ours = middle(taken["paddock"])
    fields: dict[str, Any] = {
        "market": market.label.value,
        "runs": n_runs,
        "bars": market.n_bars,
        "ns_per_bar_per_run": ours.cpu_s / (n_runs * market.n_bars) * 1e9,
        "seconds": ours.cpu_s,
        "wall_s": ours.wall_s,
        "first_run_s": compile_s,
        "trades_median": float(np.median(last.rows["paddock"][:, trades])),
    }
    for name, runs in taken.items():
        if name == "paddock":
            continue
        fields[f"{name}_s"] = middle(runs).cpu_s
        fields[f"ratio_{name}"] = ratio(runs, taken["paddock"])
        fields[f"{name}_trades_median"] = float(np.median(last.rows[name][:, trades]))
    if sweep.must_agree:
        fields["equality"] = {name: one.as_dict() for name, one in found.items()}
    else:
        fields["equality"] = "rules differ: see bench/peers.py"
    return fields


def _ours(sweep: Sweep, market: BenchMarket, last: _Last) -> Taken:
    genomes = sweep.genomes()
    rows = np.empty((len(market.series), len(genomes), len(COMPARED)))
    watch = Stopwatch()
    for place, (symbol, bars) in enumerate(market.series.items()):
        segments = ((Segment.FIT, 0, len(bars)),)
        prepared = prepare_series(symbol, EXCHANGE, TIMEFRAME, "spot", bars, segments, genomes)
        evaluator = Evaluator(prepared, SETTINGS)
        # A genome cannot do without a stop; a sweep without one brings rules of its own.
        rules = None if sweep.rules is None else [sweep.rules] * len(genomes)
        rows[place] = evaluator.evaluate_many(genomes, rules)[:, 0, PICKED]
    taken = watch.read()
    last.rows["paddock"] = rows.reshape(-1, len(COMPARED))
    return taken


def _theirs(peer: Peer, sweep: Sweep, market: BenchMarket, last: _Last) -> Contender:
    def run() -> Taken:
        watch = Stopwatch()
        rows = [
            peer.run(bars, sweep.signals(bars), sweep.peer_rules) for bars in market.series.values()
        ]
        taken = watch.read()
        last.rows[peer.name] = np.concatenate(rows)
        return taken

    return run
