"""The names of what a backtest measures, in the order every metrics row keeps.

All ratios are fractions; annual numbers use a 365-day year; `nan` means undefined (SPEC section 10
has the definitions).
"""

from __future__ import annotations

METRIC_NAMES: tuple[str, ...] = (
    "fitness",
    "total_return",
    "annual_return",
    "annual_log_growth",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "max_drawdown_bars",
    "n_trades",
    "win_rate",
    "profit_factor",
    "expectancy_quote",
    "average_trade_return",
    "average_trade_bars",
    "win_streak",
    "loss_streak",
    "exposure",
    "turnover_per_day",
    "value_at_risk",
    "expected_shortfall",
    "n_bars",
    "return_mean",
    "return_std",
    "return_skewness",
    "return_kurtosis",
    "return_autocorrelation",
    "gross_profit_quote",
    "gross_loss_quote",
    "commission_quote",
    "slippage_quote",
    "final_equity_quote",
)

METRIC_INDEX: dict[str, int] = {name: i for i, name in enumerate(METRIC_NAMES)}
N_METRICS = len(METRIC_NAMES)
