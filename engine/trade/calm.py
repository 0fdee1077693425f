"""Decisions without their entries, for strategies that may only end what they hold."""

from __future__ import annotations

from dataclasses import replace

from engine.trade.decision import Decision
from engine.trade.strategy_trader import StrategyTrader


def without_entry(decision: Decision, trader: StrategyTrader | None) -> Decision:
    """Return a decision that enters nothing; what ends the trader's position stays.

    Parameters
    ----------
    trader : whose position it is about, None when it has none
    """
    trade = None if trader is None else trader.open_trade
    is_opposite = trade is not None and decision.side == -trade.side
    leaves = is_opposite and trader is not None and trader.spec.rules.on_opposite
    return replace(
        decision,
        side=0,
        leaves_long=decision.leaves_long or leaves,
        leaves_short=decision.leaves_short or leaves,
    )
