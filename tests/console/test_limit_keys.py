"""Screen 7, e: a limit is lowered after a yes, raised after its name and a reason."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.app import PaddockApp
from console.limit_change import LimitRow, lets_more_pass, limit_rows, read_limit
from console.screens.limit import LimitScreen
from console.screens.modals import ConfirmScreen
from console.screens.typed import TypedScreen
from engine.config import PROJECT_CONFIG, load_config
from engine.store.commands import recent_commands
from engine.store.database import Store, sqlite_url
from engine.store.events import EventRow, events_page
from engine.trading_settings import Limits
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_store import NOW_AT, session_of
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
Open = Callable[..., PaddockApp]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a configuration file of the test's own."""
    path = tmp_path / "config.toml"
    shutil.copy(PROJECT_CONFIG, path)
    return path


@pytest.fixture
def open_console(trading_home: Path, file: Path) -> Open:
    """Return a maker of consoles over the file."""

    def make(read_only: str = "") -> PaddockApp:
        session = replace(session_of(trading_home), config_path=file)
        return PaddockApp(
            session, starts_runtime=False, kill_switch=FakeSwitch(), read_only=read_only
        )

    return make


async def _asked(home: Path) -> list[tuple[str, dict[str, Any]]]:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        rows = await recent_commands(store)
        return [(row.name, dict(row.arguments)) for row in rows if row.created_at >= NOW_AT]
    finally:
        await store.close()


async def _told(home: Path) -> list[EventRow]:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        return list(await events_page(store, kind="risk.limit", limit=20))
    finally:
        await store.close()


async def type_limit(pilot: Any, key: str, value: str) -> None:
    """Choose a limit and type its new value."""
    await pilot.press("7")
    await until_shown(pilot, "daily loss")
    await pilot.press("e")
    await until(pilot, lambda: isinstance(pilot.app.screen, LimitScreen), "the limits")
    place = [row.key for row in limit_rows(Limits(), {})].index(key)
    for _ in range(place):
        await pilot.press("j")
    await pilot.press("enter")
    await until_shown(pilot, f"New {key}")
    await pilot.press(
        *("percent_sign" if c == "%" else "full_stop" if c == "." else c for c in value)
    )
    await pilot.press("enter")


async def test_a_limit_is_lowered_in_the_file_after_a_yes_and_asked_of_the_runtime(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    app = open_console()
    async with app.run_test(size=SIZE) as pilot:
        await type_limit(pilot, "position_frac", "8%")
        await until_shown(pilot, "Lower position_frac to 8.0%?")
        assert "10.0% → 8.0% (fraction of equity)" in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "Cancel, the focus")
        assert load_config(file, {}).limits.position_frac == 0.1
        await type_limit(pilot, "position_frac", "8%")
        await until_shown(pilot, "Lower position_frac to 8.0%?")
        await pilot.press("y")
        await until_shown(pilot, "asked for limits.apply (request 4)")
        assert load_config(file, {}).limits.position_frac == 0.08
        await until_shown(pilot, "▲ file 8.0%")
    (asked,) = await _asked(trading_home)
    assert asked[0] == "limits.apply"
    assert asked[1]["limits"]["position_frac"] == 0.08
    assert "position_frac 10.0% → 8.0%" in asked[1]["words"]
    (event,) = await _told(trading_home)
    assert (event.fields["who"], event.fields["before"], event.fields["after"]) == (
        "ana",
        0.1,
        0.08,
    )


async def test_a_limit_is_raised_only_after_its_name_and_a_reason(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    app = open_console()
    async with app.run_test(size=SIZE) as pilot:
        await type_limit(pilot, "position_frac", "0.2")
        await until_shown(pilot, "Raise position_frac to 20.0%?")
        assert "▲ More can be lost" in text_of(app)
        await pilot.press(*"position_fra", "enter")
        await pilot.press("y", "enter")
        assert isinstance(app.screen, TypedScreen)
        assert load_config(file, {}).limits.position_frac == 0.1
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, TypedScreen), "no question")
        await type_limit(pilot, "position_frac", "0.2")
        await until_shown(pilot, "Raise position_frac to 20.0%?")
        await pilot.press(*"position_frac", "enter", *"agreed", "enter")
        await until_shown(pilot, "asked for limits.apply (request 4)")
        assert load_config(file, {}).limits.position_frac == 0.2
    asked, changed = sorted(await _told(trading_home), key=lambda row: row.id)
    assert (asked.fields["result"], changed.fields["result"]) == ("asked", "changed")
    assert changed.fields["reason"] == "agreed"
    assert len(await _asked(trading_home)) == 1


async def test_a_raise_that_cannot_be_recorded_is_not_made(
    trading_home: Path, file: Path, open_console: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_console()

    async def full(_event: object) -> str:
        return "the disk is full"

    monkeypatch.setattr(app, "tell", full)
    async with app.run_test(size=SIZE) as pilot:
        await type_limit(pilot, "leverage_max", "4")
        await until_shown(pilot, "Raise leverage_max to 4.00?")
        await pilot.press(*"leverage_max", "enter", *"why", "enter")
        await until_shown(pilot, "not raised, for it cannot be recorded: the disk is full")
    assert load_config(file, {}).limits.leverage_max == 3.0
    assert await _asked(trading_home) == []


async def test_what_is_not_allowed_changes_nothing_and_says_what_is(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    before = load_config(file, {})
    app = open_console()
    async with app.run_test(size=SIZE) as pilot:
        await type_limit(pilot, "drawdown_stop_frac", "5%")
        await until_shown(pilot, "Lower drawdown_stop_frac to 5.0%?")
        await pilot.press("y")
        await until_shown(pilot, "nothing was changed")
        await until_shown(pilot, "drawdown steps must rise")
    assert load_config(file, {}) == before
    assert await _asked(trading_home) == []


async def test_garbage_for_a_value_stays_in_the_question(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    app = open_console()
    async with app.run_test(size=SIZE) as pilot:
        await type_limit(pilot, "position_frac", "ten")
        await until_shown(pilot, "✗ 'ten' is not a number of fraction of equity")
        assert isinstance(app.screen, LimitScreen)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LimitScreen), "no question")


async def test_a_broken_file_refuses_every_change_in_one_line(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    await asyncio.to_thread(file.write_text, "[limits\n")
    app = open_console()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "daily loss")
        await pilot.press("e")
        await until_shown(pilot, "no limit can be changed")
    assert await _asked(trading_home) == []


async def test_a_console_that_only_looks_edits_no_limit(
    trading_home: Path, open_console: Open
) -> None:
    app = open_console(read_only="--read-only")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "daily loss")
        await pilot.press("e")
        await pilot.pause()
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("8%", 0.08), ("7%", 0.07), ("0.08", 0.08), (" 12.5 % ", 0.125), ("", None), ("nan", None)],
)
def test_fractions_are_read_with_and_without_percent(text: str, value: float | None) -> None:
    row = LimitRow("position_frac", "fraction of equity", "", 0.1, None)
    assert read_limit(row, text) == value


def test_whole_numbers_stay_whole_and_take_no_percent() -> None:
    row = LimitRow("position_age_close_s", "s", "", 7200, None)
    assert read_limit(row, "3_600") == 3600
    assert isinstance(read_limit(row, "3600"), int)
    assert read_limit(row, "1.5") is None
    assert read_limit(row, "8%") is None


def test_more_confidence_is_the_stricter_one() -> None:
    assert lets_more_pass("position_frac", 0.1, 0.2)
    assert not lets_more_pass("position_frac", 0.1, 0.05)
    assert lets_more_pass("value_at_risk_confidence", 0.95, 0.9)
