"""The windows of history that fit, validation and holdout are measured on.

All windows are half-open: bars with start_at <= open < end_at, in UTC ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from engine.errors import DataError
from engine.types import MS_PER_DAY, Bars, IntArray, timeframe_ms

UNSEEN_DAYS = 365


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time.

    Attributes
    ----------
    start_at : int, UTC ms, open of the first bar
    end_at : int, UTC ms, close of the last bar (the open of the first one after it)
    """

    start_at: int
    end_at: int

    @property
    def days(self) -> float:
        """Length in days, >= 0."""
        return max(0, self.end_at - self.start_at) / MS_PER_DAY


def split_window(start_at: int, end_at: int, timeframe: str = "5m") -> tuple[Window, Window]:
    """Split a window into fit (first two thirds) and validation (last third).

    Parameters
    ----------
    start_at, end_at : int, UTC ms
        On the grid of `timeframe`, end exclusive.
    timeframe : str
        The cut falls on an open of this timeframe, rounded down.

    Raises
    ------
    DataError : fewer than three bars.
    """
    step_ms = timeframe_ms(timeframe)
    n_bars = (end_at - start_at) // step_ms
    if n_bars < 3:
        raise DataError(
            f"a window of {max(0, n_bars)} {timeframe} bars cannot be split into fit and "
            "validation: ask for more days",
            start_at=start_at,
            end_at=end_at,
        )
    cut_at = start_at + n_bars * 2 // 3 * step_ms
    return Window(start_at, cut_at), Window(cut_at, end_at)


def shared_end(series: Sequence[Bars], timeframe: str) -> int:
    """Return the close (UTC ms, exclusive end) of the last bar that every series has.

    Raises
    ------
    DataError : no series, or no bar that all of them have.
    """
    if not series:
        raise DataError("no series given: name at least one symbol")
    shared: IntArray = reduce(_intersect, (bars.timestamp for bars in series))
    if shared.shape[0] == 0:
        raise DataError(
            f"the {len(series)} series have no {timeframe} bar in common: "
            "fetch them for the same days, or ask for fewer symbols"
        )
    return int(shared[-1]) + timeframe_ms(timeframe)


def holdout_window(
    window_start_at: int,
    window_end_at: int,
    holdout_days: int = 275,
    earliest_read_at: int | None = None,
) -> Window:
    """Return the unseen span before a cycle's window.

    Parameters
    ----------
    window_start_at, window_end_at : int, UTC ms
        The cycle's window, end exclusive.
    holdout_days : int, days, >= 0
        Length asked for; never reaches back over 365 days before `window_end_at`.
    earliest_read_at : int, UTC ms, optional
        Open of the earliest bar that the candidate, an ancestor or any learned state has read.

    Returns
    -------
    Window : empty (start_at == end_at) when everything in reach has been read.
    """
    end_at = window_start_at
    if earliest_read_at is not None:
        end_at = min(end_at, earliest_read_at)
    start_at = max(
        window_start_at - holdout_days * MS_PER_DAY, window_end_at - UNSEEN_DAYS * MS_PER_DAY
    )
    return Window(min(start_at, end_at), end_at)


def segment_bounds(timestamps: IntArray, window: Window) -> tuple[int, int]:
    """Return (start, stop) so that timestamps[start:stop] are the opens inside the window.

    Parameters
    ----------
    timestamps : ndarray of shape (n_bars,), int64, UTC ms, sorted
    window : Window
    """
    start, stop = np.searchsorted(timestamps, [window.start_at, window.end_at])
    return int(start), int(stop)


def _intersect(left: IntArray, right: IntArray) -> IntArray:
    return np.intersect1d(left, right, assume_unique=True)
