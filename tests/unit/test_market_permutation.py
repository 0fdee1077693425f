from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataError
from engine.market.bars import check_bars
from engine.market.permutation import on_shared_opens, permute_bars
from engine.types import Bars, SeriesKey


def walk(seed: int, n_bars: int, first: int = 0) -> Bars:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, n_bars)))
    opens = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0.0, 0.002, n_bars))
    high = np.maximum(opens, close) * (1.0 + rng.random(n_bars) * 0.01)
    low = np.minimum(opens, close) * (1.0 - rng.random(n_bars) * 0.01)
    stamps = (np.arange(n_bars) + first) * 300_000
    return Bars(stamps.astype(np.int64), opens, high, low, close, rng.random(n_bars))


def shapes(bars: Bars) -> np.ndarray:
    body = np.log(bars.close / bars.open)
    rows = (body, bars.high / bars.open, bars.low / bars.open, bars.volume)
    return np.array(sorted(zip(*rows, strict=True)))


@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_the_same_bars_come_in_another_order_and_stay_bars(seed: int, n_bars: int) -> None:
    series = {"A": walk(1, n_bars), "B": walk(2, n_bars)}
    found = permute_bars(series, seed)
    for name, bars in found.items():
        check_bars(bars, SeriesKey("x", name, "5m"), "test")
        np.testing.assert_array_equal(bars.timestamp, series[name].timestamp)
        np.testing.assert_allclose(shapes(bars), shapes(series[name]), rtol=1e-9, atol=1e-12)
        assert bars.close[-1] == pytest.approx(series[name].close[-1], rel=1e-9)


def test_symbols_are_permuted_together() -> None:
    series = {"A": walk(1, 500), "B": walk(1, 500)}
    found = permute_bars(series, 3)
    np.testing.assert_array_equal(found["A"].close, found["B"].close)


def test_what_followed_what_is_forgotten() -> None:
    rng = np.random.default_rng(0)
    trend = np.repeat(rng.choice([-0.01, 0.01], 200), 10)
    close = 100.0 * np.exp(np.cumsum(trend))
    opens = np.concatenate(([100.0], close[:-1]))
    stamps = np.arange(2000, dtype=np.int64) * 300_000
    bars = Bars(stamps, opens, np.maximum(opens, close), np.minimum(opens, close), close, close)
    before = np.diff(np.log(bars.close))
    after = np.diff(np.log(permute_bars({"A": bars}, 1)["A"].close))
    assert np.corrcoef(before[1:], before[:-1])[0, 1] > 0.8
    assert abs(np.corrcoef(after[1:], after[:-1])[0, 1]) < 0.1


def test_only_opens_that_all_have_take_part() -> None:
    series = {"A": walk(1, 50), "B": walk(2, 50, first=10)}
    found = on_shared_opens(series)
    assert {len(bars) for bars in found.values()} == {40}
    assert found["A"].timestamp[0] == 10 * 300_000


def test_series_without_a_common_bar_are_refused() -> None:
    with pytest.raises(DataError, match="no bar in common"):
        permute_bars({"A": walk(1, 5), "B": walk(2, 5, first=100)}, 1)
