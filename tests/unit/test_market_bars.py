from __future__ import annotations

import numpy as np
import pytest

from engine.errors import DataError, NonFiniteError
from engine.market.bars import Gap, check_bars, gaps, utc_text
from engine.types import Bars, SeriesKey

KEY = SeriesKey("binance", "BTC/USDT", "5m")
START_AT = 1_735_603_200_000
STEP_MS = 300_000


def columns(n_bars: int = 6) -> dict[str, np.ndarray]:
    close = np.linspace(100, 105, n_bars)
    return {
        "timestamp": START_AT + STEP_MS * np.arange(n_bars, dtype=np.int64),
        "open": close - 1,
        "high": close + 2,
        "low": close - 2,
        "close": close,
        "volume": np.full(n_bars, 3.0),
    }


def bent(column: str, row: int, value: float) -> Bars:
    changed = columns()
    changed[column][row] = value
    return Bars(**changed)


def test_sound_bars_pass() -> None:
    check_bars(Bars(**columns()), KEY, "here")


def test_no_bars_pass() -> None:
    check_bars(Bars(**columns(0)), KEY, "here")


@pytest.mark.parametrize(
    ("column", "row", "value", "kind", "message"),
    [
        ("timestamp", 3, START_AT + 2 * STEP_MS, DataError, "duplicate timestamp at row 3"),
        (
            "timestamp",
            3,
            START_AT,
            DataError,
            "not sorted: this one is before the row above at row 3",
        ),
        ("timestamp", 3, START_AT + 3 * STEP_MS + 1, DataError, "off the 5m grid at row 3"),
        ("timestamp", 0, -STEP_MS, DataError, "not in UTC milliseconds at row 0"),
        ("timestamp", 5, START_AT * 1000, DataError, "not in UTC milliseconds at row 5"),
        ("close", 2, np.nan, NonFiniteError, "close is NaN or infinite at row 2"),
        ("high", 2, np.inf, NonFiniteError, "high is NaN or infinite at row 2"),
        ("volume", 4, np.nan, NonFiniteError, "volume is NaN or infinite at row 4"),
        ("open", 1, -1.0, NonFiniteError, "open price is zero or negative at row 1"),
        ("low", 1, 0.0, NonFiniteError, "low price is zero or negative at row 1"),
        ("high", 1, 1.0, DataError, "high is below low at row 1"),
        ("close", 1, 110.0, DataError, "high is below open or close at row 1"),
        ("open", 1, 98.0, DataError, "low is above open or close at row 1"),
        ("volume", 0, -0.5, DataError, "volume is negative at row 0"),
    ],
)
def test_each_fault_names_series_place_row_and_remedy(
    column: str, row: int, value: float, kind: type[DataError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        check_bars(bent(column, row, value), KEY, "some/file.parquet")
    text = caught.value.message
    assert message in text
    assert text.startswith("binance BTC/USDT 5m in some/file.parquet: ")
    assert caught.value.fields["row"] == row
    assert text.count("\n") == 0


def test_first_bad_row_is_named_with_its_time() -> None:
    changed = columns()
    changed["close"][[2, 4]] = np.nan
    with pytest.raises(NonFiniteError, match=r"at row 2 \(2024-12-31 00:10:00Z\)"):
        check_bars(Bars(**changed), KEY, "here")


def test_columns_of_different_length_are_refused() -> None:
    changed = columns()
    changed["volume"] = changed["volume"][:-1]
    with pytest.raises(DataError, match="column volume has 5 rows and timestamp has 6"):
        check_bars(Bars(**changed), KEY, "here")


def test_gaps_name_each_run_of_missing_bars() -> None:
    kept = np.array([0, 1, 4, 5, 7])
    bars = Bars(**{name: column[kept] for name, column in columns(8).items()})
    assert gaps(bars, "5m") == [
        Gap(START_AT + 2 * STEP_MS, START_AT + 4 * STEP_MS, 2),
        Gap(START_AT + 6 * STEP_MS, START_AT + 7 * STEP_MS, 1),
    ]


def test_gaps_at_the_edges_of_a_window_count_when_it_is_given() -> None:
    bars = Bars(**columns(2))
    start_at, end_at = START_AT - 3 * STEP_MS, START_AT + 5 * STEP_MS
    assert gaps(bars, "5m", start_at, end_at) == [
        Gap(start_at, START_AT, 3),
        Gap(START_AT + 2 * STEP_MS, end_at, 3),
    ]
    assert gaps(Bars(**columns(0)), "5m", start_at, end_at) == [Gap(start_at, end_at, 8)]
    assert gaps(bars, "5m") == []


def test_utc_text_is_readable() -> None:
    assert utc_text(START_AT) == "2024-12-31 00:00:00Z"
