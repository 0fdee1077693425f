"""What an equity curve and a trade list say; the definitions the kernel is held to.

Ratios are fractions, annual numbers use a 365-day year, returns are simple returns of one bar of
the marked-to-market
equity. `nan` means undefined, never zero; ruin is a total return of -1.0.

Three more stand in the kernel's row alone: `turnover_per_day` adds each entry's notional over the
equity before it and each exit's over the equity at the close before, divided by days;
`return_autocorrelation` is (sum of r[t] r[t-1] - n mean^2) / (n variance) over all n bars;
`exposure` is the share of bars at whose close a position stands.
"""

from __future__ import annotations

import math

import numpy as np

from engine.backtest.layout import TIE_FRAC
from engine.errors import DataError, NonFiniteError
from engine.types import MS_PER_DAY, FloatArray, IntArray


def bar_returns(equity_quote: FloatArray) -> FloatArray:
    """Return the simple return of each bar.

    Parameters
    ----------
    equity_quote : ndarray of shape (n_bars + 1,), float64, quote currency, finite and >= 0; the
        first point is the
        capital before the first bar

    Returns
    -------
    ndarray of shape (n_bars,), fraction; 0.0 after ruin.

    Raises
    ------
    DataError : fewer than two points.
    NonFiniteError : a point that is not finite or is negative.
    """
    _check_equity(equity_quote)
    before = equity_quote[:-1]
    out = np.zeros(before.shape[0])
    np.divide(equity_quote[1:], before, out=out, where=before > 0.0)
    out[before > 0.0] -= 1.0
    return out


def total_return(equity_quote: FloatArray) -> float:
    """Return the growth from first to last point, fraction >= -1.0."""
    _check_equity(equity_quote)
    return float(equity_quote[-1] / equity_quote[0] - 1.0)


def annual_log_growth(equity_quote: FloatArray, periods_per_year: float) -> float:
    """Return ln(last / first) a year; -inf at ruin."""
    _check_equity(equity_quote)
    years = (equity_quote.shape[0] - 1) / periods_per_year
    growth = float(equity_quote[-1] / equity_quote[0])
    return math.log(growth) / years if growth > 0.0 else -math.inf


def annual_return(equity_quote: FloatArray, periods_per_year: float) -> float:
    """Return the compounded growth a year, fraction >= -1.0; inf where a float64 cannot hold it."""
    log_growth = annual_log_growth(equity_quote, periods_per_year)
    return math.expm1(log_growth) if log_growth < 700.0 else math.inf


def sharpe(returns: FloatArray, periods_per_year: float) -> float:
    """Return mean over sample standard deviation (n - 1), annual; nan when nothing varies.

    Source: Sharpe (1994), The Sharpe Ratio, with a risk-free rate of zero.
    """
    if returns.shape[0] < 2:
        return math.nan
    std = float(np.std(returns, ddof=1))
    return float(np.mean(returns)) / std * math.sqrt(periods_per_year) if std > 0.0 else math.nan


def sortino(returns: FloatArray, periods_per_year: float) -> float:
    """Return mean over root mean square of min(r, 0), annual; nan without a loss.

    Source: Sortino and Price (1994), target return zero.
    """
    if returns.shape[0] < 2:
        return math.nan
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return (
        float(np.mean(returns)) / downside * math.sqrt(periods_per_year) if downside else math.nan
    )


def max_drawdown(equity_quote: FloatArray) -> float:
    """Return the deepest loss from a running peak.

    Parameters
    ----------
    equity_quote : ndarray of shape (n_points,), quote currency, finite and >= 0, first point > 0

    Returns
    -------
    float in [0, 1]: a fraction of the running peak; 0.06 is a 6 % drawdown, 1.0 is ruin.
    """
    _check_equity(equity_quote)
    peak = np.maximum.accumulate(equity_quote)
    return float(np.max(1.0 - equity_quote / peak))


def max_drawdown_bars(equity_quote: FloatArray) -> int:
    """Return the longest run of points below the running peak (by more than 1e-9 of it), bars."""
    _check_equity(equity_quote)
    below = equity_quote < np.maximum.accumulate(equity_quote) * (1.0 - TIE_FRAC)
    longest = length = 0
    for is_below in below:
        length = length + 1 if is_below else 0
        longest = max(longest, length)
    return longest


def calmar(equity_quote: FloatArray, periods_per_year: float) -> float:
    """Return annual return over maximum drawdown; nan without a drawdown. Source: Young (1991)."""
    drawdown = max_drawdown(equity_quote)
    return annual_return(equity_quote, periods_per_year) / drawdown if drawdown > 0 else math.nan


def profit_factor(trade_pnl: FloatArray) -> float:
    """Return gross profit over gross loss; inf without losses, nan without either."""
    profit = float(np.sum(trade_pnl[trade_pnl > 0.0]))
    loss = -float(np.sum(trade_pnl[trade_pnl <= 0.0]))
    if loss > 0.0:
        return profit / loss
    return math.inf if profit > 0.0 else math.nan


def win_rate(trade_pnl: FloatArray) -> float:
    """Return the share of trades with a profit after costs; nan without trades."""
    return float(np.mean(trade_pnl > 0.0)) if trade_pnl.shape[0] else math.nan


def longest_streak(trade_pnl: FloatArray, *, wins: bool) -> int:
    """Return the longest run of winning (or losing) trades."""
    longest = length = 0
    for pnl in trade_pnl:
        length = length + 1 if bool(pnl > 0.0) == wins else 0
        longest = max(longest, length)
    return longest


def skewness(returns: FloatArray) -> float:
    """Return the third standardised moment (population); nan when nothing varies."""
    return _standardised(returns, 3)


def kurtosis(returns: FloatArray) -> float:
    """Return the fourth standardised moment, non-excess (normal: 3); nan when nothing varies."""
    return _standardised(returns, 4)


def daily_returns(equity_quote: FloatArray, timestamp: IntArray) -> FloatArray:
    """Return the return of each UTC day.

    Parameters
    ----------
    equity_quote : ndarray of shape (n_bars + 1,)
    timestamp : ndarray of shape (n_bars,), UTC ms of each bar's open

    Returns
    -------
    ndarray of shape (n_days,), fraction; the first and last day may be partial.
    """
    days = timestamp // MS_PER_DAY
    last = np.append(np.flatnonzero(np.diff(days)), timestamp.shape[0] - 1)
    points = np.concatenate((equity_quote[:1], equity_quote[last + 1]))
    return bar_returns(points)


def value_at_risk(returns: FloatArray, tail: float = 0.05) -> float:
    """Return minus the `tail` quantile (linear) of the returns, fraction; nan without returns."""
    return -float(np.quantile(returns, tail)) if returns.shape[0] else math.nan


def expected_shortfall(returns: FloatArray, tail: float = 0.05) -> float:
    """Return minus the mean of the worst `tail` share of the returns, fraction; nan without any.

    The last return of that share counts in part, so that ties at the quantile change nothing.
    Source: Acerbi and Tasche (2002), On the coherence of expected shortfall, proposition 4.1.
    """
    n_returns = returns.shape[0]
    if not n_returns:
        return math.nan
    ordered = np.sort(returns)
    whole = math.floor(tail * n_returns)
    part = tail * n_returns - whole
    worst = float(np.sum(ordered[:whole])) + part * float(ordered[whole])
    return float(-worst / (tail * n_returns))


def monthly_returns(equity_quote: FloatArray, timestamp: IntArray) -> dict[str, float]:
    """Return each UTC month's return, {"2025-03": fraction}; first and last may be partial."""
    months = timestamp.astype("datetime64[ms]").astype("datetime64[M]")
    last = np.append(np.flatnonzero(np.diff(months.astype(np.int64))), timestamp.shape[0] - 1)
    points = np.concatenate((equity_quote[:1], equity_quote[last + 1]))
    return dict(
        zip((str(month) for month in months[last]), bar_returns(points).tolist(), strict=True)
    )


def _standardised(returns: FloatArray, power: int) -> float:
    if returns.shape[0] < 2:
        return math.nan
    centred = returns - np.mean(returns)
    variance = float(np.mean(centred**2))
    return float(np.mean(centred**power)) / variance ** (power / 2) if variance > 0 else math.nan


def _check_equity(equity_quote: FloatArray) -> None:
    if equity_quote.shape[0] < 2:
        raise DataError("an equity curve needs at least two points")
    if not np.all(np.isfinite(equity_quote)) or np.any(equity_quote < 0) or equity_quote[0] <= 0:
        raise NonFiniteError("an equity curve must be finite, not negative, and start above zero")
