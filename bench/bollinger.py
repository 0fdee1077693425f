"""W3: buy below the lower Bollinger band while RSI is low; 2 % stop, 6 % target, 10 % of equity.

Rules about stops differ between the tools (`bench/peers.py`), so only times are compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from bench.peers import CHUNK_COLUMNS, PeerRules, Signals
from bench.sweep import Sweep
from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Direction,
    Exits,
    Genome,
    IndicatorOperand,
    Risk,
    StrategyType,
)
from engine.strategy.indicators import compute_indicator
from engine.types import Bars, BoolArray

Variant = tuple[int, float, float]
"""Band length in bars, band width in deviations, RSI level."""

LENGTHS = (10, 14, 20, 26, 34, 40, 50, 60, 80, 100)
WIDTHS = (1.5, 2.0, 2.5, 3.0, 3.5)
LEVELS = (20.0, 22.0, 24.0, 25.0, 28.0, 30.0, 32.0, 35.0, 38.0, 40.0)
MANY_VARIANTS: tuple[Variant, ...] = tuple(itertools.product(LENGTHS, WIDTHS, LEVELS))
RSI_BARS = 14
STOP_FRAC = 0.02
TARGET_FRAC = 0.06
SIZE_FRAC = 0.1


def bollinger_sweep(name: str, variants: Sequence[Variant]) -> Sweep:
    """Return the workload of these variants."""
    return Sweep(
        name=name,
        genomes=partial(_genomes, variants),
        signals=partial(bollinger_signals, variants),
        peer_rules=PeerRules(STOP_FRAC, TARGET_FRAC, SIZE_FRAC),
        rules=None,
        must_agree=False,
    )


def bollinger_genome(length_bars: int, width: float, level: float) -> Genome:
    """Return the strategy that buys below the band while RSI is below `level`."""
    band = IndicatorOperand(
        name="bollinger", params={"length": length_bars, "width": width}, output="lower"
    )
    rsi = IndicatorOperand(name="rsi", params={"length": RSI_BARS})
    return Genome(
        type=StrategyType.MEAN_REVERSION,
        timeframe="5m",
        direction=Direction.LONG,
        long_entry=(
            Condition(left=BarOperand(field="close"), op="<", right=band),
            Condition(left=rsi, op="<", right=ConstantOperand(value=level)),
        ),
        exits=Exits(stop_frac=STOP_FRAC, target_frac=TARGET_FRAC),
        risk=Risk(size_frac=SIZE_FRAC),
    )


def bollinger_signals(variants: Sequence[Variant], bars: Bars) -> Iterator[Signals]:
    """Make the peers' signals, chunk by chunk; each band and level is compared once."""
    rsi = compute_indicator("rsi", {"length": RSI_BARS}, bars)["value"]
    is_low = {level: rsi < level for level in {level for _, _, level in variants}}
    is_below: dict[tuple[int, float], BoolArray] = {}
    for length, width, _ in variants:
        if (length, width) not in is_below:
            band = compute_indicator("bollinger", {"length": length, "width": width}, bars)
            is_below[length, width] = bars.close < band["lower"]
    for first in range(0, len(variants), CHUNK_COLUMNS):
        chunk = variants[first : first + CHUNK_COLUMNS]
        columns = [is_below[length, width] & is_low[level] for length, width, level in chunk]
        yield Signals(np.column_stack(columns))


def _genomes(variants: Sequence[Variant]) -> list[Genome]:
    return [bollinger_genome(*variant) for variant in variants]
