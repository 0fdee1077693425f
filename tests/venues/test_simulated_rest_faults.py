"""The REST face of the simulated exchange under faults and restarts."""

from __future__ import annotations

import asyncio
import contextlib
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest

from engine.trade.instrument import MarketType
from engine.trade.simulated.faults import Fault, FaultKind, FaultPlan
from tests.unit.test_simulated_exchange import Script
from tests.venues.rest_desk import BOTH, PERP, SPOT, desk, name
from tests.venues.simulated_server import SimulatedServer


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
