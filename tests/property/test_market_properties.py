"""What holds for every series: resampling, visibility of higher bars, the store's round trip."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.market.bars import check_bars
from engine.market.resampling import last_closed_index, resample
from engine.market.splits import Window, segment_bounds, shared_end, split_window
from engine.market.store import MarketStore
from engine.types import Bars, SeriesKey, timeframe_ms

KEY = SeriesKey("binance", "BTC/USDT", "5m")
STEP_MS = 300_000
LONGER = st.sampled_from(["15m", "30m", "1h", "4h"])


@st.composite
def series(draw: st.DrawFn, max_bars: int = 150) -> Bars:
    first = draw(st.integers(0, 5_000_000))
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 2, 3, 20]), max_size=max_bars - 1))
    n_bars = len(steps) + 1
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    price = rng.uniform(1, 100, (2, n_bars))
    return Bars(
        timestamp=STEP_MS * (first + np.concatenate(([0], np.cumsum(steps, dtype=np.int64)))),
        open=price[0],
        high=price.max(axis=0) * rng.uniform(1, 1.1, n_bars),
        low=price.min(axis=0) * rng.uniform(0.9, 1, n_bars),
        close=price[1],
        volume=rng.uniform(0, 10, n_bars),
    )


@given(series(), LONGER)
def test_every_longer_bar_is_what_its_shorter_bars_say(bars: Bars, timeframe: str) -> None:
    longer = resample(bars, "5m", timeframe)
    bucket_ms = timeframe_ms(timeframe)
    check_bars(longer, SeriesKey("x", "A/B", timeframe), "here")
    for i, at in enumerate(longer.timestamp):
        start, stop = segment_bounds(bars.timestamp, Window(int(at), int(at) + bucket_ms))
        part = bars.slice(start, stop)
        assert len(part) > 0
        assert longer.open[i] == part.open[0]
        assert longer.high[i] == part.high.max()
        assert longer.low[i] == part.low.min()
        assert longer.close[i] == part.close[-1]
        assert np.isclose(longer.volume[i], part.volume.sum(), rtol=1e-12)


@given(series(), LONGER)
def test_a_bucket_is_there_exactly_when_the_series_covers_it(bars: Bars, timeframe: str) -> None:
    bucket_ms = timeframe_ms(timeframe)
    covered_to_at = int(bars.timestamp[-1]) + STEP_MS
    expected = sorted(
        {
            int(at) // bucket_ms * bucket_ms
            for at in bars.timestamp
            if int(at) // bucket_ms * bucket_ms >= bars.timestamp[0]
            and int(at) // bucket_ms * bucket_ms + bucket_ms <= covered_to_at
        }
    )
    assert resample(bars, "5m", timeframe).timestamp.tolist() == expected


@given(series(), LONGER, st.data())
def test_later_bars_never_change_an_earlier_bucket(
    bars: Bars, timeframe: str, data: st.DataObject
) -> None:
    n_known = data.draw(st.integers(1, len(bars)))
    longer = resample(bars, "5m", timeframe)
    known = resample(bars.slice(0, n_known), "5m", timeframe)
    assert known.content_hash() == longer.slice(0, len(known)).content_hash()


@given(series(), LONGER)
def test_no_bar_sees_a_higher_bar_before_its_close(bars: Bars, timeframe: str) -> None:
    higher = resample(bars, "5m", timeframe)
    seen = last_closed_index(bars.timestamp, "5m", higher.timestamp, timeframe)
    closes = higher.timestamp + timeframe_ms(timeframe)
    for at, index in zip(bars.timestamp, seen, strict=True):
        n_closed = int((closes <= at + STEP_MS).sum())
        assert index == n_closed - 1


@given(series(), LONGER)
def test_what_a_bar_sees_does_not_depend_on_the_future(bars: Bars, timeframe: str) -> None:
    higher = resample(bars, "5m", timeframe)
    seen = last_closed_index(bars.timestamp, "5m", higher.timestamp, timeframe)
    for i in (0, len(bars) // 2, len(bars) - 1):
        known = resample(bars.slice(0, i + 1), "5m", timeframe)
        now = last_closed_index(bars.timestamp[: i + 1], "5m", known.timestamp, timeframe)
        assert now[i] == seen[i]


@settings(max_examples=25, deadline=None)
@given(series())
def test_the_store_gives_back_what_it_was_given(bars: Bars) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = MarketStore(Path(folder))
        store.write(KEY, bars)
        assert store.read(KEY).content_hash() == bars.content_hash()


@settings(max_examples=25, deadline=None)
@given(series(), st.data())
def test_pieces_appended_in_any_order_make_the_whole(bars: Bars, data: st.DataObject) -> None:
    owner = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(bars), max_size=len(bars))))
    with tempfile.TemporaryDirectory() as folder:
        store = MarketStore(Path(folder))
        for number in data.draw(st.permutations([0, 1, 2])):
            mine = owner == number
            if mine.any():
                store.append(
                    KEY,
                    Bars(
                        bars.timestamp[mine],
                        bars.open[mine],
                        bars.high[mine],
                        bars.low[mine],
                        bars.close[mine],
                        bars.volume[mine],
                    ),
                )
        assert store.read(KEY).content_hash() == bars.content_hash()


@given(st.integers(0, 10_000), st.integers(3, 50_000))
def test_fit_and_validation_share_no_bar_and_lose_none(first: int, n_bars: int) -> None:
    start_at, end_at = first * STEP_MS, (first + n_bars) * STEP_MS
    fit, validation = split_window(start_at, end_at)
    stamps = np.arange(first, first + n_bars, dtype=np.int64) * STEP_MS
    a, b = segment_bounds(stamps, fit)
    c, d = segment_bounds(stamps, validation)
    assert (a, d) == (0, n_bars)
    assert b == c
    assert 0 < b < n_bars


@given(series(), series())
def test_shared_end_is_a_bar_that_all_have(left: Bars, right: Bars) -> None:
    both = set(left.timestamp.tolist()) & set(right.timestamp.tolist())
    if both:
        assert shared_end([left, right], "5m") == max(both) + STEP_MS
