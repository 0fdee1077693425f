"""The halt key in every screen, modal, prompt and palette, with each thing broken in turn."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.app import PaddockApp
from console.bindings import Place
from console.screens.halt import HaltScreen
from console.widgets.footer import PromptLine
from engine.risk.latch import TradingState
from tests.console.conftest import MakeConsole, make_console, operator_is_ana, trading_home
from tests.console.fake_switch import FakeSwitch
from tests.console.screen_reading import until, until_shown

__all__ = ["make_console", "operator_is_ana", "trading_home"]

SIZE = (120, 36)
KEYS = ("ctrl+k", "f9")
# What is pressed on screen 1, and the screen that is then uppermost.
PLACES: dict[str, tuple[tuple[str, ...], str]] = {
    "overview": ((), "OverviewScreen"),
    "strategies": (("2",), "StrategiesScreen"),
    "strategy": (("2", "enter"), "StrategyScreen"),
    "comparison": (("2", "space", "space", "m"), "CompareScreen"),
    "promotion": (("2", "plus"), "ConfirmScreen"),
    "backtests": (("3",), "BacktestsScreen"),
    "learners": (("4",), "LearnersScreen"),
    "orders": (("5",), "OrdersScreen"),
    "order": (("5", "tab", "enter"), "OrderScreen"),
    "typed question": (("5", "F", "B", "T"), "TypedScreen"),
    "deployments": (("6",), "DeploymentsScreen"),
    "risk": (("7",), "RiskScreen"),
    "events": (("8",), "EventsScreen"),
    "settings": (("9",), "SettingsScreen"),
    "keymap": (("9", "K"), "KeymapScreen"),
    "question": (("c",), "ConfirmScreen"),
    "question to quit": (("ctrl+q",), "ConfirmScreen"),
    "help": (("question_mark",), "HelpScreen"),
    "changes": (("D",), "ChangesScreen"),
    "jump": (("ctrl+o",), "JumpScreen"),
    "tour": (("colon", *"tour", "enter"), "TourScreen"),
    "tour elsewhere": (("colon", *"tour", "enter", *["enter"] * 3), "TourScreen"),
    "palette": (("ctrl+p",), "CommandPalette"),
    "palette with words": (("ctrl+p", *"ord"), "CommandPalette"),
    "command line": (("colon", *"strat"), "OverviewScreen"),
    "filter": (("2", "slash", *"br"), "StrategiesScreen"),
    "events filter": (("8", "slash", *"x"), "EventsScreen"),
    "halt overlay": (("f9",), "HaltScreen"),
    "flatten asked": (("f9", "F"), "HaltScreen"),
}


class _Refuse:
    """An importer that finds neither Ray nor torch."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in ("ray", "torch"):
            raise ImportError(name)


@contextlib.contextmanager
def _broken(what: str, app: PaddockApp, home: Path) -> Iterator[None]:
    """Break one thing while the console runs; Ray and torch are never there."""
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as undo:
        for name in [n for n in sys.modules if n.partition(".")[0] in ("ray", "torch")]:
            patch.delitem(sys.modules, name)
        patch.setattr(sys, "meta_path", [_Refuse(), *sys.meta_path])
        if what == "locked database":
            lock = sqlite3.connect(home / "paddock.db", isolation_level=None)
            undo.callback(lock.close)
            lock.execute("BEGIN EXCLUSIVE")
        elif what == "stalled feed":
            app._poller.stop()
        elif what == "vanished database":
            for path in home.glob("paddock.db*"):
                path.unlink()
        yield


def _fail(*_args: object, **_kwargs: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


async def _back_to_the_overview(pilot: Pilot[int], app: PaddockApp) -> None:
    for _ in range(100):
        frame = app.frame
        is_typing = frame is not None and frame.query_one(PromptLine).is_typing
        if len(app.screen_stack) > 1 or is_typing:
            await pilot.press("escape")
        elif app.place is not Place.OVERVIEW:
            await pilot.press("1")
        else:
            return
        await pilot.pause(0.02)
    raise AssertionError("never came back to the overview")


async def _press(pilot: Pilot[int], app: PaddockApp, key: str, *, can_read: bool) -> None:
    """Press a key; after one that goes to a screen, wait until its rows have been read."""
    await pilot.press(key)
    await pilot.pause()
    frame = app.frame
    if can_read and key.isdigit() and frame is not None:
        await until(pilot, lambda: app.is_watching(frame.watch_for()), "what it shows")
        await pilot.pause()


async def _uppermost(pilot: Pilot[int], app: PaddockApp, name: str) -> None:
    await until(pilot, lambda: type(app.screen).__name__ == name, f"{name} on top")


@pytest.mark.parametrize(
    "what",
    ["ray alone", "locked database", "stalled feed", "vanished database", "full disk"],
)
async def test_halt_works_everywhere_while_something_is_broken(
    trading_home: Path, make_console: MakeConsole, what: str
) -> None:
    switch = FakeSwitch()
    app = make_console(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        # Lists are read once, so that there is something to stand on when the store is gone.
        for key, words in (("2", "30 of 30"), ("5", "142.210")):
            await pilot.press(key)
            await until_shown(pilot, words)
        with _broken(what, app, trading_home):
            for number, (keys, screen) in enumerate(PLACES.values()):
                await _back_to_the_overview(pilot, app)
                app.session.latch.arm("ana", "test", now_at=1)
                assert app.session.latch.read().state is TradingState.ACTIVE
                can_read = what not in ("stalled feed", "vanished database")
                for key in keys:
                    await _press(pilot, app, key, can_read=can_read)
                if can_read:
                    # With nothing to read, what acts on a row opens nothing.
                    await _uppermost(pilot, app, screen)
                app.session.latch.arm("ana", "test", now_at=1)
                with pytest.MonkeyPatch.context() as patch:
                    if what == "full disk":
                        patch.setattr("engine.risk.latch.Latch._create", _fail)
                    await pilot.press(KEYS[number % 2])
                assert app.session.latch.is_halted(), keys
                await until(pilot, lambda: isinstance(app.screen, HaltScreen), f"halt at {keys}")
    assert set(switch.verbs) == {"cancel"}


async def test_a_held_key_never_flattens_wherever_it_is_held(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch()
    app = make_console(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        for number, (keys, screen) in enumerate(PLACES.values()):
            await _back_to_the_overview(pilot, app)
            for pressed in keys:
                await _press(pilot, app, pressed, can_read=True)
            await _uppermost(pilot, app, screen)
            await pilot.press(*[KEYS[number % 2]] * 15)
            assert [type(s) for s in app.screen_stack].count(HaltScreen) == 1
    assert set(switch.verbs) == {"cancel"}
