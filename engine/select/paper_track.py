"""A strategy's record on paper, as the live gate reads it: from its closed trades alone. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import numpy as np

from engine.backtest import metrics
from engine.errors import DataError
from engine.types import MS_PER_DAY, FloatArray


class ClosedTrade(Protocol):
    """A round trip, wherever it is kept."""

    @property
    def exit_at(self) -> int:
        """Return when it ended, UTC ms."""
        ...

    @property
    def pnl_quote(self) -> Decimal:
        """Return its profit after fees, quote currency."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PaperTrack:
    """What a strategy made on paper.

    Attributes
    ----------
    metrics : total_return, max_drawdown, n_trades, win_rate, profit_factor; nan where undefined
    daily : ndarray of shape (n_days,), return of each UTC day it was on paper, fraction; a trade
        counts on the day it ended, a day without one is 0
    """

    metrics: Mapping[str, float]
    daily: FloatArray

    @property
    def n_days(self) -> int:
        """Return how many UTC days the record covers."""
        return int(self.daily.shape[0])


def paper_track(
    trades: Sequence[ClosedTrade], capital_quote: float, start_at: int, end_at: int
) -> PaperTrack:
    """Return the record of a strategy on one symbol.

    Parameters
    ----------
    trades : its closed trades, any order; those that ended outside the time are left out
    capital_quote : > 0, what was allocated to it
    start_at, end_at : UTC ms, since when it has been on paper and until when that is judged

    Raises
    ------
    DataError : no capital.

    Notes
    -----
    A day that is not over yet counts: what it lost so far is lost.
    """
    if not (math.isfinite(capital_quote) and capital_quote > 0.0):
        raise DataError(f"a paper record needs capital above zero, not {capital_quote}")
    held = sorted(
        (trade for trade in trades if start_at <= trade.exit_at < end_at),
        key=lambda trade: trade.exit_at,
    )
    pnl = np.array([float(trade.pnl_quote) for trade in held])
    equity = np.maximum(np.concatenate(([capital_quote], capital_quote + np.cumsum(pnl))), 0.0)
    # A curve needs two points, and without a trade there is one.
    curve = np.concatenate((equity[:1], equity))
    return PaperTrack(
        metrics={
            "total_return": metrics.total_return(curve),
            "max_drawdown": metrics.max_drawdown(curve),
            "n_trades": float(len(held)),
            "win_rate": metrics.win_rate(pnl),
            "profit_factor": metrics.profit_factor(pnl),
        },
        daily=_daily(held, equity, start_at, end_at),
    )


def _daily(
    held: Sequence[ClosedTrade], equity: FloatArray, start_at: int, end_at: int
) -> FloatArray:
    if end_at <= start_at:
        return np.empty(0)
    first = start_at // MS_PER_DAY
    days = np.arange(first, (end_at - 1) // MS_PER_DAY + 1)
    ended = np.array([trade.exit_at // MS_PER_DAY for trade in held], dtype=np.int64)
    # How many trades had ended by the end of each day says what it was worth then.
    points = equity[np.searchsorted(ended, days, side="right")]
    return metrics.bar_returns(np.concatenate((equity[:1], points)))
