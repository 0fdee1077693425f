"""Pictures of every screen at both sizes: what an operator sees changes only on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.app import PaddockApp
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_store import fill, session_of, write_runtime_file
from tests.console.filled_trading import fill_trading
from tests.console.screen_reading import until_shown, until_still

SIZES = ((120, 36), (80, 24))
Before = Callable[[Pilot[int]], Awaitable[None]]


async def _overview(pilot: Pilot[int]) -> None:
    await until_shown(pilot, "640/1,464")


async def _strategies(pilot: Pilot[int]) -> None:
    await pilot.press("2")
    await until_shown(pilot, "30 of 30")
    await until_shown(pilot, "mean fitness")


async def _strategy(pilot: Pilot[int]) -> None:
    await _strategies(pilot)
    await pilot.press("enter")
    await until_shown(pilot, "Leaves by a stop")
    await until_shown(pilot, "2026-01")
    await until_shown(pilot, "parent")


async def _question(pilot: Pilot[int]) -> None:
    await _overview(pilot)
    await pilot.press("c")
    await until_shown(pilot, "Start a cycle?")


async def _halted(pilot: Pilot[int]) -> None:
    await _overview(pilot)
    await pilot.press("f9")
    await until_shown(pilot, "TRADING HALTED")
    await pilot.press("escape")
    await until_shown(pilot, "latch.halt")


async def _overlay(pilot: Pilot[int]) -> None:
    await until_shown(pilot, "640/1,464")
    await until_shown(pilot, "eq 100,310 USDT")
    await pilot.press("f9")
    await until_shown(pilot, "✓ paper cancel")
    # Said a moment later, below the overlay.
    await until_shown(pilot, "cancel: done")


async def _flatten(pilot: Pilot[int]) -> None:
    await _overlay(pilot)
    await pilot.press("F")
    await until_shown(pilot, "Y within 10 s")


async def _alerts(pilot: Pilot[int]) -> None:
    await until_shown(pilot, "640/1,464")
    await until_shown(pilot, "Needs you (2)")


async def _orders(pilot: Pilot[int]) -> None:
    await pilot.press("5")
    await until_shown(pilot, "142.210")


async def _order(pilot: Pilot[int]) -> None:
    await _orders(pilot)
    await pilot.press("tab", "enter")
    await until_shown(pilot, "accepted by the venue")


async def _symbol(pilot: Pilot[int]) -> None:
    await _orders(pilot)
    await pilot.press("F", "B")
    await until_shown(pilot, "Type BTC/USDT to go on")


async def _risk(pilot: Pilot[int]) -> None:
    await pilot.press("7")
    await until_shown(pilot, "leverage  ")


async def _rearm(pilot: Pilot[int]) -> None:
    await _risk(pilot)
    await pilot.press("R")
    await until_shown(pilot, "▲ REDUCING")
    await pilot.press("U")
    await until_shown(pilot, "checks 6/6")


async def _no_orders(pilot: Pilot[int]) -> None:
    await until_shown(pilot, "starts one")
    await pilot.press("5")
    await until_shown(pilot, "Nothing has traded")


async def _no_risk(pilot: Pilot[int]) -> None:
    await until_shown(pilot, "starts one")
    await pilot.press("7")
    await until_shown(pilot, "never armed here")


async def _empty(pilot: Pilot[int]) -> None:
    await until_shown(pilot, "starts one")
    await until_shown(pilot, "Nobody has asked")


_TRADING = (_alerts, _orders, _order, _symbol, _risk, _rearm, _overlay, _flatten)
_NOTHING = (_empty, _no_orders, _no_risk)


@pytest.mark.parametrize("size", SIZES, ids=["120x36", "80x24"])
@pytest.mark.parametrize(
    "before",
    [
        _overview,
        _strategies,
        _strategy,
        _question,
        _halted,
        _empty,
        _alerts,
        _orders,
        _order,
        _symbol,
        _risk,
        _rearm,
        _overlay,
        _flatten,
        _no_orders,
        _no_risk,
    ],
    ids=lambda before: before.__name__.strip("_"),
)
def test_picture(tmp_path: Path, snap_compare: Any, before: Before, size: tuple[int, int]) -> None:
    home = tmp_path / "home"
    if before in _TRADING:
        asyncio.run(fill_trading(home))
    elif before not in _NOTHING:
        asyncio.run(fill(home))
        write_runtime_file(home)

    async def settle(pilot: Pilot[int]) -> None:
        await before(pilot)
        await until_still(pilot)

    app = PaddockApp(session_of(home), starts_runtime=False, kill_switch=FakeSwitch())
    assert snap_compare(app, terminal_size=size, run_before=settle)
