"""Joint returns from bars: what is read, what is left out, and what is shrunk."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.errors import DataError, NonFiniteError, UsageError
from engine.risk.covariance import correlation_matrix, shrunk_covariance
from engine.risk.return_matrix import close_grid
from engine.risk.risk_model import HOUR_MS, LIFE_MS, MIN_ROWS, RiskModel, risk_model_of
from engine.types import MS_PER_DAY, Bars, FloatArray

START_AT = 1_735_689_600_000
"""2025-01-01 00:00 UTC"""


def bars_of(close: FloatArray, first_at: int = START_AT, bar_ms: int = HOUR_MS) -> Bars:
    at = first_at + bar_ms * np.arange(len(close), dtype=np.int64)
    return Bars(at, close, close, close, close, np.ones(len(close)))


def walk(n_bars: int, seed: int, deviation: float = 0.01) -> FloatArray:
    steps = np.random.default_rng(seed).standard_normal(n_bars) * deviation
    closes: FloatArray = 100.0 * np.exp(np.cumsum(steps))
    return closes


# The grid


def test_a_day_is_a_utc_day_and_a_bar_counts_at_its_close() -> None:
    series = bars_of(np.arange(1.0, 73.0))
    grid = close_grid({"BTC/USDT": series}, HOUR_MS, MS_PER_DAY, START_AT + 3 * MS_PER_DAY, 10**12)
    assert grid.at.tolist() == [START_AT + MS_PER_DAY * day for day in (1, 2, 3)]
    assert grid.close[:, 0].tolist() == [24.0, 48.0, 72.0]
    assert grid.returns()[:, 0].tolist() == [1.0, 0.5]


def test_a_bar_that_has_not_closed_is_not_read() -> None:
    series = bars_of(np.arange(1.0, 49.0))
    before = START_AT + 2 * MS_PER_DAY - 1
    grid = close_grid({"BTC/USDT": series}, HOUR_MS, MS_PER_DAY, before, 10**12)
    assert grid.close[:, 0].tolist() == [24.0]
    assert grid.returns().shape == (0, 1)


def test_a_gap_is_nan_and_not_the_nearest_bar() -> None:
    whole = bars_of(np.arange(1.0, 73.0))
    kept = np.flatnonzero(np.arange(72) != 47)
    gapped = Bars(*(getattr(whole, name)[kept] for name in Bars.__dataclass_fields__))
    grid = close_grid({"x": gapped}, HOUR_MS, MS_PER_DAY, START_AT + 3 * MS_PER_DAY, 10**12)
    assert np.isnan(grid.close[1, 0])
    assert np.all(np.isnan(grid.returns()))


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_a_close_that_is_no_price_is_nan(bad: float) -> None:
    closes = np.arange(1.0, 73.0)
    closes[47] = bad
    grid = close_grid(
        {"x": bars_of(closes)}, HOUR_MS, MS_PER_DAY, START_AT + 3 * MS_PER_DAY, 10**12
    )
    assert np.isnan(grid.close[1, 0])


def test_a_step_that_bars_cannot_serve_is_refused() -> None:
    series = {"x": bars_of(np.ones(5))}
    with pytest.raises(UsageError):
        close_grid(series, HOUR_MS, HOUR_MS + 1, START_AT, 10**12)
    with pytest.raises(DataError):
        close_grid({"x": bars_of(np.ones(0))}, HOUR_MS, HOUR_MS, START_AT, 10**12)


# Correlation


def test_correlation_by_hand() -> None:
    # Deviations (-1, 0, 1) and (-1, 1, 0): 1 / sqrt(2 x 2) = 0.5.
    returns = np.array([[1.0, 1.0], [2.0, 3.0], [3.0, 2.0]])
    assert correlation_matrix(returns, 2)[0, 1] == pytest.approx(0.5)


def test_correlation_agrees_with_numpy_where_all_is_there() -> None:
    returns = np.random.default_rng(4).standard_normal((60, 5)) * 0.01
    assert correlation_matrix(returns, 2) == pytest.approx(np.corrcoef(returns.T), abs=1e-12)


def test_correlation_uses_the_rows_that_a_pair_has_in_common() -> None:
    returns = np.random.default_rng(4).standard_normal((60, 3))
    returns[:20, 0] = np.nan
    returns[40:, 1] = np.nan
    found = correlation_matrix(returns, 20)
    assert found[0, 1] == pytest.approx(np.corrcoef(returns[20:40, :2].T)[0, 1])
    assert found[0, 2] == pytest.approx(np.corrcoef(returns[20:, [0, 2]].T)[0, 1])


def test_too_few_rows_in_common_is_unknown() -> None:
    returns = np.random.default_rng(4).standard_normal((60, 2))
    returns[:30, 0] = np.nan
    returns[35:, 1] = np.nan
    assert np.isnan(correlation_matrix(returns, 6)[0, 1])
    assert np.isfinite(correlation_matrix(returns, 5)[0, 1])


def test_what_never_moves_correlates_with_nothing() -> None:
    returns = np.random.default_rng(4).standard_normal((60, 2))
    returns[:, 1] = 0.001
    found = correlation_matrix(returns, 10)
    assert np.isnan(found[0, 1])
    assert np.isnan(found[1, 1])
    assert found[0, 0] == pytest.approx(1.0)


# Shrinkage


def test_one_or_two_symbols_are_not_shrunk() -> None:
    returns = np.random.default_rng(4).standard_normal((20, 2))
    covariance, share = shrunk_covariance(returns)
    assert share == 0.0
    assert covariance == pytest.approx(np.cov(returns.T, ddof=0))


def test_few_observations_are_shrunk_towards_one_correlation_and_many_are_not() -> None:
    rng = np.random.default_rng(11)
    deviation = np.array([0.02, 0.03, 0.05, 0.04])
    truth = np.outer(deviation, deviation) * (0.3 + 0.7 * np.eye(4))
    # The truth has one correlation, so that every pull towards that is an improvement.
    errors = []
    shares = []
    for _ in range(50):
        sample = rng.multivariate_normal(np.zeros(4), truth, 12)
        shrunk, share = shrunk_covariance(sample)
        raw = np.cov(sample.T, ddof=0)
        errors.append(np.sum((shrunk - truth) ** 2) - np.sum((raw - truth) ** 2))
        shares.append(share)
        assert np.diag(shrunk) == pytest.approx(np.diag(raw))
        assert np.min(np.linalg.eigvalsh(shrunk)) > -1e-12
    assert np.mean(errors) < 0.0
    assert np.mean(shares) > 0.3
    # Where correlations differ, more data say so, and less is pulled.
    blocks = np.outer(deviation, deviation) * np.kron(np.eye(2), [[1.0, 0.9], [0.9, 1.0]])
    few = shrunk_covariance(rng.multivariate_normal(np.zeros(4), blocks, 10))[1]
    many = shrunk_covariance(rng.multivariate_normal(np.zeros(4), blocks, 5_000))[1]
    assert many < 0.01 < few


def test_more_symbols_than_observations_still_give_a_covariance_to_draw_from() -> None:
    sample = np.random.default_rng(2).standard_normal((6, 20)) * 0.02
    covariance, share = shrunk_covariance(sample)
    assert 0.0 < share <= 1.0
    assert np.min(np.linalg.eigvalsh(covariance)) > -1e-15


def test_a_covariance_of_nothing_or_of_no_numbers_is_refused() -> None:
    for shape in ((1, 3), (5, 0), (5,)):
        with pytest.raises(DataError):
            shrunk_covariance(np.zeros(shape))
    with pytest.raises(NonFiniteError):
        shrunk_covariance(np.array([[1.0, math.nan], [1.0, 2.0]]))


# The model


def model_of(bars: dict[str, Bars], days: float, bar_ms: int = HOUR_MS) -> RiskModel | None:
    at = START_AT + round(days * MS_PER_DAY)
    return risk_model_of(bars, bar_ms, at, np.random.default_rng(1), n_draws=400)


def test_long_history_is_counted_in_utc_days() -> None:
    n_bars = 24 * 120
    bars = {"BTC/USDT": bars_of(walk(n_bars, 1)), "ETH/USDT": bars_of(walk(n_bars, 2))}
    model = model_of(bars, 120)
    assert model is not None
    assert not model.is_overlapping
    assert model.history.shape == (119, 2)
    assert model.drawn.shape == (400, 2)
    assert model.newest_at == START_AT + 120 * MS_PER_DAY
    closes = bars["BTC/USDT"].close[23::24]
    assert model.history[:, 0] == pytest.approx(closes[1:] / closes[:-1] - 1.0)


def test_short_history_is_counted_in_spans_of_a_day_an_hour_apart() -> None:
    n_bars = 24 * 20
    model = model_of({"BTC/USDT": bars_of(walk(n_bars, 1))}, 20)
    assert model is not None
    assert model.is_overlapping
    assert model.history.shape == (n_bars - 24, 1)
    # A day has 24 independent hours of 1 %.
    assert np.std(model.drawn) == pytest.approx(0.01 * math.sqrt(24), rel=0.1)


def test_bars_of_five_minutes_are_read_by_the_hour() -> None:
    n_bars = 12 * 24 * 17
    model = model_of({"BTC/USDT": bars_of(walk(n_bars, 1), bar_ms=300_000)}, 17, 300_000)
    assert model is not None
    assert model.history.shape == (24 * 16, 1)


def test_a_symbol_with_too_short_a_history_is_left_out_and_named() -> None:
    bars = {
        "BTC/USDT": bars_of(walk(24 * 120, 1)),
        "NEW/USDT": bars_of(walk(24 * 5, 2), START_AT + 115 * MS_PER_DAY),
    }
    model = model_of(bars, 120)
    assert model is not None
    assert model.symbols == ("BTC/USDT",)
    assert not model.is_overlapping
    assert model.why_unknown("NEW/USDT") == (
        "NEW/USDT has 96 returns over a day where 240 are needed"
    )
    assert model.why_unknown("BTC/USDT") == ""
    assert model.why_unknown("XRP/USDT") == "no bars of XRP/USDT were read"


def test_without_enough_history_of_anything_there_is_no_model() -> None:
    assert model_of({}, 5) is None
    assert model_of({"BTC/USDT": bars_of(np.ones(0))}, 5) is None
    assert model_of({"BTC/USDT": bars_of(walk(24 * 5, 1))}, 5) is None


def test_ten_days_are_enough_and_an_hour_less_is_not() -> None:
    # 240 returns over a day need 264 closes.
    assert model_of({"BTC/USDT": bars_of(walk(264, 1))}, 11) is not None
    assert model_of({"BTC/USDT": bars_of(walk(263, 1))}, 11) is None


def test_daily_bars_need_as_many_returns_as_a_quantile_needs() -> None:
    enough = bars_of(walk(MIN_ROWS + 1, 1), bar_ms=MS_PER_DAY)
    assert model_of({"BTC/USDT": enough}, 51, MS_PER_DAY) is not None
    few = bars_of(walk(MIN_ROWS, 1), bar_ms=MS_PER_DAY)
    assert model_of({"BTC/USDT": few}, 50, MS_PER_DAY) is None


def test_a_gap_costs_rows_and_invents_nothing() -> None:
    closes = walk(24 * 20, 1)
    closes[200] = math.nan
    model = model_of({"BTC/USDT": bars_of(closes)}, 20)
    assert model is not None
    assert np.all(np.isfinite(model.history))
    assert model.history.shape[0] == 24 * 20 - 24 - 2


def test_symbols_that_move_together_correlate() -> None:
    base = walk(24 * 120, 1)
    bars = {"BTC/USDT": bars_of(base), "ETH/USDT": bars_of(base * base)}
    model = model_of(bars, 120)
    assert model is not None
    assert model.correlation[0, 1] > 0.99


def test_a_model_grows_old() -> None:
    model = model_of({"BTC/USDT": bars_of(walk(24 * 20, 1))}, 20)
    assert model is not None
    assert not model.is_stale(model.newest_at + LIFE_MS)
    assert model.is_stale(model.newest_at + LIFE_MS + 1)


def test_the_same_seed_makes_the_same_model() -> None:
    bars = {"BTC/USDT": bars_of(walk(24 * 20, 1))}
    first, again = model_of(bars, 20), model_of(bars, 20)
    assert first is not None
    assert again is not None
    assert np.array_equal(first.drawn, again.drawn)
