"""Pictures of what changes deployments, limits and settings, in two themes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.app import PaddockApp
from engine.config import PROJECT_CONFIG, load_config
from engine.store.database import Store, sqlite_url
from engine.store.strategies import change_status
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_pages import VERSION, fill_pages
from tests.console.filled_store import NOW_AT, session_of
from tests.console.filled_trading import fill_trading
from tests.console.screen_reading import until_shown, until_still

SIZES = ((120, 36), (80, 24))
THEMES = ("paddock", "paddock-light")
Before = Callable[[Pilot[int]], Awaitable[None]]


async def _rollout(pilot: Pilot[int]) -> None:
    await pilot.press("6")
    await until_shown(pilot, "5% ✓ → 25% ●")
    await until_shown(pilot, "◐ paper")


async def _raise(pilot: Pilot[int]) -> None:
    await _rollout(pilot)
    await pilot.press("plus")
    await until_shown(pilot, "to 50%?")


async def _limits(pilot: Pilot[int]) -> None:
    await pilot.press("7")
    await until_shown(pilot, "leverage  ")
    await pilot.press("e")
    await until_shown(pilot, "in force")
    await pilot.press("j", "enter", *"20", "percent_sign")
    await until_shown(pilot, "its name has to be typed")


async def _raised(pilot: Pilot[int]) -> None:
    await _limits(pilot)
    await pilot.press("enter")
    await until_shown(pilot, "Raise position_frac to 20.0%?")


async def _diff(pilot: Pilot[int]) -> None:
    await pilot.press("9")
    await until_shown(pilot, "changed since this console read it")
    await pilot.press("d", "j")
    await until_shown(pilot, "limits (1)")


@pytest.fixture(autouse=True)
def nothing_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find nothing: what the doctor says depends on the machine."""
    monkeypatch.setattr("console.commands.doctor.examine", lambda _session: [])


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES, ids=["120x36", "80x24"])
@pytest.mark.parametrize(
    "before",
    [_rollout, _raise, _limits, _raised, _diff],
    ids=lambda before: before.__name__.strip("_"),
)
def test_picture(
    tmp_path: Path, snap_compare: Any, before: Before, size: tuple[int, int], theme: str
) -> None:
    home, file = tmp_path / "home", tmp_path / "config.toml"
    asyncio.run(_fill(home))
    file.write_text(PROJECT_CONFIG.read_text().replace('home = "./var"', f'home = "{home}"'))
    session = replace(session_of(home), config=load_config(file, {}), config_path=file)
    if before is _diff:
        file.write_text(file.read_text().replace("position_frac = 0.1\n", "position_frac = 0.08\n"))

    async def settle(pilot: Pilot[int]) -> None:
        await before(pilot)
        await until_still(pilot)

    app = PaddockApp(session, starts_runtime=False, kill_switch=FakeSwitch())
    app.theme = theme
    assert snap_compare(app, terminal_size=size, run_before=settle)


async def _fill(home: Path) -> None:
    await fill_trading(home)
    await fill_pages(home)
    store = await Store.open(sqlite_url(home))
    await change_status(store, VERSION.strategy_id, "paper", "test", "test", NOW_AT)
    await store.close()
