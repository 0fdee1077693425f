from __future__ import annotations

import numpy as np
import pytest

from engine.errors import DataError
from engine.market.splits import (
    Window,
    holdout_window,
    segment_bounds,
    shared_end,
    split_window,
)
from engine.types import MS_PER_DAY, Bars

STEP_MS = 300_000
END_AT = 1_756_425_600_000
START_AT = END_AT - 90 * MS_PER_DAY


def series(*opens: int) -> Bars:
    stamps = np.array(opens, dtype=np.int64) * STEP_MS
    ones = np.ones(len(opens))
    return Bars(stamps, ones, ones, ones, ones, ones)


def test_ninety_days_split_into_sixty_and_thirty() -> None:
    fit, validation = split_window(START_AT, END_AT)
    assert fit == Window(START_AT, START_AT + 60 * MS_PER_DAY)
    assert validation == Window(fit.end_at, END_AT)
    assert (fit.days, validation.days) == (60, 30)


@pytest.mark.parametrize("n_bars", [3, 4, 5, 100, 101])
def test_cut_falls_on_a_bar_and_nothing_is_lost(n_bars: int) -> None:
    fit, validation = split_window(0, n_bars * STEP_MS)
    assert fit.end_at == validation.start_at
    assert fit.end_at % STEP_MS == 0
    assert fit.end_at // STEP_MS == n_bars * 2 // 3
    assert validation.end_at == n_bars * STEP_MS


def test_window_too_short_to_split_is_refused() -> None:
    with pytest.raises(DataError, match="2 5m bars cannot be split"):
        split_window(0, 2 * STEP_MS)


def test_shared_end_is_the_close_of_the_last_bar_all_have() -> None:
    assert shared_end([series(1, 2, 3, 4), series(2, 3, 5), series(1, 3)], "5m") == 4 * STEP_MS


def test_series_without_a_common_bar_are_refused() -> None:
    with pytest.raises(DataError, match="no 5m bar in common"):
        shared_end([series(1, 2), series(3)], "5m")
    with pytest.raises(DataError, match="no series given"):
        shared_end([], "5m")


def test_holdout_is_the_275_days_before_the_window() -> None:
    holdout = holdout_window(START_AT, END_AT)
    assert holdout == Window(START_AT - 275 * MS_PER_DAY, START_AT)


def test_holdout_ends_where_reading_began() -> None:
    read_at = START_AT - 100 * MS_PER_DAY
    assert holdout_window(START_AT, END_AT, earliest_read_at=read_at).end_at == read_at
    assert holdout_window(START_AT, END_AT, earliest_read_at=END_AT).end_at == START_AT


def test_holdout_never_reaches_back_over_a_year() -> None:
    assert holdout_window(START_AT, END_AT, holdout_days=1000).start_at == (
        END_AT - 365 * MS_PER_DAY
    )


def test_holdout_is_empty_when_all_was_read() -> None:
    holdout = holdout_window(START_AT, END_AT, earliest_read_at=END_AT - 400 * MS_PER_DAY)
    assert holdout.days == 0
    assert holdout.start_at == holdout.end_at


def test_segment_bounds_are_half_open() -> None:
    stamps = np.arange(10, dtype=np.int64) * STEP_MS
    assert segment_bounds(stamps, Window(2 * STEP_MS, 5 * STEP_MS)) == (2, 5)
    assert segment_bounds(stamps, Window(2 * STEP_MS - 1, 5 * STEP_MS + 1)) == (2, 6)
    assert segment_bounds(stamps, Window(50 * STEP_MS, 60 * STEP_MS)) == (10, 10)
