"""A walking market behind the simulated exchange's REST face, in this process, with faults."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.clock import SystemClock
from engine.errors import StoreError
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.trade.instrument import MarketType
from engine.trade.keys import Keys, Redactor
from engine.trade.live import CcxtExchange
from engine.trade.live_client import trading_client, watching_client
from engine.trade.order_pushes import OrderPushes
from engine.trade.simulated.listing import instrument_like
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.price_feed import BarFeed
from engine.trade.simulated.rest.server import RestServer
from engine.trade.simulated.rules import VenueRules
from engine.trade.simulated.venue import CLOCK_STATE, Venue
from engine.trade.simulated.venue_store import VenueStore
from engine.trade.simulated.venue_time import VenueTime
from engine.types import MS_PER_DAY
from tests.chaos.fault_wire import Switch
from tests.venues.simulated_server import KEYS

SYMBOLS = ("BTC/USDT", "ETH/USDT")
BALANCE_QUOTE = Decimal(100_000)
HISTORY_DAYS = 20
DAYS = 45


class RestMarket:
    """A venue that keeps its state in a folder, and may be stopped and started again.

    Attributes
    ----------
    switch : faults of the REST face, in real time
    pushes : whether a trader listens to its websocket
    """

    def __init__(
        self,
        folder: Path,
        switch: Switch,
        market_type: MarketType,
        speed: float,
        seed: int,
        *,
        pushes: bool,
    ) -> None:
        end_at = GENERATED_START_AT + DAYS * MS_PER_DAY
        self._series = {
            symbol: generate_bars(symbol, seed, "none", 0.0, end_at) for symbol in SYMBOLS
        }
        self.listed = {
            symbol: instrument_like(symbol, market_type, bars.close)
            for symbol, bars in self._series.items()
        }
        self.switch = switch
        self.pushes = pushes
        self.market_type = market_type
        self.fatal: list[StoreError] = []
        self._folder = folder
        self._speed = speed
        self._seed = seed
        self._port = 0
        self._ticking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start it where its folder says, on the port it had."""
        clock = SystemClock()
        store = VenueStore(self._folder)
        mark = store.state(CLOCK_STATE)
        first_at = GENERATED_START_AT + HISTORY_DAYS * MS_PER_DAY - 60_000
        time = VenueTime(first_at if mark is None else int(mark), self._speed, clock)
        rules = VenueRules(
            commission_frac=Decimal("0.001"),
            slippage_frac=Decimal("0.0005"),
            partial_fill_chance=0.3,
            stops_lock=True,
            refuses_immediate_triggers=True,
            commission_in="quote" if self.market_type == "perp" else "received",
        )
        engine = MatchingEngine(self.listed, rules, {"USDT": BALANCE_QUOTE}, self._seed)
        self.venue = Venue(engine, BarFeed(self._series, "5m", self.listed), time, store)
        # What a stopped venue is still asked for is nobody's any more.
        self.fatal = []
        self._server = RestServer(
            self.venue, KEYS, self.fatal.append, clock, faults=self.switch, latency_ms=5
        )
        self._port = await self._server.start(self._port)
        self._ticking = asyncio.create_task(self._keep_ticking())

    async def stop(self) -> None:
        """Stop it; orders and positions stay in its folder."""
        if self._ticking is None:
            return
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        self._ticking = None
        await self._server.stop()
        self.venue.close()

    async def opener(self) -> CcxtExchange:
        """Return the exchange as the real adapter reaches it."""
        is_perp = self.market_type == "perp"
        name = "binance-perp" if is_perp else "binance"
        clock = SystemClock()
        url = f"http://127.0.0.1:{self._port}"
        keys = Keys(KEYS.api_key, KEYS.secret)
        client: Any = trading_client(name, keys, clock, api_url=url, timeout_s=3.0)
        pushes = OrderPushes(
            "binance",
            lambda: watching_client(name, keys, clock, api_url=url, timeout_s=3.0),
            Redactor(keys),
        )
        return CcxtExchange(
            "paper",
            name,
            client,
            clock,
            Redactor(keys),
            symbols=SYMBOLS,
            pushes=pushes if self.pushes else None,
        )

    async def _keep_ticking(self) -> None:
        while True:
            self.venue.catch_up()
            await asyncio.sleep(0.05)
