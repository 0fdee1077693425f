"""What paper trading measured, in the backtest's own metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.backtest import metrics
from engine.backtest.metric_names import METRIC_NAMES
from engine.trade.exchange import Fill
from engine.trade.orders import Order
from engine.trade.positions import base_of
from engine.trade.round_trips import RoundTrip
from engine.types import MS_PER_DAY, BoolArray, FloatArray, IntArray, bars_per_year, timeframe_ms


def paper_metrics(
    equity: FloatArray,
    is_held: BoolArray,
    timestamp: IntArray,
    trips: Sequence[RoundTrip],
    fills: Sequence[Fill],
    orders: Sequence[Order],
    timeframe: str,
    *,
    min_trades_fitness: int,
    drawdown_weight: float,
) -> dict[str, float]:
    """Return every metric of a strategy's paper trading, by name; nan where undefined.

    Parameters
    ----------
    equity : ndarray of shape (n_bars + 1,), quote currency: its capital, then marked at each close
    is_held : ndarray of shape (n_bars,), bool: a position stood at that close
    timestamp : ndarray of shape (n_bars,), UTC ms of each bar's open, n_bars > 0
    fills, orders : its own

    Notes
    -----
    Two are of the trading itself and not of a model of it: slippage is from where the market stood
    when an order was made (a stop's own level), and turnover counts each fill over the equity at
    the close before it.
    """
    worth = np.maximum(equity, 0.0)
    per_year = bars_per_year(timeframe)
    bar_ms = timeframe_ms(timeframe)
    returns = metrics.bar_returns(worth)
    daily = metrics.daily_returns(worth, timestamp)
    pnl = np.array([float(trip.pnl_quote) for trip in trips])
    gains = np.array([trip.net_return for trip in trips])
    lasted = np.array(
        [trip.exit_at // bar_ms - trip.entry_at // bar_ms for trip in trips], dtype=np.float64
    )
    n_days = timestamp.shape[0] * bar_ms / MS_PER_DAY
    growth = metrics.annual_log_growth(worth, per_year)
    drawdown = metrics.max_drawdown(worth)
    fitness = growth - drawdown_weight * drawdown if len(trips) >= min_trades_fitness else math.nan
    found = {
        "fitness": fitness,
        "total_return": metrics.total_return(worth),
        "annual_return": metrics.annual_return(worth, per_year),
        "annual_log_growth": growth,
        "sharpe": metrics.sharpe(returns, per_year),
        "sortino": metrics.sortino(returns, per_year),
        "calmar": metrics.calmar(worth, per_year),
        "max_drawdown": drawdown,
        "max_drawdown_bars": float(metrics.max_drawdown_bars(worth)),
        "n_trades": float(len(trips)),
        "win_rate": metrics.win_rate(pnl),
        "profit_factor": metrics.profit_factor(pnl),
        "expectancy_quote": _mean(pnl),
        "average_trade_return": _mean(gains),
        "average_trade_bars": _mean(lasted),
        "win_streak": float(metrics.longest_streak(pnl, wins=True)),
        "loss_streak": float(metrics.longest_streak(pnl, wins=False)),
        "exposure": _mean(is_held.astype(np.float64)),
        "turnover_per_day": _turnover(fills, worth, timestamp) / n_days,
        "value_at_risk": metrics.value_at_risk(daily),
        "expected_shortfall": metrics.expected_shortfall(daily),
        "n_bars": float(timestamp.shape[0]),
        "return_mean": _mean(returns),
        "return_std": float(np.std(returns, ddof=1)) if returns.shape[0] > 1 else math.nan,
        "return_skewness": metrics.skewness(returns),
        "return_kurtosis": metrics.kurtosis(returns),
        "return_autocorrelation": _autocorrelation(returns),
        "gross_profit_quote": float(np.sum(pnl[pnl > 0.0])),
        "gross_loss_quote": -float(np.sum(pnl[pnl <= 0.0])),
        "commission_quote": sum(_fee_quote(fill) for fill in fills),
        "slippage_quote": _slippage(fills, orders),
        "final_equity_quote": float(worth[-1]),
    }
    return {name: found[name] for name in METRIC_NAMES}


def _mean(values: FloatArray) -> float:
    return float(np.mean(values)) if values.shape[0] else math.nan


def _autocorrelation(returns: FloatArray) -> float:
    centre = _mean(returns)
    variance = _mean((returns - centre) ** 2)
    if not variance > 0.0:
        return math.nan
    lagged = float(np.sum(returns[1:] * returns[:-1])) / returns.shape[0]
    return float((lagged - centre * centre) / variance)


def _turnover(fills: Sequence[Fill], worth: FloatArray, timestamp: IntArray) -> float:
    total = 0.0
    for fill in fills:
        bar = int(np.searchsorted(timestamp, fill.at, side="right")) - 1
        before = float(worth[max(bar, 0)])
        if before > 0.0:
            total += float(fill.qty_base * fill.price) / before
    return total


def _fee_quote(fill: Fill) -> float:
    if fill.fee_asset == base_of(fill.symbol):
        return float(fill.fee * fill.price)
    return float(fill.fee)


def _slippage(fills: Sequence[Fill], orders: Sequence[Order]) -> float:
    requests = {order.client_id: order.request for order in orders}
    total = 0.0
    for fill in fills:
        request = requests.get(fill.client_id)
        if request is not None:
            aimed = request.stop_price or request.reference_price
            total += float(fill.qty_base * (fill.price - aimed)) * fill.side.sign
    return total
