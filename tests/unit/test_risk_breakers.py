"""Breakers: each from both sides, what they ask for, what lets go of them, what survives."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from engine.errors import DataError, LimitBreached
from engine.risk.breakers import (
    ACTIONS,
    FUNDING_REASON,
    MARK_EVERY_MS,
    Breaker,
    BreakerState,
    RiskAction,
)
from engine.risk.latch import TradingState
from engine.trade.record_json import canonical
from engine.trade.records import CashRecord, MarkRecord, NoteRecord, Record, body_of, record_of
from tests.risk_values import LIMITS


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


MONDAY = at("2025-03-10T00:00")
MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000


@dataclass
class Account:
    """A journal that is written to and folded, as the running account does it."""

    state: BreakerState = field(default_factory=BreakerState)
    journal: list[tuple[Record, int]] = field(default_factory=list)

    def write(self, record: Record, now_at: int) -> None:
        self.journal.append((record, now_at))
        self.state = self.state.apply(record, now_at)

    def see(self, equity: int | str, now_at: int) -> list[Record]:
        records = list(self.state.observe(Decimal(equity), now_at, LIMITS))
        for record in records:
            self.write(record, now_at)
        return records

    def restarted(self) -> BreakerState:
        """Return the state that a new process reads from the journal's own text."""
        lines = [
            (record_of(record.kind, body_of(record)), now_at) for record, now_at in self.journal
        ]
        return BreakerState.of(lines, "USDT")

    def tripped(self, now_at: int) -> set[Breaker]:
        return {trip.breaker for trip in self.state.tripped(now_at)}


@pytest.fixture
def account() -> Account:
    account = Account()
    account.see(10_000, MONDAY)
    return account


# Each limit from both sides


def test_daily_loss_trips_at_five_percent_and_not_below(account: Account) -> None:
    account.see("9500.01", MONDAY + MINUTE)
    assert account.tripped(MONDAY + MINUTE) == set()
    account.see(9_500, MONDAY + 2 * MINUTE)
    assert account.tripped(MONDAY + 2 * MINUTE) == {Breaker.DAILY_LOSS}
    assert account.state.action(MONDAY + 2 * MINUTE) is RiskAction.REDUCE


def slide(account: Account, *equities: int | str, from_at: int = MONDAY) -> int:
    """See one equity a day, each at the first instant of its day and at its end."""
    now_at = from_at
    for equity in equities:
        account.see(equity, now_at + 23 * HOUR)
        now_at += DAY
        account.see(equity, now_at)
    return now_at


def test_weekly_loss_trips_at_fifteen_percent_and_pauses(account: Account) -> None:
    # A new peak each week keeps the drawdown equal to the loss of the week.
    slide(account, 9_600, 9_200, "8832", "8500.01")
    assert Breaker.WEEKLY_LOSS not in account.tripped(MONDAY + 4 * DAY)
    account.see(8_500, MONDAY + 4 * DAY + HOUR)
    assert Breaker.WEEKLY_LOSS in account.tripped(MONDAY + 4 * DAY + HOUR)
    assert ACTIONS[Breaker.WEEKLY_LOSS] is RiskAction.PAUSE


def test_a_new_week_starts_with_no_loss_and_the_month_goes_on(account: Account) -> None:
    slide(account, 9_600, 9_300, 9_100, 9_000, 9_000, 9_000, 9_000)
    week = account.state.readings(Decimal(9_000), MONDAY + 7 * DAY, LIMITS)[1]
    month = account.state.readings(Decimal(9_000), MONDAY + 7 * DAY, LIMITS)[2]
    assert (week.rule, week.value) == ("weekly_loss_frac", 0.0)
    assert (month.rule, month.value) == ("monthly_loss_frac", pytest.approx(0.1))


def test_monthly_loss_trips_at_fifteen_percent_and_pauses(account: Account) -> None:
    now_at = slide(account, 9_600, 9_300, 9_100, 9_000, 9_000, 9_000, 9_000)
    now_at = slide(account, 8_700, "8500.01", from_at=now_at)
    assert Breaker.MONTHLY_LOSS not in account.tripped(now_at)
    account.see(8_500, now_at + MINUTE)
    assert Breaker.MONTHLY_LOSS in account.tripped(now_at + MINUTE)
    assert Breaker.WEEKLY_LOSS not in account.tripped(now_at + MINUTE)


@pytest.mark.parametrize(
    ("breaker", "under", "at_limit", "action"),
    [
        (Breaker.DRAWDOWN_REDUCE, "9000.01", "9000", RiskAction.REDUCE),
        (Breaker.DRAWDOWN_STOP, "8500.01", "8500", RiskAction.STOP_STRATEGIES),
        (Breaker.DRAWDOWN_FLATTEN, "8000.01", "8000", RiskAction.FLATTEN),
    ],
)
def test_each_step_of_drawdown_trips_at_its_number_and_not_below(
    account: Account, breaker: Breaker, under: str, at_limit: str, action: RiskAction
) -> None:
    account.see(under, MONDAY + MINUTE)
    assert breaker not in account.tripped(MONDAY + MINUTE)
    account.see(at_limit, MONDAY + 2 * MINUTE)
    assert breaker in account.tripped(MONDAY + 2 * MINUTE)
    assert account.state.action(MONDAY + 2 * MINUTE) is action


def test_a_fall_through_every_step_trips_them_all_at_once(account: Account) -> None:
    records = account.see(7_000, MONDAY + MINUTE)
    assert isinstance(records[0], MarkRecord)
    assert [r.topic for r in records[1:] if isinstance(r, NoteRecord)] == [
        f"breaker.{breaker.value}" for breaker in Breaker
    ]
    assert account.state.action(MONDAY + MINUTE) is RiskAction.FLATTEN
    assert account.state.tripped(MONDAY + MINUTE)[0].breaker is Breaker.DRAWDOWN_FLATTEN


def test_a_note_says_number_limit_and_what_follows(account: Account) -> None:
    note = account.see(9_400, MONDAY + MINUTE)[1]
    assert isinstance(note, NoteRecord)
    assert note.message == (
        "loss of the UTC day is 6 %, limit 5 %: only what reduces exposure passes"
    )
    assert note.fields == {
        "breaker": "daily_loss_frac",
        "action": "reduce",
        "value": 0.06,
        "limit": 0.05,
        "equity_quote": "9400",
        "at": MONDAY + MINUTE,
        "until_at": MONDAY + DAY,
    }


@pytest.mark.parametrize(
    ("action", "state"),
    [
        (RiskAction.NONE, TradingState.ACTIVE),
        (RiskAction.REDUCE, TradingState.REDUCING),
        (RiskAction.PAUSE, TradingState.REDUCING),
        (RiskAction.STOP_STRATEGIES, TradingState.HALTED),
        (RiskAction.FLATTEN, TradingState.HALTED),
    ],
)
def test_each_action_asks_for_a_state_of_the_latch(action: RiskAction, state: TradingState) -> None:
    assert action.trading_state is state


# Readings


def test_a_reading_refuses_from_the_limit_on_and_while_a_trip_holds(account: Account) -> None:
    daily = account.state.readings(Decimal("9500.01"), MONDAY + MINUTE, LIMITS)[0]
    assert daily.passed
    assert not account.state.readings(Decimal(9_500), MONDAY + MINUTE, LIMITS)[0].passed
    account.see(9_500, MONDAY + MINUTE)
    recovered = account.state.readings(Decimal(9_900), MONDAY + HOUR, LIMITS)[0]
    assert not recovered.passed
    assert recovered.value == pytest.approx(0.01)
    assert "tripped at 5 % on 2025-03-10 00:01 UTC, until 2025-03-11 00:00 UTC" in recovered.message


@pytest.mark.parametrize("equity", [None, Decimal("NaN"), Decimal("sNaN")])
def test_an_unknown_worth_passes_no_reading_and_writes_nothing(
    account: Account, equity: Decimal | None
) -> None:
    readings = account.state.readings(equity, MONDAY, LIMITS)
    assert not any(reading.passed for reading in readings)
    assert all(math.isnan(reading.value) for reading in readings)
    assert account.state.observe(equity, MONDAY + DAY, LIMITS) == ()


def test_before_the_first_mark_of_a_day_yesterdays_start_still_counts(account: Account) -> None:
    account.see(9_600, MONDAY + 23 * HOUR)
    assert not account.state.readings(Decimal(9_450), MONDAY + DAY, LIMITS)[0].passed
    account.see(9_450, MONDAY + DAY)
    assert account.state.readings(Decimal(9_450), MONDAY + DAY, LIMITS)[0].passed


# Letting go


def test_the_daily_breaker_lets_go_at_the_next_utc_day_and_not_before(account: Account) -> None:
    account.see(9_400, MONDAY + MINUTE)
    assert account.tripped(MONDAY + DAY - 1) == {Breaker.DAILY_LOSS}
    assert account.tripped(MONDAY + DAY) == set()
    records = account.see(9_400, MONDAY + DAY)
    topics = [r.topic for r in records if isinstance(r, NoteRecord)]
    assert topics == ["breaker.release"]
    assert account.state.trips == {}
    assert all(r.passed for r in account.state.readings(Decimal(9_400), MONDAY + DAY, LIMITS))


def test_the_daily_breaker_stays_when_the_loss_is_won_back(account: Account) -> None:
    account.see(9_400, MONDAY + MINUTE)
    account.see(10_500, MONDAY + 2 * MINUTE)
    assert account.tripped(MONDAY + HOUR) == {Breaker.DAILY_LOSS}


def test_the_daily_breaker_trips_again_on_another_day(account: Account) -> None:
    account.see(9_500, MONDAY + MINUTE)
    account.see(9_500, MONDAY + DAY)
    account.see("9025.01", MONDAY + DAY + MINUTE)
    assert account.tripped(MONDAY + DAY + MINUTE) == set()
    account.see(9_025, MONDAY + DAY + 2 * MINUTE)
    assert account.tripped(MONDAY + DAY + 2 * MINUTE) == {Breaker.DAILY_LOSS}
    assert account.state.tripped(MONDAY + DAY + HOUR)[0].until_at == MONDAY + 2 * DAY


def test_latched_breakers_stay_for_ever(account: Account) -> None:
    account.see(8_400, MONDAY + MINUTE)
    much_later = MONDAY + 400 * DAY
    account.see(20_000, much_later)
    assert account.tripped(much_later) == {
        Breaker.WEEKLY_LOSS,
        Breaker.MONTHLY_LOSS,
        Breaker.DRAWDOWN_REDUCE,
        Breaker.DRAWDOWN_STOP,
    }


def test_what_only_a_person_ends_is_told_apart_from_what_the_day_ends(account: Account) -> None:
    account.see(9_400, MONDAY + MINUTE)
    assert account.state.latched_action(MONDAY + MINUTE) is RiskAction.NONE
    account.see(9_000, MONDAY + 2 * MINUTE)
    assert account.state.latched_action(MONDAY + 2 * MINUTE) is RiskAction.REDUCE


# Re-arming


def test_rearming_lets_go_of_what_is_latched_and_counts_from_there(account: Account) -> None:
    account.see(8_400, MONDAY + MINUTE)
    tuesday = MONDAY + DAY
    account.see(8_400, tuesday)
    note = account.state.rearm_note("ana", "reviewed", Decimal(8_400), tuesday)
    assert note.fields["breakers"] == sorted(
        ["weekly_loss_frac", "monthly_loss_frac", "drawdown_reduce_frac", "drawdown_stop_frac"]
    )
    account.write(note, tuesday)
    assert account.tripped(tuesday) == set()
    assert account.see(8_400, tuesday + 1) == []
    readings = account.state.readings(Decimal("7980.01"), tuesday + 2, LIMITS)
    assert all(reading.passed for reading in readings)
    account.see(7_560, tuesday + MINUTE)
    assert Breaker.DRAWDOWN_REDUCE in account.tripped(tuesday + MINUTE)


def test_rearming_forgives_no_loss_that_did_not_trip(account: Account) -> None:
    slide(account, 9_600, 9_300, 9_000)
    now_at = MONDAY + 3 * DAY
    assert account.tripped(now_at) == {Breaker.DRAWDOWN_REDUCE}
    account.write(account.state.rearm_note("ana", "reviewed", Decimal(9_000), now_at), now_at)
    week = account.state.readings(Decimal(9_000), now_at, LIMITS)[1]
    assert week.value == pytest.approx(0.1)


def test_rearming_does_not_end_the_daily_breaker(account: Account) -> None:
    now_at = MONDAY + MINUTE
    account.see(8_900, now_at)
    assert "and not by hand" in account.state.why_not_rearmed(now_at)
    account.write(account.state.rearm_note("ana", "reviewed", Decimal(8_900), now_at), now_at)
    assert account.tripped(now_at) == {Breaker.DAILY_LOSS}
    assert account.state.why_not_rearmed(MONDAY + DAY) == ""


@pytest.mark.parametrize("equity", [Decimal(0), Decimal(-1), Decimal("NaN")])
def test_an_account_that_is_worth_nothing_is_not_rearmed(account: Account, equity: Decimal) -> None:
    with pytest.raises(LimitBreached):
        account.state.rearm_note("ana", "reviewed", equity, MONDAY)


# What is written, and what survives


def test_the_first_look_is_marked_and_the_second_at_the_same_instant_is_not() -> None:
    account = Account()
    assert account.see(10_000, MONDAY) == [MarkRecord(MONDAY, Decimal(10_000), "first")]
    assert account.see(10_000, MONDAY) == []


def test_looking_again_after_a_trip_writes_nothing(account: Account) -> None:
    account.see(7_000, MONDAY + MINUTE)
    assert account.see(7_000, MONDAY + MINUTE) == []
    assert account.see(6_999, MONDAY + MINUTE + 1) == []


def test_a_new_day_a_new_peak_and_each_hour_are_marked(account: Account) -> None:
    assert account.see("10000.99", MONDAY + MINUTE) == []
    [mark] = account.see("10001.01", MONDAY + MINUTE)
    assert isinstance(mark, MarkRecord)
    assert mark.reason == "peak"
    [mark] = account.see(10_000, MONDAY + MINUTE + MARK_EVERY_MS)
    assert isinstance(mark, MarkRecord)
    assert mark.reason == "hour"
    [mark] = account.see(10_000, MONDAY + DAY)
    assert isinstance(mark, MarkRecord)
    assert mark.reason == "day"


def test_the_state_after_a_restart_is_the_state_before_it(account: Account) -> None:
    now_at = MONDAY
    for step in range(400):
        now_at += 37 * MINUTE
        account.see(10_000 + (step * 97) % 613 - 3 * step, now_at)
        if step % 50 == 20:
            account.write(CashRecord("USDT", Decimal(step), "deposit"), now_at)
        if step % 90 == 70:
            account.write(CashRecord("BNB", Decimal(1), "deposit"), now_at)
        if step == 300:
            note = account.state.rearm_note("ana", "reviewed", Decimal(9_000), now_at)
            account.write(note, now_at)
    assert account.tripped(now_at)
    assert account.restarted() == account.state


def test_every_note_can_be_written_to_a_journal(account: Account) -> None:
    account.see(7_000, MONDAY + MINUTE)
    account.see(7_000, MONDAY + DAY)
    account.write(account.state.rearm_note("ana", "x", Decimal(7_000), MONDAY + DAY), MONDAY + DAY)
    for record, _ in account.journal:
        assert canonical(body_of(record))


def test_a_trip_in_the_journal_stays_when_the_limit_is_raised_later(account: Account) -> None:
    account.see(9_000, MONDAY + MINUTE)
    raised = LIMITS.model_copy(update={"drawdown_reduce_frac": 0.12})
    assert not account.state.readings(Decimal(9_990), MONDAY + HOUR, raised)[3].passed


# Money that comes or goes


def test_a_deposit_is_no_profit_and_a_withdrawal_no_loss(account: Account) -> None:
    account.write(CashRecord("USDT", Decimal(-5_000), "withdrawal"), MONDAY + MINUTE)
    [mark] = account.see(5_000, MONDAY + MINUTE)
    assert isinstance(mark, MarkRecord)
    assert mark.reason == "flow"
    assert account.tripped(MONDAY + MINUTE) == set()
    account.write(CashRecord("USDT", Decimal(5_000), "deposit"), MONDAY + 2 * MINUTE)
    account.see(10_000, MONDAY + 2 * MINUTE)
    account.see(9_500, MONDAY + 3 * MINUTE)
    assert account.tripped(MONDAY + 3 * MINUTE) == {Breaker.DAILY_LOSS}


def test_money_in_another_currency_is_neither(account: Account) -> None:
    account.write(CashRecord("BNB", Decimal(-1), "withdrawal"), MONDAY + MINUTE)
    account.see(8_000, MONDAY + MINUTE)
    assert account.tripped(MONDAY + MINUTE) == set()


def test_funding_is_profit_or_loss(account: Account) -> None:
    account.write(CashRecord("USDT", Decimal(-600), f"{FUNDING_REASON} of BTC/USDT"), MONDAY + 1)
    account.see(9_400, MONDAY + 1)
    assert account.tripped(MONDAY + 1) == {Breaker.DAILY_LOSS}


# What cannot be read


@pytest.mark.parametrize(
    "fields",
    [
        {"breaker": "hourly_loss_frac", "value": 0.1, "limit": 0.1, "at": 1, "until_at": None},
        {"breaker": "daily_loss_frac", "value": "much", "limit": 0.1, "at": 1, "until_at": None},
        {"breaker": "daily_loss_frac", "value": 0.1, "limit": "nan", "at": 1, "until_at": None},
        {"breaker": "daily_loss_frac", "value": 0.1, "limit": 0.1, "at": "x", "until_at": None},
        {"breaker": "daily_loss_frac", "value": 0.1, "limit": 0.1, "at": 1, "until_at": 1.5},
        {},
    ],
)
def test_a_breaker_note_that_cannot_be_read_stops_the_fold(fields: dict[str, object]) -> None:
    with pytest.raises(DataError):
        BreakerState().apply(NoteRecord("breaker.daily_loss_frac", "", fields), MONDAY)


def test_other_notes_change_nothing(account: Account) -> None:
    note = NoteRecord("reconcile.report", "clean", {"value": 1})
    assert account.state.apply(note, MONDAY) == account.state
