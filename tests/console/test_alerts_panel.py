"""What needs a person: seen with a key, opened with another."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.screens.overview_trading import object_of
from engine.store.alerts import AlertRow, active_alerts, raise_alert, resolve_alert
from engine.store.database import Store, sqlite_url
from engine.store.events import events_page
from tests.console.conftest import MakeConsole
from tests.console.filled_store import NOW_AT, write_runtime_file
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)


async def test_alerts_are_counted_in_the_first_row_and_listed_on_the_overview(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "Needs you (2)")
        shown = text_of(app)
        assert "▲2" in shown
        assert "✗  13:39:30Z  order is unknown" in shown
        assert "▲  13:38:10Z  strategy drawdown" in shown


async def test_x_says_that_an_alert_was_seen_and_by_whom(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=(160, 40)) as pilot:
        await until_shown(pilot, "Needs you (2)")
        await pilot.press("x")
        await until_shown(pilot, "Needs you (1, 1 seen)")
        await until_shown(pilot, "▲1")
        await until_shown(pilot, "seen by ana")
        await until_shown(pilot, "alert.acknowledged")
    store = await Store.open(sqlite_url(trading_home), read_only=True)
    try:
        rows = await active_alerts(store)
        (event,) = await events_page(store, kind="alert")
    finally:
        await store.close()
    assert [row.acknowledged_by for row in rows] == ["", "ana"]
    assert event.fields == {"who": "ana"}


async def test_x_works_while_the_runtime_is_dead(
    trading_home: Path, make_console: MakeConsole
) -> None:
    write_runtime_file(trading_home, pid=2**22 + 7)
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "Needs you (2)")
        await pilot.press("x")
        await until_shown(pilot, "Needs you (1, 1 seen)")


async def test_enter_goes_to_what_the_alert_is_about(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "Needs you (2)")
        await pilot.press("enter")
        await until_shown(pilot, "risk state ACTIVE account paper")
        await pilot.press("1")
        await until_shown(pilot, "Needs you (2)")
        await pilot.press("down", "enter")
        await until_shown(pilot, "strategies › ema7f")


async def test_without_alerts_the_keys_say_so(filled_home: Path, make_console: MakeConsole) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "Nothing needs you.")
        await pilot.press("x")
        await until_shown(pilot, "seen: no alert is raised")


async def test_an_alert_told_again_keeps_its_place_and_counts(
    trading_home: Path, make_console: MakeConsole
) -> None:
    store = await Store.open(sqlite_url(trading_home))
    for i in range(2):
        await raise_alert(
            store,
            key="order.unknown:paper",
            level="error",
            title="order is unknown",
            message="still",
            subject="account:paper",
            at=NOW_AT - 50_000 + i,
        )
    await store.close()
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "still (3×)")
        await until_shown(pilot, "Needs you (2)")


@pytest.mark.parametrize(
    ("subject", "goes_to"),
    [
        ("strategy:ab12", ("strategy", "ab12")),
        ("order:pk-1", ("order", "pk-1")),
        ("account:live", ("risk", "live")),
        ("symbol:BTC/USDT", ("orders", "")),
        ("part:feeder", ("overview", "")),
        ("event:17", ("overview", "")),
        ("", ("overview", "")),
        ("strategy:", ("overview", "")),
    ],
)
def test_an_alerts_subject_says_where_it_is_shown(subject: str, goes_to: tuple[str, str]) -> None:
    row = AlertRow("k", "warn", "t", "m", subject, 1, 1, 1, "", None, None, None)
    assert object_of(row) == goes_to


async def test_positions_that_nobody_watches_are_not_said_to_be_calm(
    trading_home: Path, make_console: MakeConsole
) -> None:
    store = await Store.open(sqlite_url(trading_home))
    for row in await active_alerts(store):
        await resolve_alert(store, row.key, NOW_AT)
    await store.close()
    app = make_console(trading_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Events")
        write_runtime_file(trading_home, pid=2**22 + 7)
        await until_shown(pilot, "Positions are held and nobody watches them: u starts")
        write_runtime_file(trading_home)
        await until(pilot, lambda: "nobody watches" not in text_of(app), "calm again")
