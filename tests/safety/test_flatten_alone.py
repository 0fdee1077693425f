"""Everything is killed but the exchange: `paddock flatten` alone brings the account flat."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.config import load_config
from engine.risk.latch import TradingState
from engine.settings import Config
from engine.trade.accounts import account_folder, account_latch
from engine.trade.emergency import Patience
from engine.trade.flat_ids import is_flat_id
from engine.trade.instrument import why_too_small
from engine.trade.journal import JOURNAL_FILE
from engine.trade.kill import Act, Kill
from engine.trade.kill_step import Step
from engine.trade.orders import OrderType, Purpose, Side
from engine.trade.simulated import launch
from engine.trade.venues import open_exchange
from tests.safety.doomed_trader import N_ENTRIES
from tests.venues.live_account import D, limit

SYMBOLS = ("BTC/USDT", "ETH/USDT", "BNB/USDT", "SOL/USDT", "XRP/USDT")


def settings_of(home: Path, kind: str) -> dict[str, str]:
    return {
        "PADDOCK_PATHS__HOME": str(home),
        "PADDOCK_MARKET__TYPE": kind,
        "PADDOCK_MARKET__SYMBOLS": json.dumps(SYMBOLS),
        "PADDOCK_GENERATED__DAYS": "120",
        "PADDOCK_SIMULATED__SPEED": "1.0",
        "PADDOCK_SIMULATED__LATENCY_MS": "0",
    }


@pytest.fixture(params=["spot", "perp"])
def account(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    settings = settings_of(tmp_path / "home", request.param)
    yield settings
    launch.stop(tmp_path / "home")


def config_of(settings: dict[str, str]) -> Config:
    return load_config(None, settings)


def run(repo_root: Path, settings: dict[str, str], *arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "console.cli", *arguments, "--json"],
        cwd=repo_root,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def doom(repo_root: Path, settings: dict[str, str]) -> None:
    """Fill an account through a trader, and kill that with -9."""
    trader = subprocess.Popen(
        [sys.executable, "-m", "tests.safety.doomed_trader"],
        cwd=repo_root,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert trader.stdout is not None and trader.stderr is not None
    is_ready = trader.stdout.readline() == "READY\n"
    os.killpg(trader.pid, signal.SIGKILL)
    assert is_ready, trader.stderr.read()
    trader.communicate()
    assert trader.returncode == -signal.SIGKILL


async def held_by(settings: dict[str, str]) -> tuple[int, list[str], int]:
    """Return the open orders, what is held above dust, and the orders that flattened."""
    exchange = await open_exchange("paper", config_of(settings), SystemClock(), for_kill=True)
    try:
        listed = await exchange.instruments()
        view = await exchange.account_view()
        since_at = await exchange.now_at() - 3_600_000
        flat = {
            fill.client_id
            for symbol in SYMBOLS
            for fill in await exchange.fills(symbol, since_at)
            if is_flat_id(fill.client_id)
        }
        held = [
            symbol
            for symbol, position in view.positions.items()
            if not why_too_small(abs(position.signed_base), D(1_000_000), listed[symbol])
        ]
        return len(await exchange.open_orders()), held, len(flat)
    finally:
        await exchange.close()


@pytest.mark.parametrize(
    ("account", "journal"),
    [("spot", "whole"), ("perp", "whole"), ("perp", "missing")],
    indirect=["account"],
)
async def test_flatten_alone_brings_the_account_flat_and_only_once(
    repo_root: Path, account: dict[str, str], journal: str
) -> None:
    doom(repo_root, account)
    home = config_of(account).paths.home
    assert (await held_by(account))[:2] == (len(SYMBOLS) + N_ENTRIES, sorted(SYMBOLS))
    path = account_folder(home, "paper") / JOURNAL_FILE
    if journal == "missing":
        path.unlink()
    began_s = time.monotonic()
    steps = run(repo_root, account, "flatten", "--yes")
    spent_s = time.monotonic() - began_s
    assert (steps[0]["name"], steps[-1]["name"], steps[-1]["state"]) == ("latch", "flat", "ok")
    assert "looked twice" in steps[-1]["words"]
    assert await held_by(account) == (0, [], len(SYMBOLS))
    assert account_latch(home, "paper").read().state is TradingState.HALTED
    print(f"flat after {spent_s:.2f} s, {steps[-1]['spent_ms']:.0f} ms of it at the exchange")

    again = run(repo_root, account, "flatten", "--yes")
    assert again[-1]["state"] == "ok"
    assert await held_by(account) == (0, [], len(SYMBOLS)), "flattened twice, sent twice"


async def test_a_hundred_orders_are_cancelled_within_a_second(account: dict[str, str]) -> None:
    config = config_of(account)
    clock = SystemClock()
    exchange = await open_exchange("paper", config, clock, for_kill=True)
    try:
        listed = await exchange.instruments()
        last = (await exchange.ticker("BTC/USDT")).last
        price = (last * D("0.5")).quantize(listed["BTC/USDT"].tick)
        for number in range(100):
            await exchange.submit(
                limit(f"n{number}", str(price), qty_base=D("0.001"), reference_price=last)
            )
        account_latch(config.paths.home, "paper").halt("ana", "test", clock.now_at() - 60_000)
        steps: list[Step] = []
        began_s = time.monotonic()
        async for step in Kill(config, clock, patience=Patience(timeout_s=30.0)).run(
            Act(), ("paper",)
        ):
            steps.append(step)
        spent_s = time.monotonic() - began_s
        assert await exchange.open_orders() == []
    finally:
        await exchange.close()
    assert (steps[-1].state, steps[-1].done) == ("ok", 100)
    print(f"100 orders cancelled in {steps[-1].spent_ms:.0f} ms, {spent_s:.2f} s with connecting")


@pytest.mark.parametrize("account", ["perp"], indirect=True)
async def test_exchange_killed_in_the_middle_is_started_again_and_flattened(
    repo_root: Path, account: dict[str, str]
) -> None:
    doom(repo_root, account)
    endpoint = launch.running(config_of(account).paths.home)
    assert endpoint is not None
    os.kill(endpoint.pid, signal.SIGKILL)
    steps = run(repo_root, account, "flatten", "--yes")
    assert (steps[-1]["name"], steps[-1]["state"]) == ("flat", "ok")
    assert await held_by(account) == (0, [], len(SYMBOLS))


@pytest.mark.parametrize("account", ["spot"], indirect=True)
async def test_exchange_that_restarts_is_found_at_its_new_place(account: dict[str, str]) -> None:
    config = config_of(account)
    exchange = await open_exchange("paper", config, SystemClock())
    try:
        last = (await exchange.ticker("BTC/USDT")).last
        tick = (await exchange.instruments())["BTC/USDT"].tick
        resting = limit("a", str((last * D("0.5")).quantize(tick)), reference_price=last)
        assert resting.type is OrderType.LIMIT
        assert (resting.purpose, resting.side) == (Purpose.ENTRY, Side.BUY)
        placed = await exchange.submit(limit("a", str(resting.price), qty_base=D("0.01")))
        launch.stop(config.paths.home)
        launch.ensure_running(config)
        found = None
        for _ in range(5):
            try:
                found = await exchange.find_order("BTC/USDT", "pk-a")
                break
            except Exception as exc:
                assert "no usable answer" in str(exc)
        assert found is not None
        assert found.venue_id == placed.venue_id
    finally:
        await exchange.close()
