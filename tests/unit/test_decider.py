from __future__ import annotations

import numpy as np
import pytest

from engine.errors import DataError, StrategyError
from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.strategy.bits import unpack
from engine.strategy.columns import compute_columns, required_operands
from engine.strategy.decisions import ConditionBank
from engine.strategy.genome import Genome, IndicatorOperand
from engine.strategy.indicator_specs import INDICATOR_SPECS
from engine.strategy.indicators import compute_indicator, warmup_bars
from engine.strategy.library import LIBRARY, library_genome
from engine.trade.decider import WINDOWED, Decider, history_start_at
from engine.trade.decision import ClosedBar, Decision
from engine.types import Bars
from tests.paper_cases import BAR_MS, START_AT, wild_bars

N_BARS = 900
FIRST = 700


def bars_of(seed: int, n_bars: int = N_BARS) -> Bars:
    return wild_bars(np.random.default_rng(seed), n_bars, 0.003)


def genomes_of(seed: int, count: int) -> dict[str, Genome]:
    universe = Universe("5m", "perp", ("15m", "1h"))
    drawn = [draw_genome(Draws.keyed(seed, i), universe) for i in range(count)]
    drawn += [library_genome(name, "5m") for name in LIBRARY]
    return {genome.id: genome for genome in drawn}


def backtest_decisions(genomes: dict[str, Genome], bars: Bars) -> dict[str, list[Decision]]:
    columns = compute_columns(bars, "5m", required_operands(genomes.values()))
    bank = ConditionBank(bars, "5m", columns)
    found = {}
    for name, genome in genomes.items():
        wanted = bank.decisions(genome)
        long, short, leaves_long, leaves_short = (
            unpack(words, len(bars))
            for words in (
                wanted.long_entry,
                wanted.short_entry,
                wanted.long_exit,
                wanted.short_exit,
            )
        )
        found[name] = [
            Decision(
                int(bars.timestamp[t]),
                int(long[t]) - int(short[t]),
                bool(leaves_long[t]),
                bool(leaves_short[t]),
                float(wanted.size_frac[t]) if len(wanted.size_frac) else None,
            )
            for t in range(len(bars))
        ]
    return found


def same(one: Decision, other: Decision) -> bool:
    sizes = (one.size_frac, other.size_frac)
    if any(size is not None and np.isnan(size) for size in sizes):
        sizes = (
            (None, None) if all(size is not None and np.isnan(size) for size in sizes) else sizes
        )
    return sizes[0] == sizes[1] and (one.bar_at, one.side, one.leaves_long, one.leaves_short) == (
        other.bar_at,
        other.side,
        other.leaves_long,
        other.leaves_short,
    )


def with_holes(bars: Bars, seed: int) -> Bars:
    """Return the bars without some, single ones and runs that cover the end of an hour."""
    rng = np.random.default_rng(seed)
    kept = rng.random(len(bars)) > 0.05
    for start in rng.integers(0, len(bars), 12):
        kept[start : start + rng.integers(3, 30)] = False
    return Bars(
        *(
            getattr(bars, name)[kept]
            for name in ("timestamp", "open", "high", "low", "close", "volume")
        )
    )


@pytest.mark.parametrize("has_holes", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_decisions_bar_by_bar_are_the_backtest_s_to_the_last_bit(
    seed: int, has_holes: bool
) -> None:
    bars = bars_of(seed)
    if has_holes:
        bars = with_holes(bars, seed)
    genomes = genomes_of(seed, 30)
    wanted = backtest_decisions(genomes, bars)
    first = len(bars) - N_BARS + FIRST
    decider = Decider("5m", bars.slice(0, first), genomes)
    n_entries = 0
    for t in range(first, len(bars)):
        got = decider.take(ClosedBar.of(bars, t))
        for name in genomes:
            assert same(got[name], wanted[name][t]), (t, genomes[name])
            n_entries += got[name].side != 0
    assert n_entries > 100


def test_the_windowed_indicators_look_at_nothing_before_their_window() -> None:
    bars = bars_of(7)
    rng = np.random.default_rng(3)
    for name in sorted(WINDOWED):
        spec = INDICATOR_SPECS[name]
        for _ in range(6):
            params = {
                parameter.name: float(rng.integers(parameter.low, min(parameter.high, 60) + 1))
                if parameter.is_integer
                else float(rng.uniform(parameter.low, parameter.high))
                for parameter in spec.parameters
            }
            needed = warmup_bars(name, params) + 1
            whole = compute_indicator(name, params, bars)
            tail = compute_indicator(name, params, bars.slice(N_BARS - needed, N_BARS))
            for output in spec.outputs:
                now, then = tail[output.name][-1], whole[output.name][-1]
                assert now == then or (np.isnan(now) and np.isnan(then)), (
                    name,
                    params,
                    output.name,
                )


def test_every_other_indicator_remembers_and_is_computed_over_the_whole_history() -> None:
    bars = bars_of(8)
    for name in sorted(set(INDICATOR_SPECS) - WINDOWED):
        operand = IndicatorOperand(name=name, output=INDICATOR_SPECS[name].outputs[0].name)
        needed = warmup_bars(name, operand.params) + 1
        whole = compute_indicator(name, operand.params, bars)[operand.output]
        tail = compute_indicator(name, operand.params, bars.slice(N_BARS - needed, N_BARS))
        assert tail[operand.output][-1] != whole[-1], name


def test_a_bar_told_twice_decides_the_same_and_an_older_one_is_refused() -> None:
    bars = bars_of(1)
    decider = Decider("5m", bars.slice(0, FIRST), genomes_of(1, 3))
    once = decider.take(ClosedBar.of(bars, FIRST))
    assert decider.take(ClosedBar.of(bars, FIRST)) == once
    assert len(decider.bars) == FIRST + 1
    with pytest.raises(DataError, match="order"):
        decider.take(ClosedBar.of(bars, FIRST - 1))


def test_strategies_may_come_and_go_between_bars() -> None:
    bars = bars_of(2)
    genomes = genomes_of(2, 6)
    decider = Decider("5m", bars.slice(0, FIRST), {})
    assert decider.take(ClosedBar.of(bars, FIRST)) == {}
    decider.trade_for(genomes)
    wanted = backtest_decisions(genomes, bars)
    got = decider.newest()
    assert set(got) == set(genomes)
    assert all(same(got[name], wanted[name][FIRST]) for name in genomes)


def test_a_strategy_for_another_timeframe_is_refused() -> None:
    with pytest.raises(StrategyError, match="15m"):
        Decider("5m", bars_of(1, 10), {"s": library_genome("momentum", "15m")})


def test_the_history_s_beginning_stands_still_and_a_restart_finds_the_same_one() -> None:
    starts = {history_start_at(START_AT + i * BAR_MS, 100, BAR_MS): i for i in range(1_000)}
    assert len(starts) in (10, 11)
    for i in range(1_000):
        bar_at = START_AT + i * BAR_MS
        n_bars = (bar_at - history_start_at(bar_at, 100, BAR_MS)) // BAR_MS + 1
        assert 100 < n_bars <= 200


def test_a_decider_that_forgets_decides_as_one_that_was_just_started() -> None:
    bars = bars_of(5, 800)
    genomes = genomes_of(5, 10)
    running = Decider("5m", bars.slice(0, 300), genomes, history_bars=200)
    for t in range(300, 800):
        got = running.take(ClosedBar.of(bars, t))
        if t % 97 == 0:
            fresh = Decider("5m", bars.slice(0, t + 1), genomes, history_bars=200)
            assert len(fresh.bars) == len(running.bars) <= 400
            again = fresh.newest()
            assert all(same(got[name], again[name]) for name in genomes)
