"""The band that a strategy's earlier days promise for its later ones."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import DataError
from engine.report.expected_band import daily_returns, expected_band
from engine.types import MS_PER_DAY


def test_returns_of_days_are_taken_between_midnights_and_parts_of_days_are_left_out() -> None:
    start_at = 10 * MS_PER_DAY - MS_PER_DAY // 2
    equity = np.array([1.0, 1.1, 1.2, 1.32, 1.4])
    # A point every half day from noon on: midnights are the points 1 and 3.
    daily = daily_returns(equity, start_at, start_at + 2 * MS_PER_DAY)
    assert daily == pytest.approx([1.32 / 1.1 - 1.0])


def test_returns_never_use_a_point_that_comes_after_midnight() -> None:
    equity = np.array([1.0, 2.0, 4.0, 8.0])
    daily = daily_returns(equity, 0, 4 * MS_PER_DAY)
    # Points stand at 0, 1⅓, 2⅔ and 4 days: the first midnight still knows the first point alone.
    assert daily == pytest.approx([0.0, 1.0, 1.0, 1.0])


def test_a_strategy_whose_days_are_all_alike_has_a_band_without_width() -> None:
    band = expected_band(np.full(20, 0.01), 7, np.random.default_rng(1))
    assert band is not None
    for line in (band.low, band.middle, band.high):
        assert line == pytest.approx(1.01 ** np.arange(8))


def test_about_four_fifths_of_new_paths_end_inside_the_band_of_a_known_law() -> None:
    rng = np.random.default_rng(7)
    daily = np.expm1(rng.normal(0.0, 0.02, 4_000))
    band = expected_band(daily, 30, rng)
    assert band is not None
    ends = np.exp(rng.normal(0.0, 0.02, (20_000, 30)).sum(axis=1))
    inside = float(((ends >= band.low[-1]) & (ends <= band.high[-1])).mean())
    assert 0.74 < inside < 0.86
    assert (band.low <= band.middle).all()
    assert (band.middle <= band.high).all()


def test_neighbouring_days_are_drawn_together() -> None:
    # A loss always follows a gain: blocks keep them apart by one day at most, single days do not.
    daily = np.tile([0.05, 1.0 / 1.05 - 1.0], 20)
    rng = np.random.default_rng(3)
    blocks = expected_band(daily, 40, rng, block_days=10)
    single = expected_band(daily, 40, rng, block_days=1)
    assert blocks is not None
    assert single is not None
    assert blocks.high[-1] - blocks.low[-1] < (single.high[-1] - single.low[-1]) / 2


def test_the_same_seed_draws_the_same_band() -> None:
    daily = np.random.default_rng(5).normal(0.0, 0.01, 60)
    one, other = (expected_band(daily, 30, np.random.default_rng(9)) for _ in range(2))
    assert one is not None
    assert other is not None
    assert np.array_equal(one.low, other.low)


def test_too_few_days_promise_nothing_and_bad_numbers_are_refused() -> None:
    rng = np.random.default_rng(1)
    assert expected_band(np.zeros(9), 5, rng) is None
    with pytest.raises(DataError):
        expected_band(np.array([0.0] * 20 + [-1.0]), 5, rng)
    with pytest.raises(DataError):
        daily_returns(np.array([1.0, np.nan]), 0, MS_PER_DAY)
    with pytest.raises(DataError):
        daily_returns(np.array([1.0, 2.0]), 5, 5)
