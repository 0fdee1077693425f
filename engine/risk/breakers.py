"""Breakers: losses that stop trading, and stay tripped.

A state machine without a clock or a file. `observe` looks at the account's worth and returns what
has to be written down; `apply` folds what was written down into the next state. Both the running
account and a restarted one get their state from `apply` alone, so that a breaker survives whatever
the process does not.

The daily breaker lets go at the next UTC day; all others stay until a person re-arms the account
(`rearm_note`), which counts the loss that tripped them anew from where the account stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import IntEnum, StrEnum
from typing import Any

from engine.errors import DataError, LimitBreached
from engine.risk.account_state import AccountState, Period, period_index, period_start_at
from engine.risk.latch import TradingState
from engine.risk.verdict import RuleResult
from engine.risk.words import money, percent, utc
from engine.trade.records import CashRecord, MarkRecord, NoteRecord, Record
from engine.trading_settings import Limits

FUNDING_REASON = "funding"
"""A cash record for it is profit or loss; every other one is money that came or went."""

REARM_TOPIC = "breaker.rearm"
RELEASE_TOPIC = "breaker.release"
_TOPIC = "breaker."

MARK_EVERY_MS = 3_600_000
"""So old may the last known worth be when a machine that was off begins a new day."""

PEAK_STEP = Decimal("0.0001")
"""A new peak is written down when it is a basis point higher than the last."""


class Breaker(StrEnum):
    """A loss that trips, by the name of its limit in [limits]."""

    DAILY_LOSS = "daily_loss_frac"
    WEEKLY_LOSS = "weekly_loss_frac"
    MONTHLY_LOSS = "monthly_loss_frac"
    DRAWDOWN_REDUCE = "drawdown_reduce_frac"
    DRAWDOWN_STOP = "drawdown_stop_frac"
    DRAWDOWN_FLATTEN = "drawdown_flatten_frac"

    @property
    def period(self) -> Period | None:
        """Return the period it counts in, None for the peak."""
        return _PERIODS.get(self)


_PERIODS = {
    Breaker.DAILY_LOSS: Period.DAY,
    Breaker.WEEKLY_LOSS: Period.WEEK,
    Breaker.MONTHLY_LOSS: Period.MONTH,
}


class RiskAction(IntEnum):
    """What a tripped breaker asks for; a higher one includes the lower ones."""

    NONE = 0
    REDUCE = 1
    """Nothing that adds exposure."""
    PAUSE = 2
    """The same, and the account's strategies are shown as paused."""
    STOP_STRATEGIES = 3
    """Strategies stop: their orders are refused, their positions keep their protective stops."""
    FLATTEN = 4
    """Every order is cancelled and every position closed."""

    @property
    def trading_state(self) -> TradingState:
        """Return what the latch must at least read while this is asked for."""
        if self is RiskAction.NONE:
            return TradingState.ACTIVE
        return TradingState.REDUCING if self <= RiskAction.PAUSE else TradingState.HALTED


ACTIONS: Mapping[Breaker, RiskAction] = {
    Breaker.DAILY_LOSS: RiskAction.REDUCE,
    Breaker.WEEKLY_LOSS: RiskAction.PAUSE,
    Breaker.MONTHLY_LOSS: RiskAction.PAUSE,
    Breaker.DRAWDOWN_REDUCE: RiskAction.REDUCE,
    Breaker.DRAWDOWN_STOP: RiskAction.STOP_STRATEGIES,
    Breaker.DRAWDOWN_FLATTEN: RiskAction.FLATTEN,
}

_TITLES = {
    Breaker.DAILY_LOSS: "loss of the UTC day",
    Breaker.WEEKLY_LOSS: "loss of the ISO week",
    Breaker.MONTHLY_LOSS: "loss of the month",
    Breaker.DRAWDOWN_REDUCE: "drawdown from the peak",
    Breaker.DRAWDOWN_STOP: "drawdown from the peak",
    Breaker.DRAWDOWN_FLATTEN: "drawdown from the peak",
}
_ASKS = {
    RiskAction.REDUCE: "only what reduces exposure passes",
    RiskAction.PAUSE: "trading is paused",
    RiskAction.STOP_STRATEGIES: "strategies are stopped",
    RiskAction.FLATTEN: "everything is closed",
}


@dataclass(frozen=True, slots=True)
class Trip:
    """A breaker that tripped.

    Attributes
    ----------
    at : UTC ms
    value, limit : the loss and what it may be, fractions
    until_at : UTC ms at which it lets go by itself, None when a person has to
    message : in words
    """

    breaker: Breaker
    at: int
    value: float
    limit: float
    until_at: int | None
    message: str

    @property
    def action(self) -> RiskAction:
        """Return what it asks for."""
        return ACTIONS[self.breaker]

    def is_in_force(self, at: int) -> bool:
        """Return whether it still holds at `at` (UTC ms)."""
        return self.until_at is None or at < self.until_at


@dataclass(frozen=True, slots=True)
class BreakerState:
    """An account's losses and the breakers they tripped.

    Attributes
    ----------
    quote_asset : what the account is valued in; money in another currency is of unknown worth
    trips : by breaker; the daily one may have let go already (`Trip.is_in_force`)
    """

    quote_asset: str = "USDT"
    account: AccountState = field(default_factory=AccountState)
    trips: Mapping[Breaker, Trip] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[tuple[Record, int]], quote_asset: str) -> BreakerState:
        """Return the state after a whole journal of (record, UTC ms of its line)."""
        state = cls(quote_asset)
        for record, at in records:
            state = state.apply(record, at)
        return state

    def apply(self, record: Record, at: int) -> BreakerState:
        """Return the state after one record of the journal.

        Parameters
        ----------
        at : UTC ms of its line

        Raises
        ------
        DataError : a breaker note that this version cannot read, or a mark that is not a number:
            the account must not trade on half a state.
        """
        match record:
            case MarkRecord():
                return self._with(account=self.account.marked(record.equity_quote, record.at))
            case CashRecord() if not record.reason.startswith(FUNDING_REASON):
                is_quote = record.asset == self.quote_asset
                return self._with(account=self.account.flowed(record.amount if is_quote else None))
            case NoteRecord() if record.topic == REARM_TOPIC:
                return self._rearmed(record, at)
            case NoteRecord() if record.topic == RELEASE_TOPIC:
                gone = _breaker(record.fields.get("breaker"))
                return self._with(trips={b: t for b, t in self.trips.items() if b is not gone})
            case NoteRecord() if record.topic.startswith(_TOPIC):
                trip = _trip_of(record, at)
                return self._with(trips={**self.trips, trip.breaker: trip})
            case _:
                return self

    def tripped(self, at: int) -> tuple[Trip, ...]:
        """Return the trips that hold at `at` (UTC ms), the gravest action first."""
        held = [trip for trip in self.trips.values() if trip.is_in_force(at)]
        return tuple(sorted(held, key=lambda trip: (-trip.action, trip.at, trip.breaker)))

    def action(self, at: int) -> RiskAction:
        """Return the gravest action that is asked for at `at` (UTC ms)."""
        return max((trip.action for trip in self.tripped(at)), default=RiskAction.NONE)

    def latched_action(self, at: int) -> RiskAction:
        """Return the gravest action that only a person ends: what the latch file must show."""
        latched = (trip.action for trip in self.tripped(at) if trip.until_at is None)
        return max(latched, default=RiskAction.NONE)

    def readings(
        self, equity_quote: Decimal | None, at: int, limits: Limits
    ) -> tuple[RuleResult, ...]:
        """Return every breaker as a rule: passed while the loss is under its limit and none holds.

        Parameters
        ----------
        equity_quote : quote currency; None when unknown, and then no rule passes
        at : UTC ms

        Notes
        -----
        The value is nan without an equity, before the first mark and for a period that began with
        nothing. Before the first mark of a new day the old day's start still counts.
        """
        return tuple(self._reading(breaker, equity_quote, at, limits) for breaker in Breaker)

    def observe(
        self, equity_quote: Decimal | None, at: int, limits: Limits
    ) -> tuple[MarkRecord | NoteRecord, ...]:
        """Return what has to be written down, and then applied, for an account worth this much now.

        Parameters
        ----------
        equity_quote : marked to market, quote currency; None or nan when it cannot be valued
        at : UTC ms

        Returns
        -------
        Mostly nothing. A mark at the first look, in a new period, at a new peak, once an hour and
        when a breaker trips; a note for each breaker that trips or lets go. All of it goes into one
        write. Looking again at the same instant, after applying, returns nothing.
        """
        if equity_quote is None or not equity_quote.is_finite():
            return ()
        released = [t for t in self.trips.values() if not t.is_in_force(at)]
        account = self.account.marked(equity_quote, at)
        after = self._with(account=account)
        notes = [_release_note(trip) for trip in released]
        for reading in after.readings(equity_quote, at, limits):
            breaker = Breaker(reading.rule)
            known = self.trips.get(breaker)
            is_held = known is not None and known.is_in_force(at)
            if reading.value >= reading.limit and not is_held:
                notes.append(_trip_note(breaker, reading, equity_quote, at))
        reason = "breaker" if notes else _mark_reason(self.account, account)
        return (MarkRecord(at, equity_quote, reason), *notes) if reason else ()

    def why_not_rearmed(self, at: int) -> str:
        """Say why re-arming would not let the account trade, empty when it would."""
        for trip in self.tripped(at):
            if trip.until_at is not None:
                return f"{trip.message}; it lets go at {utc(trip.until_at)} and not by hand"
        return ""

    def rearm_note(self, who: str, reason: str, equity_quote: Decimal, at: int) -> NoteRecord:
        """Return the note that lets go of every latched breaker.

        Parameters
        ----------
        equity_quote : what the account is worth now, quote currency, > 0: the losses that tripped
            are counted anew from here

        Raises
        ------
        LimitBreached : a worth that is not a positive number.
        """
        if not (equity_quote.is_finite() and equity_quote > 0):
            raise LimitBreached(
                f"an account worth {equity_quote} {self.quote_asset} cannot be re-armed"
            )
        let_go = sorted(trip.breaker for trip in self.tripped(at) if trip.until_at is None)
        worth = money(equity_quote, self.quote_asset)
        message = f"re-armed by {who}: {reason}; losses are counted anew from {worth}"
        return NoteRecord(
            REARM_TOPIC,
            message,
            {
                "who": who,
                "reason": reason,
                "equity_quote": str(equity_quote),
                "breakers": [breaker.value for breaker in let_go],
            },
        )

    def _with(
        self,
        *,
        account: AccountState | None = None,
        trips: Mapping[Breaker, Trip] | None = None,
    ) -> BreakerState:
        return BreakerState(
            self.quote_asset,
            self.account if account is None else account,
            self.trips if trips is None else trips,
        )

    def _rearmed(self, note: NoteRecord, at: int) -> BreakerState:
        equity_quote = _decimal(note, "equity_quote")
        let_go = {trip.breaker for trip in self.trips.values() if trip.until_at is None}
        account = self.account.rebased(
            equity_quote,
            peak=any(breaker.period is None for breaker in let_go),
            week=Breaker.WEEKLY_LOSS in let_go,
            month=Breaker.MONTHLY_LOSS in let_go,
        )
        kept = {b: t for b, t in self.trips.items() if b not in let_go}
        return self._with(account=account, trips=kept)

    def _reading(
        self, breaker: Breaker, equity_quote: Decimal | None, at: int, limits: Limits
    ) -> RuleResult:
        limit = float(getattr(limits, breaker.value))
        value = self._loss(breaker, equity_quote)
        trip = self.trips.get(breaker)
        said = f"{_TITLES[breaker]} is {percent(value)}, limit {percent(limit)}"
        if trip is not None and trip.is_in_force(at):
            until = "until re-armed" if trip.until_at is None else f"until {utc(trip.until_at)}"
            said = f"{said}; tripped at {percent(trip.value)} on {utc(trip.at)}, {until}"
            return RuleResult(breaker.value, value, limit, False, said)
        if math.isnan(value):
            said = f"{said}: the account has no worth to compare with"
        return RuleResult(breaker.value, value, limit, value < limit, said)

    def _loss(self, breaker: Breaker, equity_quote: Decimal | None) -> float:
        if equity_quote is None:
            return math.nan
        period = breaker.period
        if period is None:
            return self.account.drawdown_frac(equity_quote)
        return self.account.loss_frac(period, equity_quote)


def _mark_reason(before: AccountState, after: AccountState) -> str:
    """Say what makes a mark worth writing down, empty when nothing does."""
    if before.last_at is None or after.last_at is None or before.peak_quote is None:
        return "first"
    if before.flow_quote or before.is_flow_unknown or before.is_restarting:
        return "flow"
    for period in Period:
        if before.start_of(period) != after.start_of(period):
            return period.value
    step_quote = abs(before.peak_quote) * PEAK_STEP
    if after.peak_quote is not None and after.peak_quote > before.peak_quote + step_quote:
        return "peak"
    return "hour" if after.last_at - before.last_at >= MARK_EVERY_MS else ""


def _trip_note(breaker: Breaker, reading: RuleResult, equity_quote: Decimal, at: int) -> NoteRecord:
    action = ACTIONS[breaker]
    message = f"{reading.message}: {_ASKS[action]}"
    until_at = None
    if breaker is Breaker.DAILY_LOSS:
        until_at = period_start_at(Period.DAY, period_index(Period.DAY, at) + 1)
    fields = {
        "breaker": breaker.value,
        "action": action.name.lower(),
        "value": reading.value,
        "limit": reading.limit,
        "equity_quote": str(equity_quote),
        "at": at,
        "until_at": until_at,
    }
    return NoteRecord(f"{_TOPIC}{breaker.value}", message, fields)


def _release_note(trip: Trip) -> NoteRecord:
    message = f"let go at the end of its day: {trip.message}"
    return NoteRecord(RELEASE_TOPIC, message, {"breaker": trip.breaker.value})


def _trip_of(note: NoteRecord, at: int) -> Trip:
    until_at = note.fields.get("until_at")
    tripped_at = note.fields.get("at", at)
    if type(tripped_at) is not int or (until_at is not None and type(until_at) is not int):
        raise DataError(f"the journal's note {note.topic} names no instant")
    return Trip(
        breaker=_breaker(note.fields.get("breaker")),
        at=tripped_at,
        value=float(_decimal(note, "value")),
        limit=float(_decimal(note, "limit")),
        until_at=until_at,
        message=note.message,
    )


def _breaker(name: Any) -> Breaker:
    try:
        return Breaker(name)
    except ValueError as exc:
        raise DataError(
            f"the journal names a breaker {name!r}: a newer version wrote it, use that"
        ) from exc


def _decimal(note: NoteRecord, name: str) -> Decimal:
    try:
        value = Decimal(str(note.fields.get(name)))
    except InvalidOperation as exc:
        raise DataError(f"the journal's note {note.topic} has no number {name!r}") from exc
    if not value.is_finite():
        raise DataError(f"the journal's note {note.topic} has no number {name!r}")
    return value
