"""Whether JavaScript decides what the engine decides, on every bar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.backtest.rules import NEVER
from engine.strategy.bits import unpack
from engine.strategy.decisions import ConditionBank, Decisions
from engine.strategy.genome import Genome
from engine.strategy.javascript.answers import Answers
from engine.strategy.javascript.contract import ScriptMeta
from engine.types import BoolArray, FloatArray

_TRUTHS = ("long_entry", "short_entry", "long_exit", "short_exit")


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of decision that is not the same.

    Attributes
    ----------
    name : of a decision, `size_frac` or an exit
    n_bars : bars on which it differs
    first_bar : index of the first of them
    """

    name: str
    n_bars: int
    first_bar: int


def genome_differences(
    genome: Genome, bank: ConditionBank, meta: ScriptMeta, answers: Answers
) -> list[Difference]:
    """Return where the answers of a genome's module differ from the engine's; empty if nowhere.

    Parameters
    ----------
    bank : over the bars that were answered on, all of them from the first
    """
    mine = bank.decisions(genome)
    theirs = answers.decisions(meta, genome.risk.risk_per_trade_frac)
    n_bars = len(answers)
    differs = {
        name: unpack(getattr(mine, name), n_bars) != unpack(getattr(theirs, name), n_bars)
        for name in _TRUTHS
    }
    enters = unpack(mine.long_entry, n_bars) | unpack(mine.short_entry, n_bars)
    differs["size_frac"] = enters & (_sizes(genome, mine, n_bars) != theirs.size_frac)
    for i, (name, value) in enumerate(_exits(genome).items()):
        column = theirs.exit_rules[:, i]
        is_same = np.isnan(column) if value is None else column == value
        differs[name] = enters & ~is_same
    return [
        Difference(name, int(bars.sum()), int(np.argmax(bars)))
        for name, bars in differs.items()
        if _any(bars)
    ]


def _sizes(genome: Genome, decisions: Decisions, n_bars: int) -> FloatArray:
    if decisions.size_frac.shape[0] == 0:
        return np.full(n_bars, genome.notional_frac())
    # An unknown size opens nothing: the engine says NaN, a module 0.
    return np.nan_to_num(decisions.size_frac, nan=0.0)


def _exits(genome: Genome) -> dict[str, float | None]:
    exits = genome.exits
    return {
        "stop_frac": exits.stop_frac,
        "target_frac": exits.target_frac,
        "trailing_frac": exits.trailing_frac,
        "max_bars": NEVER if exits.max_bars is None else float(exits.max_bars),
    }


def _any(differs: BoolArray) -> bool:
    return bool(differs.any())
