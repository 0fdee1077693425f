"""What the configuration means for a backtest."""

from __future__ import annotations

import hashlib

from engine.backtest.costs import Costs
from engine.backtest.run import BacktestSettings
from engine.settings import Config


def backtest_settings(config: Config) -> BacktestSettings:
    """Return what every backtest under these settings runs with."""
    chosen = config.backtest
    return BacktestSettings(
        initial_capital_quote=chosen.initial_capital_quote,
        costs=Costs(chosen.commission_frac, chosen.slippage_frac),
        min_trades_fitness=chosen.min_trades_fitness,
        drawdown_weight=chosen.drawdown_weight,
    )


def costs_hash(settings: BacktestSettings, market_type: str) -> str:
    """Return 16 hex digits over all that changes a result besides bars and strategy."""
    parts = (
        settings.costs.hash,
        float(settings.initial_capital_quote).hex(),
        str(settings.min_trades_fitness),
        float(settings.drawdown_weight).hex(),
        market_type,
    )
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
