"""The halt key: from everywhere, whatever else is broken, and never more than a halt."""

from __future__ import annotations

import errno
import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from console.app import PaddockApp
from console.screens.halt import HaltScreen
from engine.risk.latch import LatchCause, TradingState
from engine.store.database import Store, sqlite_url
from engine.store.events import events_page
from engine.trade.kill_step import Step
from tests.console.conftest import (
    MakeConsole,
    filled_home,
    make_console,
    operator_is_ana,
    trading_home,
)
from tests.console.fake_switch import FakeSwitch
from tests.console.screen_reading import text_of, until, until_shown

__all__ = ["filled_home", "make_console", "operator_is_ana", "trading_home"]

SIZE = (120, 36)
KEYS = ("ctrl+k", "f9")
PLACES: dict[str, tuple[str, ...]] = {
    "overview": (),
    "strategies": ("2",),
    "strategy": ("2", "enter"),
    "question": ("c",),
    "keys page": ("question_mark",),
    "palette": ("ctrl+p",),
    "command line": ("colon", "c"),
    "filter": ("2", "slash", "b"),
    "orders": ("5",),
    "order": ("5", "tab", "enter"),
    "typed question": ("5", "F", "B", "T", "C"),
    "risk": ("7",),
    "audit": ("7", "l"),
    "promotion": ("2", "plus"),
}


def _armed(app: PaddockApp) -> PaddockApp:
    app.session.latch.arm("ana", "test", now_at=1)
    return app


def _halted(app: PaddockApp) -> Callable[[], bool]:
    return lambda: app.session.latch.read().cause is LatchCause.HALT_FILE


@pytest.mark.parametrize("place", PLACES)
async def test_halt_works_from_every_place(
    trading_home: Path, make_console: MakeConsole, place: str
) -> None:
    switch = FakeSwitch()
    app = _armed(make_console(trading_home, switch))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        for key in PLACES[place]:
            await pilot.press(key)
            await pilot.pause(0.05)
        await pilot.press(KEYS[len(place) % 2])
        assert app.session.latch.is_halted()
        await until_shown(pilot, "TRADING HALTED")
        await until_shown(pilot, "■ HALTED 13:41:00Z by ana")
        await until_shown(pilot, "paper cancel")
    record = json.loads((trading_home / "halt" / "HALT").read_text())
    assert record["who"] == "ana"
    assert not (trading_home / "halt" / "armed").exists()
    assert switch.verbs == ["cancel"]


@pytest.mark.parametrize("key", KEYS)
async def test_held_key_only_halts_again_and_shows_one_overlay(
    trading_home: Path, make_console: MakeConsole, key: str
) -> None:
    switch = FakeSwitch()
    app = _armed(make_console(trading_home, switch))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press(*([key] * 40))
        assert [type(screen) for screen in app.screen_stack].count(HaltScreen) == 1
        await until_shown(pilot, "halted already; nothing changed")
        assert switch.verbs == ["cancel"]
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, HaltScreen), "the overlay to close")
        assert app.session.latch.is_halted()


async def test_every_account_is_halted_the_one_with_real_money_first(
    trading_home: Path, make_console: MakeConsole
) -> None:
    # Only a configuration of yesterday had it: that it is armed is enough.
    switch = FakeSwitch()
    app = _armed(make_console(trading_home, switch))
    app.session.latch_of("live").arm("ana", "test", now_at=1)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f9")
        assert app.session.latch_of("live").is_halted()
        assert app.session.latch_of("paper").is_halted()
        await until_shown(pilot, "live halt-live/HALT")
        await until_shown(pilot, "paper halt/HALT")
    assert switch.asked[0][:2] == ("cancel", ("live", "paper"))


async def test_overlay_shows_what_is_done_what_is_held_and_what_flattening_costs(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch(holds=True)
    app = _armed(make_console(trading_home, switch))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "eq 100,310 USDT")
        await pilot.press("f9")
        await until_shown(pilot, "◐ paper cancel")
        for words in (
            "✓ latch written and synced",
            "paper halt/HALT",
            "runtime up 3h07m",
            "0/1",
            "no order is in flight",
            "Open: BTC/USDT long 0.0041, ETH/USDT short 0.052",
            "gross 549 USDT   uPnL +2 USDT",
            "Flatten: 2 reduce-only market orders, est. cost 15 bp = 0.82 USDT",
            "scripts/halt needs no console",
        ):
            await until_shown(pilot, words)
        switch.release()
        await until_shown(pilot, "✓ paper cancel")
        await until_shown(pilot, "1/1")
        await until_shown(pilot, "1 protective kept")


async def test_halting_is_recorded_as_an_event(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = _armed(make_console(trading_home))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f9")
        await until_shown(pilot, "TRADING HALTED")
        await pilot.press("escape")
        await until_shown(pilot, "▲ latch.halt")
    store = await Store.open(sqlite_url(trading_home), read_only=True)
    try:
        event = (await events_page(store, kind="latch"))[-1]
    finally:
        await store.close()
    assert (event.level, event.fields["who"], event.fields["is_new"]) == ("warn", "ana", True)


async def test_halt_and_cancel_work_while_the_database_is_locked(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch()
    app = _armed(make_console(trading_home, switch))
    lock = sqlite3.connect(trading_home / "paddock.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("ctrl+k")
            assert _halted(app)()
            await until_shown(pilot, "TRADING HALTED")
            await until_shown(pilot, "✓ paper cancel")
    finally:
        lock.close()
    assert switch.verbs == ["cancel"]


async def test_halt_and_cancel_work_while_the_poller_is_dead(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch()
    app = _armed(make_console(trading_home, switch))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        app._poller.stop()
        (trading_home / "paddock.db").unlink()
        await pilot.press("f9")
        assert _halted(app)()
        await until_shown(pilot, "TRADING HALTED")
        await until_shown(pilot, "✓ paper cancel")


async def test_halt_works_in_a_home_that_has_nothing(
    tmp_path: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch(())
    app = make_console(tmp_path / "new", switch)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("f9")
        assert _halted(app)()
        await until_shown(pilot, "TRADING HALTED")
        await until(pilot, lambda: switch.verbs == ["cancel"], "the cancel")


async def test_halt_works_on_a_full_disk(
    trading_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = FakeSwitch()
    app = _armed(make_console(trading_home, switch))

    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        monkeypatch.setattr("engine.risk.latch.Latch._create", fail)
        await pilot.press("f9")
        assert app.session.latch.is_halted()
        assert not (trading_home / "halt" / "armed").exists()
        await until_shown(pilot, "✗ paper: HALT was not written in full")
        await until_shown(pilot, "✓ paper cancel")


async def test_halt_that_fails_is_told_in_words_and_orders_are_cancelled_all_the_same(
    trading_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = FakeSwitch()
    app = _armed(make_console(trading_home, switch))

    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        monkeypatch.setattr("engine.risk.latch.Latch._remove", fail)
        monkeypatch.setattr(
            "engine.risk.latch.Latch._create_surely", lambda *_: ["HALT was not written"]
        )
        await pilot.press("f9")
        assert app.session.latch.read().state is TradingState.ACTIVE
        await until_shown(pilot, "NOT HALTED: the latch of paper could not be written")
        await until_shown(pilot, "✓ paper cancel")
        shown = text_of(app)
        assert "HALT was not written" in shown
        assert "armed was not removed" in shown
        assert "Stop the trading process" in shown
    assert switch.verbs == ["cancel"]


async def test_a_cancel_that_could_not_be_started_says_so_and_the_key_tries_again(
    trading_home: Path, make_console: MakeConsole
) -> None:
    switch = FakeSwitch((), error=OSError(errno.ENOMEM, "Cannot allocate memory"))
    app = _armed(make_console(trading_home, switch))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f9")
        await until_shown(pilot, "Cannot allocate memory")
        await pilot.press("f9")
        await until(pilot, lambda: switch.verbs == ["cancel", "cancel"], "a second try")
        assert app.session.latch.is_halted()


async def test_a_cancel_that_failed_shows_what_is_left(
    trading_home: Path, make_console: MakeConsole
) -> None:
    left = Step("paper", "cancel", "failed", "2 orders left: no answer about the open orders", 1, 3)
    app = _armed(make_console(trading_home, FakeSwitch((left,))))
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f9")
        await until_shown(pilot, "✗ paper cancel")
        await until_shown(pilot, "2 orders left: no answer about the open orders")


def test_no_ray_and_no_torch_behind_the_console() -> None:
    import subprocess

    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('ray', 'torch'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import console.app, console.cli, console.screens.strategy, console.commands.cycle\n"
        "assert not {'ray', 'torch'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
