"""Word of changed orders over websockets: the real ccxt client at the simulated exchange."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.clock import SystemClock
from engine.errors import VenueRejected, VenueUnavailable
from engine.trade.instrument import MarketType
from engine.trade.keys import Keys, Redactor
from engine.trade.live_client import can_watch_orders, watching_client
from engine.trade.order_pushes import OrderPushes
from engine.trade.orders import OrderType, Side
from engine.trade.simulated.book_order import NewOrder
from engine.trade.simulated.faults import FaultKind, FaultPlan
from engine.trade.simulated.rest.push import KEY_LIFE_S, KEY_PATH, PERP_PATH, SPOT_PATH
from tests.venues.simulated_server import KEYS, SimulatedServer

BOTH = pytest.mark.parametrize("market_type", ["spot", "perp"])
NAMES = {"spot": "binance", "perp": "binance-perp"}
SYMBOLS = {"spot": "BTC/USDT", "perp": "BTC/USDT:USDT"}
PATIENCE_S = 30.0


def pushes_of(server: SimulatedServer, keys: Keys | None = None) -> OrderPushes:
    own = keys or Keys(KEYS.api_key, KEYS.secret)
    name = NAMES[server.market_type]
    return OrderPushes(
        "binance",
        lambda: watching_client(name, own, SystemClock(), api_url=server.url, timeout_s=5.0),
        Redactor(own),
    )


@asynccontextmanager
async def watched(
    folder: Path, market_type: MarketType, **given: Any
) -> AsyncIterator[tuple[SimulatedServer, Any, OrderPushes]]:
    async with SimulatedServer(folder, market_type, **given) as server:
        client, pushes = server.client(), pushes_of(server)
        try:
            yield server, client, pushes
        finally:
            await pushes.close()
            await client.close()


async def listened(pushes: OrderPushes, server: SimulatedServer) -> asyncio.Task[None]:
    """Begin to wait for word, and return once the exchange knows of the listener."""
    waiting = asyncio.create_task(pushes.changed())
    async with asyncio.timeout(PATIENCE_S):
        while not any(one.is_subscribed for one in server.server.pushing._listeners):
            assert not waiting.done()
            await asyncio.sleep(0.01)
    return waiting


@BOTH
async def test_an_order_that_is_placed_filled_or_cancelled_is_told(
    tmp_path: Path, market_type: MarketType
) -> None:
    symbol = SYMBOLS[market_type]
    async with watched(tmp_path, market_type) as (server, client, pushes):
        waiting = await listened(pushes, server)
        assert pushes.is_open
        placed = await client.create_order(symbol, "limit", "buy", 1, 90)
        await asyncio.wait_for(waiting, PATIENCE_S)
        waiting = asyncio.create_task(pushes.changed())
        await asyncio.sleep(0)
        await client.cancel_order(placed["id"], symbol)
        await asyncio.wait_for(waiting, PATIENCE_S)
        waiting = asyncio.create_task(pushes.changed())
        await asyncio.sleep(0)
        await client.create_order(symbol, "market", "buy", 1)
        await asyncio.wait_for(waiting, PATIENCE_S)


@BOTH
async def test_what_is_pushed_says_what_the_rest_face_says(
    tmp_path: Path, market_type: MarketType
) -> None:
    symbol = SYMBOLS[market_type]
    async with watched(tmp_path, market_type) as (server, client, pushes):
        waiting = await listened(pushes, server)
        assert pushes._client is not None
        watching = pushes._client
        told = await client.create_order(symbol, "market", "buy", 2, None, {"clientOrderId": "a"})
        await asyncio.wait_for(waiting, PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            while not any(o["status"] == "closed" for o in watching.orders):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        [pushed] = [o for o in watching.orders if o["status"] == "closed"]
        asked = await client.fetch_order(told["id"], symbol)
        for name in ("id", "clientOrderId", "symbol", "side", "type", "filled", "average"):
            assert pushed[name] == asked[name], name


@BOTH
async def test_a_stop_that_triggers_is_told_without_anybody_asking(
    tmp_path: Path, market_type: MarketType
) -> None:
    symbol = SYMBOLS[market_type]
    async with watched(tmp_path, market_type, closes=(90.0,) * 9) as (server, client, pushes):
        await client.create_order(symbol, "market", "buy", 1)
        await client.create_order(
            symbol, "market", "sell", 0.99, None, {"stopLossPrice": 95, "reduceOnly": True}
        )
        waiting = await listened(pushes, server)
        server.pass_s(290)
        server.venue.catch_up()
        await asyncio.wait_for(waiting, PATIENCE_S)


@BOTH
async def test_wrong_keys_are_refused_and_never_shown(
    tmp_path: Path, market_type: MarketType
) -> None:
    async with SimulatedServer(tmp_path, market_type) as server:
        pushes = pushes_of(server, Keys("w" * 64, "v" * 64))
        with pytest.raises(VenueRejected) as caught:
            await asyncio.wait_for(pushes.changed(), PATIENCE_S)
        assert "w" * 64 not in str(caught.value)
        assert "v" * 64 not in str(caught.value)
        assert not pushes.is_open


@BOTH
async def test_a_server_that_goes_away_breaks_the_channel_and_the_next_call_opens_another(
    tmp_path: Path, market_type: MarketType
) -> None:
    async with watched(tmp_path, market_type) as (server, client, pushes):
        waiting = await listened(pushes, server)
        await server.server.pushing.close()
        with pytest.raises(VenueUnavailable, match="changes of orders"):
            await asyncio.wait_for(waiting, PATIENCE_S)
        assert not pushes.is_open
        waiting = await listened(pushes, server)
        await client.create_order(SYMBOLS[market_type], "limit", "buy", 1, 90)
        await asyncio.wait_for(waiting, PATIENCE_S)


async def test_an_outage_opens_no_channel(tmp_path: Path) -> None:
    async with SimulatedServer(tmp_path, faults=FaultPlan(1, 0.0)) as server:
        server.server._is_out = lambda: True  # type: ignore[method-assign]
        pushes = pushes_of(server)
        with pytest.raises(VenueUnavailable):
            await asyncio.wait_for(pushes.changed(), PATIENCE_S)


async def test_a_listen_key_dies_unless_it_is_renewed(tmp_path: Path) -> None:
    async with SimulatedServer(tmp_path, "perp") as server:
        status, told, _ = await server.raw("POST", KEY_PATH, signed=False, keys=KEYS)
        assert (status, told["code"]) == (401, -2014)
        _, first, _ = await server.raw("POST", KEY_PATH)
        _, again, _ = await server.raw("POST", KEY_PATH)
        assert first == again
        server.pass_s(KEY_LIFE_S - 1)
        assert (await server.raw("PUT", KEY_PATH))[0] == 200
        server.pass_s(KEY_LIFE_S - 1)
        assert await _handshake(server, first["listenKey"]) == 101
        server.pass_s(2)
        assert await _handshake(server, first["listenKey"]) == 401
        assert (await server.raw("POST", KEY_PATH))[1] != first
        await server.raw("DELETE", KEY_PATH)
        assert (await server.raw("PUT", KEY_PATH))[1]["code"] == -1125


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("nonsense", -1135),
        ("[]", -1135),
        ('{"id": 1}', -1135),
        ('{"id": 1, "method": "time", "params": {}}', -1103),
        ('{"id": 1, "method": "userDataStream.subscribe.signature", "params": {}}', -2014),
    ],
)
async def test_a_question_that_is_none_is_answered_with_an_error(
    tmp_path: Path, asked: str, code: int
) -> None:
    async with (
        SimulatedServer(tmp_path) as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(server.url + SPOT_PATH) as socket,
    ):
        await socket.send_str(asked)
        assert (await socket.receive_json())["error"]["code"] == code


async def test_a_stale_or_forged_signature_is_refused(tmp_path: Path) -> None:
    async with (
        SimulatedServer(tmp_path) as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(server.url + SPOT_PATH) as socket,
    ):
        stale_at = server.clock.now_at() - 60_000
        for at, seal, code in ((stale_at, None, -1021), (server.clock.now_at(), "ab" * 32, -1022)):
            params = {"apiKey": KEYS.api_key, "timestamp": at}
            text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
            signed = hmac.new(KEYS.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
            await socket.send_str(
                json.dumps(
                    {
                        "id": 1,
                        "method": "userDataStream.subscribe.signature",
                        "params": {**params, "signature": seal or signed},
                    }
                )
            )
            assert (await socket.receive_json())["error"]["code"] == code


async def test_whoever_reads_too_slowly_is_cut_off(tmp_path: Path) -> None:
    async with watched(tmp_path, "spot") as (server, _, pushes):
        waiting = await listened(pushes, server)
        [listener] = server.server.pushing._listeners
        while not listener.waiting.full():
            listener.waiting.put_nowait({})
        order = NewOrder("a", "BTC/USDT", Side.BUY, OrderType.LIMIT, Decimal(1), price=Decimal(90))
        server.venue.place(order)
        with pytest.raises(VenueUnavailable):
            await asyncio.wait_for(waiting, PATIENCE_S)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.DUPLICATE_NEWS, ["NEW", "NEW", "CANCELED", "CANCELED"]),
        (FaultKind.REORDER_NEWS, ["CANCELED", "NEW"]),
    ],
)
async def test_news_come_twice_or_late_when_that_is_planned(
    tmp_path: Path, kind: FaultKind, expected: list[str]
) -> None:
    plan = FaultPlan(chance=1.0, kinds=frozenset({kind}))
    async with (
        SimulatedServer(tmp_path, "perp", faults=plan) as server,
        aiohttp.ClientSession() as session,
    ):
        _, key, _ = await server.raw("POST", KEY_PATH)
        url = f"{server.url}{PERP_PATH}?listenKey={key['listenKey']}"
        async with session.ws_connect(url) as socket:
            given = {"symbol": "BTCUSDT", "newClientOrderId": "a", "side": "BUY", "quantity": 1}
            rest = {"type": "LIMIT", "timeInForce": "GTC", "price": 90}
            assert (await server.raw("POST", f"{server.root}/order", **given, **rest))[0] == 200
            gone = {"symbol": "BTCUSDT", "origClientOrderId": "a"}
            assert (await server.raw("DELETE", f"{server.root}/order", **gone))[0] == 200
            async with asyncio.timeout(PATIENCE_S):
                told = [(await socket.receive_json())["o"]["X"] for _ in expected]
    assert told == expected


def test_ccxt_knows_who_tells() -> None:
    assert can_watch_orders("binance-perp")
    assert not can_watch_orders("zaif")


async def _handshake(server: SimulatedServer, listen_key: str) -> int:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.ws_connect(f"{server.url}{PERP_PATH}?listenKey={listen_key}"):
                return 101
        except aiohttp.WSServerHandshakeError as exc:
            return exc.status
