"""The metrics of a reference run, each formula written once more, on lists."""

from __future__ import annotations

import math
from itertools import pairwise

from tests.reference.simulator import DAY_MS, YEAR_DAYS, Run


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def central_moment(values: list[float], power: int) -> float:
    middle = mean(values)
    return math.fsum((value - middle) ** power for value in values) / len(values)


def drawdown(equity: list[float]) -> tuple[float, int]:
    """Return the deepest loss from a peak, and the longest run of points a billionth below one."""
    peak, deepest, longest, length = equity[0], 0.0, 0, 0
    for point in equity:
        peak = max(peak, point)
        deepest = max(deepest, 1.0 - point / peak)
        length = length + 1 if point < peak * (1.0 - 1e-9) else 0
        longest = max(longest, length)
    return deepest, longest


def streak(pnl: list[float], *, wins: bool) -> int:
    longest = length = 0
    for value in pnl:
        length = length + 1 if (value > 0.0) == wins else 0
        longest = max(longest, length)
    return longest


def quantile(values: list[float], share: float) -> float:
    """Return the quantile by linear interpolation between order statistics."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def simple_returns(points: list[float]) -> list[float]:
    return [after / before - 1.0 if before > 0.0 else 0.0 for before, after in pairwise(points)]


def value_at_risk(days: list[float]) -> float:
    return -quantile(simple_returns(days), 0.05)


def expected_shortfall(days: list[float]) -> float:
    """Return minus the mean of the worst 5 % of the daily returns, the last of them in part."""
    ordered = sorted(simple_returns(days))
    left = 0.05 * len(ordered)
    total = 0.0
    for value in ordered:
        share = min(1.0, left)
        total += share * value
        left -= share
        if left <= 0.0:
            break
    return -total / (0.05 * len(ordered))


def growth_measures(run: Run, years: float) -> dict[str, float]:
    growth = run.equity[-1] / run.equity[0]
    log_growth = math.log(growth) / years if growth > 0.0 else -math.inf
    annual = math.exp(log_growth) - 1.0 if log_growth < 700.0 else math.inf
    deepest, longest = drawdown(run.equity)
    return {
        "total_return": growth - 1.0,
        "annual_return": annual,
        "annual_log_growth": log_growth,
        "calmar": annual / deepest if deepest > 0.0 else math.nan,
        "max_drawdown": deepest,
        "max_drawdown_bars": longest,
        "final_equity_quote": run.equity[-1],
    }


def return_measures(run: Run, bars_per_year: float) -> dict[str, float]:
    """Return the moments; autocorrelation is the mean product of neighbours less the squared mean.

    Its sums run over all n returns, so the two ends weigh a little (1 / n) differently than in the
    textbook's estimator.
    """
    returns = simple_returns(run.equity)
    n = len(returns)
    average = mean(returns)
    variance = central_moment(returns, 2)
    undefined = n < 2 or max(returns) == min(returns)
    root_year = math.sqrt(bars_per_year)
    std = math.sqrt(variance * n / (n - 1)) if n > 1 else math.nan
    downside = math.sqrt(mean([min(value, 0.0) ** 2 for value in returns]))
    products = math.fsum(a * b for a, b in pairwise(returns))
    nan = math.nan
    return {
        "sharpe": nan if undefined else average / std * root_year,
        "sortino": average / downside * root_year if n > 1 and downside > 0.0 else nan,
        "return_mean": average,
        "return_std": std,
        "return_skewness": nan if undefined else central_moment(returns, 3) / variance**1.5,
        "return_kurtosis": nan if undefined else central_moment(returns, 4) / variance**2,
        "return_autocorrelation": nan if undefined else (products / n - average**2) / variance,
    }


def trade_measures(run: Run) -> dict[str, float]:
    trades = run.account.closed
    pnl = [trade.pnl for trade in trades]
    profit = math.fsum(value for value in pnl if value > 0.0)
    loss = -math.fsum(value for value in pnl if value <= 0.0)
    if loss > 0.0:
        factor = profit / loss
    else:
        factor = math.inf if profit > 0.0 else math.nan
    lengths = [float((trade.exit_bar or 0) - trade.entry_bar) for trade in trades]
    return {
        "n_trades": len(trades),
        "win_rate": mean([1.0 if value > 0.0 else 0.0 for value in pnl]),
        "profit_factor": factor,
        "expectancy_quote": mean(pnl),
        "average_trade_return": mean([trade.net_return for trade in trades]),
        "average_trade_bars": mean(lengths),
        "win_streak": streak(pnl, wins=True),
        "loss_streak": streak(pnl, wins=False),
        "gross_profit_quote": profit,
        "gross_loss_quote": loss,
    }


def use_measures(run: Run, n_bars: int, bars_per_year: float, stop: int) -> dict[str, float]:
    held = sum((trade.exit_bar or 0) - trade.entry_bar for trade in run.account.closed)
    if run.account.held is not None:
        held += stop - run.account.held.entry_bar
    days = n_bars / (bars_per_year / YEAR_DAYS)
    return {
        "exposure": held / n_bars,
        "turnover_per_day": run.account.turnover / days,
        "commission_quote": run.account.commission,
        "slippage_quote": run.account.slippage,
        "n_bars": n_bars,
    }


def measure(
    run: Run,
    bar_ms: int,
    stop: int,
    min_trades_fitness: int = 10,
    drawdown_weight: float = 2.0,
) -> dict[str, float]:
    """Return every metric of the engine's list by name."""
    bars_per_year = YEAR_DAYS * DAY_MS / bar_ms
    n_bars = len(run.equity) - 1
    out = growth_measures(run, n_bars / bars_per_year)
    out |= return_measures(run, bars_per_year)
    out |= trade_measures(run)
    out |= use_measures(run, n_bars, bars_per_year, stop)
    days = [run.equity[0], *run.days]
    out["value_at_risk"], out["expected_shortfall"] = (
        value_at_risk(days),
        expected_shortfall(days),
    )
    enough = out["n_trades"] >= min_trades_fitness
    out["fitness"] = (
        out["annual_log_growth"] - drawdown_weight * out["max_drawdown"] if enough else math.nan
    )
    return out
