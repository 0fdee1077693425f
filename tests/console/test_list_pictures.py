"""Pictures of the screens that list runs, learners, deployments, events and settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.app import PaddockApp
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_pages import fill_pages
from tests.console.filled_store import session_of
from tests.console.filled_trading import fill_trading
from tests.console.screen_reading import until_shown, until_still

SIZES = ((120, 36), (80, 24))
Before = Callable[[Pilot[int]], Awaitable[None]]


async def _backtests(pilot: Pilot[int]) -> None:
    await pilot.press("3")
    await until_shown(pilot, "the last 181")


async def _learners(pilot: Pilot[int]) -> None:
    await pilot.press("4")
    await until_shown(pilot, "born in generation 1")


async def _deployments(pilot: Pilot[int]) -> None:
    await pilot.press("6")
    await until_shown(pilot, "◐ rolling")
    await until_shown(pilot, "5% ✓ → 25% ●")


async def _events(pilot: Pilot[int]) -> None:
    await pilot.press("8")
    await until_shown(pilot, "events · following")
    await until_shown(pilot, "order.accepted")


async def _settings(pilot: Pilot[int]) -> None:
    await pilot.press("9")
    await until_shown(pilot, "Doctor")
    await pilot.press("j", "j", "j", "j")
    await until_shown(pilot, "holdout_days")


@pytest.fixture(autouse=True)
def nothing_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find nothing: what the doctor says depends on the machine."""
    monkeypatch.setattr("console.commands.doctor.examine", lambda _session: [])


@pytest.mark.parametrize("size", SIZES, ids=["120x36", "80x24"])
@pytest.mark.parametrize(
    "before",
    [_backtests, _learners, _deployments, _events, _settings],
    ids=lambda before: before.__name__.strip("_"),
)
def test_picture(tmp_path: Path, snap_compare: Any, before: Before, size: tuple[int, int]) -> None:
    home = tmp_path / "home"
    asyncio.run(fill_trading(home))
    asyncio.run(fill_pages(home))

    async def settle(pilot: Pilot[int]) -> None:
        await before(pilot)
        await until_still(pilot)

    app = PaddockApp(session_of(home), starts_runtime=False, kill_switch=FakeSwitch())
    assert snap_compare(app, terminal_size=size, run_before=settle)
