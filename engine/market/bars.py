"""Checks on one series of bars, and the report of what is missing from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import DataError, NonFiniteError
from engine.types import Bars, BoolArray, SeriesKey, timeframe_ms

PRICE_COLUMNS = ("open", "high", "low", "close")
VALUE_COLUMNS = (*PRICE_COLUMNS, "volume")
# A clock reading in microseconds or nanoseconds lands far beyond this year and is refused.
LATEST_AT = 4_102_444_800_000
_FETCH_AGAIN = "delete the file and fetch the series again"


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of missing bars: opens start_at <= t < end_at (UTC ms) are not there.

    Attributes
    ----------
    start_at : int, UTC ms, open of the first missing bar
    end_at : int, UTC ms, open of the first bar after the gap
    n_missing : int, > 0
    """

    start_at: int
    end_at: int
    n_missing: int


def utc_text(at: int) -> str:
    """Return a UTC instant in ms as `2025-08-28 23:55:00Z` (any int64)."""
    text = str(np.datetime64(int(at), "ms").astype("datetime64[s]"))
    return text.replace("T", " ") + "Z"


def series_text(key: SeriesKey) -> str:
    """Return `binance BTC/USDT 5m`."""
    return f"{key.exchange} {key.symbol} {key.timeframe}"


def check_bars(bars: Bars, key: SeriesKey, place: str) -> None:
    """Refuse a series that breaks a promise of `Bars`; an empty series is fine.

    Parameters
    ----------
    bars : Bars
    key : SeriesKey
        Names the series in the message; its timeframe fixes the grid.
    place : str
        File or source that the bars came from, named in the message.

    Raises
    ------
    NonFiniteError : a price that is NaN, infinite, zero or negative, or a volume not finite.
    DataError : columns of different length, timestamps unsorted, duplicate, off the grid or out of
        range, high below low, high or low not covering open and close, negative volume. The message
        names series, place, index and UTC time of the first bad row, and the remedy.
    """
    n_bars = len(bars)
    for name in VALUE_COLUMNS:
        n_rows = int(getattr(bars, name).shape[0])
        if n_rows != n_bars:
            raise DataError(
                f"{series_text(key)} in {place}: column {name} has {n_rows} rows and timestamp "
                f"has {n_bars}: {_FETCH_AGAIN}",
                place=place,
            )
    if n_bars == 0:
        return
    _check_timestamps(bars, key, place)
    _check_values(bars, key, place)


def gaps(
    bars: Bars, timeframe: str, start_at: int | None = None, end_at: int | None = None
) -> list[Gap]:
    """Return the runs of missing bars, oldest first.

    Parameters
    ----------
    bars : Bars
        Sorted, on the grid of `timeframe`.
    timeframe : str
    start_at, end_at : int, UTC ms, optional
        When given, bars missing between `start_at` and the first bar, and between the last bar and
        `end_at` (exclusive), count as well; otherwise only gaps between two bars do.
    """
    step_ms = timeframe_ms(timeframe)
    edges = [bars.timestamp]
    if start_at is not None:
        edges.insert(0, np.array([start_at - step_ms], dtype=np.int64))
    if end_at is not None:
        edges.append(np.array([end_at], dtype=np.int64))
    opens = np.concatenate(edges)
    steps = np.diff(opens)
    return [
        Gap(
            int(opens[i]) + step_ms,
            int(opens[i + 1]),
            int(steps[i] // step_ms) - 1,
        )
        for i in np.flatnonzero(steps > step_ms)
    ]


def _check_timestamps(bars: Bars, key: SeriesKey, place: str) -> None:
    stamps = bars.timestamp
    step_ms = timeframe_ms(key.timeframe)
    _refuse_first(
        (stamps < 0) | (stamps > LATEST_AT),
        bars,
        key,
        place,
        "timestamp is not in UTC milliseconds",
        "write the bar's open in ms since 1970",
    )
    steps = np.diff(stamps, prepend=stamps[0] - 1)
    _refuse_first(
        steps == 0,
        bars,
        key,
        place,
        "duplicate timestamp",
        f"keep one bar for each instant, or {_FETCH_AGAIN}",
    )
    _refuse_first(
        steps < 0,
        bars,
        key,
        place,
        "timestamps are not sorted: this one is before the row above",
        f"sort the rows by timestamp, or {_FETCH_AGAIN}",
    )
    _refuse_first(
        stamps % step_ms != 0,
        bars,
        key,
        place,
        f"timestamp is off the {key.timeframe} grid",
        f"bars must open on multiples of {step_ms:,} ms; is the file's timeframe right?",
    )


def _check_values(bars: Bars, key: SeriesKey, place: str) -> None:
    for name in VALUE_COLUMNS:
        column = getattr(bars, name)
        _refuse_first(
            ~np.isfinite(column),
            bars,
            key,
            place,
            f"{name} is NaN or infinite",
            _FETCH_AGAIN,
            NonFiniteError,
        )
    for name in PRICE_COLUMNS:
        _refuse_first(
            getattr(bars, name) <= 0,
            bars,
            key,
            place,
            f"{name} price is zero or negative",
            _FETCH_AGAIN,
            NonFiniteError,
        )
    _refuse_first(bars.high < bars.low, bars, key, place, "high is below low", _FETCH_AGAIN)
    _refuse_first(
        bars.high < np.maximum(bars.open, bars.close),
        bars,
        key,
        place,
        "high is below open or close",
        _FETCH_AGAIN,
    )
    _refuse_first(
        bars.low > np.minimum(bars.open, bars.close),
        bars,
        key,
        place,
        "low is above open or close",
        _FETCH_AGAIN,
    )
    _refuse_first(bars.volume < 0, bars, key, place, "volume is negative", _FETCH_AGAIN)


def _refuse_first(
    is_bad: BoolArray,
    bars: Bars,
    key: SeriesKey,
    place: str,
    fault: str,
    remedy: str,
    kind: type[DataError] = DataError,
) -> None:
    if not is_bad.any():
        return
    row = int(np.argmax(is_bad))
    at = int(bars.timestamp[row])
    raise kind(
        f"{series_text(key)} in {place}: {fault} at row {row} ({utc_text(at)}): {remedy}",
        exchange=key.exchange,
        symbol=key.symbol,
        timeframe=key.timeframe,
        place=place,
        row=row,
        at=at,
    )
