"""A desk whose wishes wait for nobody: a lost answer to one order holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from engine.clock import Clock
from engine.trade.decision import ClosedBar, Decision
from engine.trade.desk import Desk
from engine.trade.errands import Errands
from engine.trade.gateway import Gateway
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.wishes import Wish

_TURNS = 8
"""Turns of the event loop from an errand's beginning to its order on the wire."""


class ConcurrentDesk(Desk):
    """Carry every wish out as an errand of its own, begun in the order of the wishes."""

    def __init__(self, gateway: Gateway, clock: Clock, errands: Errands) -> None:
        super().__init__(gateway, clock)
        self._errands = errands

    async def on_bar(
        self, symbol: str, bar: ClosedBar, decisions: Mapping[str, Decision], bar_ms: int
    ) -> None:
        """Begin what a closed bar asks for, and see it off before anybody decides anything else."""
        await super().on_bar(symbol, bar, decisions, bar_ms)
        for _ in range(_TURNS if self._errands else 0):
            await asyncio.sleep(0)

    async def carry_out(self, trader: StrategyTrader, wishes: Iterable[Wish]) -> None:
        """Begin to carry wishes out; they may end later."""
        for wish in wishes:
            self._errands.begin(super().carry_out(trader, (wish,)))
