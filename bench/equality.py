"""Equal results: 500 crossovers a symbol, long only and reversing, run for run against the peers.

W2 compares along the way what it times; this compares and times nothing. Reversing means that the
opposite crossing closes the position and opens the other side at the same open. Every fill pays
commission and slippage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.bars import EXCHANGE, TIMEFRAME, load
from bench.crossover import MANY_PAIRS, Pair, crossover_genome, crossover_signals
from bench.peers import (
    COMMISSION_FRAC,
    SLIPPAGE_FRAC,
    Peer,
    PeerRules,
    RaptorBT,
    Signals,
    VectorBT,
)
from bench.report import COMPARED, PICKED, agreement, line, say
from bench.sweep import SETTINGS
from engine.backtest.rules import Rules
from engine.backtest.run import Evaluator, prepare_series
from engine.strategy.genome import Direction, Genome
from engine.types import Bars, FloatArray, Segment

SYMBOLS = ("BTC/USDT", "ETH/USDT")
_SMALL_STEP = 10
_TRADES = COMPARED.index("n_trades")


@dataclass(frozen=True, slots=True)
class Side:
    """One way to trade the crossings.

    Attributes
    ----------
    is_reversing : short after a crossing below, long after one above; else long or flat
    peers : those whose rules know it
    """

    name: str
    is_reversing: bool
    peers: tuple[Peer, ...]


def run_equality(store: Path, *, is_small: bool) -> int:
    """Print a line for each symbol and way to trade; return 1 when any run differs, else 0."""
    pairs = MANY_PAIRS[:: _SMALL_STEP if is_small else 1]
    market = load(store, n_symbols=len(SYMBOLS))
    vectorbt = VectorBT()
    sides = (
        Side("long", is_reversing=False, peers=(vectorbt, RaptorBT())),
        Side("long and short", is_reversing=True, peers=(vectorbt,)),
    )
    worst = 0
    for symbol in SYMBOLS:
        bars = market.series[symbol]
        for side in sides:
            say(f"equal: {len(pairs)} crossovers of {symbol}, {side.name}")
            ours = paddock_rows(bars, pairs, is_reversing=side.is_reversing)
            found = {
                peer.name: agreement(
                    ours,
                    peer.run(
                        bars, side_signals(pairs, bars, is_reversing=side.is_reversing), PeerRules()
                    ),
                )
                for peer in side.peers
            }
            text = line(
                "equal",
                market=market.label.value,
                symbol=symbol,
                side=side.name,
                runs=len(pairs),
                bars=len(bars),
                trades=int(ours[:, _TRADES].sum()),
                commission_frac=COMMISSION_FRAC,
                slippage_frac=SLIPPAGE_FRAC,
                equality={name: one.as_dict() for name, one in found.items()},
            )
            print(text, flush=True)
            for name, one in found.items():
                if not one.is_equal:
                    say(f"equal: {symbol}, {side.name}: trade counts or metrics are not {name}'s")
                    worst = 1
    return worst


def paddock_rows(bars: Bars, pairs: Sequence[Pair], *, is_reversing: bool) -> FloatArray:
    """Return Paddock's six metrics of each run, shape (n_pairs, 6), columns as `COMPARED`."""
    genomes = [side_genome(pair, is_reversing=is_reversing) for pair in pairs]
    segments = ((Segment.FIT, 0, len(bars)),)
    prepared = prepare_series("", EXCHANGE, TIMEFRAME, "perp", bars, segments, genomes)
    # A genome cannot do without a stop, vectorbt's stops are not Paddock's: rules without one.
    rules = [Rules(size_frac=1.0)] * len(genomes)
    rows: FloatArray = Evaluator(prepared, SETTINGS).evaluate_many(genomes, rules)[:, 0, PICKED]
    return np.ascontiguousarray(rows)


def side_genome(pair: Pair, *, is_reversing: bool) -> Genome:
    """Return the crossover of two averages, long only or reversing at each crossing."""
    genome = crossover_genome(*pair)
    if not is_reversing:
        return genome
    return genome.with_changes(
        direction=Direction.BOTH,
        short_entry=genome.exits.long_conditions,
        exits=genome.exits.model_copy(update={"long_conditions": ()}),
    )


def side_signals(pairs: Sequence[Pair], bars: Bars, *, is_reversing: bool) -> Iterator[Signals]:
    """Make the peers' signals from Paddock's own averages, chunk by chunk."""
    chunks: Iterable[Signals] = crossover_signals(pairs, bars)
    for chunk in chunks:
        yield Signals(chunk.entries, None, chunk.exits) if is_reversing else chunk
