from __future__ import annotations

import numpy as np
import pytest

from engine.errors import DataError
from engine.market.resampling import last_closed_index, resample
from engine.types import Bars

MINUTE_MS = 60_000
MIDNIGHT_AT = 1_735_603_200_000


def five_minute(minutes: list[int]) -> Bars:
    n_bars = len(minutes)
    close = np.arange(n_bars, dtype=np.float64) + 10
    return Bars(
        timestamp=MIDNIGHT_AT + MINUTE_MS * np.array(minutes, dtype=np.int64),
        open=close - 0.5,
        high=close + 1,
        low=close - 1,
        close=close,
        volume=np.arange(1, n_bars + 1, dtype=np.float64),
    )


def opens(bars: Bars) -> list[int]:
    return [(int(at) - MIDNIGHT_AT) // MINUTE_MS for at in bars.timestamp]


def test_three_bars_make_one() -> None:
    longer = resample(five_minute([0, 5, 10, 15, 20, 25]), "5m", "15m")
    assert opens(longer) == [0, 15]
    assert longer.open.tolist() == [9.5, 12.5]
    assert longer.high.tolist() == [13.0, 16.0]
    assert longer.low.tolist() == [9.0, 12.0]
    assert longer.close.tolist() == [12.0, 15.0]
    assert longer.volume.tolist() == [6.0, 15.0]


def test_unfinished_last_bucket_is_left_out() -> None:
    assert opens(resample(five_minute([0, 5, 10, 15, 20]), "5m", "15m")) == [0]


def test_half_a_first_bucket_is_left_out() -> None:
    assert opens(resample(five_minute([5, 10, 15, 20, 25]), "5m", "15m")) == [15]


def test_bucket_with_a_hole_is_built_from_what_is_there() -> None:
    longer = resample(five_minute([0, 10, 15, 20, 25]), "5m", "15m")
    assert opens(longer) == [0, 15]
    assert longer.volume.tolist() == [3.0, 12.0]


def test_bucket_whose_last_bar_is_missing_appears_once_a_later_bar_is_there() -> None:
    assert opens(resample(five_minute([0, 5]), "5m", "15m")) == []
    assert opens(resample(five_minute([0, 5, 15]), "5m", "15m")) == [0]


def test_empty_bucket_stays_a_gap() -> None:
    assert opens(resample(five_minute([0, 5, 10, 30, 35, 40]), "5m", "15m")) == [0, 30]


def test_series_shorter_than_a_bucket_gives_nothing() -> None:
    assert len(resample(five_minute([5, 10]), "5m", "15m")) == 0
    assert len(resample(five_minute([20, 25, 30]), "5m", "1h")) == 0


def test_same_timeframe_is_the_same_series() -> None:
    bars = five_minute([0, 5])
    assert resample(bars, "5m", "5m") is bars


@pytest.mark.parametrize(("source", "target"), [("15m", "5m"), ("3m", "5m")])
def test_what_does_not_divide_is_refused(source: str, target: str) -> None:
    with pytest.raises(DataError, match=f"{target} bars cannot be built from {source} bars"):
        resample(five_minute([0]), source, target)


def test_buckets_are_aligned_to_the_day() -> None:
    bars = five_minute(list(range(0, 24 * 60, 5)))
    assert opens(resample(bars, "5m", "4h")) == [0, 240, 480, 720, 960, 1200]


def test_last_closed_bar_is_seen_from_its_close_on() -> None:
    base = five_minute([0, 5, 10, 15, 20, 25, 30]).timestamp
    higher = np.array([0, 15], dtype=np.int64) * MINUTE_MS + MIDNIGHT_AT
    seen = last_closed_index(base, "5m", higher, "15m")
    assert seen.tolist() == [-1, -1, 0, 0, 0, 1, 1]
    assert seen.dtype == np.int64


def test_no_higher_bars_means_none_is_seen() -> None:
    base = five_minute([0, 5]).timestamp
    assert last_closed_index(base, "5m", np.empty(0, np.int64), "1h").tolist() == [-1, -1]
