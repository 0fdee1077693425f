"""Screen 7: the trading state, and the keys that change it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from console.screens.typed import TypedScreen
from engine.risk.latch import TradingState
from engine.store.account_detail import BreakerState
from engine.store.accounts import AccountRow, save_accounts
from engine.store.database import Store, sqlite_url
from engine.store.events import events_page
from engine.trade.kill_step import Step
from tests.console.conftest import MakeConsole
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_store import DAY_MS, NOW_AT, write_runtime_file
from tests.console.filled_trading import BREAKERS, account
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
DRILLED = (
    Step("paper", "latch", "ok", "HALTED: latch written and synced"),
    Step("paper", "drill", "ok", "latch 0.2 ms, cancel 0.41 s, flat 1.40 s, armed again"),
)


async def _tell(home: Path, row: AccountRow) -> None:
    store = await Store.open(sqlite_url(home))
    await save_accounts(store, [row])
    await store.close()


async def test_state_latch_lease_timers_and_limits_are_shown_with_their_ages(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "daily loss")
        shown = text_of(app)
    for words in (
        "● ACTIVE  since 2026-01-02 13:41Z by ana",
        "reason: reconciled",
        "halt/HALT absent ✓",
        "paper on simulated, told 0.4s ago ✓",
        "14.6s / 30s ✓",
        "none at this venue",
        "● clean 2.0s",
        "172.79 USDT ✗",
        "venue -3 ms; last bar 5m59s old",
        "▲ never: t tests the switch",
        "7.5% /    10.0%",
        "75%",
        "4/min /   60/min",
        "soft",
        "Breakers (0 of 3 tripped)",
        "position_frac 11.4 % > 10.0 % of equity, refused",
    ):
        assert words in shown, words


async def test_limits_are_amber_from_70_and_red_from_90_percent(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "daily loss")
        colours = app.theme_variables
        found: dict[str, str] = {}
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                if segment.text.strip() in ("18%", "75%", "95%") and segment.style:
                    colour = segment.style.color
                    found[segment.text.strip()] = "" if colour is None else colour.name
    assert found["18%"] == colours["success"].lower()
    assert found["75%"] == colours["warning"].lower()
    assert found["95%"] == colours["error"].lower()


async def test_r_reduces_at_once_and_is_recorded(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "daily loss")
        await pilot.press("R")
        assert app.session.latch.read().state is TradingState.REDUCING
        await until_shown(pilot, "account paper is REDUCING: no new exposure; U re-arms")
        await until_shown(pilot, "▲ REDUCING")
        await until_shown(pilot, "latch.reduce")
        await pilot.press("R")
        await until_shown(pilot, "reduce-only: account paper is REDUCING already")


async def test_u_takes_the_accounts_name_and_a_reason_when_every_check_is_green(
    trading_home: Path, make_console: MakeConsole
) -> None:
    armed = Step("paper", "rearm", "ok", "ACTIVE: reconciled by hand")
    switch = FakeSwitch((armed,))
    app = make_console(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "daily loss")
        await pilot.press("U")
        await until_shown(pilot, "re-arm: account paper is ACTIVE")
        await pilot.press("R")
        await until_shown(pilot, "▲ REDUCING")
        await pilot.press("U")
        await until_shown(pilot, "Re-arm account paper? checks 6/6")
        await until_shown(pilot, "✓ positions reconciled")
        await until_shown(pilot, "✓ journal whole")
        await pilot.press(*"paper", "enter", "enter")
        assert isinstance(app.screen, TypedScreen)
        assert switch.verbs == []
        await pilot.press(*"reconciled by hand", "enter")
        await until_shown(pilot, "rearm: done, ACTIVE: reconciled by hand")
    assert switch.asked == [("rearm", ("paper",), "reconciled by hand")]


RED = {
    "gateway reports": account(at=NOW_AT - 60_000),
    "positions reconciled": account(reconcile_words="BTC/USDT: exchange 0.5, journal 0.4"),
    "no limit breached": replace(
        account(),
        detail=replace(
            account().detail,
            limits=(replace(account().detail.limits[0], value=3.4),),
        ),
    ),
}


@pytest.mark.parametrize("name", RED)
async def test_u_is_dead_while_a_check_is_red(
    trading_home: Path, make_console: MakeConsole, name: str
) -> None:
    row = RED[name]
    store = await Store.open(sqlite_url(trading_home))
    async with store.write() as connection:
        from sqlalchemy import delete

        from engine.store.tables import accounts

        await connection.execute(delete(accounts))
    await store.close()
    await _tell(trading_home, row)
    switch = FakeSwitch()
    app = make_console(trading_home, switch)
    app.session.latch.halt("ana", "test", NOW_AT)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "■ HALTED")
        await until_shown(pilot, "sees ACTIVE")
        await pilot.press("U")
        await until_shown(pilot, f"✗ {name}")
        await until_shown(pilot, f"Not now: not green: {name}")
        await pilot.press(*"paper", "enter", *"because", "enter")
        assert isinstance(app.screen, TypedScreen)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, TypedScreen), "it to close")
    assert switch.verbs == []


async def test_u_says_so_when_the_runtime_is_dead(
    trading_home: Path, make_console: MakeConsole
) -> None:
    write_runtime_file(trading_home, pid=2**22 + 7)
    app = make_console(trading_home)
    app.session.latch.halt("ana", "test", NOW_AT)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "■ HALTED")
        await until_shown(pilot, "sees ACTIVE")
        await pilot.press("U")
        await until_shown(pilot, "✗ runtime is up")


async def test_t_tests_the_switch_and_an_old_test_is_amber(
    trading_home: Path, make_console: MakeConsole
) -> None:
    record = {"at": NOW_AT - 8 * DAY_MS, "passed": True, "words": "latch 0.2 ms, cancel 0.41 s"}
    (trading_home / "accounts" / "paper" / "drill.json").write_text(json.dumps(record))
    switch = FakeSwitch(DRILLED)
    app = make_console(trading_home, switch)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "▲ 8d00h ago: t tests the switch")
        await until_shown(pilot, "12-28 latch 0.2 ms, cancel 0.41 s")
        await pilot.press("t")
        await until_shown(pilot, "drill: done, latch 0.2 ms, cancel 0.41 s, flat 1.40 s")
        await until_shown(pilot, "✓ paper drill")
    assert switch.asked == [("drill", ("paper",), "drill from the console")]


async def test_a_drill_that_failed_is_told(trading_home: Path, make_console: MakeConsole) -> None:
    failed = Step("paper", "drill", "failed", "latch 0.2 ms, cancel not reached, stays halted")
    app = make_console(trading_home, FakeSwitch((failed,)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "daily loss")
        await pilot.press("t")
        await until_shown(pilot, "✗ paper drill")
        await until_shown(pilot, "stays halted")


async def test_breakers_that_hold_trading_back_come_first(
    trading_home: Path, make_console: MakeConsole
) -> None:
    tripped = BreakerState("daily_loss", True, "5.2 % of 5.0 %: reduce-only until 00:00Z", NOW_AT)
    detail = replace(account().detail, breakers=(tripped, *BREAKERS[1:]))
    await _tell(trading_home, replace(account(), detail=detail))
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "Breakers (1 of 3 tripped)")
        await until_shown(pilot, "✗ breaker daily_loss: 5.2 % of 5.0 %")


async def test_l_shows_the_audit_alone_and_all_again(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("7")
        await until_shown(pilot, "daily loss")
        await pilot.press("l")
        await until(pilot, lambda: "leverage " not in text_of(app), "the audit alone")
        assert "risk.refused" in text_of(app)
        await pilot.press("l")
        await until_shown(pilot, "leverage ")


async def test_everything_is_red_while_halted(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "eq 100,310 USDT")
        await pilot.press("f9", "escape")
        for key in ("1", "2", "5", "7"):
            await pilot.press(key)
            await until(pilot, lambda: app.screen.has_class("-halted"), "the screen to be red")
            halt = app.theme_variables["halt"].lower()
            backgrounds = {
                segment.style.bgcolor.name
                for segment in app.screen._compositor.render_strips()[1]
                if segment.style and segment.style.bgcolor
            }
            assert halt in backgrounds
        app.session.latch.arm("ana", "reconciled", NOW_AT)
        await until(pilot, lambda: not app.screen.has_class("-halted"), "the red to go")


async def test_events_of_the_halt_are_in_the_audit(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("7", "f9", "escape")
        await until_shown(pilot, "trading halted by ana with a key in the console (paper)")
    store = await Store.open(sqlite_url(trading_home), read_only=True)
    try:
        assert (await events_page(store, kind="latch"))[-1].fields["who"] == "ana"
    finally:
        await store.close()
