"""How prices move together, prepared outside the way of orders and handed over as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.risk.covariance import correlation_matrix, shrunk_covariance
from engine.risk.return_matrix import CloseGrid, close_grid
from engine.risk.value_at_risk import drawn_returns
from engine.types import MS_PER_DAY, Bars, FloatArray

HOUR_MS = 3_600_000
N_DRAWS = 2_000
MAX_DAYS = 365
MIN_UTC_DAYS = 100
"""With as many, outcomes are UTC days; with fewer, all spans of a day, an hour apart."""
MIN_DAYS = 10
MIN_ROWS = 50
"""Fewer outcomes, or fewer rows in common, and a symbol counts as unknown."""
LIFE_MS = 2 * MS_PER_DAY
"""An older model counts as unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class RiskModel:
    """Joint returns of the symbols of an account.

    Attributes
    ----------
    symbols : the columns of the three matrices
    newest_at : UTC ms of the newest close in it
    history : ndarray of shape (n_outcomes, n_symbols), past returns over one day, fraction, finite
    drawn : ndarray of shape (n_draws, n_symbols), drawn returns over one day, fraction, finite
    correlation : ndarray of shape (n_symbols, n_symbols), nan where unknown
    is_overlapping : the rows of `history` overlap, because history is short
    shrinkage : share of the target in the covariance that was drawn from
    left_out : symbols whose history is too short, and why, in words
    """

    symbols: tuple[str, ...]
    newest_at: int
    history: FloatArray
    drawn: FloatArray
    correlation: FloatArray
    is_overlapping: bool = False
    shrinkage: float = 0.0
    left_out: Mapping[str, str] = field(default_factory=dict)
    column_of: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        columns = {symbol: column for column, symbol in enumerate(self.symbols)}
        object.__setattr__(self, "column_of", columns)

    def is_stale(self, at: int) -> bool:
        """Return whether it is too old to be believed at `at` (UTC ms)."""
        return at - self.newest_at > LIFE_MS

    def why_unknown(self, symbol: str) -> str:
        """Say why a symbol is not in the model, empty when it is."""
        if symbol in self.column_of:
            return ""
        return self.left_out.get(symbol, f"no bars of {symbol} were read")


def risk_model_of(
    bars: Mapping[str, Bars],
    bar_ms: int,
    at: int,
    rng: np.random.Generator,
    n_draws: int = N_DRAWS,
) -> RiskModel | None:
    """Return the joint returns of several symbols.

    Parameters
    ----------
    bars : by symbol, of one timeframe, closed ones; only of symbols that may be traded, because
        the shortest history that is long enough limits all
    bar_ms : length of a bar, at most a day
    at : UTC ms; nothing that closed later is read
    rng : seeded by the caller, so that a model can be repeated

    Returns
    -------
    RiskModel, or None when not one symbol has enough history.

    Notes
    -----
    Rows are taken only where every symbol of the model has a close at both ends: a gap costs rows
    and never invents a return. The covariance is that of UTC days, or that of shorter steps times
    their number in a day (independent increments) where there are fewer than `MIN_UTC_DAYS`.
    """
    known = {symbol: series for symbol, series in bars.items() if len(series)}
    if not known:
        return None
    span_ms = MAX_DAYS * MS_PER_DAY
    step_ms = max(HOUR_MS, bar_ms)
    steps_a_day = MS_PER_DAY // step_ms
    grid, left_out = _long_enough(close_grid(known, bar_ms, step_ms, at, span_ms), steps_a_day)
    if not grid.symbols:
        return None
    days = close_grid({s: known[s] for s in grid.symbols}, bar_ms, MS_PER_DAY, at, span_ms)
    if _complete(days.returns()).shape[0] >= MIN_UTC_DAYS:
        grid, steps_a_day = days, 1
    return _model(grid, steps_a_day, left_out, rng, n_draws)


def _model(
    grid: CloseGrid,
    steps_a_day: int,
    left_out: Mapping[str, str],
    rng: np.random.Generator,
    n_draws: int,
) -> RiskModel:
    steps = _complete(grid.returns())
    covariance, shrinkage = shrunk_covariance(steps)
    is_full = np.all(np.isfinite(grid.close), axis=1)
    return RiskModel(
        symbols=grid.symbols,
        newest_at=int(grid.at[np.flatnonzero(is_full)[-1]]),
        history=_complete(grid.returns(steps_a_day)),
        drawn=drawn_returns(covariance * steps_a_day, n_draws, rng),
        correlation=correlation_matrix(steps, MIN_ROWS),
        is_overlapping=steps_a_day > 1,
        shrinkage=shrinkage,
        left_out=dict(left_out),
    )


def _complete(returns: FloatArray) -> FloatArray:
    whole: FloatArray = returns[np.all(np.isfinite(returns), axis=1)]
    return whole


def _long_enough(grid: CloseGrid, steps_a_day: int) -> tuple[CloseGrid, dict[str, str]]:
    """Leave out the symbol with the shortest history until the rest has enough rows in common."""
    needed = max(MIN_ROWS, MIN_DAYS * steps_a_day)
    left_out: dict[str, str] = {}
    while grid.symbols:
        returns = grid.returns(steps_a_day)
        if _complete(returns).shape[0] >= needed and _complete(grid.returns()).shape[0] >= needed:
            break
        counts = np.isfinite(returns).sum(axis=0)
        shortest = int(np.argmin(counts))
        symbol = grid.symbols[shortest]
        left_out[symbol] = (
            f"{symbol} has {counts[shortest]} returns over a day where {needed} are needed"
        )
        kept = [column for column in range(len(grid.symbols)) if column != shortest]
        names = tuple(grid.symbols[column] for column in kept)
        grid = CloseGrid(names, grid.at, grid.close[:, kept], grid.step_ms)
    return grid, left_out
