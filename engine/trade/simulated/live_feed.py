"""Real public prices, polled, under simulated orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import VenueError
from engine.market.ccxt_client import VenueDoor, venue_symbol
from engine.trade.instrument import Instrument
from engine.trade.simulated.exact import decimal_of
from engine.trade.simulated.price_feed import Kline
from engine.trade.simulated.walk import PriceStep
from engine.types import timeframe_ms

POLL_MS = 1_000


class LiveFeed:
    """Quotes and last prices of a real exchange, asked for once a second.

    Parameters
    ----------
    exchange_name : ccxt id, with `-perp` behind it for linear perpetuals
    client : ccxt client (asyncio), public; closed by `close`
    instruments : by symbol

    Notes
    -----
    While the exchange does not answer, prices stand still and `trouble` says why. What happened
    between two answers is not known: prices jump.
    """

    def __init__(
        self, exchange_name: str, client: Any, instruments: Mapping[str, Instrument]
    ) -> None:
        self._names = {symbol: venue_symbol(exchange_name, symbol) for symbol in instruments}
        self._client = client
        self._door = VenueDoor(exchange_name, client, retries=0)
        self._waiting: list[PriceStep] = []
        self.refresh_s = POLL_MS / 1000
        self.trouble = ""

    @property
    def symbols(self) -> Sequence[str]:
        """Return what has prices."""
        return tuple(self._names)

    def steps(self, after_at: int, to_at: int) -> list[PriceStep]:
        """Return the quotes that were read since the last call."""
        waiting, self._waiting = self._waiting, []
        return waiting

    async def klines(
        self, symbol: str, timeframe: str, start_at: int | None, end_at: int, limit: int
    ) -> list[Kline]:
        """Return bars of the real exchange."""
        name, step_ms = self._names[symbol], timeframe_ms(timeframe)
        since = end_at - limit * step_ms if start_at is None else start_at

        async def read() -> list[list[Any]]:
            rows: list[list[Any]] = await self._client.fetch_ohlcv(name, timeframe, since, limit)
            return rows

        rows = await self._door.ask(f"{timeframe} bars of {name}", read)
        return [
            Kline(int(row[0]), int(row[0]) + step_ms - 1, *(float(x) for x in row[1:6]))
            for row in rows
            if row[0] <= end_at
        ]

    async def refresh(self, now_at: int) -> None:
        """Read the quotes."""
        try:
            for symbol, name in self._names.items():
                self._waiting.append(await self._step(symbol, name, now_at))
            self.trouble = ""
        except VenueError as exc:
            self.trouble = exc.message

    def is_at_end(self, now_at: int) -> bool:
        """Return that real markets do not end."""
        return False

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.close()

    async def _step(self, symbol: str, name: str, now_at: int) -> PriceStep:
        async def read() -> Any:
            return await self._client.fetch_order_book(name, 5)

        book = await self._door.ask(f"quotes of {name}", read)
        bid, ask = decimal_of(book["bids"][0][0]), decimal_of(book["asks"][0][0])
        return PriceStep(symbol, now_at, (bid + ask) / 2, is_jump=True, bid=bid, ask=ask)
