"""Kill the simulated exchange again and again while it trades, and hold it to its answers.

`python -m tests.venues.simulated_kills N [SEED]` runs a campaign of N kills.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from engine.config import Config, load_config, with_settings
from engine.market.parquet import write_bars_file
from engine.trade.simulated import launch
from engine.trade.simulated.endpoint import Endpoint
from engine.trade.simulated.rest.authentication import Keys
from engine.types import Bars
from tests.venues.simulated_server import raw_request

SYMBOLS = ("BTC/USDT", "ETH/USDT")
START_AT = 1_700_000_100_000


def market(home: Path) -> None:
    """Write forty days of bars that cross 100 again and again."""
    n_bars = 40 * 288
    rng = np.random.default_rng(5)
    close = np.round(100 + 3 * np.sin(np.arange(n_bars) / 40) + rng.normal(0, 0.2, n_bars), 2)
    open_ = np.concatenate(([100.0], close[:-1]))
    stamps = START_AT + 300_000 * np.arange(n_bars, dtype=np.int64)
    high, low = np.maximum(open_, close) + 0.1, np.minimum(open_, close) - 0.1
    bars = Bars(stamps, open_, np.round(high, 2), np.round(low, 2), close, np.ones(n_bars))
    for symbol in SYMBOLS:
        write_bars_file(home / "market" / "test" / f"{symbol.replace('/', '-')}-5m.parquet", bars)


def config_of(home: Path, market_type: str = "perp", **simulated: Any) -> Config:
    sections: dict[str, dict[str, Any]] = {
        "paths": {"home": str(home)},
        "market": {"source": "store", "type": market_type, "symbols": SYMBOLS},
        "simulated": {"latency_ms": 0, "speed": 600.0, **simulated},
    }
    return with_settings(load_config(None, {}), sections, "test")


async def ask(
    endpoint: Endpoint, method: str, path: str, **parameters: Any
) -> tuple[int, Any, dict[str, str]]:
    root = "/fapi/v1" if endpoint.market_type == "perp" else "/api/v3"
    return await raw_request(
        method,
        endpoint.url + root + path,
        parameters,
        keys=Keys(endpoint.api_key, endpoint.secret),
        at=time.time_ns() // 1_000_000,
    )


class Ledger:
    """What the venue has answered so far, and what was asked without an answer."""

    def __init__(self) -> None:
        self.answered: dict[str, dict[str, Any]] = {}
        self.unanswered: set[str] = set()
        self.n = 0

    async def trade(self, endpoint: Endpoint, rng: random.Random) -> None:
        """Place and cancel orders until the venue dies."""
        while True:
            self.n += 1
            client_id = f"o-{self.n}"
            self.unanswered.add(client_id)
            status, answer, _ = await ask(endpoint, "POST", "/order", **_order(rng, client_id))
            self.unanswered.discard(client_id)
            if status == 200:
                self.answered[client_id] = answer
            if rng.random() < 0.3 and self.answered:
                await self._cancel(endpoint, rng.choice(list(self.answered)))

    async def _cancel(self, endpoint: Endpoint, client_id: str) -> None:
        symbol = self.answered[client_id]["symbol"]
        given = {"symbol": symbol, "origClientOrderId": client_id}
        status, answer, _ = await ask(endpoint, "DELETE", "/order", **given)
        if status == 200:
            self.answered[client_id] = answer

    async def check(self, endpoint: Endpoint) -> None:
        """Compare every answer with what the venue says now."""
        found: dict[str, dict[str, Any]] = {}
        for symbol in ("BTCUSDT", "ETHUSDT"):
            page: list[Any] = [{}]
            number = 1
            while page:
                given = {"symbol": symbol, "orderId": number, "limit": 1000}
                _, page, _ = await ask(endpoint, "GET", "/allOrders", **given)
                for order in page:
                    assert order["clientOrderId"] not in found
                    found[order["clientOrderId"]] = order
                number = max([order["orderId"] for order in page], default=0) + 1
        for client_id, told in self.answered.items():
            now = found[client_id]
            assert now["orderId"] == told["orderId"]
            assert Decimal(now["executedQty"]) >= Decimal(told["executedQty"])
            if told["status"] in ("FILLED", "CANCELED", "EXPIRED"):
                assert now["status"] == told["status"]
                assert now["executedQty"] == told["executedQty"]
        assert set(found) <= set(self.answered) | self.unanswered
        numbers = sorted(order["orderId"] for order in found.values())
        assert numbers == list(range(1, len(numbers) + 1))
        await self._check_account(endpoint, found)

    async def _check_account(self, endpoint: Endpoint, found: dict[str, Any]) -> None:
        base, cost, fees, n_fills = Decimal(0), Decimal(0), Decimal(0), 0
        executed: dict[int, Decimal] = {}
        for symbol in ("BTCUSDT", "ETHUSDT"):
            page: list[Any] = [{}]
            first = 1
            while page:
                given = {"symbol": symbol, "fromId": first, "limit": 1000}
                _, page, _ = await ask(endpoint, "GET", "/userTrades", **given)
                for trade in page:
                    sign = 1 if trade["buyer"] else -1
                    qty = Decimal(trade["qty"])
                    executed[trade["orderId"]] = executed.get(trade["orderId"], Decimal(0)) + qty
                    base += sign * qty if symbol == "BTCUSDT" else 0
                    cost += sign * qty * Decimal(trade["price"])
                    fees += Decimal(trade["commission"])
                    n_fills += 1
                first = max([trade["id"] for trade in page], default=0) + 1
        assert n_fills > 0
        for order in found.values():
            assert executed.get(order["orderId"], Decimal(0)) == Decimal(order["executedQty"])
        root = endpoint.url.removesuffix("/") + "/fapi/v3"
        keys = Keys(endpoint.api_key, endpoint.secret)
        at = time.time_ns() // 1_000_000
        _, account, _ = await raw_request("GET", f"{root}/account", {}, keys=keys, at=at)
        positions = {row["symbol"]: row for row in account["positions"]}
        assert Decimal(positions.get("BTCUSDT", {}).get("positionAmt", "0")) == base
        open_cost = sum(
            (
                Decimal(row["positionAmt"]) * Decimal(row["entryPrice"])
                for row in positions.values()
            ),
            Decimal(0),
        )
        wallet = Decimal(account["totalWalletBalance"])
        # The mean entry price is told with 8 digits.
        assert abs(wallet - open_cost - (100_000 - cost - fees)) < Decimal("0.001")


def _order(rng: random.Random, client_id: str) -> dict[str, Any]:
    order: dict[str, Any] = {
        "symbol": rng.choice(("BTCUSDT", "ETHUSDT")),
        "side": rng.choice(("BUY", "SELL")),
        "quantity": f"{rng.randint(5, 300) / 100:.2f}",
        "newClientOrderId": client_id,
    }
    if rng.random() < 0.5:
        return {**order, "type": "MARKET"}
    price = f"{rng.uniform(96, 104):.2f}"
    return {**order, "type": "LIMIT", "timeInForce": "GTC", "price": price}


async def kill_again_and_again(config: Config, n_kills: int, seed: int) -> int:
    """Kill the exchange of `config` while orders are placed and cancelled.

    Returns the number of orders it answered; raises AssertionError for an answer it went back on.
    """
    rng, ledger, last_at = random.Random(seed), Ledger(), 0
    for _ in range(n_kills):
        endpoint = launch.ensure_running(config)
        _, told, _ = await ask(endpoint, "GET", "/time")
        assert told["serverTime"] >= last_at
        trading = asyncio.create_task(ledger.trade(endpoint, rng))
        await asyncio.sleep(rng.uniform(0.05, 0.35))
        _, told, _ = await ask(endpoint, "GET", "/time")
        last_at = told["serverTime"]
        os.kill(endpoint.pid, signal.SIGKILL)
        try:
            await asyncio.wait_for(trading, 10.0)
        except (aiohttp.ClientError, ConnectionError):
            continue
        raise AssertionError("trading went on with a dead exchange")
    endpoint = launch.ensure_running(config)
    await ledger.check(endpoint)
    for client_id in list(ledger.answered)[-5:]:
        status, _, _ = await ask(endpoint, "POST", "/order", **_order(rng, client_id))
        assert status == 400, "an id was used twice"
    return len(ledger.answered)


def main(n_kills: int, seed: int) -> None:
    """Run a campaign and say what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        market(home)
        config = config_of(home, partial_fill_chance=0.5)
        started_s = time.monotonic()
        try:
            n_orders = asyncio.run(kill_again_and_again(config, n_kills, seed))
        finally:
            launch.stop(home)
        took_s = time.monotonic() - started_s
        sys.stdout.write(f"{n_kills} kills, {n_orders} orders, nothing lost: {took_s:.0f} s\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
