"""Value at risk and expected shortfall: numbers known by hand, normal and discrete."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from engine.backtest import metrics
from engine.errors import DataError, NonFiniteError, UsageError
from engine.risk.exposure import Exposure, Reach
from engine.risk.risk_model import RiskModel
from engine.risk.tail_losses import tail_losses_of
from engine.risk.value_at_risk import (
    drawn_returns,
    expected_shortfall,
    value_at_risk,
    worst_outcomes,
)

TWENTY_ONE = np.arange(-10.0, 11.0)


# By hand


def test_value_at_risk_between_two_outcomes_is_interpolated() -> None:
    # 21 outcomes: the 5 % quantile is exactly the second lowest, the 1 % one a fifth of the way.
    assert value_at_risk(TWENTY_ONE, 0.95) == pytest.approx(9.0, abs=1e-12)
    assert value_at_risk(TWENTY_ONE, 0.99) == pytest.approx(9.8, abs=1e-12)


def test_expected_shortfall_counts_the_last_outcome_in_part() -> None:
    # 5 % of 21 outcomes are 1.05 of them: (10 + 0.05 x 9) / 1.05.
    assert expected_shortfall(TWENTY_ONE, 0.95) == pytest.approx((10 + 0.45) / 1.05)
    # 10 % of 20: the two worst.
    assert expected_shortfall(np.arange(1.0, 21.0), 0.90) == pytest.approx(-1.5)


def test_two_equal_outcomes_at_the_quantile_change_nothing() -> None:
    gains = np.array([-5.0] * 10 + [1.0] * 90)
    assert value_at_risk(gains, 0.95) == 5.0
    assert expected_shortfall(gains, 0.95) == pytest.approx(5.0)


def test_a_book_that_cannot_lose_has_a_negative_value_at_risk() -> None:
    assert value_at_risk(np.full(10, 2.0), 0.95) == -2.0
    assert expected_shortfall(np.full(10, 2.0), 0.95) == pytest.approx(-2.0)


def test_one_outcome_is_all_there_is() -> None:
    assert value_at_risk(np.array([-3.0]), 0.95) == 3.0
    assert expected_shortfall(np.array([-3.0]), 0.95) == 3.0


def test_no_outcome_is_undefined() -> None:
    assert math.isnan(value_at_risk(np.zeros(0), 0.95))
    assert math.isnan(expected_shortfall(np.zeros(0), 0.95))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("measure", [value_at_risk, expected_shortfall])
def test_an_outcome_that_is_not_a_number_is_refused(measure, bad) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NonFiniteError):
        measure(np.array([bad, 1.0, 2.0]), 0.95)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, math.nan])
@pytest.mark.parametrize("measure", [value_at_risk, expected_shortfall])
def test_a_confidence_out_of_range_is_refused(measure, confidence) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError):
        measure(TWENTY_ONE, confidence)


def test_both_agree_with_those_of_the_backtest() -> None:
    returns = np.random.default_rng(3).standard_t(4, 257) * 0.02
    assert value_at_risk(returns, 0.95) == pytest.approx(metrics.value_at_risk(returns), rel=1e-12)
    assert expected_shortfall(returns, 0.95) == pytest.approx(
        metrics.expected_shortfall(returns), rel=1e-12
    )


# The normal case: 1.6449 and 2.0627 standard deviations at 95 %


def test_normal_outcomes_have_the_textbook_value_at_risk_and_shortfall() -> None:
    quantiles = norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    assert value_at_risk(quantiles, 0.95) == pytest.approx(1.644854, abs=1e-4)
    assert expected_shortfall(quantiles, 0.95) == pytest.approx(2.062713, abs=1e-3)
    assert value_at_risk(quantiles, 0.99) == pytest.approx(2.326348, abs=1e-3)
    assert expected_shortfall(quantiles, 0.99) == pytest.approx(2.665214, abs=5e-3)


def test_drawn_returns_of_two_correlated_assets_give_the_textbook_numbers() -> None:
    # 2 % and 3 % a day at a correlation of 0.5; 1,000 long in each:
    # variance = 400 + 900 + 2 x 0.5 x 20 x 30 = 1,900, deviation 43.589.
    covariance = np.array([[0.0004, 0.0003], [0.0003, 0.0009]])
    draws = drawn_returns(covariance, 20_000, np.random.default_rng(7))
    gains = draws @ np.array([1_000.0, 1_000.0])
    assert value_at_risk(gains, 0.95) == pytest.approx(1.644854 * 43.58899, rel=0.02)
    assert expected_shortfall(gains, 0.95) == pytest.approx(2.062713 * 43.58899, rel=0.02)


def test_drawn_returns_have_exactly_the_covariance_and_no_mean() -> None:
    factor = np.random.default_rng(1).standard_normal((6, 6)) * 0.01
    covariance = factor @ factor.T
    draws = drawn_returns(covariance, 500, np.random.default_rng(2))
    assert draws.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-15)
    assert draws.T @ draws / 500 == pytest.approx(covariance, abs=1e-15)


def test_drawing_twice_from_one_seed_is_drawing_once() -> None:
    covariance = np.eye(3) * 0.0004
    first = drawn_returns(covariance, 100, np.random.default_rng(5))
    again = drawn_returns(covariance, 100, np.random.default_rng(5))
    other = drawn_returns(covariance, 100, np.random.default_rng(6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_asset_that_never_moves_is_drawn_as_such() -> None:
    covariance = np.array([[0.0004, 0.0], [0.0, 0.0]])
    draws = drawn_returns(covariance, 100, np.random.default_rng(5))
    assert np.all(draws[:, 1] == 0.0)


def test_what_is_no_covariance_is_refused() -> None:
    rng = np.random.default_rng(1)
    for matrix in ([[1.0, 2.0], [2.0, 1.0]], [[math.nan]], [[1.0, 0.0]]):
        with pytest.raises(DataError):
            drawn_returns(np.array(matrix), 100, rng)
    for n_draws in (101, 2, 0):
        with pytest.raises(UsageError):
            drawn_returns(np.eye(2), n_draws, rng)


# Open orders


def test_an_open_order_counts_only_in_the_outcomes_where_it_loses() -> None:
    returns = np.array([[-0.10], [0.10]])
    nothing = np.zeros(1)
    held, buys, sells = np.array([100.0]), np.array([50.0]), np.array([30.0])
    assert worst_outcomes(returns, held, nothing, nothing).tolist() == [-10.0, 10.0]
    assert worst_outcomes(returns, held, buys, nothing).tolist() == [-15.0, 10.0]
    assert worst_outcomes(returns, held, nothing, sells).tolist() == [-10.0, 7.0]
    assert worst_outcomes(returns, held, buys, sells).tolist() == [-15.0, 7.0]


def test_historical_and_drawn_losses_stand_side_by_side_and_the_worse_one_counts() -> None:
    model = RiskModel(
        ("BTC/USDT", "ETH/USDT"),
        newest_at=0,
        history=np.array([[-0.02, 0.0]] * 10),
        drawn=np.array([[-0.01, 0.0]] * 10),
        correlation=np.eye(2),
    )
    exposure = Exposure.of({("a", "BTC/USDT"): Reach(held_quote=500)})  # type: ignore[arg-type]
    losses = tail_losses_of(model, exposure, 0.95)
    assert (losses.historical_quote, losses.drawn_quote) == (10.0, 5.0)
    assert losses.value_at_risk_quote == 10.0
    assert losses.shortfall_quote == pytest.approx(10.0)
    quick = tail_losses_of(model, exposure, 0.95, with_shortfall=False)
    assert math.isnan(quick.shortfall_quote)
