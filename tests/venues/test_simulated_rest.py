"""The REST face of the simulated exchange, driven by the real ccxt client."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from engine.trade.instrument import MarketType
from tests.venues.rest_desk import BOTH, PERP, SPOT, TRIGGER, desk, name
from tests.venues.simulated_server import START_AT, STRICT, SimulatedServer


@BOTH
async def test_markets_have_their_steps_and_minimums(
    tmp_path: Path, market_type: MarketType
) -> None:
    async with desk(tmp_path, market_type=market_type) as (_, client):
        markets = await client.load_markets()
        market = markets[name(market_type)]
        assert market["active"]
        assert market["precision"]["price"] == 0.01
        assert market["precision"]["amount"] == 0.001
        assert market["limits"]["cost"]["min"] == 5
        assert market["limits"]["amount"]["min"] == 0.001
        assert await client.fetch_time() == START_AT


@BOTH
async def test_quotes_bars_and_depth(tmp_path: Path, market_type: MarketType) -> None:
    symbol = name(market_type)
    async with desk(tmp_path, market_type=market_type, closes=(110.0, 120.0, 90.0)) as (
        server,
        client,
    ):
        server.pass_s(450)  # in the middle of the second bar
        ticker = await client.fetch_ticker(symbol)
        assert ticker["last"] == pytest.approx(115, abs=0.1)
        book = await client.fetch_order_book(symbol, 5)
        assert book["bids"][0][0] < ticker["last"] < book["asks"][0][0]
        quotes = await client.fetch_bids_asks([symbol])
        assert quotes[symbol]["bid"] == book["bids"][0][0]
        rows = await client.fetch_ohlcv(symbol, "5m", limit=5)
        assert rows[0][:5] == [START_AT, 100, 110, 100, 110]
        assert rows[1][0] == START_AT + 300_000
        assert rows[1][2] == rows[1][4] == pytest.approx(115, abs=0.1)
        assert len(rows) == 2
        assert [row[0] for row in await client.fetch_ohlcv(symbol, "5m", START_AT + 1, 1)] == [
            START_AT + 300_000
        ]
        with pytest.raises(ccxt.BadRequest, match="interval"):
            await client.fetch_ohlcv(symbol, "1m")


async def test_a_spot_order_is_filled_and_told_everywhere(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, client):
        told = await client.create_order(SPOT, "market", "buy", 2, None, {"clientOrderId": "a-1"})
        assert (told["status"], told["filled"], told["average"]) == ("closed", 2, 100.05)
        assert told["fee"] == {"currency": "USDT", "cost": pytest.approx(0.2001)}
        found = await client.fetch_order(None, SPOT, {"clientOrderId": "a-1"})
        assert (found["id"], found["clientOrderId"], found["cost"]) == (told["id"], "a-1", 200.1)
        (trade,) = await client.fetch_my_trades(SPOT)
        assert (trade["order"], trade["price"], trade["amount"]) == (told["id"], 100.05, 2)
        assert (trade["side"], trade["fee"]["currency"]) == ("buy", "USDT")
        balance = await client.fetch_balance()
        assert balance["total"]["BTC"] == 2
        assert balance["total"]["USDT"] == pytest.approx(100_000 - 200.1 - 0.2001)


async def test_a_spot_order_can_be_sized_by_its_cost(tmp_path: Path) -> None:
    async with desk(tmp_path) as (_, client):
        told = await client.create_market_buy_order_with_cost(SPOT, 500)
        assert (told["status"], told["filled"]) == ("closed", 4.997)
        sold = await client.create_market_sell_order_with_cost(SPOT, 100)
        assert sold["filled"] == 1.0


@BOTH
async def test_a_limit_order_rests_is_listed_and_cancelled(
    tmp_path: Path, market_type: MarketType
) -> None:
    symbol = name(market_type)
    async with desk(tmp_path, market_type=market_type) as (_, client):
        told = await client.create_order(symbol, "limit", "buy", 1, 90)
        assert (told["status"], told["price"], told["remaining"]) == ("open", 90, 1)
        assert [o["id"] for o in await client.fetch_open_orders(symbol)] == [told["id"]]
        client.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
        assert [o["id"] for o in await client.fetch_open_orders()] == [told["id"]]
        if market_type == "spot":
            assert (await client.fetch_balance())["used"]["USDT"] == pytest.approx(90.09)
        gone = await client.cancel_order(told["id"], symbol)
        assert gone["status"] == "canceled"
        assert (await client.fetch_order(told["id"], symbol))["status"] == "canceled"
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(told["id"], symbol)
        assert await client.fetch_open_orders(symbol) == []
        assert [o["status"] for o in await client.fetch_orders(symbol)] == ["canceled"]


@BOTH
async def test_a_limit_order_is_filled_in_parts_as_the_price_goes_on(
    tmp_path: Path, market_type: MarketType
) -> None:
    rules = replace(STRICT, partial_fill_chance=1.0)
    symbol = name(market_type)
    async with desk(tmp_path, market_type=market_type, rules=rules, closes=(90.0,) * 9) as (
        server,
        client,
    ):
        told = await client.create_order(symbol, "limit", "buy", 10, 95)
        filled = []
        for _ in range(5):
            server.pass_s(301)
            now = await client.fetch_order(told["id"], symbol)
            filled.append(now["filled"])
        assert 0 < filled[0] < filled[1] < filled[-1] <= 10
        trades = await client.fetch_my_trades(symbol)
        assert {trade["price"] for trade in trades} == {95}
        assert sum(trade["amount"] for trade in trades) == pytest.approx(filled[-1])


async def test_a_spot_stop_locks_triggers_and_fills(tmp_path: Path) -> None:
    async with desk(tmp_path, closes=(90.0, 90.0)) as (server, client):
        await client.create_order(SPOT, "market", "buy", 1)
        stop = await client.create_order(SPOT, "market", "sell", 1, None, {"stopLossPrice": 95})
        assert (stop["status"], stop["triggerPrice"]) == ("open", 95)
        assert (await client.fetch_balance())["free"].get("BTC", 0) == 0
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(SPOT, "market", "sell", 1, None, {"takeProfitPrice": 105})
        server.pass_s(300)
        done = await client.fetch_order(stop["id"], SPOT)
        assert (done["status"], done["filled"], done["average"]) == ("closed", 1, 94.95)
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            await client.create_order(SPOT, "market", "buy", 1, None, {"stopLossPrice": 80})


async def test_a_perpetual_stop_becomes_another_order_when_it_triggers(tmp_path: Path) -> None:
    async with desk(tmp_path, market_type="perp", closes=(90.0, 90.0)) as (server, client):
        await client.create_order(PERP, "market", "buy", 1)
        protect = {"reduceOnly": True, "stopLossPrice": 95, "clientOrderId": "stop-1"}
        stop = await client.create_order(PERP, "market", "sell", 1, None, protect)
        other = {"reduceOnly": True, "takeProfitPrice": 120, "clientOrderId": "target-1"}
        await client.create_order(PERP, "market", "sell", 1, None, other)
        assert await client.fetch_open_orders(PERP) == []
        resting = await client.fetch_open_orders(PERP, params=TRIGGER)
        assert [order["clientOrderId"] for order in resting] == ["stop-1", "target-1"]
        assert [order["reduceOnly"] for order in resting] == [True, True]
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(None, PERP, {"clientOrderId": "stop-1"})
        server.pass_s(300)
        done = await client.fetch_order(None, PERP, {**TRIGGER, "clientOrderId": "stop-1"})
        assert (done["id"], done["status"]) == (stop["id"], "closed")
        became = await client.fetch_order(done["info"]["actualOrderId"], PERP)
        assert (became["status"], became["filled"], became["average"]) == ("closed", 1, 94.95)
        assert became["clientOrderId"] == "stop-1"
        trades = await client.fetch_my_trades(PERP)
        assert [trade["order"] for trade in trades][-1] == became["id"]
        gone = await client.cancel_order(None, PERP, {**TRIGGER, "clientOrderId": "target-1"})
        assert gone["info"]["code"] == "200"
        assert await client.fetch_positions([PERP]) == []


async def test_a_perpetual_position_with_its_leverage_and_liquidation(tmp_path: Path) -> None:
    async with desk(tmp_path, market_type="perp", balance=Decimal(1_000)) as (_, client):
        await client.set_leverage(5, PERP)
        await client.create_order(PERP, "market", "sell", 20)
        (held,) = await client.fetch_positions([PERP])
        assert (held["side"], held["contracts"], held["entryPrice"]) == ("short", 20, 99.95)
        assert held["leverage"] == 5
        assert held["liquidationPrice"] == pytest.approx(149.252, abs=0.2)
        balance = await client.fetch_balance()
        assert balance["total"]["USDT"] == pytest.approx(1_000 - 1.999 - 1, abs=0.01)
        assert balance["free"]["USDT"] == pytest.approx(balance["total"]["USDT"] - 400, abs=0.01)
        with pytest.raises(ccxt.ExchangeError, match="-2019"):
            await client.create_order(PERP, "market", "sell", 40)
        closing = await client.create_order(PERP, "market", "buy", 30, None, {"reduceOnly": True})
        assert (closing["filled"], closing["status"]) == (20, "expired")
        with pytest.raises(ccxt.ExchangeError, match="-2022"):
            await client.create_order(PERP, "market", "buy", 1, None, {"reduceOnly": True})


@BOTH
async def test_a_hundred_orders_are_cancelled_at_once(
    tmp_path: Path, market_type: MarketType
) -> None:
    symbol = name(market_type)
    async with desk(tmp_path, market_type=market_type) as (_, client):
        for i in range(100):
            await client.create_order(symbol, "limit", "buy", 0.1, 90 - i / 10)
        if market_type == "perp":
            stop = {"stopLossPrice": 120}
            await client.create_order(symbol, "market", "buy", 1, None, stop)
        await client.cancel_all_orders(symbol)
        assert await client.fetch_open_orders(symbol) == []
        if market_type == "perp":
            assert len(await client.fetch_open_orders(symbol, params=TRIGGER)) == 1
            await client.cancel_all_orders(symbol, TRIGGER)
            assert await client.fetch_open_orders(symbol, params=TRIGGER) == []


@BOTH
async def test_trades_are_paged_from_an_instant_or_a_number(
    tmp_path: Path, market_type: MarketType
) -> None:
    async with SimulatedServer(tmp_path, market_type=market_type) as server:
        for _ in range(7):
            server.pass_s(60)
            await server.raw(
                "POST",
                f"{server.root}/order",
                symbol="BTCUSDT",
                side="BUY",
                type="MARKET",
                quantity=1,
            )
        path = f"{server.root}/{'userTrades' if market_type == 'perp' else 'myTrades'}"

        async def ids(**given: Any) -> list[int]:
            _, rows, _ = await server.raw("GET", path, symbol="BTCUSDT", **given)
            return [row["id"] for row in rows]

        assert await ids() == [1, 2, 3, 4, 5, 6, 7]
        assert await ids(limit=2) == [6, 7]
        assert await ids(fromId=3, limit=2) == [3, 4]
        assert await ids(startTime=START_AT + 300_000) == [5, 6, 7]
        assert await ids(startTime=START_AT, endTime=START_AT + 120_000) == [1, 2]
        assert await ids(orderId=4) == [4]
