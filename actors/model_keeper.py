"""Keeps the risk officer's model of how prices move together, outside the way of orders."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import numpy as np

from actors.strategy_seats import StrategySeats
from engine.errors import VenueError
from engine.risk.risk_model import MAX_DAYS, MIN_UTC_DAYS, RiskModel, risk_model_of
from engine.trade.account_clock import AccountClock
from engine.trade.assembly import Assembly
from engine.types import MS_PER_DAY, Bars, timeframe_ms

RENEW_MS = 6 * 3_600_000
LOOK_S = 2.0
RETRY_S = 10.0
_HOURS_DAYS = 100
_SEED = 1

Sleep = Callable[[float], Awaitable[None]]


class ModelKeeper:
    """Read daily bars of every symbol that may be traded, or hourly ones where days are few.

    Survives a crash: nothing; the model is made again. Until there is one the officer refuses.
    """

    def __init__(
        self, assembly: Assembly, seats: StrategySeats, clock: AccountClock, sleep: Sleep
    ) -> None:
        self._assembly = assembly
        self._seats = seats
        self._clock = clock
        self._sleep = sleep
        self._symbols: tuple[str, ...] = ()
        self._made_at = 0

    async def keep(self) -> None:
        """Make the model whenever it is due, for ever."""
        while True:
            wait_s = LOOK_S
            try:
                await self.look()
            except VenueError:
                wait_s = RETRY_S
            await self._sleep(wait_s)

    async def look(self) -> None:
        """Make the model anew when symbols changed, or it has grown old.

        Raises
        ------
        VenueError : the exchange did not tell its bars.
        """
        held = {position.symbol for position in self._assembly.gateway.book.open_positions()}
        symbols = tuple(sorted({*self._seats.symbols, *held}))
        now_at = self._clock.now_at()
        if not symbols or (symbols == self._symbols and now_at - self._made_at < RENEW_MS):
            return
        model = await self._model(symbols, now_at)
        self._assembly.risk.model = model
        self._symbols, self._made_at = symbols, now_at

    async def _model(self, symbols: tuple[str, ...], now_at: int) -> RiskModel | None:
        days = await self._bars(symbols, "1d", now_at - (MAX_DAYS + 1) * MS_PER_DAY)
        timeframe, bars = "1d", days
        if min(len(series) for series in days.values()) <= MIN_UTC_DAYS:
            timeframe = "1h"
            bars = await self._bars(symbols, timeframe, now_at - _HOURS_DAYS * MS_PER_DAY)
        rng = np.random.default_rng(_SEED)
        return await asyncio.to_thread(risk_model_of, bars, timeframe_ms(timeframe), now_at, rng)

    async def _bars(
        self, symbols: tuple[str, ...], timeframe: str, since_at: int
    ) -> Mapping[str, Bars]:
        exchange = self._assembly.gateway.exchange
        return {
            symbol: await exchange.closed_bars(symbol, timeframe, since_at) for symbol in symbols
        }
