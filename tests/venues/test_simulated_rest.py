"""The REST face of the simulated exchange, driven by the real ccxt client and by raw requests."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest

from engine.trade.instrument import MarketType
from engine.trade.simulated.faults import Fault, FaultKind, FaultPlan
from engine.trade.simulated.rest import public
from engine.trade.simulated.rest.authentication import Keys
from tests.unit.test_simulated_exchange import Script
from tests.venues.simulated_server import START_AT, STRICT, SimulatedServer

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
BOTH = pytest.mark.parametrize("market_type", ["spot", "perp"])
TRIGGER = {"trigger": True}


def name(market_type: str) -> str:
    return PERP if market_type == "perp" else SPOT


@asynccontextmanager
async def desk(folder: Path, **given: Any) -> AsyncIterator[tuple[SimulatedServer, Any]]:
    async with SimulatedServer(folder, **given) as server:
        client = server.client()
        try:
            yield server, client
        finally:
            await client.close()


# The calls


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


# Errors


async def code_of(server: SimulatedServer, method: str, path: str, **given: Any) -> int:
    status, answer, _ = await server.raw(method, server.root + path, **given)
    assert status >= 400, answer
    return int(answer["code"])


async def order_code(server: SimulatedServer, **changes: Any) -> int:
    given = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", **changes}
    kept = {key: value for key, value in given.items() if value is not None}
    return await code_of(server, "POST", "/order", **kept)


LIMIT = {"type": "LIMIT", "timeInForce": "GTC"}


@BOTH
async def test_a_bad_signature_key_or_time_is_refused(
    tmp_path: Path, market_type: MarketType
) -> None:
    async with SimulatedServer(tmp_path, market_type=market_type) as server:
        now_at = server.clock.now_at()
        path = "/openOrders"
        assert await code_of(server, "GET", path, at=now_at - 6_000) == -1021
        assert await code_of(server, "GET", path, at=now_at + 3_000) == -1021
        assert await code_of(server, "GET", path, keys=Keys("k" * 64, "wrong")) == -1022
        assert await code_of(server, "GET", path, keys=Keys("x" * 64, "s" * 64)) == -2015
        assert await code_of(server, "GET", path, recvWindow=60_001) == -1131
        status, answer, _ = await server.raw(
            "GET", server.root + path, signed=False, timestamp=now_at
        )
        assert (status, answer["code"]) == (401, -2014)
        unsigned = Keys("k" * 64, "")
        _, answer, _ = await server.raw("GET", server.root + path, signed=False, keys=unsigned)
        assert answer["code"] == -1102
        late, _, _ = await server.raw(
            "GET", server.root + path, at=now_at - 6_000, recvWindow=9_000
        )
        assert late == 200
        by_venue, _, _ = await server.raw("GET", server.root + path, at=server.venue.now_at())
        assert by_venue == 200


@BOTH
async def test_a_clock_off_by_a_minute_is_refused_until_it_is_set(
    tmp_path: Path, market_type: MarketType
) -> None:
    async with desk(tmp_path, market_type=market_type) as (server, client):
        await client.fetch_balance()
        server.clock.skew_ms = 60_000
        with pytest.raises(ccxt.InvalidNonce):
            await client.fetch_balance()
        await client.load_time_difference()
        await client.fetch_balance()


@BOTH
@pytest.mark.parametrize(
    ("changes", "spot", "perp"),
    [
        ({"symbol": "XRPUSDT"}, -1121, -1121),
        ({"symbol": None}, -1102, -1102),
        ({"side": "HOLD"}, -1117, -1117),
        ({"type": "ICEBERG"}, -1116, -1116),
        ({"quantity": None}, -1102, -1102),
        ({"quantity": "-1"}, -1100, -1100),
        ({"quantity": "one"}, -1100, -1100),
        ({"quantity": "0.0015"}, -1013, -1111),
        ({"quantity": "0.0000000001"}, -1111, -1111),
        ({"quantity": "0"}, -1013, -4023),
        ({"quantity": "0.001"}, -1013, -4164),
        ({"quantity": "900000"}, -2010, -2019),
        ({**LIMIT, "price": "99.995"}, -1013, -4014),
        ({**LIMIT, "price": "99.123456789"}, -1111, -1111),
        ({**LIMIT}, -1102, -1102),
        ({"type": "LIMIT", "price": "90"}, -1102, -1102),
        ({"type": "LIMIT", "price": "90", "timeInForce": "DAY"}, -1115, -1115),
        ({**LIMIT, "price": "120", "timeInForce": "GTX"}, -2010, -5022),
        ({"newClientOrderId": "x" * 40}, -4015, -4015),
        ({"newClientOrderId": "not allowed!"}, -4015, -4015),
    ],
)
async def test_each_bad_order_has_its_code(
    tmp_path: Path, market_type: MarketType, changes: dict[str, Any], spot: int, perp: int
) -> None:
    async with SimulatedServer(tmp_path, market_type=market_type) as server:
        wanted = perp if market_type == "perp" else spot
        assert await order_code(server, **changes) == wanted
        assert server.venue.engine.book.n_orders == 0


@BOTH
async def test_ids_that_are_unknown_or_were_used_have_their_codes(
    tmp_path: Path, market_type: MarketType
) -> None:
    async with SimulatedServer(tmp_path, market_type=market_type) as server:
        given: dict[str, Any] = {"symbol": "BTCUSDT", "origClientOrderId": "nobody"}
        assert await code_of(server, "GET", "/order", **given) == -2013
        assert await code_of(server, "DELETE", "/order", **given) == -2011
        assert await code_of(server, "GET", "/order", symbol="BTCUSDT", orderId=77) == -2013
        assert await code_of(server, "GET", "/order", symbol="BTCUSDT") == -1102
        order: dict[str, Any] = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET"}
        status, _, _ = await server.raw(
            "POST", f"{server.root}/order", **order, quantity=1, newClientOrderId="once"
        )
        assert status == 200
        twice = -4116 if market_type == "perp" else -2010
        assert await order_code(server, newClientOrderId="once") == twice
        assert await code_of(server, "GET", "/klines", signed=False, symbol="BTCUSDT") == -1102
        assert await code_of(server, "GET", "/nowhere", signed=False) == -5000


async def test_conditional_orders_of_perpetuals_have_codes_of_their_own(tmp_path: Path) -> None:
    async with SimulatedServer(tmp_path, market_type="perp") as server:
        assert await order_code(server, type="STOP_MARKET", stopPrice=90) == -4120
        algo: dict[str, Any] = {
            "symbol": "BTCUSDT",
            "side": "SELL",
            "quantity": 1,
            "algoType": "CONDITIONAL",
        }
        stop = {**algo, "type": "STOP_MARKET"}
        assert await code_of(server, "POST", "/algoOrder", **stop) == -1102
        assert await code_of(server, "POST", "/algoOrder", **stop, triggerPrice=101) == -2021
        assert await code_of(server, "GET", "/algoOrder", algoId=9) == -2013
        assert await code_of(server, "DELETE", "/algoOrder", algoId=9) == -2011
        assert await order_code(server, positionSide="LONG") == -4061
        assert await code_of(server, "POST", "/leverage", symbol="BTCUSDT", leverage=200) == -4028


@BOTH
async def test_too_many_requests_are_told_to_wait_and_then_banned(
    tmp_path: Path, market_type: MarketType
) -> None:
    async with SimulatedServer(tmp_path, market_type=market_type) as server:
        weight = 20 if market_type == "spot" else 5
        path = "/account" if market_type == "spot" else "/allOrders"
        for _ in range(public.WEIGHT_PER_MINUTE[market_type] // weight):
            status, _, headers = await server.raw("GET", server.root + path, symbol="BTCUSDT")
            assert status == 200
        assert headers["X-MBX-USED-WEIGHT-1M"] == str(public.WEIGHT_PER_MINUTE[market_type])
        status, answer, headers = await server.raw("GET", f"{server.root}/time", signed=False)
        assert (status, answer["code"], headers["Retry-After"]) == (429, -1003, "60")
        client = server.client()
        try:
            with pytest.raises(ccxt.DDoSProtection):
                await client.fetch_time()
        finally:
            await client.close()
        for _ in range(200):
            status, _, headers = await server.raw("GET", f"{server.root}/time", signed=False)
        assert (status, headers["Retry-After"]) == (418, "120")
        server.pass_s(61)
        status, _, headers = await server.raw("GET", f"{server.root}/time", signed=False)
        assert (status, headers["Retry-After"]) == (418, "59")
        server.pass_s(60)
        status, _, _ = await server.raw("GET", f"{server.root}/time", signed=False)
        assert status == 200


async def test_too_many_orders_at_once_are_refused(tmp_path: Path) -> None:
    async with SimulatedServer(tmp_path, market_type="perp") as server:
        given: dict[str, Any] = {
            **LIMIT,
            "symbol": "BTCUSDT",
            "side": "BUY",
            "quantity": 1,
            "price": 90,
        }
        for i in range(public.ORDERS_PER_10_S):
            status, answer, _ = await server.raw("POST", "/fapi/v1/order", **given)
            if i >= 200:
                assert answer["code"] == -2025  # as many as may rest
        status, answer, _ = await server.raw("POST", "/fapi/v1/order", **given)
        assert (status, answer["code"]) == (429, -1015)


# Faults on the way


def on_request(n: int, kind: FaultKind, **given: Any) -> Script:
    return Script({n: Fault(kind, **given)})


BUY: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "MARKET",
    "quantity": 1,
    "newClientOrderId": "a",
}


async def ids_at(server: SimulatedServer) -> list[str]:
    return [order.new.client_id for order in server.store.newest_orders("BTC/USDT", 9)]


@pytest.mark.parametrize(
    ("fault", "acts"),
    [
        (Fault(FaultKind.DROP_REQUEST), False),
        (Fault(FaultKind.DROP_ANSWER), True),
    ],
)
async def test_a_lost_message_breaks_the_connection(
    tmp_path: Path, fault: Fault, acts: bool
) -> None:
    async with SimulatedServer(tmp_path, faults=Script({1: fault})) as server:
        with pytest.raises(aiohttp.ClientError):
            await server.raw("POST", "/api/v3/order", **BUY)
        assert (await ids_at(server) == ["a"]) is acts


@pytest.mark.parametrize("kind", [FaultKind.DROP_REQUEST, FaultKind.DROP_ANSWER])
async def test_a_hanging_answer_runs_into_the_clients_timeout(
    tmp_path: Path, kind: FaultKind
) -> None:
    faults = on_request(2, kind, hangs=True)
    async with SimulatedServer(tmp_path, faults=faults) as server:
        client = server.client(timeout_ms=200)
        try:
            with pytest.raises(ccxt.RequestTimeout):
                await client.create_order(SPOT, "market", "buy", 1, None, {"clientOrderId": "a"})
        finally:
            await client.close()
        assert (await ids_at(server) == ["a"]) is (kind is FaultKind.DROP_ANSWER)


@pytest.mark.parametrize("acts", [True, False])
async def test_a_server_error_may_have_acted(tmp_path: Path, acts: bool) -> None:
    faults = on_request(2, FaultKind.SERVER_ERROR, acts=acts)
    async with desk(tmp_path, faults=faults) as (server, client):
        with pytest.raises(ccxt.OperationFailed):
            await client.create_order(SPOT, "market", "buy", 1, None, {"clientOrderId": "a"})
        assert (await ids_at(server) == ["a"]) is acts


async def test_a_doubled_request_acts_once(tmp_path: Path) -> None:
    faults = Script(
        {
            1: Fault(FaultKind.DUPLICATE_REQUEST),
            2: Fault(FaultKind.DUPLICATE_REQUEST, acts=True),
        }
    )
    async with SimulatedServer(tmp_path, faults=faults) as server:
        first = await server.raw("POST", "/api/v3/order", **BUY)
        assert first[0] == 200
        status, answer, _ = await server.raw(
            "POST", "/api/v3/order", **(BUY | {"newClientOrderId": "b"})
        )
        assert (status, answer["code"]) == (400, -2010)
        assert await ids_at(server) == ["a", "b"]


async def test_a_late_request_is_refused_when_its_window_has_passed(tmp_path: Path) -> None:
    faults = Script({n: Fault(FaultKind.DELAY, delay_ms=150) for n in (1, 2)})
    async with SimulatedServer(tmp_path, faults=faults) as server:
        status, answer, _ = await server.raw("POST", "/api/v3/order", **BUY, recvWindow=100)
        assert (status, answer["code"]) == (400, -1021)
        status, _, _ = await server.raw("POST", "/api/v3/order", **BUY, recvWindow=5_000)
        assert status == 200


async def test_a_planned_storm_refusal_outage_and_bad_tick_show(tmp_path: Path) -> None:
    faults = Script(
        {1: Fault(FaultKind.RATE_LIMIT, retry_after_s=3.0), 2: Fault(FaultKind.REJECT)},
        factor=Decimal(100),
    )
    async with SimulatedServer(tmp_path, faults=faults) as server:
        status, _, headers = await server.raw("GET", "/api/v3/time", signed=False)
        assert (status, headers["Retry-After"]) == (429, "3")
        status, answer, _ = await server.raw("POST", "/api/v3/order", **BUY)
        assert (status, answer["code"]) == (400, -2010)
        _, answer, _ = await server.raw(
            "GET", "/api/v3/ticker/price", signed=False, symbol="BTCUSDT"
        )
        assert answer["price"] == "10000"
        faults.out = range(1 << 62)
        with pytest.raises(aiohttp.ClientError):
            await server.raw("GET", "/api/v3/time", signed=False)
        assert await ids_at(server) == []


# What is kept


@BOTH
async def test_a_restart_goes_on_where_it_was(tmp_path: Path, market_type: MarketType) -> None:
    symbol = name(market_type)
    params = {"reduceOnly": True} if market_type == "perp" else {}
    async with desk(tmp_path, market_type=market_type, closes=(90.0,) * 6) as (server, client):
        await client.create_order(symbol, "market", "buy", 2, None, {"clientOrderId": "in"})
        stop = {**params, "stopLossPrice": 93, "clientOrderId": "stop"}
        await client.create_order(symbol, "market", "sell", 2, None, stop)
        await client.create_order(symbol, "limit", "buy", 1, 80, {"clientOrderId": "low"})
        server.pass_s(30)
        before = await client.fetch_balance()
        was_at = await client.fetch_time()
    async with desk(tmp_path, market_type=market_type, closes=(90.0,) * 6) as (server, client):
        assert await client.fetch_time() >= was_at
        after = await client.fetch_balance()
        assert after["total"] == before["total"]
        assert after["used"] == before["used"]
        with pytest.raises(ccxt.ExchangeError, match=r"[Dd]uplicat"):
            await client.create_order(symbol, "market", "buy", 2, None, {"clientOrderId": "in"})
        server.pass_s(300)
        trades = await client.fetch_my_trades(symbol)
        assert [trade["side"] for trade in trades] == ["buy", "sell"]
        assert [o["clientOrderId"] for o in await client.fetch_open_orders(symbol)] == ["low"]
        again = await client.create_order(symbol, "limit", "buy", 1, 80)
        assert int(again["id"]) == 4


async def test_requests_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    async with desk(tmp_path, market_type="perp") as (_, client):
        await client.load_markets()
        told = await asyncio.gather(
            *(client.create_order(PERP, "market", "buy", 0.1) for _ in range(40))
        )
        assert len({order["id"] for order in told}) == 40
        (held,) = await client.fetch_positions([PERP])
        assert held["contracts"] == pytest.approx(4.0)


# Any plan


class Switch:
    """A fault plan that can be turned off."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan, self.is_on = plan, True

    def of_request(self, n: int) -> Fault | None:
        return self.plan.of_request(n) if self.is_on else None

    def of_news(self, n: int) -> Fault | None:
        return None

    def is_out(self, at: int) -> bool:
        return self.is_on and self.plan.is_out(at)

    def skew_ms(self, at: int) -> int:
        return self.plan.skew_ms(at) if self.is_on else 0

    def price_factor(self, n: int) -> Decimal:
        return self.plan.price_factor(n)


async def trade_blindly(server: SimulatedServer, rng: random.Random, n_orders: int) -> None:
    """Send orders and cancels and take no answer for granted."""
    for i in range(n_orders):
        server.pass_s(20)
        order: dict[str, Any] = {"symbol": "BTCUSDT", "quantity": f"{rng.randint(1, 30) / 10}"}
        order |= {"side": rng.choice(("BUY", "SELL")), "newClientOrderId": f"o-{i - i % 3}"}
        if rng.random() < 0.5:
            price = f"{rng.uniform(94, 106):.2f}"
            order |= {"type": "LIMIT", "timeInForce": "GTC", "price": price}
        else:
            order["type"] = "MARKET"
        gone: dict[str, Any] = {
            "symbol": "BTCUSDT",
            "origClientOrderId": f"o-{rng.randrange(n_orders)}",
        }
        sent = [("POST", order), *([("DELETE", gone)] if rng.random() < 0.3 else [])]
        for method, parameters in sent:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                asked = server.raw(method, f"{server.root}/order", **parameters)
                await asyncio.wait_for(asked, 0.6)


@BOTH
@pytest.mark.parametrize("seed", range(3))
async def test_under_any_plan_fills_add_up_and_no_id_exists_twice(
    tmp_path: Path, market_type: MarketType, seed: int
) -> None:
    plan = FaultPlan(seed, 0.35, delay_max_ms=60, slot_ms=400, outage_max_ms=100)
    faults = Switch(plan)
    closes = [100 + 4 * (-1) ** i for i in range(40)]
    async with SimulatedServer(
        tmp_path, market_type=market_type, faults=faults, closes=closes
    ) as server:
        await trade_blindly(server, random.Random(seed), 60)
        await asyncio.sleep(0.1)
        faults.is_on = False
        _, orders, _ = await server.raw("GET", f"{server.root}/allOrders", symbol="BTCUSDT")
        path = f"{server.root}/{'userTrades' if market_type == 'perp' else 'myTrades'}"
        _, trades, _ = await server.raw("GET", path, symbol="BTCUSDT")
        ids = [order["clientOrderId"] for order in orders]
        assert len(ids) == len(set(ids))
        assert ids
        for order in orders:
            own = [t for t in trades if t["orderId"] == order["orderId"]]
            assert sum(Decimal(t["qty"]) for t in own) == Decimal(order["executedQty"])
        bought = sum(
            (1 if t.get("isBuyer", t.get("buyer")) else -1) * Decimal(t["qty"]) for t in trades
        )
        client = server.client()
        try:
            if market_type == "perp":
                held = await client.fetch_positions([PERP])
                signed = sum(p["contracts"] * (1 if p["side"] == "long" else -1) for p in held)
            else:
                signed = (await client.fetch_balance())["total"].get("BTC", 0)
        finally:
            await client.close()
        assert float(bought) == pytest.approx(signed)
