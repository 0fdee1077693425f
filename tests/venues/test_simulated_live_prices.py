"""Simulated orders on real prices: another simulated exchange plays the real one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.config import load_config, with_settings
from engine.errors import DataError, VenueError, VenueRejected, VenueUnavailable
from engine.trade.orders import OrderState
from engine.trade.simulated.live_feed import LiveFeed
from engine.trade.simulated.market_source import OpenedMarket, open_market
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.venue import Venue
from engine.trade.simulated.venue_store import VenueStore
from engine.trade.simulated.venue_time import VenueTime
from engine.types import MarketLabel
from tests.venues.simulated_desk import BTC, FREE, order
from tests.venues.simulated_server import START_AT, SimulatedServer


async def opened_on(
    server: SimulatedServer, home: Path, exchange: str, symbol: str = BTC
) -> OpenedMarket:
    sections: dict[str, dict[str, Any]] = {
        "paths": {"home": str(home)},
        "market": {"source": "ccxt", "exchange": exchange, "symbols": [symbol]},
        "fetch": {"retries": 0, "timeout_s": 2.0},
    }
    config = with_settings(load_config(None, {}), sections, "test")
    return await open_market(config, SystemClock(), {}, None, api_url=server.url)


@pytest.mark.parametrize(
    ("exchange", "market_type"), [("binance", "spot"), ("binance-perp", "perp")]
)
async def test_orders_are_filled_at_the_quotes_of_the_real_exchange(
    tmp_path: Path, exchange: str, market_type: Any
) -> None:
    async with SimulatedServer(
        tmp_path / "real", market_type=market_type, closes=(90.0, 90.0)
    ) as real:
        market = await opened_on(real, tmp_path, exchange)
        assert (market.label, market.speed) == (MarketLabel.LIVE, 1.0)
        assert market.market_type == market_type
        assert market.instruments[BTC].tick == Decimal("0.01")
        feed = market.feed
        assert isinstance(feed, LiveFeed)
        engine = MatchingEngine(market.instruments, FREE, {"USDT": Decimal(10_000)})
        time = VenueTime(market.start_at, 1.0, SystemClock())
        venue = Venue(engine, feed, time, VenueStore(tmp_path / "paper"))
        try:
            with pytest.raises(VenueRejected, match="no price yet"):
                venue.place(order("buy", client_id="early"))
            await feed.refresh(venue.now_at())
            bought = venue.place(order("buy", client_id="in"))
            assert bought.fills[0].price == Decimal("100.05")
            stop = order("sell", "stop", stop="95", client_id="stop", reduce_only=True)
            venue.place(stop)
            real.pass_s(300)
            await feed.refresh(venue.now_at())
            venue.catch_up()
            done = venue.find(BTC, client_id="stop")
            assert done is not None
            assert (done.state, done.fills[0].price) == (OrderState.FILLED, Decimal("89.95"))
            bars = await feed.klines(BTC, "5m", START_AT, START_AT + 600_000, 5)
            assert [bar.close for bar in bars] == [90, 90]
            assert not feed.is_at_end(venue.now_at())
        finally:
            venue.close()
            await feed.close()


async def test_prices_stand_still_while_the_real_exchange_is_silent(tmp_path: Path) -> None:
    async with SimulatedServer(tmp_path / "real") as real:
        market = await opened_on(real, tmp_path, "binance")
        feed = market.feed
        assert isinstance(feed, LiveFeed)
        await feed.refresh(market.start_at)
        assert len(feed.steps(0, 1)) == 1
        await real.server.stop()
        await feed.refresh(market.start_at + 1_000)
        assert feed.steps(0, 1) == []
        assert "no usable answer" in feed.trouble
        with pytest.raises(VenueUnavailable):
            await feed.klines(BTC, "5m", START_AT, START_AT + 600_000, 5)
        await feed.close()


async def test_a_symbol_that_is_not_listed_and_a_dead_exchange_are_named(tmp_path: Path) -> None:
    async with SimulatedServer(tmp_path / "real") as real:
        with pytest.raises(DataError, match="does not list XRP/USDT"):
            await opened_on(real, tmp_path, "binance", "XRP/USDT")
        await real.server.stop()
        with pytest.raises(VenueError):
            await opened_on(real, tmp_path, "binance")
