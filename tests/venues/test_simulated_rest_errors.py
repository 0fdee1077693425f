"""What the REST face of the simulated exchange refuses, and by which code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ccxt
import pytest

from engine.trade.instrument import MarketType
from engine.trade.simulated.rest import public
from engine.trade.simulated.rest.authentication import Keys
from tests.venues.rest_desk import BOTH, desk
from tests.venues.simulated_server import SimulatedServer


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
