"""W1 and W2: exponential averages crossing, long or flat, all of the equity, no stop.

The only rules on which vectorbt, raptorbt and Paddock agree to the last digits, so results must.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from bench.peers import CHUNK_COLUMNS, PeerRules, Signals
from bench.sweep import Sweep
from engine.backtest.rules import Rules
from engine.strategy.genome import (
    Condition,
    Direction,
    Exits,
    Genome,
    IndicatorOperand,
    StrategyType,
)
from engine.strategy.indicators import compute_indicator
from engine.types import Bars, FloatArray

Pair = tuple[int, int]
ONE_PAIR: tuple[Pair, ...] = ((12, 26),)
MANY_PAIRS: tuple[Pair, ...] = tuple(itertools.product(range(5, 30), range(31, 131, 5)))
_UNUSED_STOP_FRAC = 0.5


def crossover_sweep(name: str, pairs: Sequence[Pair]) -> Sweep:
    """Return the workload of these (fast, slow) lengths."""
    return Sweep(
        name=name,
        genomes=partial(_genomes, pairs),
        signals=partial(crossover_signals, pairs),
        peer_rules=PeerRules(),
        rules=Rules(size_frac=1.0),
        must_agree=True,
    )


def crossover_genome(fast_bars: int, slow_bars: int) -> Genome:
    """Return the strategy that is long while the fast average is above the slow one."""
    fast = IndicatorOperand(name="ema", params={"length": fast_bars})
    slow = IndicatorOperand(name="ema", params={"length": slow_bars})
    return Genome(
        type=StrategyType.TREND_FOLLOWING,
        timeframe="5m",
        direction=Direction.LONG,
        long_entry=(Condition(left=fast, op="crosses_above", right=slow),),
        exits=Exits(
            stop_frac=_UNUSED_STOP_FRAC,
            long_conditions=(Condition(left=fast, op="crosses_below", right=slow),),
        ),
    )


def crossover_signals(pairs: Sequence[Pair], bars: Bars) -> Iterator[Signals]:
    """Make the peers' signals, chunk by chunk: shape (n_bars, at most CHUNK_COLUMNS)."""
    average = _averages(bars)
    for first in range(0, len(pairs), CHUNK_COLUMNS):
        chunk = pairs[first : first + CHUNK_COLUMNS]
        fast = np.column_stack([average(length) for length, _ in chunk])
        slow = np.column_stack([average(length) for _, length in chunk])
        entries = np.zeros(fast.shape, dtype=np.bool_)
        exits = np.zeros(fast.shape, dtype=np.bool_)
        entries[1:] = (fast[1:] > slow[1:]) & (fast[:-1] <= slow[:-1])
        exits[1:] = (fast[1:] < slow[1:]) & (fast[:-1] >= slow[:-1])
        yield Signals(entries, exits)


def _averages(bars: Bars) -> Callable[[int], FloatArray]:
    known: dict[int, FloatArray] = {}

    def average(length: int) -> FloatArray:
        if length not in known:
            known[length] = compute_indicator("ema", {"length": length}, bars)["value"]
        return known[length]

    return average


def _genomes(pairs: Sequence[Pair]) -> list[Genome]:
    return [crossover_genome(fast, slow) for fast, slow in pairs]
