"""F, then Y within ten seconds: nothing else flattens."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.flatten_keys import WITHIN_S, FlattenKeys
from console.screens.typed import TypedScreen
from engine.clock import FakeClock
from engine.store.database import Store, sqlite_url
from engine.store.events import events_page
from tests.console.conftest import MakeConsole, make_console, operator_is_ana, trading_home
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_store import NOW_AT
from tests.console.screen_reading import until, until_shown

__all__ = ["make_console", "operator_is_ana", "trading_home"]

SIZE = (120, 36)


def test_y_alone_does_nothing_and_f_alone_does_nothing() -> None:
    keys = FlattenKeys()
    assert not keys.confirm(0.0)
    keys.ask(0.0)
    assert keys.left_s(0.0) == WITHIN_S


def test_y_counts_once_for_each_f() -> None:
    keys = FlattenKeys()
    keys.ask(5.0)
    assert keys.confirm(6.0)
    assert not keys.confirm(6.0)


@pytest.mark.parametrize(("after_s", "is_meant"), [(9.999, True), (10.0, False), (11.0, False)])
def test_y_must_come_within_ten_seconds(after_s: float, is_meant: bool) -> None:
    keys = FlattenKeys()
    keys.ask(100.0)
    assert keys.confirm(100.0 + after_s) is is_meant


def test_a_clock_that_jumped_back_does_not_flatten() -> None:
    keys = FlattenKeys()
    keys.ask(100.0)
    assert not keys.confirm(99.0)


@given(st.lists(st.sampled_from(["F", "other", "halt"]), max_size=30))
def test_no_sequence_without_y_flattens_and_only_f_right_before_y_does(pressed: list[str]) -> None:
    keys = FlattenKeys()
    for key in pressed:
        if key == "F":
            keys.ask(1.0)
        else:
            keys.forget()
    assert keys.confirm(1.0) is (bool(pressed) and pressed[-1] == "F")


async def test_f_then_y_flattens_every_account_once(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch(holds=True)
    app = make_console(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "eq 100,310 USDT")
        await pilot.press("f9")
        await until_shown(pilot, "TRADING HALTED")
        await pilot.press("F")
        await until_shown(pilot, "Y within 10 s flattens everything now")
        await pilot.press("Y", "Y", "Y", "F", "Y")
        await until(pilot, lambda: switch.verbs == ["cancel", "flatten"], "one flatten")
        switch.release()
        await until(pilot, lambda: not app.kill.runs.is_moving, "both to end")
    assert switch.asked[1][1] == ("paper",)


@pytest.mark.parametrize(
    "pressed",
    [
        ("Y",),
        ("Y", "F"),
        ("F", "f9", "Y"),
        ("F", "ctrl+k", "Y"),
        ("F", "n", "Y"),
        ("f9",) * 20,
        ("F",) * 20,
        ("f", "y"),
    ],
    ids=" ".join,
)
async def test_no_other_keys_flatten(
    trading_home: Path, make_console: MakeConsole, pressed: tuple[str, ...]
) -> None:
    switch = FakeSwitch()
    app = make_console(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f9")
        await until_shown(pilot, "TRADING HALTED")
        await pilot.press(*pressed)
        await pilot.pause(0.1)
    assert set(switch.verbs) == {"cancel"}


async def test_y_after_ten_seconds_does_not_flatten(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch, clock = FakeSwitch(), FakeClock(NOW_AT)
    app = make_console(trading_home, switch, clock)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f9", "F")
        await until_shown(pilot, "Y within 10 s")
        clock.advance(10.0)
        await pilot.press("Y")
        await until_shown(pilot, " F  then  Y  flatten now")
    assert switch.verbs == ["cancel"]


async def test_y_does_nothing_after_the_overlay_was_closed(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch()
    app = make_console(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f9", "F", "escape", "Y", "f9", "Y")
        await until_shown(pilot, "TRADING HALTED")
    assert "flatten" not in switch.verbs


async def test_stops_are_cancelled_only_after_their_word_is_typed(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch()
    app = make_console(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "eq 100,310 USDT")
        await pilot.press("f9", "C")
        await until_shown(pilot, "Cancel protective stops and targets too?")
        await until_shown(pilot, "BTC/USDT sell 0.0041 stop")
        await pilot.press("enter", *"stop", "enter")
        assert isinstance(app.screen, TypedScreen)
        await pilot.press("s", "enter")
        await until(pilot, lambda: "cancel stops" in switch.verbs, "the stops to be cancelled")


async def test_a_name_that_is_not_typed_changes_nothing_and_is_recorded(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch()
    app = make_console(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f9", "C")
        await until_shown(pilot, "Type stops to go on")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, TypedScreen), "it to close")
        await until_shown(pilot, "TRADING HALTED")
        await pilot.press("escape")
        await until_shown(pilot, "risk.question")
    assert switch.verbs == ["cancel"]
    store = await Store.open(sqlite_url(trading_home), read_only=True)
    try:
        (event,) = await events_page(store, kind="risk.question")
    finally:
        await store.close()
    assert event.message == "not confirmed by ana: Cancel protective stops and targets too?"
