"""Values every room shares: bars, timeframes, segments, statuses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from engine.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
WordArray = npt.NDArray[np.uint64]

MS_PER_DAY = 86_400_000
MS_PER_YEAR = 365 * MS_PER_DAY

TIMEFRAME_MS: dict[str, int] = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}


def timeframe_ms(timeframe: str) -> int:
    """Return the length of one bar of `timeframe` in ms.

    Raises
    ------
    DataError : a timeframe that is not in `TIMEFRAME_MS`.
    """
    try:
        return TIMEFRAME_MS[timeframe]
    except KeyError:
        known = " ".join(TIMEFRAME_MS)
        raise DataError(
            f"unknown timeframe {timeframe!r}: use one of {known}", timeframe=timeframe
        ) from None


def bars_per_year(timeframe: str) -> float:
    """Return the number of bars of `timeframe` in a 365-day year (105,120 for 5m)."""
    return MS_PER_YEAR / timeframe_ms(timeframe)


class Segment(StrEnum):
    """The part of history a number was measured on; the three are never mixed."""

    FIT = "fit"
    VALIDATION = "validation"
    HOLDOUT = "holdout"


class Status(StrEnum):
    """Where a strategy stands."""

    GENERATED = "generated"
    REJECTED = "rejected"
    SCREENED = "screened"
    PAPER = "paper"
    LIVE = "live"
    PAUSED = "paused"
    RETIRED = "retired"


class MarketLabel(StrEnum):
    """Where the bars come from; shown on every screen."""

    GENERATED = "GENERATED"
    STORE = "STORE"
    LIVE = "LIVE"


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Name one series of bars."""

    exchange: str
    symbol: str
    timeframe: str


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """One series of closed bars, oldest first.

    Attributes
    ----------
    timestamp : ndarray of shape (n_bars,), int64, UTC ms of the bar's open, strictly increasing
    open, high, low, close : ndarray of shape (n_bars,), float64, quote currency, finite and > 0
    volume : ndarray of shape (n_bars,), float64, base units, finite and >= 0
    """

    timestamp: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    def __len__(self) -> int:
        return int(self.timestamp.shape[0])

    def slice(self, start: int, stop: int) -> Bars:
        """Return the bars with index start <= i < stop, as views."""
        part = slice(start, stop)
        return Bars(
            self.timestamp[part],
            self.open[part],
            self.high[part],
            self.low[part],
            self.close[part],
            self.volume[part],
        )

    def content_hash(self) -> str:
        """Return the SHA-256 (hex) of all six columns, little-endian, in column order."""
        digest = hashlib.sha256()
        for column in (self.timestamp, self.open, self.high, self.low, self.close, self.volume):
            kind = "<i8" if column.dtype.kind == "i" else "<f8"
            digest.update(np.ascontiguousarray(column, dtype=kind).tobytes())
        return digest.hexdigest()
