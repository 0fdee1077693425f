"""From the kernel's accumulators to the metrics row; metrics.py has the definitions."""

from __future__ import annotations

import math

import numpy as np

from engine.backtest import layout as k
from engine.backtest.metric_names import METRIC_INDEX
from engine.strategy.compiled import compiled_kernel

_I = METRIC_INDEX
M_FITNESS = _I["fitness"]
M_TOTAL = _I["total_return"]
M_ANNUAL = _I["annual_return"]
M_LOG_GROWTH = _I["annual_log_growth"]
M_SHARPE = _I["sharpe"]
M_SORTINO = _I["sortino"]
M_CALMAR = _I["calmar"]
M_DRAWDOWN = _I["max_drawdown"]
M_DRAWDOWN_BARS = _I["max_drawdown_bars"]
M_TRADES = _I["n_trades"]
M_WIN_RATE = _I["win_rate"]
M_PROFIT_FACTOR = _I["profit_factor"]
M_EXPECTANCY = _I["expectancy_quote"]
M_TRADE_RETURN = _I["average_trade_return"]
M_TRADE_BARS = _I["average_trade_bars"]
M_WIN_STREAK = _I["win_streak"]
M_LOSS_STREAK = _I["loss_streak"]
M_EXPOSURE = _I["exposure"]
M_TURNOVER = _I["turnover_per_day"]
M_VAR = _I["value_at_risk"]
M_ES = _I["expected_shortfall"]
M_BARS = _I["n_bars"]
M_MEAN = _I["return_mean"]
M_STD = _I["return_std"]
M_SKEW = _I["return_skewness"]
M_KURT = _I["return_kurtosis"]
M_AUTO = _I["return_autocorrelation"]
M_PROFIT = _I["gross_profit_quote"]
M_LOSS = _I["gross_loss_quote"]
M_COMMISSION = _I["commission_quote"]
M_SLIPPAGE = _I["slippage_quote"]
M_FINAL = _I["final_equity_quote"]

TAIL = 0.05


@compiled_kernel
def daily_tail_nb(day_equity, initial, out):  # type: ignore[no-untyped-def]
    """Write value at risk and expected shortfall (95 %, one UTC day); NaN without days."""
    n = day_equity.shape[0]
    out[M_VAR] = np.nan
    out[M_ES] = np.nan
    if n == 0:
        return
    returns = np.empty(n)
    previous = initial
    for i in range(n):
        # After ruin there is nothing left to lose.
        returns[i] = day_equity[i] / previous - 1.0 if previous > 0.0 else 0.0
        previous = day_equity[i]
    returns.sort()
    position = TAIL * (n - 1)
    below = math.floor(position)
    quantile = returns[below]
    if below + 1 < n:
        quantile += (position - below) * (returns[below + 1] - returns[below])
    # The worst 5 % exactly, the last of them in part: no jump where days tie.
    whole = math.floor(TAIL * n)
    part = TAIL * n - whole
    total = part * returns[whole]
    for i in range(whole):
        total += returns[i]
    out[M_VAR] = -quantile
    out[M_ES] = -total / (TAIL * n)


@compiled_kernel
def _moments_nb(acc, n, per_year, out):  # type: ignore[no-untyped-def]
    mean = acc[k.A_S1] / n
    out[M_MEAN] = mean
    for i in (M_STD, M_SKEW, M_KURT, M_AUTO, M_SHARPE, M_SORTINO):
        out[i] = np.nan
    if n < 2:
        return
    squares = acc[k.A_S2] - n * mean * mean
    if not squares > 0.0 or acc[k.A_S2] == 0.0:
        out[M_STD] = 0.0
        return
    std = math.sqrt(squares / (n - 1))
    m2 = squares / n
    m3 = acc[k.A_S3] / n - 3.0 * mean * acc[k.A_S2] / n + 2.0 * mean**3
    m4 = (
        acc[k.A_S4] / n
        - 4.0 * mean * acc[k.A_S3] / n
        + 6.0 * mean * mean * acc[k.A_S2] / n
        - 3.0 * mean**4
    )
    out[M_STD] = std
    out[M_SKEW] = m3 / m2**1.5
    out[M_KURT] = m4 / (m2 * m2)
    # Products of neighbours, centred; the two end terms differ from the full sums by one return
    # each.
    out[M_AUTO] = (acc[k.A_LAG] / n - mean * mean) / m2
    out[M_SHARPE] = mean / std * math.sqrt(per_year)
    if acc[k.A_DOWN2] > 0.0:
        out[M_SORTINO] = mean / math.sqrt(acc[k.A_DOWN2] / n) * math.sqrt(per_year)


@compiled_kernel
def _trades_nb(acc, out):  # type: ignore[no-untyped-def]
    n = acc[k.A_TRADES]
    out[M_TRADES] = n
    out[M_WIN_STREAK] = acc[k.A_WIN_STREAK]
    out[M_LOSS_STREAK] = acc[k.A_LOSS_STREAK]
    out[M_PROFIT] = acc[k.A_GROSS_PROFIT]
    out[M_LOSS] = acc[k.A_GROSS_LOSS]
    for i in (M_WIN_RATE, M_PROFIT_FACTOR, M_EXPECTANCY, M_TRADE_RETURN, M_TRADE_BARS):
        out[i] = np.nan
    if n == 0.0:
        return
    out[M_WIN_RATE] = acc[k.A_WINS] / n
    if acc[k.A_GROSS_LOSS] > 0.0:
        out[M_PROFIT_FACTOR] = acc[k.A_GROSS_PROFIT] / acc[k.A_GROSS_LOSS]
    elif acc[k.A_GROSS_PROFIT] > 0.0:
        out[M_PROFIT_FACTOR] = np.inf
    out[M_EXPECTANCY] = (acc[k.A_GROSS_PROFIT] - acc[k.A_GROSS_LOSS]) / n
    out[M_TRADE_RETURN] = acc[k.A_SUM_RETURN] / n
    out[M_TRADE_BARS] = acc[k.A_SUM_BARS] / n


@compiled_kernel
def finish_nb(  # type: ignore[no-untyped-def]
    acc, n_bars, per_year, bars_per_day, initial, day_equity, min_trades, drawdown_weight, out
):
    """Write one metrics row.

    Parameters
    ----------
    acc : accumulators of `simulate_nb`
    n_bars : bars of the segment, > 0
    per_year, bars_per_day : bars in a 365-day year and in a day
    initial : capital at the start, quote currency
    day_equity : equity at the end of each UTC day
    min_trades, drawdown_weight : of the fitness
    out : ndarray of shape (N_METRICS,)
    """
    _moments_nb(acc, n_bars, per_year, out)
    _trades_nb(acc, out)
    daily_tail_nb(day_equity, initial, out)
    final = acc[k.A_FINAL]
    growth = final / initial
    out[M_TOTAL] = growth - 1.0
    years = n_bars / per_year
    if growth > 0.0:
        log_growth = math.log(growth) / years
        out[M_LOG_GROWTH] = log_growth
        # Beyond e^700 a float64 is infinite; a short segment can extrapolate that far.
        out[M_ANNUAL] = math.expm1(log_growth) if log_growth < 700.0 else np.inf
    else:
        out[M_LOG_GROWTH] = -np.inf
        out[M_ANNUAL] = -1.0
    if acc[k.A_FLOOR] < acc[k.A_KEPT_FLOOR]:
        drawdown = 1.0 - max(acc[k.A_FLOOR], 0.0) / acc[k.A_PEAK]
    else:
        drawdown = 1.0 - acc[k.A_KEPT]
    out[M_DRAWDOWN] = drawdown
    out[M_DRAWDOWN_BARS] = acc[k.A_LONGEST]
    out[M_CALMAR] = out[M_ANNUAL] / drawdown if drawdown > 0.0 else np.nan
    out[M_EXPOSURE] = acc[k.A_HELD] / n_bars
    out[M_TURNOVER] = acc[k.A_TRADED] / (n_bars / bars_per_day)
    out[M_BARS] = n_bars
    out[M_COMMISSION] = acc[k.A_COMMISSION]
    out[M_SLIPPAGE] = acc[k.A_SLIPPAGE]
    out[M_FINAL] = final
    out[M_FITNESS] = np.nan
    if acc[k.A_TRADES] >= min_trades:
        out[M_FITNESS] = out[M_LOG_GROWTH] - drawdown_weight * drawdown
