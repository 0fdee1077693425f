from __future__ import annotations

import numpy as np
import pytest

from bench.bollinger import MANY_VARIANTS, bollinger_genome, bollinger_signals
from bench.crossover import MANY_PAIRS, crossover_genome, crossover_signals
from bench.peers import CHUNK_COLUMNS
from engine.strategy.bits import unpack
from engine.strategy.columns import compute_columns, required_operands
from engine.strategy.decisions import ConditionBank, Decisions
from engine.strategy.genome import Genome
from engine.types import Bars

N_BARS = 600


def made_up_bars() -> Bars:
    generator = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.01, N_BARS)))
    opened = np.concatenate(([100.0], close[:-1]))
    stamps = np.arange(N_BARS, dtype=np.int64) * 300_000
    return Bars(
        stamps,
        opened,
        np.maximum(opened, close) * 1.001,
        np.minimum(opened, close) * 0.999,
        close,
        generator.uniform(1.0, 2.0, N_BARS),
    )


def decisions_of(genome: Genome, bars: Bars) -> Decisions:
    columns = compute_columns(bars, "5m", required_operands([genome]))
    return ConditionBank(bars, "5m", columns).decisions(genome)


def test_the_sweeps_have_five_hundred_different_strategies() -> None:
    assert len(set(MANY_PAIRS)) == len(MANY_PAIRS) == 500
    assert len(set(MANY_VARIANTS)) == len(MANY_VARIANTS) == 500
    assert all(fast < slow for fast, slow in MANY_PAIRS)


@pytest.mark.parametrize("pair", [(5, 31), (12, 26)])
def test_peers_get_the_crossings_that_paddock_decides(pair: tuple[int, int]) -> None:
    bars = made_up_bars()
    (signals,) = crossover_signals([pair], bars)
    decided = decisions_of(crossover_genome(*pair), bars)
    assert signals.exits is not None
    assert signals.entries.any()
    np.testing.assert_array_equal(signals.entries[:, 0], unpack(decided.long_entry, N_BARS))
    np.testing.assert_array_equal(signals.exits[:, 0], unpack(decided.long_exit, N_BARS))


def test_peers_get_the_band_entries_that_paddock_decides() -> None:
    bars = made_up_bars()
    variant = (20, 1.5, 40.0)
    (signals,) = bollinger_signals([variant], bars)
    decided = decisions_of(bollinger_genome(*variant), bars)
    assert signals.exits is None
    assert signals.entries.any()
    np.testing.assert_array_equal(signals.entries[:, 0], unpack(decided.long_entry, N_BARS))


def test_chunks_cover_every_strategy_in_order() -> None:
    bars = made_up_bars()
    pairs = MANY_PAIRS[: CHUNK_COLUMNS + 3]
    chunks = list(crossover_signals(pairs, bars))
    assert [chunk.entries.shape for chunk in chunks] == [(N_BARS, CHUNK_COLUMNS), (N_BARS, 3)]
    (last,) = crossover_signals(pairs[-1:], bars)
    np.testing.assert_array_equal(chunks[1].entries[:, -1:], last.entries)
