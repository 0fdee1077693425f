"""The pages of help, the tour and the letters that jump, on every screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Label

from console.bindings import ENTRIES, Place, entries_at
from console.help_words import PLACE_WORDS
from console.keymap import Keymap
from console.screens.help import HelpScreen, help_content
from console.screens.jump import JumpScreen, jump_targets
from console.screens.tour import STEPS, TourScreen
from tests.console.conftest import MakeConsole
from tests.console.filled_pages import fill_pages
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
SCREENS = "123456789"


@pytest.mark.parametrize("place", [place for place in Place if place is not Place.EVERYWHERE])
def test_every_place_says_what_it_shows_and_names_each_of_its_keys(place: Place) -> None:
    page = help_content(place, None, Keymap()).plain
    assert Keymap().told(PLACE_WORDS[place].shows, place) in page
    for entry in entries_at(place):
        assert entry.title in page
    if place is not Place.REPLAY:
        assert PLACE_WORDS[place].terms


def test_a_key_that_does_nothing_now_says_why_on_the_page() -> None:
    page = help_content(Place.OVERVIEW, None, Keymap()).plain
    row = next(line for line in page.splitlines() if "cancel cycle" in line)
    assert "not now: the store has not been read yet" in row


@pytest.mark.parametrize("key", SCREENS)
async def test_help_opens_over_every_screen_and_scrolls_to_the_words(
    trading_home: Path, make_console: MakeConsole, key: str
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press(key, "question_mark")
        await until_shown(pilot, f"Help: {app.place}")
        await pilot.press("G")
        await until_shown(pilot, "this console only looks; halting still works")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen), "it to close")


def test_tour_names_only_keys_that_are_there_and_goes_to_screens_that_are() -> None:
    from console.app import PaddockApp

    for step in STEPS:
        assert "{" not in Keymap().told(step.text)
        assert step.mode in PaddockApp.MODES


async def test_tour_goes_through_the_screens_and_back_and_ends(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("colon", *"tour", "enter")
        for place, step in enumerate(STEPS):
            await until_shown(pilot, f"({place + 1} of {len(STEPS)})")
            await until_shown(pilot, step.title)
            assert app.current_mode == step.mode
            if place == 5:
                await pilot.press("left")
                await until_shown(pilot, f"({place} of {len(STEPS)})")
                await pilot.press("right")
                await until_shown(pilot, f"({place + 1} of {len(STEPS)})")
            await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, TourScreen), "the tour to end")


@pytest.mark.parametrize("n_steps", [0, 3, 6])
async def test_tour_can_be_left_at_any_step_and_stays_on_its_screen(
    trading_home: Path, make_console: MakeConsole, n_steps: int
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("colon", *"tour", "enter")
        for place in range(n_steps):
            await until_shown(pilot, f"({place + 1} of {len(STEPS)})")
            await pilot.press("enter")
        await until_shown(pilot, f"({n_steps + 1} of {len(STEPS)})")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, TourScreen), "the tour to end")
        assert app.current_mode == STEPS[n_steps].mode
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("key", SCREENS)
async def test_jump_letters_stand_on_every_pane_and_go_there(
    trading_home: Path, make_console: MakeConsole, key: str
) -> None:
    await fill_pages(trading_home)
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press(key)
        await pilot.pause()
        below = app.screen
        panes = jump_targets(below)
        assert panes
        for place, pane in enumerate(panes):
            await pilot.press("ctrl+o")
            await until(pilot, lambda: isinstance(app.screen, JumpScreen), "the letters")
            letters = [label for label in app.screen.query(Label) if label.id is None]
            assert len(letters) == len(panes)
            assert letters[place].region.offset == pane.region.offset
            await pilot.press(str(letters[place].content))
            await until(pilot, lambda: app.screen is below, "the letters to go")
            assert app.focused is pane


async def test_jump_is_left_by_esc_and_halting_works_over_it(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        before = app.focused
        await pilot.press("ctrl+o")
        await until_shown(pilot, "a letter jumps there")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, JumpScreen), "it to close")
        assert app.focused is before
        await pilot.press("ctrl+o", "ctrl+k")
        assert app.session.latch.is_halted()
        await until_shown(pilot, "TRADING HALTED")


async def test_doctor_findings_are_the_first_thing_on_the_settings_screen(
    trading_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from console.commands.doctor import CheckResult

    where: list[bool] = []

    def examine(_session: object) -> list[CheckResult]:
        where.append(threading.current_thread() is threading.main_thread())
        return [CheckResult("warn", "disk", "2 GB are free", "free some")]

    monkeypatch.setattr("console.commands.doctor.examine", examine)
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "2 GB are free → free some")
    # Looking at everything takes a while: never on the thread that paints.
    assert where == [False]


def test_every_entry_that_a_screen_has_is_explained_somewhere() -> None:
    pages = "".join(help_content(place, None, Keymap()).plain for place in Place)
    assert all(entry.title in pages for entry in ENTRIES)


async def test_the_page_of_a_place_shows_text_and_no_markup(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("question_mark")
        await until_shown(pilot, "What runs, how far it is")
        assert "$primary" not in text_of(app)
