"""The simulated exchange as a process: started, found, stopped, killed, and whole ever after."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.owned_processes import MARK_VARIABLE
from engine.errors import RuntimeUnavailable
from engine.trade.simulated import launch
from engine.trade.simulated.endpoint import exchange_folder, read_endpoint
from engine.trade.simulated.rest.authentication import Keys
from tests.venues.simulated_kills import ask, config_of, kill_again_and_again, market
from tests.venues.simulated_server import ccxt_client

N_KILLS = 8


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    market(tmp_path)
    yield tmp_path
    with contextlib.suppress(RuntimeUnavailable):
        launch.stop(tmp_path)


def _runs(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


async def test_it_is_started_once_found_by_all_and_stopped(home: Path) -> None:
    config = config_of(home)
    assert launch.running(home) is None
    assert not launch.stop(home)
    both = await asyncio.gather(
        asyncio.to_thread(launch.ensure_running, config),
        asyncio.to_thread(launch.ensure_running, config),
    )
    assert both[0] == both[1] == launch.running(home) == launch.ensure_running(config)
    endpoint = both[0]
    assert (endpoint.label, endpoint.exchange_name) == ("STORE", "binance-perp")
    file = exchange_folder(home) / "endpoint.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert endpoint.secret in file.read_text()
    assert endpoint.secret not in repr(endpoint)
    assert endpoint.secret not in launch.exchange_log(home).read_text()
    status, _, _ = await ask(endpoint, "GET", "/openOrders")
    assert status == 200
    assert launch.stop(home)
    assert launch.running(home) is None
    assert not file.exists()
    assert not _runs(endpoint.pid)
    again = launch.ensure_running(config)
    assert (again.api_key, again.secret) == (endpoint.api_key, endpoint.secret)


def test_it_belongs_to_no_runtime_and_outlives_who_started_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDOCK_PATHS__HOME", str(home))
    code = (
        "from pathlib import Path; from tests.venues.simulated_kills import config_of;"
        "from engine.trade.simulated.launch import ensure_running;"
        f"ensure_running(config_of(Path({str(home)!r})))"
    )
    environment = {**os.environ, MARK_VARIABLE: "0123456789ab"}
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=root, check=True)
    endpoint = launch.running(home)
    assert endpoint is not None
    process = psutil.Process(endpoint.pid)
    assert MARK_VARIABLE not in process.environ()
    assert os.getsid(endpoint.pid) != os.getsid(0)
    assert os.getpid() not in {parent.pid for parent in process.parents()}


def test_a_second_one_on_the_same_home_ends_at_once(home: Path) -> None:
    launch.ensure_running(config_of(home))
    command = [sys.executable, "-m", launch.MODULE, "--home", str(home)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 3
    assert "already runs" in second.stderr


def test_another_market_is_refused_on_a_home_that_has_traded(home: Path) -> None:
    launch.ensure_running(config_of(home))
    launch.stop(home)
    with pytest.raises(RuntimeUnavailable, match="trades the market `store test perp`"):
        launch.ensure_running(config_of(home, "spot"))
    launch.ensure_running(config_of(home))


def test_why_it_does_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="does not exist"):
        launch.ensure_running(config_of(tmp_path))


def test_a_port_that_is_taken_is_named(home: Path) -> None:
    first = launch.ensure_running(config_of(home))
    port = int(first.url.rpartition(":")[2])
    other = home / "other"
    market(other)
    with pytest.raises(RuntimeUnavailable, match=f"port {port} cannot be used"):
        launch.ensure_running(config_of(other, port=port))


async def test_kills_at_any_moment_lose_nothing_and_double_nothing(home: Path) -> None:
    config = config_of(home, partial_fill_chance=0.5)
    assert await kill_again_and_again(config, N_KILLS, 11) > N_KILLS


async def test_a_client_goes_on_after_a_restart_and_finds_its_stop_where_it_left_it(
    home: Path,
) -> None:
    config = config_of(home, speed=1.0)
    endpoint = launch.ensure_running(config)
    symbol = "BTC/USDT:USDT"

    async def with_client(what: Any) -> Any:
        now = read_endpoint(home)
        assert now is not None
        keys = Keys(now.api_key, now.secret)
        client = ccxt_client(now.url, now.market_type, keys=keys)
        try:
            return await what(client)
        finally:
            await client.close()

    async def enter(client: Any) -> None:
        await client.create_order(symbol, "market", "buy", 1)
        last = (await client.fetch_ticker(symbol))["last"]
        protect = {"reduceOnly": True, "stopLossPrice": round(last * 0.9, 2), "clientOrderId": "s"}
        await client.create_order(symbol, "market", "sell", 1, None, protect)

    await with_client(enter)
    os.kill(endpoint.pid, signal.SIGKILL)
    launch.ensure_running(config)

    async def look(client: Any) -> tuple[Any, Any]:
        resting = await client.fetch_open_orders(symbol, params={"trigger": True})
        return resting, await client.fetch_positions([symbol])

    resting, held = await with_client(look)
    assert [order["clientOrderId"] for order in resting] == ["s"]
    assert [position["contracts"] for position in held] == [1]
