"""What an account has lost of the day, the week, the month and its peak, as a fold over marks.

Money that comes or goes is neither profit nor loss: starts and peak are scaled with it, as the
price of a fund's unit does not change when units are bought (a time-weighted return). So a deposit
does not cure a drawdown, and a withdrawal does not cause one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from engine.errors import NonFiniteError
from engine.trade.instrument import ZERO
from engine.types import MS_PER_DAY

LATE_START_MS = 5 * 60_000
"""A first mark that comes later than this after a boundary was not there when the period began."""

_MONDAY_SHIFT = 3
"""1970-01-01 was a Thursday."""


class Period(StrEnum):
    """A span of UTC time that losses are counted in."""

    DAY = "day"
    WEEK = "week"
    """ISO: from Monday on."""
    MONTH = "month"


def period_index(period: Period, at: int) -> int:
    """Return the number of the period that an instant (UTC ms) is in, counted from 1970."""
    day = at // MS_PER_DAY
    if period is Period.DAY:
        return day
    if period is Period.WEEK:
        return (day + _MONDAY_SHIFT) // 7
    date = datetime.fromtimestamp(at / 1000, UTC)
    return (date.year - 1970) * 12 + date.month - 1


def period_start_at(period: Period, index: int) -> int:
    """Return the first instant of a period, UTC ms."""
    if period is Period.DAY:
        return index * MS_PER_DAY
    if period is Period.WEEK:
        return (index * 7 - _MONDAY_SHIFT) * MS_PER_DAY
    year, month = divmod(index, 12)
    return round(datetime(1970 + year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000


@dataclass(frozen=True, slots=True)
class PeriodStart:
    """What the account was worth when a period began.

    Attributes
    ----------
    index : number of the period
    equity_quote : quote currency
    """

    index: int
    equity_quote: Decimal


@dataclass(frozen=True, slots=True)
class AccountState:
    """Marks of one account, folded.

    Attributes
    ----------
    last_quote, last_at : the newest mark; None before the first
    day, week, month : starts of the periods that the newest mark is in
    peak_quote : highest mark
    flow_quote : money that came (positive) or went since the newest mark, quote currency
    is_flow_unknown : money of unknown worth moved; the next mark is taken for the last one's worth
    is_restarting : the account was worth nothing when money came; the next mark is the first
    """

    last_quote: Decimal | None = None
    last_at: int | None = None
    day: PeriodStart | None = None
    week: PeriodStart | None = None
    month: PeriodStart | None = None
    peak_quote: Decimal | None = None
    flow_quote: Decimal = ZERO
    is_flow_unknown: bool = False
    is_restarting: bool = False

    def start_of(self, period: Period) -> PeriodStart | None:
        """Return the start of the current period, None before the first mark."""
        return {Period.DAY: self.day, Period.WEEK: self.week, Period.MONTH: self.month}[period]

    def marked(self, equity_quote: Decimal, at: int) -> AccountState:
        """Return the state after a mark.

        Parameters
        ----------
        equity_quote : quote currency, any sign
        at : UTC ms; a clock that ran backwards begins no period anew

        Raises
        ------
        NonFiniteError : an equity that is not a number.

        Notes
        -----
        A period starts at its first mark. When that comes late (the machine was off at midnight)
        the last mark before counts as well, and the higher of the two: what was lost in between is
        lost in the new period.
        """
        if not equity_quote.is_finite():
            raise NonFiniteError(f"an account cannot be worth {equity_quote}")
        before = self._before(equity_quote)
        peak_quote = before.peak_quote
        return AccountState(
            last_quote=equity_quote,
            last_at=at if before.last_at is None else max(at, before.last_at),
            day=before._begun(Period.DAY, equity_quote, at),
            week=before._begun(Period.WEEK, equity_quote, at),
            month=before._begun(Period.MONTH, equity_quote, at),
            peak_quote=equity_quote if peak_quote is None else max(peak_quote, equity_quote),
        )

    def flowed(self, amount_quote: Decimal | None) -> AccountState:
        """Return the state after money came (positive) or went.

        Parameters
        ----------
        amount_quote : quote currency; None when its worth is not known

        Notes
        -----
        The next mark settles it, so that one should follow at once: what the account was worth
        without the money then is taken for its worth before. Money of unknown worth hides what the
        market did between the last mark and the next.
        """
        if self.last_quote is None:
            return self
        if self.last_quote <= 0:
            return replace(self, is_restarting=True)
        if amount_quote is None or not amount_quote.is_finite():
            return replace(self, is_flow_unknown=True)
        return replace(self, flow_quote=self.flow_quote + amount_quote)

    def rebased(
        self, equity_quote: Decimal, *, peak: bool, week: bool, month: bool
    ) -> AccountState:
        """Return the state with losses counted anew from `equity_quote`, where asked for."""
        return replace(
            self,
            peak_quote=equity_quote if peak else self.peak_quote,
            week=_moved(self.week, equity_quote) if week else self.week,
            month=_moved(self.month, equity_quote) if month else self.month,
        )

    def loss_frac(self, period: Period, equity_quote: Decimal) -> float:
        """Return what is lost since the period began, fraction of the equity then.

        Returns
        -------
        float >= 0, 0.0 for a gain, above 1 when more than all is lost; nan before the first mark
        and when the period began with nothing.
        """
        start = self.start_of(period)
        start_quote = None if start is None else start.equity_quote
        return _loss(start_quote, equity_quote, self.flow_quote)

    def drawdown_frac(self, equity_quote: Decimal) -> float:
        """Return the loss from the peak, fraction of it; as `loss_frac`."""
        return _loss(self.peak_quote, equity_quote, self.flow_quote)

    def _begun(self, period: Period, equity_quote: Decimal, at: int) -> PeriodStart:
        index = period_index(period, at)
        known = self.start_of(period)
        if known is not None and known.index >= index:
            return known
        is_late = at - period_start_at(period, index) > LATE_START_MS
        if is_late and self.last_quote is not None:
            return PeriodStart(index, max(equity_quote, self.last_quote))
        return PeriodStart(index, equity_quote)

    def _before(self, equity_quote: Decimal) -> AccountState:
        """Return what a mark is compared with: the state of an account of the size it has now."""
        if self.last_quote is None or self.is_restarting:
            return AccountState(last_at=self.last_at)
        if not self.flow_quote and not self.is_flow_unknown:
            return self
        without_flow = self.last_quote if self.is_flow_unknown else equity_quote - self.flow_quote
        if without_flow <= 0:
            # Nothing was left when the money came: that was a loss.
            return self
        if equity_quote <= 0:
            # All of it was taken out: there is nothing left to lose a fraction of.
            return AccountState(last_at=self.last_at)
        factor = equity_quote / without_flow
        return replace(
            self,
            last_quote=self.last_quote * factor,
            day=_times(self.day, factor),
            week=_times(self.week, factor),
            month=_times(self.month, factor),
            peak_quote=None if self.peak_quote is None else self.peak_quote * factor,
        )


def _times(start: PeriodStart | None, factor: Decimal) -> PeriodStart | None:
    return None if start is None else PeriodStart(start.index, start.equity_quote * factor)


def _moved(start: PeriodStart | None, equity_quote: Decimal) -> PeriodStart | None:
    return None if start is None else PeriodStart(start.index, equity_quote)


def _loss(start_quote: Decimal | None, equity_quote: Decimal, flow_quote: Decimal) -> float:
    if start_quote is None or start_quote <= 0 or not equity_quote.is_finite():
        return math.nan
    return max(0.0, float((start_quote - (equity_quote - flow_quote)) / start_quote))
