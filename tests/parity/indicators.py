"""Every indicator against the engine's: which cases, and how far apart they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.strategy.columns import compute_columns
from engine.strategy.indicator_specs import INDICATOR_SPECS
from engine.types import Bars
from engine.validate.sandbox import Sandbox
from tests.parity.traces import operands_of, traced


@dataclass(frozen=True, slots=True)
class Case:
    """One indicator with parameters, on its own bars (timeframe None) or on longer ones."""

    name: str
    params: tuple[tuple[str, float], ...]
    timeframe: str | None

    def __str__(self) -> str:
        values = ",".join(f"{value:g}" for _, value in self.params)
        return f"{self.name}({values})@{self.timeframe or 'own'}"


def indicator_cases() -> Iterator[Case]:
    """Yield every indicator with its smallest, default and largest drawn parameters."""
    for name, spec in INDICATOR_SPECS.items():
        choices = {
            tuple((p.name, pick(p)) for p in spec.parameters)
            for pick in (lambda p: p.grid[0], lambda p: p.default, lambda p: p.grid[-1])
        }
        for params in sorted(choices):
            yield Case(name, params, None)
        defaults = tuple((p.name, p.default) for p in spec.parameters)
        for timeframe in ("15m", "4h"):
            yield Case(name, defaults, timeframe)


def indicator_errors(
    sandbox: Sandbox, case: Case, bars: Bars, timeframe: str
) -> Iterator[dict[str, Any]]:
    """Yield, for each output, how many values have the same bits and the largest error.

    The error is relative to the largest value of the column; NaN against a number is infinite.
    """
    operands = operands_of(case.name, dict(case.params), case.timeframe)
    columns = compute_columns(bars, timeframe, operands)
    for key, theirs in traced(sandbox, operands, bars, timeframe).items():
        mine = columns.matrix[columns.index[key]]
        both_nan = np.isnan(mine) & np.isnan(theirs)
        off = np.where(both_nan, 0.0, np.abs(mine - theirs))
        off = np.where(np.isnan(off), np.inf, off)
        scale = float(np.nanmax(np.abs(mine), initial=1e-300))
        yield {
            "output": key,
            "n_values": len(bars),
            "n_same": int((both_nan | (mine == theirs)).sum()),
            "error": float(off.max()) / scale,
        }
