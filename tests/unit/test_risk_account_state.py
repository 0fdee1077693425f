"""Losses of day, week and month, drawdown, and money that comes or goes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from engine.errors import NonFiniteError
from engine.risk.account_state import (
    LATE_START_MS,
    AccountState,
    Period,
    period_index,
    period_start_at,
)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def state_of(*marks: tuple[str, int | str]) -> AccountState:
    state = AccountState()
    for text, equity in marks:
        state = state.marked(Decimal(equity), at(text))
    return state


# Boundaries


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2024-12-29T23:59:59.999", "2024-12-30T00:00"),  # ISO week 1 of 2025 begins in 2024
        ("2025-03-09T23:59:59.999", "2025-03-10T00:00"),
        ("1970-01-04T23:59:59.999", "1970-01-05T00:00"),
    ],
)
def test_a_week_begins_on_monday(before: str, after: str) -> None:
    assert period_index(Period.WEEK, at(before)) + 1 == period_index(Period.WEEK, at(after))
    assert period_start_at(Period.WEEK, period_index(Period.WEEK, at(after))) == at(after)
    assert datetime.fromisoformat(after).isoweekday() == 1


def test_a_new_year_begins_no_week_but_a_month_and_a_day() -> None:
    old, new = at("2024-12-31T23:59:59.999"), at("2025-01-01T00:00")
    assert period_index(Period.WEEK, old) == period_index(Period.WEEK, new)
    assert period_index(Period.MONTH, old) + 1 == period_index(Period.MONTH, new)
    assert period_index(Period.DAY, old) + 1 == period_index(Period.DAY, new)


@pytest.mark.parametrize("text", ["2024-02-29T12:00", "2025-03-01T00:00", "1999-12-31T23:59"])
@pytest.mark.parametrize("period", list(Period))
def test_an_instant_is_in_the_period_that_begins_before_it(period: Period, text: str) -> None:
    index = period_index(period, at(text))
    assert period_start_at(period, index) <= at(text) < period_start_at(period, index + 1)


# Losses


def test_before_the_first_mark_every_loss_is_unknown() -> None:
    state = AccountState()
    assert math.isnan(state.drawdown_frac(Decimal(100)))
    assert all(math.isnan(state.loss_frac(period, Decimal(100))) for period in Period)


def test_losses_are_fractions_of_where_each_period_began() -> None:
    state = state_of(
        ("2025-02-26T12:00", 800),  # a Wednesday; the month of February began here
        ("2025-03-01T00:00", 1_000),  # a Saturday
        ("2025-03-03T00:00", 1_250),  # a Monday
        ("2025-03-04T00:00", 1_600),
    )
    equity = Decimal(1_200)
    assert state.loss_frac(Period.DAY, equity) == pytest.approx(0.25)
    assert state.loss_frac(Period.WEEK, equity) == pytest.approx(0.04)
    assert state.loss_frac(Period.MONTH, equity) == 0.0
    assert state.drawdown_frac(equity) == pytest.approx(0.25)


def test_a_gain_is_no_negative_loss() -> None:
    state = state_of(("2025-03-03T00:00", 100))
    assert state.loss_frac(Period.DAY, Decimal(150)) == 0.0
    assert state.drawdown_frac(Decimal(150)) == 0.0


def test_more_than_all_can_be_lost() -> None:
    state = state_of(("2025-03-03T00:00", 100))
    assert state.drawdown_frac(Decimal(-20)) == pytest.approx(1.2)


def test_an_account_that_began_with_nothing_has_no_loss_to_speak_of() -> None:
    state = state_of(("2025-03-03T00:00", 0))
    assert math.isnan(state.loss_frac(Period.DAY, Decimal(-1)))
    assert math.isnan(state.drawdown_frac(Decimal(-1)))


def test_a_worth_that_is_no_number_is_unknown_and_no_mark() -> None:
    state = state_of(("2025-03-03T00:00", 100))
    for bad in (Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")):
        assert math.isnan(state.drawdown_frac(bad))
        with pytest.raises(NonFiniteError):
            state.marked(bad, at("2025-03-03T01:00"))


def test_the_peak_stays() -> None:
    state = state_of(("2025-03-03T00:00", 100), ("2025-03-20T00:00", 300), ("2025-06-01T00:00", 90))
    assert state.drawdown_frac(Decimal(90)) == pytest.approx(0.7)


# When a period begins


def test_a_period_begins_at_its_first_mark() -> None:
    state = state_of(("2025-03-03T10:00", 100), ("2025-03-04T00:00:01", 80))
    assert state.day is not None
    assert state.day.equity_quote == 80
    assert state.week is not None
    assert state.week.equity_quote == 100


def test_what_was_lost_while_the_machine_was_off_is_lost_in_the_new_period() -> None:
    late = at("2025-03-04T00:00") + LATE_START_MS
    in_time = AccountState().marked(Decimal(100), at("2025-03-03T22:00"))
    assert in_time.marked(Decimal(80), late).loss_frac(Period.DAY, Decimal(80)) == 0.0
    too_late = in_time.marked(Decimal(80), late + 1)
    assert too_late.loss_frac(Period.DAY, Decimal(80)) == pytest.approx(0.2)
    richer = in_time.marked(Decimal(120), late + 1)
    assert richer.loss_frac(Period.DAY, Decimal(90)) == pytest.approx(0.25)


def test_a_clock_that_runs_backwards_begins_no_period_anew() -> None:
    state = state_of(("2025-03-04T00:00", 100))
    back = state.marked(Decimal(50), at("2025-03-03T23:59"))
    assert back.day == state.day
    assert back.last_at == state.last_at
    assert back.loss_frac(Period.DAY, Decimal(50)) == pytest.approx(0.5)


# Money that comes or goes


def test_a_deposit_is_no_profit_and_does_not_cure_a_drawdown() -> None:
    state = state_of(("2025-03-03T00:00", 100), ("2025-03-03T01:00", 90))
    paid = state.flowed(Decimal(810))
    assert paid.drawdown_frac(Decimal(900)) == pytest.approx(0.1)
    settled = paid.marked(Decimal(900), at("2025-03-03T01:01"))
    assert settled.peak_quote == 1_000
    assert settled.drawdown_frac(Decimal(900)) == pytest.approx(0.1)
    assert settled.loss_frac(Period.DAY, Decimal(900)) == pytest.approx(0.1)
    assert settled.flow_quote == 0


def test_a_withdrawal_is_no_loss() -> None:
    state = state_of(("2025-03-03T00:00", 100))
    gone = state.flowed(Decimal(-60))
    assert gone.loss_frac(Period.DAY, Decimal(40)) == 0.0
    settled = gone.marked(Decimal(40), at("2025-03-03T01:00"))
    assert settled.drawdown_frac(Decimal(40)) == 0.0
    assert settled.drawdown_frac(Decimal(36)) == pytest.approx(0.1)


def test_a_loss_between_the_last_mark_and_a_deposit_is_still_a_loss() -> None:
    state = state_of(("2025-03-03T00:00", 100)).flowed(Decimal(95))
    settled = state.marked(Decimal(190), at("2025-03-03T01:00"))
    assert settled.drawdown_frac(Decimal(190)) == pytest.approx(0.05)


def test_flows_before_a_mark_add_up() -> None:
    state = state_of(("2025-03-03T00:00", 100)).flowed(Decimal(50)).flowed(Decimal(-30))
    assert state.marked(Decimal(120), at("2025-03-03T01:00")).peak_quote == 120


def test_money_of_unknown_worth_scales_by_the_next_mark() -> None:
    state = state_of(("2025-03-03T00:00", 100), ("2025-03-03T01:00", 80)).flowed(None)
    settled = state.marked(Decimal(160), at("2025-03-03T01:01"))
    assert settled.drawdown_frac(Decimal(160)) == pytest.approx(0.2)
    assert not settled.is_flow_unknown


def test_taking_everything_out_loses_nothing_and_a_new_deposit_begins_anew() -> None:
    state = state_of(("2025-03-03T00:00", 100)).flowed(Decimal(-100))
    empty = state.marked(Decimal(0), at("2025-03-03T01:00"))
    assert math.isnan(empty.drawdown_frac(Decimal(0)))
    again = empty.flowed(Decimal(50)).marked(Decimal(50), at("2025-03-03T02:00"))
    assert (again.peak_quote, again.drawdown_frac(Decimal(45))) == (50, pytest.approx(0.1))


def test_a_deposit_after_ruin_begins_anew() -> None:
    ruined = state_of(("2025-03-03T00:00", 100), ("2025-03-03T01:00", -5))
    assert ruined.drawdown_frac(Decimal(-5)) == pytest.approx(1.05)
    saved = ruined.flowed(Decimal(55)).marked(Decimal(50), at("2025-03-03T02:00"))
    assert saved.drawdown_frac(Decimal(50)) == 0.0


def test_a_deposit_does_not_hide_a_ruin_that_was_not_marked_yet() -> None:
    state = state_of(("2025-03-03T00:00", 100)).flowed(Decimal(50))
    settled = state.marked(Decimal(45), at("2025-03-03T01:00"))
    assert settled.drawdown_frac(Decimal(45)) == pytest.approx(0.55)


def test_money_before_the_first_mark_is_the_opening_balance() -> None:
    state = AccountState().flowed(Decimal(100)).flowed(None)
    assert state == AccountState()


# Counting anew


def test_rebasing_moves_only_what_is_asked_for() -> None:
    state = state_of(("2025-03-03T00:00", 100))
    only_peak = state.rebased(Decimal(80), peak=True, week=False, month=False)
    assert only_peak.drawdown_frac(Decimal(80)) == 0.0
    assert only_peak.loss_frac(Period.WEEK, Decimal(80)) == pytest.approx(0.2)
    periods = state.rebased(Decimal(80), peak=False, week=True, month=True)
    assert periods.drawdown_frac(Decimal(80)) == pytest.approx(0.2)
    assert periods.loss_frac(Period.WEEK, Decimal(80)) == 0.0
    assert periods.loss_frac(Period.MONTH, Decimal(80)) == 0.0
    assert periods.loss_frac(Period.DAY, Decimal(80)) == pytest.approx(0.2)
