"""Operand columns: each distinct indicator output, computed once a series, shared by all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.errors import StrategyError
from engine.market.resampling import last_closed_index, resample
from engine.strategy.averages import four_emas_nb
from engine.strategy.compiled import read_only
from engine.strategy.genome import BarOperand, Genome, IndicatorOperand
from engine.strategy.indicators import SharedSeries, compute_among, read_only_bars
from engine.types import Bars, FloatArray, IntArray

SeriesOperandValue = BarOperand | IndicatorOperand


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns by operand key.

    Attributes
    ----------
    matrix : ndarray of shape (n_columns, n_bars), float64; NaN where a value is not defined yet
    index : row of each operand key
    """

    matrix: FloatArray
    index: dict[str, int] = field(default_factory=dict)

    def get(self, key: str) -> FloatArray | None:
        """Return the column called `key`, None when it is not held."""
        row = self.index.get(key)
        return None if row is None else self.matrix[row]


def required_operands(genomes: Iterable[Genome]) -> list[SeriesOperandValue]:
    """Return the distinct operands of `genomes` that need computing, ordered by key.

    Fields of the bars themselves are left out: they are read in place.
    """
    found: dict[str, SeriesOperandValue] = {}
    for genome in genomes:
        for operand in genome.operands():
            if isinstance(operand, BarOperand) and operand.timeframe is None:
                continue
            found[operand.key] = operand
    return [found[key] for key in sorted(found)]


def compute_columns(bars: Bars, timeframe: str, operands: Sequence[SeriesOperandValue]) -> Columns:
    """Compute the columns of `operands` over `bars`.

    Parameters
    ----------
    bars : the series, of `timeframe`
    operands : distinct operands; those of a higher timeframe read its last bar closed by the close
        of each bar

    Returns
    -------
    Columns with one row for each operand, in the order given.

    Raises
    ------
    StrategyError : a timeframe that cannot be built from `timeframe`.
    """
    matrix = np.empty((len(operands), len(bars)), dtype=np.float64)
    index: dict[str, int] = {}
    cache = _SourceCache(bars, timeframe)
    done = _write_emas(bars, operands, matrix)
    for row, operand in enumerate(operands):
        if row not in done:
            matrix[row] = cache.column(operand)
        index[operand.key] = row
    return Columns(matrix, index)


def spread_over(values: FloatArray, closed: IntArray) -> FloatArray:
    """Return what a series of a higher timeframe shows at bars of a lower one.

    Parameters
    ----------
    values : ndarray of shape (..., n_higher), float64
    closed : ndarray of shape (n_bars,), int64; see `last_closed_index`

    Returns
    -------
    ndarray of shape (..., n_bars), float64, NaN where nothing has closed yet.
    """
    spread = np.full((*values.shape[:-1], closed.shape[0]), np.nan)
    known = closed >= 0
    spread[..., known] = values[..., closed[known]]
    return spread


def _write_emas(bars: Bars, operands: Sequence[SeriesOperandValue], matrix: FloatArray) -> set[int]:
    """Write the series' own EMAs four at a time; return their rows.

    They are the most asked for, and a recurrence keeps a processor waiting when it runs alone.
    """
    wanted = [
        (row, int(operand.params["length"]))
        for row, operand in enumerate(operands)
        if isinstance(operand, IndicatorOperand)
        and operand.name == "ema"
        and operand.timeframe is None
        and operand.params["length"] <= len(bars)
    ]
    close = read_only(bars.close)
    n_whole = len(wanted) - len(wanted) % 4
    for first in range(0, n_whole, 4):
        rows, lengths = zip(*wanted[first : first + 4], strict=True)
        four_emas_nb(close, lengths, *(matrix[row] for row in rows))
    return {row for row, _ in wanted[:n_whole]}


class _SourceCache:
    """Compute each indicator once for all its outputs, each higher timeframe once."""

    def __init__(self, bars: Bars, timeframe: str) -> None:
        # Once for all indicators of a series: making views costs more than many of them do.
        self._bars = read_only_bars(bars)
        self._timeframe = timeframe
        self._higher: dict[str, tuple[Bars, IntArray]] = {}
        self._outputs: dict[str, dict[str, FloatArray]] = {}
        self._shared: dict[str | None, SharedSeries] = {}

    def column(self, operand: SeriesOperandValue) -> FloatArray:
        bars, closed = self._on(operand.timeframe)
        if isinstance(operand, BarOperand):
            values: FloatArray = getattr(bars, operand.field)
        else:
            outputs = self._outputs.get(operand.source_key)
            if outputs is None:
                shared = self._shared.setdefault(operand.timeframe, SharedSeries())
                outputs = compute_among(operand.name, operand.params, bars, shared)
                self._outputs[operand.source_key] = outputs
            values = outputs[operand.output]
        if closed is None:
            return values
        return spread_over(values, closed)

    def _on(self, timeframe: str | None) -> tuple[Bars, IntArray | None]:
        if timeframe is None or timeframe == self._timeframe:
            return self._bars, None
        held = self._higher.get(timeframe)
        if held is None:
            try:
                higher = resample(self._bars, self._timeframe, timeframe)
            except ValueError as exc:
                raise StrategyError(
                    f"{timeframe} bars cannot be built from {self._timeframe} bars: {exc}",
                    timeframe=timeframe,
                ) from exc
            closed = last_closed_index(
                self._bars.timestamp, self._timeframe, higher.timestamp, timeframe
            )
            held = (read_only_bars(higher), closed)
            self._higher[timeframe] = held
        return held
