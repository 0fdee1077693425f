"""Laws of the risk room: tails, open orders, flows, and states that survive a restart."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.risk.account_state import AccountState, Period, period_index, period_start_at
from engine.risk.breakers import Breaker, BreakerState
from engine.risk.covariance import correlation_matrix, shrunk_covariance
from engine.risk.value_at_risk import (
    drawn_returns,
    expected_shortfall,
    value_at_risk,
    worst_outcomes,
)
from engine.trade.records import CashRecord, MarkRecord, NoteRecord, Record, body_of, record_of
from engine.types import MS_PER_DAY, FloatArray
from tests.risk_values import LIMITS, NOW_AT

MOVES = st.floats(-0.5, 0.5, allow_subnormal=False)
CONFIDENCES = st.floats(0.55, 0.995)


def outcomes(n: int) -> st.SearchStrategy[FloatArray]:
    return arrays.arrays(np.float64, n, elements=MOVES)


# Tails


@given(st.integers(1, 60).flatmap(outcomes), CONFIDENCES)
def test_the_shortfall_is_no_smaller_than_the_loss_it_lies_beyond(
    gains: FloatArray, confidence: float
) -> None:
    # The best outcome that counts for the shortfall, in part.
    last = min(math.floor((1.0 - confidence) * gains.shape[0]), gains.shape[0] - 1)
    assert expected_shortfall(gains, confidence) >= -np.sort(gains)[last] - 1e-12
    assert value_at_risk(gains, confidence) <= -np.min(gains) + 1e-12
    assert expected_shortfall(gains, confidence) <= -np.min(gains) + 1e-12


@given(st.integers(2, 60).flatmap(outcomes), CONFIDENCES, st.floats(0.0, 100.0), MOVES)
def test_tails_scale_with_the_book_and_shift_with_cash(
    gains: FloatArray, confidence: float, factor: float, cash: float
) -> None:
    for measure in (value_at_risk, expected_shortfall):
        expected = factor * measure(gains, confidence) - cash
        assert measure(factor * gains + cash, confidence) == pytest.approx(expected, abs=1e-9)


@given(st.integers(2, 60).flatmap(lambda n: st.tuples(outcomes(n), outcomes(n))), CONFIDENCES)
def test_two_books_together_have_no_larger_shortfall_than_apart(
    books: tuple[FloatArray, FloatArray], confidence: float
) -> None:
    one, other = books
    apart = expected_shortfall(one, confidence) + expected_shortfall(other, confidence)
    assert expected_shortfall(one + other, confidence) <= apart + 1e-9


@given(
    returns=arrays.arrays(np.float64, (40, 3), elements=MOVES),
    held=arrays.arrays(np.float64, 3, elements=st.floats(-1e4, 1e4)),
    orders=arrays.arrays(np.float64, (2, 3), elements=st.floats(0.0, 1e4)),
    filled=arrays.arrays(np.float64, (2, 3), elements=st.floats(0.0, 1.0)),
    confidence=CONFIDENCES,
)
def test_no_choice_of_fills_is_worse_than_what_open_orders_are_counted_as(
    returns: FloatArray,
    held: FloatArray,
    orders: FloatArray,
    filled: FloatArray,
    confidence: float,
) -> None:
    buys, sells = orders
    counted = worst_outcomes(returns, held, buys, sells)
    actual = returns @ (held + filled[0] * buys - filled[1] * sells)
    assert np.all(counted <= actual + 1e-6)
    assert value_at_risk(counted, confidence) >= value_at_risk(actual, confidence) - 1e-6


@given(arrays.arrays(np.float64, (30, 4), elements=MOVES))
def test_a_shrunk_covariance_can_be_drawn_from(returns: FloatArray) -> None:
    covariance, share = shrunk_covariance(returns)
    assert 0.0 <= share <= 1.0
    assert np.allclose(covariance, covariance.T)
    draws = drawn_returns(covariance, 40, np.random.default_rng(0))
    assert np.allclose(draws.T @ draws / 40, covariance, atol=1e-9)


@given(
    returns=arrays.arrays(np.float64, (30, 3), elements=MOVES),
    missing=arrays.arrays(np.bool_, (30, 3)),
)
def test_a_correlation_is_within_bounds_or_unknown(
    returns: FloatArray, missing: np.ndarray
) -> None:
    found = correlation_matrix(np.where(missing, np.nan, returns), 5)
    known = found[np.isfinite(found)]
    assert np.all(np.abs(known) <= 1.0)
    assert np.array_equal(found, found.T, equal_nan=True)


# Periods


@given(st.integers(0, 4_102_444_800_000), st.sampled_from(list(Period)))
def test_periods_follow_each_other_without_a_gap(at: int, period: Period) -> None:
    index = period_index(period, at)
    assert period_start_at(period, index) <= at < period_start_at(period, index + 1)
    assert period_index(period, period_start_at(period, index)) == index
    assert period_index(period, period_start_at(period, index) - 1) == index - 1


# Money that comes or goes

PATHS = st.lists(
    st.tuples(
        st.integers(60_000, MS_PER_DAY),
        st.decimals("-0.2", "0.2", places=3),
        st.none() | st.decimals("-0.8", "5", places=2),
    ),
    min_size=1,
    max_size=30,
)


@given(PATHS)
def test_losses_are_those_of_an_account_that_nobody_pays_into(
    path: list[tuple[int, Decimal, Decimal | None]],
) -> None:
    alone = paid = AccountState().marked(Decimal(1_000), NOW_AT)
    unit, equity, now_at = Decimal(1_000), Decimal(1_000), NOW_AT
    for wait_ms, gain, flow_share in path:
        now_at += wait_ms
        unit *= 1 + gain
        equity *= 1 + gain
        alone, paid = alone.marked(unit, now_at), paid.marked(equity, now_at)
        if flow_share is not None:
            flow = equity * flow_share
            equity += flow
            paid = paid.flowed(flow)
            between = paid.drawdown_frac(equity)
            paid = paid.marked(equity, now_at)
            assert between == pytest.approx(alone.drawdown_frac(unit), abs=1e-9)
        assert paid.drawdown_frac(equity) == pytest.approx(alone.drawdown_frac(unit), abs=1e-9)
        for period in Period:
            expected = alone.loss_frac(period, unit)
            assert paid.loss_frac(period, equity) == pytest.approx(expected, abs=1e-9)


# Breakers

EQUITIES = st.lists(
    st.tuples(
        st.integers(0, 30 * 3_600_000),
        st.decimals("-100", "20000", places=2),
        st.sampled_from(["", "", "", "deposit", "BNB", "rearm"]),
    ),
    min_size=1,
    max_size=40,
)


def written(path: list[tuple[int, Decimal, str]]) -> tuple[BreakerState, list[tuple[Record, int]]]:
    state, now_at = BreakerState(), NOW_AT
    journal: list[tuple[Record, int]] = []

    def write(record: Record) -> None:
        nonlocal state
        journal.append((record, now_at))
        state = state.apply(record, now_at)

    for wait_ms, equity, event in path:
        now_at += wait_ms
        latched = {b for b, trip in state.trips.items() if trip.until_at is None}
        for record in state.observe(equity, now_at, LIMITS):
            write(record)
        # What is latched stays, whatever the account is worth since.
        assert latched <= set(state.trips)
        assert state.observe(equity, now_at, LIMITS) == ()
        for reading in state.readings(equity, now_at, LIMITS):
            held = {trip.breaker for trip in state.tripped(now_at)}
            if reading.value >= reading.limit:
                assert Breaker(reading.rule) in held
            if reading.passed:
                assert Breaker(reading.rule) not in held
        if event == "deposit":
            write(CashRecord("USDT", Decimal(500), "deposit"))
        elif event == "BNB":
            write(CashRecord("BNB", Decimal(1), "deposit"))
        elif event == "rearm" and equity > 0:
            write(state.rearm_note("ana", "reviewed", equity, now_at))
            assert all(trip.until_at is not None for trip in state.trips.values())
    return state, journal


@given(EQUITIES)
def test_breakers_hold_what_they_say_and_survive_a_restart(
    path: list[tuple[int, Decimal, str]],
) -> None:
    state, journal = written(path)
    lines = [(record_of(record.kind, body_of(record)), at) for record, at in journal]
    assert BreakerState.of(lines, "USDT") == state
    assert all(isinstance(r, MarkRecord | NoteRecord | CashRecord) for r, _ in journal)


@given(EQUITIES, st.integers(0, 39))
def test_a_journal_cut_anywhere_is_a_state_to_go_on_from(
    path: list[tuple[int, Decimal, str]], cut: int
) -> None:
    _, journal = written(path)
    assume(cut < len(journal))
    state = BreakerState.of(journal[:cut], "USDT")
    now_at = journal[cut][1]
    for record in state.observe(Decimal(100), now_at, LIMITS):
        state = state.apply(record, now_at)
    assert state.account.last_quote == 100 or state.observe(Decimal(100), now_at, LIMITS) == ()
