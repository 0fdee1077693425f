"""Curves in braille, downsampled so that no extreme is lost, over a library's plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from textual_plotext import PlotextPlot
from textual_plotext.plot import Plot

from console.format import day

_MOST_TICKS = 4
_TICK_WIDTH = 24


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One line.

    Attributes
    ----------
    start_at, end_at : UTC ms of the first and the last value
    values : ndarray of shape (n,), float64, finite, evenly spaced in time
    label : what the legend calls it, empty for what it does not name
    colour : name of a plotext colour
    """

    label: str
    start_at: int
    end_at: int
    values: npt.NDArray[np.float64]
    colour: str

    def is_same(self, other: Curve) -> bool:
        """Return whether both look the same."""
        mine = (self.label, self.start_at, self.end_at, self.colour)
        theirs = (other.label, other.start_at, other.end_at, other.colour)
        return mine == theirs and np.array_equal(self.values, other.values)


def downsample(
    values: npt.NDArray[np.float64], n_columns: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return at most two points a column, its least and its greatest, in their order.

    Parameters
    ----------
    values : ndarray of shape (n,), float64, finite
    n_columns : int, > 0

    Returns
    -------
    indices : ndarray of shape (m,), int64, m <= 2 · n_columns (all of them when n is not more)
    values : ndarray of shape (m,), float64
    """
    n = values.shape[0]
    if n <= 2 * n_columns:
        return np.arange(n, dtype=np.int64), values
    edges = np.linspace(0, n, n_columns + 1).astype(np.int64)
    kept: list[int] = []
    for start, stop in pairwise(edges):
        part = values[start:stop]
        kept += sorted({int(start + part.argmin()), int(start + part.argmax())})
    indices = np.array(kept, dtype=np.int64)
    return indices, values[indices]


class CurvePlot(PlotextPlot):
    """Curves over time; repainted only when they or its size change."""

    DEFAULT_CSS = "CurvePlot { height: 1fr; }"

    def __init__(self, plot_id: str) -> None:
        super().__init__(id=plot_id)
        self._curves: tuple[Curve, ...] = ()
        self._is_percent = False

    def show(self, curves: Sequence[Curve], *, is_percent: bool = False) -> None:
        """Draw these curves."""
        known = self._curves
        if len(known) == len(curves) and all(
            a.is_same(b) for a, b in zip(known, curves, strict=True)
        ):
            return
        self._curves, self._is_percent = tuple(curves), is_percent
        self._draw()

    def on_resize(self) -> None:
        """Draw anew: how many points and labels there is room for depends on the width."""
        self._draw()

    def _draw(self) -> None:
        # A new figure: a cleared one remembers sizes it had, and places labels by them.
        self._plot = Plot()
        plot = self.plt
        plot.grid(False, False)
        n_columns = max(2, self.size.width)
        for curve in self._curves:
            indices, values = downsample(curve.values, n_columns)
            step = (curve.end_at - curve.start_at) / max(1, curve.values.shape[0] - 1)
            at = curve.start_at + indices * step
            plot.plot(
                at.tolist(),
                values.tolist(),
                label=curve.label or None,
                color=curve.colour,
                marker="braille",
            )
        if self._curves:
            self._label()
        self.refresh()

    def _label(self) -> None:
        first = min(curve.start_at for curve in self._curves)
        last = max(curve.end_at for curve in self._curves)
        n_ticks = max(2, min(_MOST_TICKS, self.size.width // _TICK_WIDTH))
        ticks = [first + (last - first) * i / (n_ticks - 1) for i in range(n_ticks)]
        # Fixed limits: those found by the library move a label when the same curve is drawn twice.
        self.plt.xlim(first, last)
        self.plt.xticks(ticks, [day(int(tick)) for tick in ticks])
        low = min(float(curve.values.min()) for curve in self._curves)
        high = max(float(curve.values.max()) for curve in self._curves)
        marks = sorted({low, (low + high) / 2, high})
        self.plt.yticks(marks, [self._text(mark) for mark in marks])

    def _text(self, value: float) -> str:
        if self._is_percent:
            return f"{value * 100:.1f}%"
        return f"{value:.3f}"
