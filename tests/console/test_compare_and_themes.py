"""Marks, comparison and wide columns of the leaderboard; every theme on every screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.screens.compare import CompareScreen
from console.theme import THEMES
from console.widgets.live_table import LiveTable
from tests.console.conftest import MakeConsole
from tests.console.filled_pages import fill_pages
from tests.console.screen_reading import text_of, until, until_shown


async def test_marked_strategies_stand_side_by_side_at_most_four(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("m")
        await until_shown(pilot, "space marks strategies")
        await pilot.press("space", "space", "space", "space", "space")
        await until_shown(pilot, "4 are marked")
        assert "marked 4" in text_of(app)
        await pilot.press("k", "space")
        await until_shown(pilot, "marked 3")
        await pilot.press("m")
        await until_shown(pilot, "Compare 3 strategies")
        for words in ("fit Sharpe/y", "val max DD", "profit factor"):
            assert words in text_of(app)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, CompareScreen), "it to close")


async def test_w_shows_every_column_and_the_headings_move_with_them(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        assert " wins " not in text_of(app)
        await pilot.press("w")
        app.screen.query_one(LiveTable).scroll_to(x=200, animate=False)
        await until_shown(pilot, " wins ")
        await pilot.press("w")
        await until(pilot, lambda: " wins " not in text_of(app), "what fits alone")


@pytest.mark.parametrize("name", [theme.name for theme in THEMES])
async def test_every_theme_paints_every_screen(
    trading_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("console.commands.doctor.examine", lambda _session: [])
    await fill_pages(trading_home)
    app = make_console(trading_home)
    app.theme = name
    async with app.run_test(size=(120, 36)) as pilot:
        for key, words in {
            "1": "640/1,464",
            "2": "30 of 30",
            "3": "the last 181",
            "4": "ranked by",
            "5": "142.210",
            "6": "◐ rolling",
            "7": "Trading state of account",
            "8": "order.accepted",
            "9": "Doctor",
        }.items():
            await pilot.press(key)
            await until_shown(pilot, words)
        await pilot.press("f9")
        await until_shown(pilot, "TRADING HALTED")


async def test_no_colour_leaves_every_state_a_word(
    trading_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_console(trading_home)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_shown(pilot, "640/1,464")
        assert app.no_color
        shown = text_of(app)
        assert "● ACTIVE" in shown
        assert "✗ backtest.failed" in shown
        await pilot.press("f9")
        await until_shown(pilot, "HALTED")
