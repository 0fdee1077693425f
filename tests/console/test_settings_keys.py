"""Screen 9: every key of it, and what a reload applies, asks for and leaves to a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.app import PaddockApp
from console.screens.typed import TypedScreen
from console.widgets.live_table import LiveTable
from engine.config import load_config
from engine.store.commands import recent_commands
from engine.store.database import Store, sqlite_url
from engine.store.events import events_page
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_store import NOW_AT, session_of
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
Open = Callable[..., PaddockApp]


@pytest.fixture(autouse=True)
def nothing_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find nothing: what the doctor says depends on the machine."""
    monkeypatch.setattr("console.commands.doctor.examine", lambda _session: [])


@pytest.fixture
def file(trading_home: Path, tmp_path: Path) -> Path:
    """Return a configuration file of the test's own."""
    path = tmp_path / "config.toml"
    path.write_text(_text(trading_home))
    return path


@pytest.fixture
def open_console(trading_home: Path, file: Path) -> Open:
    """Return a maker of consoles that were started with the file."""

    def make(read_only: str = "") -> PaddockApp:
        config = load_config(file, {})
        session = replace(session_of(trading_home), config=config, config_path=file)
        return PaddockApp(
            session, starts_runtime=False, kill_switch=FakeSwitch(), read_only=read_only
        )

    return make


def _text(home: Path, more: str = "") -> str:
    return f'[paths]\nhome = "{home}"\n{more}'


async def _write(file: Path, home: Path, more: str) -> None:
    await asyncio.to_thread(file.write_text, _text(home, more))


async def _asked(home: Path) -> list[tuple[str, dict[str, Any]]]:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        rows = await recent_commands(store)
        return [(row.name, dict(row.arguments)) for row in rows if row.created_at >= NOW_AT]
    finally:
        await store.close()


async def test_e_opens_the_operators_editor_and_reads_what_it_left(
    trading_home: Path,
    file: Path,
    open_console: Open,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    editor = tmp_path / "my editor"
    editor.write_text("#!/bin/sh\nprintf '[cycle]\\ncount = 70\\n' >>\"$2\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", f"'{editor}' --wait")
    app = open_console()

    @contextmanager
    def suspended() -> Iterator[None]:
        yield

    monkeypatch.setattr(app, "suspend", suspended)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "config.toml (valid)")
        await pilot.press("e")
        await until_shown(pilot, "changed since this console read it: r")
    assert load_config(file, {}).cycle.count == 70


async def test_e_without_a_terminal_names_the_file_and_an_editor_that_is_missing_is_named(
    file: Path, open_console: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_console()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "config.toml (valid)")
        await pilot.press("e")
        await until_shown(pilot, "no terminal to edit in")

        @contextmanager
        def suspended() -> Iterator[None]:
            yield

        monkeypatch.setattr(app, "suspend", suspended)
        monkeypatch.setenv("VISUAL", "no-such-editor-anywhere")
        await pilot.press("e")
        await until_shown(pilot, "no-such-editor-anywhere cannot be started")


async def test_d_shows_what_is_other_than_what_runs_then_than_the_defaults_then_all(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    await _write(file, trading_home, "[cycle]\ncount = 60\n")
    app = open_console()
    await _write(file, trading_home, "[cycle]\ncount = 60\n[console]\npoll_s = 2.0\n")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "changed since this console read it")
        await pilot.press("d")
        await until_shown(pilot, "only other than what runs")
        assert "console (1)" in text_of(app)
        assert "cycle (" not in text_of(app)
        await pilot.press("j")
        await until_shown(pilot, "▲ 1")
        await pilot.press("d")
        await until_shown(pilot, "only other than the defaults")
        assert "cycle (1)" in text_of(app)
        await pilot.press("d")
        await until_shown(pilot, "secrets")


async def test_big_t_changes_the_colours(open_console: Open) -> None:
    app = open_console()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "config.toml (valid)")
        before = app.theme
        await pilot.press("T")
        await until(pilot, lambda: app.theme != before, "another theme")


async def test_tab_and_rows_move_and_y_copies_the_name_of_a_setting(open_console: Open) -> None:
    app = open_console()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "config.toml (valid)")
        await pilot.press("j", "j", "tab")
        await until(pilot, lambda: getattr(app.screen.focused, "id", "") == "values", "the values")
        table = app.screen.query_one("#values", LiveTable)
        await pilot.press("G")
        assert table.cursor_row == table.row_count - 1
        await pilot.press("g", "y")
        await until_shown(pilot, f"copied {table.selected_key}")


async def test_reload_lowers_a_limit_with_a_yes_and_asks_the_runtime_for_it(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    app = open_console()
    await _write(file, trading_home, "[limits]\nposition_frac = 0.08\n")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "changed since this console read it")
        await pilot.press("r")
        await until_shown(pilot, "now: [limits] position_frac: 0.1 → 0.08")
        await pilot.press("y")
        await until_shown(pilot, "asked for limits.apply (request 4)")
    ((name, arguments),) = await _asked(trading_home)
    assert name == "limits.apply"
    assert arguments["limits"]["position_frac"] == 0.08


async def test_reload_raises_a_limit_only_after_its_word_and_a_reason(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    app = open_console()
    await _write(file, trading_home, "[limits]\nposition_frac = 0.2\nstrategy_frac = 0.04\n")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "changed since this console read it")
        await pilot.press("r")
        await until_shown(pilot, "▲ More can be lost: position_frac")
        await pilot.press("y")
        assert isinstance(app.screen, TypedScreen)
        assert await _asked(trading_home) == []
        await pilot.press("backspace", *"limits", "enter", *"agreed", "enter")
        await until_shown(pilot, "asked for limits.apply (request 4)")
    store = await Store.open(sqlite_url(trading_home), read_only=True)
    (event,) = await events_page(store, kind="risk.limit", limit=5)
    await store.close()
    assert event.fields["reason"] == "agreed"
    assert event.fields["after"] == {"position_frac": "0.2", "strategy_frac": "0.04"}


async def test_reload_of_a_broken_file_changes_nothing_and_names_the_line(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    app = open_console()
    await _write(file, trading_home, "[limits]\nposition_frac = 7\n")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "✗")
        await pilot.press("r")
        await until_shown(pilot, "nothing was changed:")
        assert len(app.screen_stack) == 1
    assert app.session.config.limits.position_frac == 0.1


async def test_reload_without_a_change_says_so(open_console: Open) -> None:
    app = open_console()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "config.toml (valid)")
        await pilot.press("r")
        await until_shown(pilot, "nothing has changed in the file and the environment")


async def test_a_console_that_only_looks_neither_edits_nor_reloads(
    trading_home: Path, file: Path, open_console: Open
) -> None:
    app = open_console(read_only="--read-only")
    await _write(file, trading_home, "[limits]\nposition_frac = 0.08\n")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "changed since this console read it")
        await pilot.press("e", "r")
        await pilot.pause()
        assert len(app.screen_stack) == 1
    assert await _asked(trading_home) == []
