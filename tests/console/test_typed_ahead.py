"""What is typed in one burst after `:` or `/` lands in the prompt, and nothing of it acts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.content import Content
from textual.events import Key
from textual.widgets import Input

from console.screens.halt import HaltScreen
from console.screens.modals import ConfirmScreen
from console.screens.typed import TypedAnswer, TypedQuestion, TypedScreen
from console.widgets.live_table import LiveTable
from tests.console.conftest import MakeConsole
from tests.console.real_terminal import Terminal
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
CONSOLE = ["-m", "console.cli", "--no-runtime"]
F9, CTRL_K, CTRL_U = b"\x1b[20~", b"\x0b", b"\x15"
ACTED = (b"Start a cycle?", b"Cancel cycle", b"Arm account", b"Quit the console?")


@pytest.fixture
def terminal(filled_home: Path) -> Iterator[Terminal]:
    """Return a console on a real terminal, its first screen shown."""
    opened = Terminal(CONSOLE, {"PADDOCK_PATHS__HOME": str(filled_home)}, SIZE)
    opened.until(b"Cycle 3")
    yield opened
    opened.close()


def _has_acted(terminal: Terminal) -> list[bytes]:
    return [words for words in ACTED if words in terminal.written]


def _until_exists(terminal: Terminal, path: Path) -> None:
    end_s = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end_s, f"never there: {path}"
        terminal.read()


def test_a_command_in_one_write_goes_to_its_screen_and_none_of_its_letters_acts(
    terminal: Terminal,
) -> None:
    # c starts a cycle, X cancels it, A arms, s sorts, x p and d change a strategy.
    for word, crumbs in (
        ("events", "events · following"),
        ("strategies", "sort fitness↓"),
        ("deployments", "── deployments"),
        ("backtests", "── backtests"),
        ("orders", "── orders"),
        ("strategies", "sort fitness↓"),
        ("overview", "── overview"),
    ):
        since = len(terminal.written)
        terminal.press(f":{word}\r".encode())
        terminal.until(crumbs.encode(), since=since)
    assert not _has_acted(terminal)


def test_a_filter_in_one_write_filters_and_none_of_its_letters_acts(terminal: Terminal) -> None:
    terminal.press(b"2")
    terminal.until(b"30 of 30")
    terminal.press(b"/btc\r")
    terminal.until("sort fitness↓ filter btc".encode())
    assert not _has_acted(terminal)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (b"2/btc\r", "sort fitness↓ filter btc"),
        (b"2:backtests\r", "── backtests"),
        (b"8/cycle\r", "filter cycle"),
        (b":\x1b[200~events\x1b[201~\r", "events · following"),
    ],
    ids=["filter", "command", "events", "paste"],
)
def test_a_prompt_of_a_screen_that_was_never_shown_takes_all_of_a_burst(
    terminal: Terminal, typed: bytes, shown: str
) -> None:
    terminal.press(typed)
    terminal.until(shown.encode())
    assert not _has_acted(terminal)


@pytest.mark.parametrize("halt", [F9, CTRL_K], ids=["F9", "ctrl+k"])
@pytest.mark.parametrize("typed", [b":", b":c", b"2:strat", b"2/b"])
def test_halting_keys_in_a_burst_halt(
    terminal: Terminal, filled_home: Path, typed: bytes, halt: bytes
) -> None:
    terminal.press(typed + halt)
    _until_exists(terminal, filled_home / "halt" / "HALT")
    terminal.until(b"TRADING HALTED")
    assert not _has_acted(terminal)


@pytest.mark.parametrize("halt", ["f9", "ctrl+k"])
async def test_halting_keys_do_not_wait_for_a_prompt_that_never_opens(
    filled_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch, halt: str
) -> None:
    async def keep(_table: LiveTable, event: Key) -> None:
        if event.key == "colon":
            event.stop()

    monkeypatch.setattr(LiveTable, "_on_key", keep, raising=False)
    monkeypatch.setattr("console.typed_ahead._PATIENCE_S", 600.0)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("colon", "c")
        assert not (filled_home / "halt" / "HALT").exists()
        await pilot.press(halt)
        assert (filled_home / "halt" / "HALT").exists()
        await until(pilot, lambda: isinstance(app.screen, HaltScreen), "the halt")


async def test_what_was_typed_for_a_prompt_that_never_opens_is_dropped_and_said_so(
    filled_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def keep(_table: LiveTable, event: Key) -> None:
        if event.key == "colon":
            event.stop()

    monkeypatch.setattr(LiveTable, "_on_key", keep, raising=False)
    monkeypatch.setattr("console.typed_ahead._PATIENCE_S", 0.3)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("colon", "s", "c")
        await until_shown(pilot, "what was typed is lost: nothing opened to take it")
        assert "sort fitness↓" in text_of(app)
        assert not isinstance(app.screen, ConfirmScreen)
        await pilot.press("s")
        await until_shown(pilot, "sort sharpe↓")


async def test_a_key_that_opens_no_prompt_here_holds_nothing_back(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        for key in ("slash", "2"):
            app.post_message(Key(key, None))
        await until_shown(pilot, "Leaderboard")


async def test_keys_held_back_arrive_in_their_order_and_a_remapped_opener_opens(
    filled_home: Path,
) -> None:
    from tests.console.test_keymap import _console

    app = _console(filled_home, {"command": "f3"})
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        for character in ("f3", *"cxApqD23", "colon", *"zebra"):
            app.post_message(Key(character, character if len(character) == 1 else None))
        app.post_message(Key("colon", ":"))
        await until(
            pilot,
            lambda: "cxApqD23zebra:" in text_of(app).splitlines()[-2],
            "all of it, in its order",
        )
        assert isinstance(app.focused, Input)
        assert app.current_mode == "overview"


async def test_a_second_enter_in_a_burst_is_no_second_command(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        for key in ("colon", *"events", "enter", "enter"):
            app.post_message(Key(key, key if len(key) == 1 else None))
        await until_shown(pilot, "events · following")
        assert "unknown command" not in text_of(app)


async def test_what_is_typed_behind_a_tab_lands_in_the_next_field(
    filled_home: Path, make_console: MakeConsole
) -> None:
    question = TypedQuestion(
        "Arm account paper?", (Content("It is halted."),), "Arm", "paper", True
    )
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        answered: list[TypedAnswer | None] = []
        app.push_screen(TypedScreen(question), answered.append)
        await until_shown(pilot, "Reason, for the record:")
        for key in (*"paper", "tab", *"calm", "shift+tab", *"s", "tab", *"!", "shift+tab", "end"):
            app.post_message(Key(key, key if len(key) == 1 else None))
        fields = app.screen.query(Input)
        await until(
            pilot, lambda: [one.value for one in fields] == ["papers", "calm!"], "both fields"
        )
        for key in ("backspace", "enter"):
            app.post_message(Key(key, None))
        await until(pilot, lambda: answered == [TypedAnswer("calm!")], "the answer")
