"""Returns of several symbols side by side, on one grid of instants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.errors import DataError, UsageError
from engine.types import Bars, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class CloseGrid:
    """Closes of several symbols at instants that are one step apart.

    Attributes
    ----------
    symbols : tuple of str, the columns
    at : ndarray of shape (n_instants,), int64, UTC ms, multiples of `step_ms`
    close : ndarray of shape (n_instants, n_symbols), float64, quote currency, > 0; nan where no bar
        closed at that very instant, and where the close is not a positive number
    """

    symbols: tuple[str, ...]
    at: IntArray
    close: FloatArray
    step_ms: int

    def returns(self, n_steps: int = 1) -> FloatArray:
        """Return the simple returns over `n_steps` steps, one row a step.

        Returns
        -------
        ndarray of shape (max(0, n_instants - n_steps), n_symbols), fraction; nan where either end
        is. With more than one step the rows overlap.
        """
        return self.close[n_steps:] / self.close[:-n_steps] - 1.0


def close_grid(
    bars: Mapping[str, Bars], bar_ms: int, step_ms: int, at: int, span_ms: int
) -> CloseGrid:
    """Return what closed at each step of the `span_ms` before `at`.

    Parameters
    ----------
    bars : by symbol, of one timeframe; a bar that had not closed at `at` is not read
    bar_ms : length of a bar
    step_ms : a multiple of `bar_ms`; the grid lies on its multiples since 1970, so that a step of a
        day is a UTC day

    Raises
    ------
    UsageError : a step that the bars cannot serve.
    DataError : no bars at all.
    """
    if step_ms <= 0 or bar_ms <= 0 or step_ms % bar_ms:
        raise UsageError(f"a step of {step_ms} ms is not a multiple of bars of {bar_ms} ms")
    firsts = [int(b.timestamp[0]) + bar_ms for b in bars.values() if len(b)]
    if not firsts:
        raise DataError("no bars: returns cannot be computed")
    last_at = at // step_ms * step_ms
    first_at = max(min(firsts), last_at - span_ms)
    first_at = -(-first_at // step_ms) * step_ms
    grid = np.arange(first_at, last_at + 1, step_ms, dtype=np.int64)
    close = np.full((grid.shape[0], len(bars)), np.nan)
    for column, series in enumerate(bars.values()):
        _fill_column(close[:, column], grid, series, bar_ms)
    return CloseGrid(tuple(bars), grid, close, step_ms)


def _fill_column(column: FloatArray, grid: IntArray, bars: Bars, bar_ms: int) -> None:
    if not len(bars):
        return
    closed_at = bars.timestamp + bar_ms
    index = np.minimum(np.searchsorted(closed_at, grid), len(bars) - 1)
    value = bars.close[index]
    # A comparison with nan is False, so that nan stays out as well.
    is_here = (closed_at[index] == grid) & (value > 0.0) & (value < np.inf)
    column[is_here] = value[is_here]
