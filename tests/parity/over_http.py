"""A genome through a real workerd: one question a bar, its state handed back each time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.deploy.bundle import worker_bundle
from engine.deploy.parity import Difference, genome_differences
from engine.deploy.workerd import Workerd
from engine.strategy.columns import compute_columns
from engine.strategy.decisions import ConditionBank
from engine.strategy.genome import Genome
from engine.strategy.javascript.answers import Answers
from engine.strategy.javascript.contract import INTENTS, LEAVES, ScriptMeta
from engine.strategy.javascript.source import parse_source
from engine.strategy.javascript.writer import javascript_of, lookback_bars
from engine.types import Bars

TOKEN = "a token for tests only, long enough"
NUMBERS = ("stop", "target", "trailing", "max_bars", "size", "confidence")


def served_differences(genome: Genome, bars: Bars, timeframe: str) -> list[Difference]:
    """Return where a genome's Worker decides otherwise than the engine; empty if nowhere."""
    meta, answers = asyncio.run(served_answers(genome, bars))
    bank = ConditionBank(bars, timeframe, compute_columns(bars, timeframe, []))
    return genome_differences(genome, bank, meta, answers)


async def served_answers(genome: Genome, bars: Bars) -> tuple[ScriptMeta, Answers]:
    """Return what a genome's Worker answers on every bar, asked in order."""
    bundle = worker_bundle(parse_source(javascript_of(genome)), "parity")
    lookback = lookback_bars(genome)
    results = np.zeros((len(bars), 11))
    with tempfile.TemporaryDirectory(prefix="paddock-") as folder:
        async with Workerd(Path(folder), {"main": bundle}, TOKEN) as workerd:
            async with workerd.client("main", 30.0) as client:
                state = "null"
                for t in range(len(bars)):
                    window = bars.slice(max(0, t + 1 - lookback), t + 1)
                    signal = await client.signal(window, state)
                    state = signal.state
                    results[t] = _row(signal.answer, state)
                    assert signal.bundle == bundle.sha256
    meta = ScriptMeta(
        genome.id[:8],
        lookback,
        leverage=genome.risk.leverage,
        direction=genome.direction,
        on_opposite=genome.exits.on_opposite,
    )
    return meta, Answers.of(results)


def _row(told: Mapping[str, Any], state: str) -> list[float]:
    numbers = [np.nan if told[name] is None else float(told[name]) for name in NUMBERS]
    intent, leave = INTENTS.index(told["intent"]), LEAVES.index(told["leave"])
    return [float(intent), float(leave), *numbers, 0.0, 0.0, float(len(state))]
