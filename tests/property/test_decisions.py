"""Decisions against an obvious reading of the genome, bar by bar, and against a changed future."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.strategy.bits import next_set_nb, pack, unpack
from engine.strategy.columns import compute_columns, required_operands
from engine.strategy.decisions import ConditionBank, realised_volatility
from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Exits,
    Genome,
    IndicatorOperand,
)
from engine.types import Bars, BoolArray, FloatArray
from tests.property.test_kernel_oracle import random_bars

N_BARS = 400
SERIES = [
    BarOperand(field="close"),
    BarOperand(field="open"),
    BarOperand(field="high", timeframe="15m"),
    IndicatorOperand(name="ema", params={"length": 5}),
    IndicatorOperand(name="sma", params={"length": 3}, timeframe="1h"),
    IndicatorOperand(name="bollinger", params={"length": 10}, output="lower"),
]
OSCILLATORS = [
    IndicatorOperand(name="rsi", params={"length": 5}),
    IndicatorOperand(name="mfi", params={"length": 5}, timeframe="15m"),
]
levels = st.sampled_from([20.0, 40.0, 50.0, 60.0, 80.0])
compare = st.sampled_from(["<", ">", "crosses_above", "crosses_below"])
conditions = st.one_of(
    st.builds(
        lambda pair, op: Condition(left=pair[0], op=op, right=pair[1]),
        st.permutations(SERIES),
        compare,
    ),
    st.builds(
        lambda left, op, level: Condition(left=left, op=op, right=ConstantOperand(value=level)),
        st.sampled_from(OSCILLATORS),
        compare,
        levels,
    ),
    st.builds(
        lambda left, op, n: Condition(left=left, op=op, bars=n),
        st.sampled_from(SERIES + OSCILLATORS),
        st.sampled_from(["rising", "falling"]),
        st.integers(1, 90),
    ),
)
groups = st.lists(conditions, max_size=3).map(tuple)
entries = st.lists(conditions, min_size=1, max_size=4).map(tuple)
genomes = st.builds(
    lambda long, short, filters, leave_long, leave_short, confidence: Genome(
        type="hybrid",
        timeframe="5m",
        direction="both",
        long_entry=long,
        short_entry=short,
        filters=filters,
        confidence=confidence,
        exits=Exits(stop_frac=0.02, long_conditions=leave_long, short_conditions=leave_short),
    ),
    entries,
    entries,
    groups,
    groups,
    groups,
    st.sampled_from([0.25, 0.34, 0.5, 0.67, 0.75, 1.0]),
)


def holds(condition: Condition, column: dict[str, FloatArray], t: int) -> bool:
    left = column[condition.left.key]
    if condition.bars is not None:
        if t < condition.bars:
            return False
        before = left[t - condition.bars]
        return bool(left[t] > before if condition.op == "rising" else left[t] < before)
    if isinstance(condition.right, ConstantOperand):
        right = np.full(N_BARS, condition.right.value)
    else:
        assert condition.right is not None
        right = column[condition.right.key]
    if condition.op == ">":
        return bool(left[t] > right[t])
    if condition.op == "<":
        return bool(left[t] < right[t])
    if t == 0:
        return False
    if condition.op == "crosses_above":
        return bool(left[t] > right[t] and left[t - 1] <= right[t - 1])
    return bool(left[t] < right[t] and left[t - 1] >= right[t - 1])


def read_slowly(genome: Genome, bank: ConditionBank) -> dict[str, BoolArray]:
    column = {operand.key: bank.column(operand) for operand in genome.operands()}
    out = {name: np.zeros(N_BARS, dtype=bool) for name in ("long", "short", "xl", "xs")}
    for t in range(N_BARS):
        passes = all(holds(c, column, t) for c in genome.filters)
        enters = []
        for side in (genome.long_entry, genome.short_entry):
            held = sum(holds(c, column, t) for c in side)
            enters.append(passes and held >= math.ceil(genome.confidence * len(side) - 1e-9))
        out["long"][t] = enters[0] and not enters[1]
        out["short"][t] = enters[1] and not enters[0]
        out["xl"][t] = any(holds(c, column, t) for c in genome.exits.long_conditions)
        out["xs"][t] = any(holds(c, column, t) for c in genome.exits.short_conditions)
    return out


def decide(genome: Genome, bars: Bars) -> list[BoolArray]:
    columns = compute_columns(bars, "5m", required_operands([genome]))
    decisions = ConditionBank(bars, "5m", columns).decisions(genome)
    words = (
        decisions.long_entry,
        decisions.short_entry,
        decisions.long_exit,
        decisions.short_exit,
    )
    return [unpack(word, len(bars)) for word in words]


@settings(max_examples=120, deadline=None)
@given(genome=genomes, seed=st.integers(0, 2**32 - 1))
def test_decisions_equal_the_genome_read_bar_by_bar(genome: Genome, seed: int) -> None:
    bars = random_bars(np.random.default_rng(seed), N_BARS, 0.01)
    columns = compute_columns(bars, "5m", required_operands([genome]))
    want = read_slowly(genome, ConditionBank(bars, "5m", columns))
    for got, expected in zip(decide(genome, bars), want.values(), strict=True):
        np.testing.assert_array_equal(got, expected)


@settings(max_examples=60, deadline=None)
@given(genome=genomes, seed=st.integers(0, 2**32 - 1), cut=st.integers(1, N_BARS - 1))
def test_a_changed_future_changes_no_decision(genome: Genome, seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    bars = random_bars(rng, N_BARS, 0.01)
    other = random_bars(rng, N_BARS, 0.03)
    mixed = Bars(
        bars.timestamp,
        *(
            np.concatenate((getattr(bars, name)[:cut], getattr(other, name)[cut:]))
            for name in ("open", "high", "low", "close", "volume")
        ),
    )
    for one, two in zip(decide(genome, bars), decide(genome, mixed), strict=True):
        np.testing.assert_array_equal(one[:cut], two[:cut])


@given(seed=st.integers(0, 2**32 - 1), n_bars=st.integers(1, 300), density=st.floats(0, 1))
def test_packed_bits_are_found_again(seed: int, n_bars: int, density: float) -> None:
    truth = np.random.default_rng(seed).random(n_bars) < density
    words = pack(truth)
    np.testing.assert_array_equal(unpack(words, n_bars), truth)
    for first in range(0, n_bars, 7):
        later = np.flatnonzero(truth[first:])
        want = int(later[0]) + first if later.size else n_bars
        assert next_set_nb(words, first, n_bars) == want


def test_realised_volatility_is_the_deviation_of_the_last_100_returns() -> None:
    bars = random_bars(np.random.default_rng(3), 300, 0.01)
    got = realised_volatility(bars.close, "5m")
    returns = np.diff(bars.close) / bars.close[:-1]
    assert np.isnan(got[:100]).all()
    for t in (100, 150, 299):
        want = np.std(returns[t - 100 : t]) * math.sqrt(105_120)
        np.testing.assert_allclose(got[t], want, rtol=1e-12)
