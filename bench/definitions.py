"""What each metric means beside empyrical and quantstats, as one table.

Each row holds Paddock's metric against one of their functions. Where both mean the same, they must
agree on every curve. Where they do not, the row says how theirs differs and why ours stands, and
works theirs out from those words: were the difference stated not the whole one, the check would
fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from engine.types import FloatArray

TAIL = 0.05
TRADING_DAYS = 252.0
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One run as the libraries take it.

    Attributes
    ----------
    metrics : Paddock's, by name
    per_year : bars in a 365-day year
    bars, days : pandas Series, simple return of each bar and of each UTC day, fraction
    trades : pandas Series, profit of each closed trade, quote currency
    """

    name: str
    metrics: dict[str, float]
    per_year: float
    bars: Any
    days: Any
    trades: Any


Measure = Callable[[Curve], float]


@dataclass(frozen=True, slots=True)
class Definition:
    """One row of the table.

    Attributes
    ----------
    metric : Paddock's name
    call : what is asked of the library, for the reader
    theirs : the same as code
    restated : theirs worked out from `difference`; None where both mean the same
    difference, reason : how theirs differs and why ours stands
    is_idle : compared on runs without trades instead of those with
    """

    metric: str
    call: str
    theirs: Measure
    restated: Measure | None = None
    difference: str = ""
    reason: str = ""
    is_idle: bool = False

    def expected(self, curve: Curve) -> float:
        """Return what theirs must be on a curve."""
        return curve.metrics[self.metric] if self.restated is None else self.restated(curve)


def definitions(empyrical: Any, quantstats: Any) -> tuple[Definition, ...]:
    """Return the table; the arguments are `empyrical` and `quantstats.stats`."""
    return (*_of_empyrical(empyrical), *_of_quantstats(quantstats))


def _of_empyrical(lib: Any) -> tuple[Definition, ...]:
    return (
        Definition(
            "sharpe",
            "empyrical.sharpe_ratio(bars, annualization=bars a year)",
            lambda c: lib.sharpe_ratio(c.bars, annualization=c.per_year),
        ),
        Definition(
            "sharpe",
            "empyrical.sharpe_ratio(days)",
            lambda c: lib.sharpe_ratio(c.days),
            lambda c: _sharpe(_array(c.days), TRADING_DAYS),
            "returns of days, annualised over 252 trading days",
            "these markets never close: returns of bars, a year of 365 days",
        ),
        Definition(
            "sortino",
            "empyrical.sortino_ratio(bars, annualization=bars a year)",
            lambda c: lib.sortino_ratio(c.bars, annualization=c.per_year),
        ),
        Definition(
            "max_drawdown",
            "-empyrical.max_drawdown(bars)",
            lambda c: -lib.max_drawdown(c.bars),
        ),
        Definition(
            "annual_return",
            "empyrical.annual_return(bars, annualization=bars a year)",
            lambda c: lib.annual_return(c.bars, annualization=c.per_year),
        ),
        Definition(
            "calmar",
            "empyrical.calmar_ratio(bars, annualization=bars a year)",
            lambda c: lib.calmar_ratio(c.bars, annualization=c.per_year),
        ),
        Definition(
            "value_at_risk",
            "-empyrical.value_at_risk(days, 0.05)",
            lambda c: -lib.value_at_risk(c.days, TAIL),
        ),
        Definition(
            "expected_shortfall",
            "-empyrical.conditional_value_at_risk(days, 0.05)",
            lambda c: -lib.conditional_value_at_risk(c.days, TAIL),
            lambda c: _mean_of_worst(_array(c.days)),
            "mean of the worst floor(0.05 (n - 1)) + 1 days, each in full",
            "that is more or less than 5 % of the days: ours takes the last one in part",
        ),
    )


def _of_quantstats(lib: Any) -> tuple[Definition, ...]:
    return (
        Definition(
            "sharpe",
            "quantstats.sharpe(bars, periods=bars a year)",
            lambda c: lib.sharpe(c.bars, periods=c.per_year),
        ),
        Definition(
            "sortino",
            "quantstats.sortino(bars, periods=bars a year)",
            lambda c: lib.sortino(c.bars, periods=c.per_year),
        ),
        Definition(
            "max_drawdown",
            "-quantstats.max_drawdown(bars)",
            lambda c: -lib.max_drawdown(c.bars),
        ),
        Definition(
            "annual_return",
            "quantstats.cagr(bars, periods=bars a year)",
            lambda c: lib.cagr(c.bars, periods=c.per_year),
        ),
        Definition(
            "calmar",
            "quantstats.calmar(bars, periods=bars a year)",
            lambda c: lib.calmar(c.bars, periods=c.per_year),
        ),
        Definition(
            "value_at_risk",
            "-quantstats.value_at_risk(days)",
            lambda c: -lib.value_at_risk(c.days),
            lambda c: -(_mean(c.days) + _deviation(c.days) * _NORMAL.inv_cdf(TAIL)),
            "5 % quantile of a normal distribution with the mean and deviation of the days",
            "returns are not normal: ours is the quantile of the days themselves",
        ),
        Definition(
            "expected_shortfall",
            "-quantstats.cvar(days)",
            lambda c: -lib.cvar(c.days),
            lambda c: -(_mean(c.days) - _deviation(c.days) * _normal_tail()),
            "shortfall of a normal distribution with the mean and deviation of the days",
            "returns are not normal: ours is of the days themselves",
        ),
        Definition(
            "expected_shortfall",
            "-quantstats.cvar(days, method='historical')",
            lambda c: -lib.cvar(c.days, method="historical"),
            lambda c: _mean_up_to_quantile(_array(c.days)),
            "mean of the days at or below the interpolated 5 % quantile, each in full",
            "that is more or less than 5 % of the days: ours takes the last one in part",
        ),
        Definition("win_rate", "quantstats.win_rate(trades)", lambda c: lib.win_rate(c.trades)),
        Definition(
            "win_rate",
            "quantstats.win_rate(bars)",
            lambda c: lib.win_rate(c.bars),
            lambda c: _share(_array(c.bars) > 0.0, _array(c.bars) != 0.0),
            "share of the bars with a gain among those with a gain or a loss",
            "a trade is flat to flat, costs included: bars win and lose inside one",
        ),
        Definition(
            "win_rate",
            "quantstats.win_rate(no trades)",
            lambda c: lib.win_rate(c.trades),
            lambda c: 0.0,
            "0 without trades",
            "nothing was tried, so nothing was lost: undefined",
            is_idle=True,
        ),
        Definition(
            "profit_factor",
            "quantstats.profit_factor(trades)",
            lambda c: lib.profit_factor(c.trades),
        ),
        Definition(
            "profit_factor",
            "quantstats.profit_factor(bars)",
            lambda c: lib.profit_factor(c.bars),
            lambda c: _gain_over_loss(_array(c.bars)),
            "sum of the bars' gains over sum of their losses, fractions",
            "gross profit over gross loss of trades, in quote currency",
        ),
        Definition(
            "profit_factor",
            "quantstats.profit_factor(no trades)",
            lambda c: lib.profit_factor(c.trades),
            lambda c: 0.0,
            "0 without trades",
            "nothing was tried, so nothing was lost: undefined",
            is_idle=True,
        ),
    )


def _array(series: Any) -> FloatArray:
    return np.asarray(series, dtype=np.float64)


def _mean(series: Any) -> float:
    return float(np.mean(_array(series)))


def _deviation(series: Any) -> float:
    return float(np.std(_array(series), ddof=1))


def _sharpe(returns: FloatArray, per_year: float) -> float:
    return float(np.mean(returns) / np.std(returns, ddof=1) * np.sqrt(per_year))


def _normal_tail() -> float:
    return _NORMAL.pdf(_NORMAL.inv_cdf(TAIL)) / TAIL


def _mean_of_worst(returns: FloatArray) -> float:
    n_worst = int((returns.shape[0] - 1) * TAIL) + 1
    return -float(np.mean(np.sort(returns)[:n_worst]))


def _mean_up_to_quantile(returns: FloatArray) -> float:
    return -float(np.mean(returns[returns <= np.quantile(returns, TAIL)]))


def _share(some: Any, of: Any) -> float:
    return float(np.count_nonzero(some) / np.count_nonzero(of))


def _gain_over_loss(returns: FloatArray) -> float:
    return float(np.sum(returns[returns > 0.0]) / -np.sum(returns[returns < 0.0]))
