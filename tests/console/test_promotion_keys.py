"""Promotion, pause and retirement from the list of strategies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from console.screens.modals import ConfirmScreen
from console.screens.typed import TypedScreen
from console.widgets.live_table import LiveTable
from engine.store.commands import claim_command, finish_command, recent_commands
from engine.store.database import Store, sqlite_url
from engine.store.strategies import change_status
from tests.console.conftest import MakeConsole
from tests.console.filled_store import NOW_AT
from tests.console.screen_reading import until, until_shown

SIZE = (120, 36)


async def _best(home: Path, status: str | None = None) -> str:
    """Return the id of the best strategy, moved to a status."""
    store = await Store.open(sqlite_url(home))
    try:
        from engine.store.strategies import leaderboard

        rows, _ = await leaderboard(store, limit=1)
        if status is not None:
            await change_status(store, rows[0].id, status, "test", "test", NOW_AT)
        return rows[0].id
    finally:
        await store.close()


async def _asked(home: Path) -> list[tuple[str, dict[str, Any]]]:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        rows = await recent_commands(store)
        return [(row.name, dict(row.arguments)) for row in rows if row.created_at >= NOW_AT]
    finally:
        await store.close()


async def test_plus_promotes_to_paper_after_a_yes_and_tells_the_outcome(
    trading_home: Path, make_console: MakeConsole
) -> None:
    best = await _best(trading_home)
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("plus")
        await until_shown(pilot, f"Promote {best[:8]} to paper?")
        await until_shown(pilot, "It trades on paper from the next closed bar on, with 1.0% of")
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "Cancel, the focus")
        await pilot.press("plus", "y")
        await until_shown(pilot, "asked for strategy.promote (request 4)")
        store = await Store.open(sqlite_url(trading_home))
        await claim_command(store, NOW_AT, 4)
        result = {"strategy_id": best, "from": "screened", "to": "paper"}
        await finish_command(store, 4, status="done", result=result, now_at=NOW_AT)
        await store.close()
        await until_shown(pilot, "strategy.promote (request 4): done, screened → paper")
    assert await _asked(trading_home) == [
        ("strategy.promote", {"strategy_id": best, "to": "paper"})
    ]


async def test_plus_promotes_to_live_only_after_its_id_is_typed(
    trading_home: Path, make_console: MakeConsole
) -> None:
    best = await _best(trading_home, "paper")
    app = make_console(trading_home, live_exchange="bybit")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "◐ paper")
        await pilot.press("plus")
        await until_shown(pilot, f"Promote {best[:8]} to live?")
        await until_shown(pilot, "▲ This is real money.")
        await pilot.press("y", "enter")
        assert isinstance(app.screen, TypedScreen)
        await pilot.press("backspace", *best[:8], "enter")
        await until_shown(pilot, "asked for strategy.promote (request 4)")
    assert await _asked(trading_home) == [
        ("strategy.promote", {"strategy_id": best, "to": "live", "typed": best[:8]})
    ]


@pytest.mark.parametrize(
    ("status", "key", "words"),
    [
        ("paper", "plus", "there is no live account"),
        ("live", "plus", "is live already"),
        ("paused", "plus", "is paused: p resumes it"),
        ("retired", "plus", "is retired"),
        ("retired", "x", "is retired already"),
        ("screened", "p", "it does not trade"),
    ],
)
async def test_what_cannot_be_done_says_why(
    trading_home: Path, make_console: MakeConsole, status: str, key: str, words: str
) -> None:
    await _best(trading_home, status)
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, f" {status}")
        await pilot.press(key)
        await until_shown(pilot, words)
    assert await _asked(trading_home) == []


@pytest.mark.parametrize(
    ("status", "key", "title", "name"),
    [
        ("paper", "p", "Pause", "strategy.pause"),
        ("paused", "p", "Resume", "strategy.resume"),
        ("paper", "x", "Retire", "strategy.retire"),
    ],
)
async def test_pause_resume_and_retire_take_a_yes(
    trading_home: Path, make_console: MakeConsole, status: str, key: str, title: str, name: str
) -> None:
    best = await _best(trading_home, status)
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, f" {status}")
        await pilot.press(key)
        await until_shown(pilot, f"{title} {best[:8]}?")
        await pilot.press("y")
        await until_shown(pilot, f"asked for {name} (request 4)")
    assert await _asked(trading_home) == [(name, {"strategy_id": best})]


async def test_the_same_keys_work_on_the_strategys_own_screen(
    trading_home: Path, make_console: MakeConsole
) -> None:
    best = await _best(trading_home)
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("enter")
        await until_shown(pilot, "Leaves by a stop")
        await pilot.press("plus")
        await until_shown(pilot, f"Promote {best[:8]} to paper?")


async def test_a_held_key_puts_one_question(trading_home: Path, make_console: MakeConsole) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press(*["plus"] * 8)
        await until_shown(pilot, "to paper?")
        assert sum(isinstance(screen, ConfirmScreen) for screen in app.screen_stack) == 1
        assert app.screen_stack[0].query_one(LiveTable).row_count == 30
