"""Pictures of each sub-tab of a strategy, at both sizes, in the dark theme and the light one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.app import PaddockApp
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_detail import fill_detail
from tests.console.filled_store import fill, session_of, write_runtime_file
from tests.console.screen_reading import until_shown, until_still

SIZES = ((120, 36), (80, 24))
THEMES = ("paddock", "paddock-light")
# What each tab shows when it is whole.
TABS = {
    "Equity": "closed trades",
    "Trades": "listed: 12 trades",
    "Lineage": "└─ ",
    "Code": "exits.stop_frac",
    "Backtests": "of 7",
    "Deploys": "version 2: 25%",
}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES, ids=["120x36", "80x24"])
@pytest.mark.parametrize("tab", TABS)
def test_picture(
    tmp_path: Path, snap_compare: Any, tab: str, size: tuple[int, int], theme: str
) -> None:
    home = tmp_path / "home"
    asyncio.run(fill(home))
    asyncio.run(fill_detail(home))
    write_runtime_file(home)

    async def settle(pilot: Pilot[int]) -> None:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("enter")
        await until_shown(pilot, "[Summary]")
        for name in TABS:
            await pilot.press("right_square_bracket")
            await until_shown(pilot, f"[{name}]")
            if name == tab:
                break
        await until_shown(pilot, TABS[tab])
        await until_still(pilot)

    app = PaddockApp(session_of(home), starts_runtime=False, kill_switch=FakeSwitch())
    app.theme = theme
    assert snap_compare(app, terminal_size=size, run_before=settle)
