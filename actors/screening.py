"""From a strategy's measured rows to its standing.

Best symbol, scores, and the screening gate's verdict. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.backtest.metric_names import METRIC_INDEX, METRIC_NAMES
from engine.select.gates import best_symbol, screen
from engine.settings import ScreenGate
from engine.store.strategies import ScoreRow
from engine.types import FloatArray, Segment

_FITNESS = METRIC_INDEX["fitness"]
_JUDGED = (Segment.FIT, Segment.VALIDATION)


@dataclass(frozen=True, slots=True)
class Screened:
    """What came of one strategy.

    Attributes
    ----------
    symbol : the best of those on which it passed, or of all when it passed on none
    reason : the verdict on that symbol in words
    """

    score: ScoreRow
    passed: bool
    symbol: str | None
    reason: str


def screen_strategy(
    strategy_id: str,
    rows: Mapping[tuple[str, str], FloatArray],
    symbols: Sequence[str],
    gate: ScreenGate,
    *,
    is_failed: bool,
) -> Screened:
    """Judge one strategy on every symbol; one symbol on which it passes is enough.

    Parameters
    ----------
    rows : metrics, shape (N_METRICS,), by (symbol, segment)
    is_failed : an evaluation of it failed, so that it passes nowhere
    """
    fitness = {symbol: float(rows[symbol, Segment.VALIDATION][_FITNESS]) for symbol in symbols}
    best = best_symbol(fitness)
    verdicts = {symbol: screen(_evidence(rows, symbol), gate) for symbol in symbols}
    passing = [] if is_failed else [name for name in symbols if verdicts[name].passed]
    chosen = best_symbol({name: fitness[name] for name in passing}) if passing else best
    reason = verdicts[chosen].in_words() if chosen is not None else "no symbols"
    if is_failed:
        reason = "an evaluation failed"
    metrics = _by_name(rows[best, Segment.VALIDATION]) if best is not None else {}
    score = ScoreRow(
        id=strategy_id,
        fitness=float(np.mean(list(fitness.values()))) if fitness else math.nan,
        best_symbol=best,
        sharpe=metrics.get("sharpe", math.nan),
        max_drawdown=metrics.get("max_drawdown", math.nan),
        n_trades=metrics.get("n_trades", math.nan),
        total_return=metrics.get("total_return", math.nan),
        win_rate=metrics.get("win_rate", math.nan),
        profit_factor=metrics.get("profit_factor", math.nan),
    )
    return Screened(score, bool(passing), chosen, reason)


def _evidence(
    rows: Mapping[tuple[str, str], FloatArray], symbol: str
) -> dict[str, dict[str, float]]:
    return {segment.value: _by_name(rows[symbol, segment]) for segment in _JUDGED}


def _by_name(row: FloatArray) -> dict[str, float]:
    return dict(zip(METRIC_NAMES, row.tolist(), strict=True))
