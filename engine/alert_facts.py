"""From trades, positions and counters to the facts that the rules judge. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.alert_rules import RequestFacts, StrategyFacts
from engine.types import MS_PER_DAY

HOUR_MS = 3_600_000
WINDOW_MS = 300_000
_DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """What the facts need of a round trip.

    Attributes
    ----------
    exit_at : UTC ms, the account's clock
    pnl_quote : after fees
    """

    entry_at: int
    exit_at: int
    pnl_quote: float


@dataclass(frozen=True, slots=True)
class Mark:
    """What open positions of a strategy were worth beyond their cost, at an instant.

    Attributes
    ----------
    at : UTC ms, the account's clock
    """

    at: int
    unrealized_quote: float


def strategy_facts(
    strategy_id: str,
    account: str,
    trades: Sequence[ClosedTrade],
    marks: Sequence[Mark],
    capital_quote: float,
    *,
    is_paused: bool = False,
) -> StrategyFacts:
    """Return how a strategy does, by what it closed and what it holds.

    Parameters
    ----------
    trades : by exit, oldest first; may be empty
    marks : oldest first, the last one is of now; the hour's loss is measured from the newest that
        is an hour old, or from the oldest
    capital_quote : what it may use, > 0

    Returns
    -------
    StrategyFacts : the Sharpe ratio is of daily gains on a constant capital, idle days included,
        annualised by √365, nan under two days or without spread; the drawdown is today's, from the
        peak of capital and closed gains.
    """
    wins = sum(trade.pnl_quote > 0 for trade in trades)
    now_at = max([mark.at for mark in marks] + [trade.exit_at for trade in trades], default=0)
    unrealized = marks[-1].unrealized_quote if marks else 0.0
    return StrategyFacts(
        strategy_id=strategy_id,
        account=account,
        is_paused=is_paused,
        n_trades=len(trades),
        sharpe=_daily_sharpe(trades, now_at),
        drawdown_frac=_drawdown(trades, unrealized, capital_quote),
        win_rate_frac=wins / len(trades) if trades else math.nan,
        hour_return_frac=_hour_gain(trades, marks, now_at) / capital_quote,
    )


def kept_marks(marks: Iterable[Mark], new: Mark) -> tuple[Mark, ...]:
    """Return the marks that the next look needs: the last hour, and the newest one before it.

    A clock that went backwards (a replay that began anew) forgets the marks after it.
    """
    before = [mark for mark in marks if mark.at < new.at]
    old = [mark for mark in before if mark.at <= new.at - HOUR_MS]
    recent = [mark for mark in before if mark.at > new.at - HOUR_MS]
    return (*old[-1:], *recent, new)


class RequestWindow:
    """Counters that only grow, looked at over five minutes.

    May run twice: a sample of the same instant replaces the one before. A counter that fell (its
    part was restarted) counts from zero.
    """

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[int, int, int]]] = {}
        self._raw: dict[str, tuple[int, int]] = {}

    def sample(self, name: str, at: int, n_requests: int, n_failed: int) -> None:
        """Take a part's counters at an instant, UTC ms."""
        was = self._raw.get(name, (n_requests, n_failed))
        self._raw[name] = (n_requests, n_failed)
        is_restart = n_requests < was[0] or n_failed < was[1]
        added = (n_requests, n_failed) if is_restart else (n_requests - was[0], n_failed - was[1])
        samples = self._samples.setdefault(name, deque())
        samples.append((at, *added))
        while samples and samples[0][0] <= at - WINDOW_MS:
            samples.popleft()

    def facts(self, now_at: int) -> list[RequestFacts]:
        """Return what happened in the five minutes before `now_at`."""
        found = []
        for name, samples in sorted(self._samples.items()):
            recent = [sample for sample in samples if sample[0] > now_at - WINDOW_MS]
            n_requests, n_failed = (sum(s[i] for s in recent) for i in (1, 2))
            found.append(RequestFacts(name, n_requests, n_failed))
        return found


def counters_of(detail: Mapping[str, object]) -> tuple[int, int] | None:
    """Return (requests, failed requests) that a part tells beside its pulse, None without them."""
    n_requests, n_failed = detail.get("n_requests"), detail.get("n_failed")
    if isinstance(n_requests, int) and isinstance(n_failed, int):
        return n_requests, n_failed
    return None


def _daily_sharpe(trades: Sequence[ClosedTrade], now_at: int) -> float:
    if not trades:
        return math.nan
    first = min(trade.entry_at for trade in trades) // MS_PER_DAY
    n_days = now_at // MS_PER_DAY - first + 1
    if n_days < 2:
        return math.nan
    by_day: dict[int, float] = {}
    for trade in trades:
        day = trade.exit_at // MS_PER_DAY
        by_day[day] = by_day.get(day, 0.0) + trade.pnl_quote
    mean = math.fsum(by_day.values()) / n_days
    squares = math.fsum((gain - mean) ** 2 for gain in by_day.values())
    squares += (n_days - len(by_day)) * mean**2
    spread = math.sqrt(squares / (n_days - 1))
    return mean / spread * math.sqrt(_DAYS_PER_YEAR) if spread > 0 else math.nan


def _drawdown(trades: Sequence[ClosedTrade], unrealized: float, capital: float) -> float:
    equity = peak = capital
    for trade in trades:
        equity += trade.pnl_quote
        peak = max(peak, equity)
    # A peak that what is open makes is none yet.
    return min(1.0, max(0.0, 1.0 - (equity + unrealized) / peak))


def _hour_gain(trades: Sequence[ClosedTrade], marks: Sequence[Mark], now_at: int) -> float:
    since_at = now_at - HOUR_MS
    closed = math.fsum(trade.pnl_quote for trade in trades if trade.exit_at > since_at)
    if not marks:
        return closed
    old = [mark for mark in marks if mark.at <= since_at]
    start = old[-1] if old else marks[0]
    return closed + marks[-1].unrealized_quote - start.unrealized_quote
