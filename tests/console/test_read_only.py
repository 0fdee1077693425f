"""A console that only looks, the lock that makes a second one do so, and the first minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.app import PaddockApp
from console.bindings import ENTRIES, Danger, Entry, Place, acts, bindings_of, is_acting
from console.first_minute import is_new_home, may_be_armed
from console.operator_lock import OperatorLock
from console.screens.halt import HaltScreen
from console.screens.modals import ConfirmScreen
from engine.risk.latch import TradingState
from engine.store.commands import recent_commands
from engine.store.database import Store, sqlite_url
from engine.store.events import EventRow, events_page
from engine.trade.accounts import account_latch
from tests.console.conftest import MakeConsole
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_store import NOW_AT, session_of
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
_MODES = ("1", "2", "3", "4", "5", "6", "7", "8", "9")
_PEER = "ana looks after it"


def _looking(home: Path, switch: FakeSwitch | None = None) -> PaddockApp:
    return PaddockApp(
        session_of(home),
        starts_runtime=False,
        kill_switch=switch or FakeSwitch(),
        read_only=_PEER,
    )


async def _n_commands(home: Path) -> int:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        return len(await recent_commands(store))
    finally:
        await store.close()


async def _told(home: Path, kind: str) -> list[EventRow]:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        return await events_page(store, kind=kind)
    finally:
        await store.close()


async def test_read_only_binds_no_dangerous_action_on_any_screen(trading_home: Path) -> None:
    app = _looking(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, " RO ")
        for key in _MODES:
            await pilot.press(key)
            await pilot.pause()
            bound = {item.binding.id for item in app.active_bindings.values()}
            dangerous = {f"{entry.place}.{entry.id}" for entry in ENTRIES if is_acting(entry)}
            assert not bound & dangerous, key
            assert "everywhere.halt" in bound


def test_every_entry_above_safe_is_acting_and_halting_is_not() -> None:
    assert all(is_acting(entry) for entry in ENTRIES if entry.danger > Danger.SAFE)
    assert not acts("app.halt", Place.OVERVIEW)
    assert not acts("reduce", Place.RISK)
    assert acts("flatten_now", Place.HALT)
    assert acts("app.cycle_start", Place.EVERYWHERE)


async def test_read_only_refuses_keys_words_and_palette_and_says_who_acts(
    trading_home: Path,
) -> None:
    before = await _n_commands(trading_home)
    app = _looking(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, " RO ")
        await pilot.press("c", "p", "X", "A", "x")
        assert not isinstance(app.screen, ConfirmScreen)
        await pilot.press("colon", *"cycle")
        await pilot.press("enter")
        await until_shown(pilot, f"this console only looks: {_PEER}")
        await pilot.press("question_mark")
        await until_shown(pilot, "not now: this console")
    assert await _n_commands(trading_home) == before


async def test_read_only_still_halts_but_neither_flattens_nor_cancels_stops(
    trading_home: Path,
) -> None:
    switch = FakeSwitch()
    app = _looking(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, " RO ")
        await pilot.press("f9")
        await until_shown(pilot, "TRADING HALTED")
        await until_shown(pilot, "✓ paper cancel")
        await until_shown(pilot, f"This console only looks: {_PEER}")
        await until_shown(pilot, "paddock flatten, in any shell")
        assert "flatten now" not in text_of(app)
        await pilot.press("F", "Y", "C")
        await pilot.pause()
        assert isinstance(app.screen, HaltScreen)
    assert account_latch(trading_home, "paper").read().state is TradingState.HALTED
    assert [verb for verb, _, _ in switch.asked] == ["cancel"]


def test_second_console_is_told_who_acts_until_the_first_lets_go(tmp_path: Path) -> None:
    first, second = OperatorLock(tmp_path), OperatorLock(tmp_path)
    assert first.take("ana", NOW_AT) == ""
    assert first.take("ana", NOW_AT) == ""
    assert second.take("ben", NOW_AT).startswith(f"the console of ana (pid {os.getpid()} on ")
    first.release()
    assert second.take("ben", NOW_AT) == ""
    second.release()


def test_lock_of_a_console_that_was_killed_is_free(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from console.operator_lock import OperatorLock\n"
        "lock = OperatorLock(Path(sys.argv[1])); print(repr(lock.take('ana', 1)), flush=True)\n"
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"''\n"
    lock = OperatorLock(tmp_path)
    assert f"pid {process.pid}" in lock.take("ben", NOW_AT)
    process.kill()
    process.communicate()
    assert lock.take("ben", NOW_AT) == ""
    lock.release()


def test_lock_that_cannot_be_made_keeps_nobody_from_acting(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, no folder")
    assert OperatorLock(tmp_path / "home").take("ana", NOW_AT) == ""


async def test_cancelled_and_refused_attempts_are_events(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("c")
        await until_shown(pilot, "Start a cycle?")
        await pilot.press("n")
        await pilot.press("u")
        await until_shown(pilot, "a runtime runs already")
        await until_shown(pilot, "operator.refused")
    (cancelled,) = await _told(trading_home, "operator.cancelled")
    assert cancelled.fields["who"] == "ana"
    assert cancelled.fields["result"] == "cancelled"
    (refused,) = await _told(trading_home, "operator.refused")
    assert refused.fields["what"] == "runtime.start"


async def test_new_home_is_offered_a_cycle_once_and_enter_declines(tmp_path: Path) -> None:
    app = PaddockApp(
        session_of(tmp_path / "new"),
        starts_runtime=False,
        kill_switch=FakeSwitch(),
        offers_start=True,
    )
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "Start a first cycle?")
        shown = text_of(app)
        assert "no exchange, no real money" in shown
        assert "Until then nothing trades" in shown
        await pilot.press("enter")
        await until_shown(pilot, "A arms the paper account")
        await pilot.pause(1.0)
        assert not isinstance(app.screen, ConfirmScreen)


async def test_accepted_offer_becomes_a_command_and_arms_nothing(tmp_path: Path) -> None:
    home = tmp_path / "new"
    app = PaddockApp(
        session_of(home), starts_runtime=False, kill_switch=FakeSwitch(), offers_start=True
    )
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "Start a first cycle?")
        await pilot.press("y")
        await until_shown(pilot, "waiting cycle.start")
    assert account_latch(home, "paper").read().state is TradingState.HALTED


async def test_home_with_a_cycle_is_offered_nothing(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "a snapshot")
        assert app.snapshot is not None
        assert not is_new_home(app.snapshot)
        assert not may_be_armed(app.snapshot)


async def test_arming_the_paper_account_is_typed_and_goes_to_the_switch(
    trading_home: Path,
) -> None:
    (trading_home / "halt" / "armed").unlink()
    switch = FakeSwitch()
    app = PaddockApp(session_of(trading_home), starts_runtime=False, kill_switch=switch)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "NOT ARMED")
        assert app.snapshot is not None
        assert may_be_armed(app.snapshot)
        await pilot.press("A")
        await until_shown(pilot, "Arm account paper? checks 6/6")
        await pilot.press(*"paper", "tab", *"first run")
        await pilot.press("enter")
        await until(pilot, lambda: bool(switch.asked), "the switch")
    assert switch.asked == [("rearm", ("paper",), "first run")]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.place is Place.HALT], ids=lambda e: e.id)
def test_overlay_has_an_action_for_each_of_its_entries(entry: Entry) -> None:
    assert hasattr(HaltScreen, f"action_{entry.action}")
    assert bindings_of(Place.HALT, "screen")
