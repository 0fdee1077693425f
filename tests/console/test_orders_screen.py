"""Screen 5: what is held and asked for, and the keys that change it."""

from __future__ import annotations

from pathlib import Path

from console.screens.modals import ConfirmScreen
from console.screens.typed import TypedScreen
from console.widgets.live_table import LiveTable
from engine.clock import FakeClock
from engine.store.accounts import save_accounts
from engine.store.commands import finish_command, recent_commands
from engine.store.database import Store, sqlite_url
from engine.store.orders import save_orders
from engine.trade.orders import OrderState
from tests.console.conftest import MakeConsole
from tests.console.filled_store import NOW_AT, write_runtime_file
from tests.console.filled_trading import ENTRY, FLYING, STOP, account, order
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)


async def _asked(home: Path) -> list[tuple[str, dict[str, object]]]:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        rows = await recent_commands(store)
        return [(row.name, dict(row.arguments)) for row in rows if row.created_at >= NOW_AT]
    finally:
        await store.close()


async def test_positions_orders_and_fills_are_listed_with_units_and_age(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        shown = text_of(app)
    for words in (
        "Positions 2 · gross 549 USDT · net +204 USDT · unprotected 173 USDT",
        "BTC/USDT    long      0.0041   91,204.1   91,877.0",
        "+2.76   +0.74%   89,400.0  ema7f000  ✓ 2.0s",
        "ETH/USDT    short      0.052",
        "▲ none",
        "Open orders 2",
        "◐ partial",
        "● accepted",
        "Fills (today 2 · fees 0.68 USDT · slippage +3.8 bp vs model 5.0 bp)",
        "+2.7bp",
        "0.4s old",
        "account paper",
    ):
        assert words in shown, words


async def test_x_cancels_the_order_under_the_cursor_after_a_yes(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("x")
        await until_shown(pilot, "tab goes to the open orders")
        await pilot.press("tab", "j", "x")
        await until_shown(pilot, "Cancel order 55010000?")
        await until_shown(pilot, "▲ It protects a position")
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "Cancel, the focus")
        await pilot.press("x", "y")
        await until_shown(pilot, "asked for order.cancel (request 4)")
    assert await _asked(trading_home) == [
        ("order.cancel", {"account": "paper", "client_id": STOP.client_id})
    ]


async def test_the_outcome_of_a_command_is_told_once_it_is_there(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("tab", "x", "y")
        await until_shown(pilot, "asked for order.cancel (request 4)")
        store = await Store.open(sqlite_url(trading_home))
        reason = "it was filled a moment ago"
        await finish_command(store, 4, status="refused", reason=reason, now_at=NOW_AT)
        await store.close()
        await until_shown(pilot, "order.cancel (request 4): refused, it was filled a moment ago")


async def test_flattening_a_symbol_lists_its_effects_and_takes_its_name(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("F", "x")
        await until_shown(pilot, "Flatten BTC/USDT in account paper?")
        for words in (
            "sell 0.0041 BTC at market, reduce-only",
            "notional 376.70 USDT, estimated cost 15 bp = 0.57 USDT",
            "its 1 open orders are cancelled first",
        ):
            await until_shown(pilot, words)
        assert sum(isinstance(screen, TypedScreen) for screen in app.screen_stack) == 1
        await pilot.press("enter", *"btc/usdt", "enter")
        assert isinstance(app.screen, TypedScreen)
        await pilot.press(*["backspace"] * 9, *"BTC/USDT", "enter")
        await until_shown(pilot, "asked for symbol.flatten (request 4)")
    assert await _asked(trading_home) == [
        ("symbol.flatten", {"account": "paper", "symbol": "BTC/USDT"})
    ]


async def test_flattening_says_that_a_dead_runtime_will_not_do_it_now(
    trading_home: Path, make_console: MakeConsole
) -> None:
    write_runtime_file(trading_home, pid=2**22 + 7)
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("F")
        await until_shown(pilot, "▲ The runtime does not answer: the request waits until it does.")


async def test_enter_shows_an_orders_history_from_the_orders_and_from_the_fills(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("tab", "tab", "enter")
        await until_shown(pilot, "accepted by the venue")
        shown = text_of(app)
        for words in (
            ENTRY.client_id,
            "buy 40 SOL, limit",
            "decided at 142.141 USDT",
            "filled 12 at 142.180 USDT, slippage +3.8bp",
            "Orders on SOL/USDT, newest first",
            "● filled",
        ):
            assert words in shown, words
        await pilot.press("j", "enter")
        await until_shown(pilot, "orders › 54900000")
        await pilot.press("x")
        await until_shown(pilot, "cancel: the order has ended already")
        await pilot.press("q")
        await until_shown(pilot, "open 2 positions 2")


async def test_an_order_of_unknown_fate_is_counted_in_the_title(
    trading_home: Path, make_console: MakeConsole
) -> None:
    store = await Store.open(sqlite_url(trading_home))
    await save_orders(store, [FLYING])
    await store.close()
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "Open orders 3 · ▲ 1 unknown")
        await until_shown(pilot, "▲ unknown")
        await pilot.press("f9")
        await until_shown(pilot, "in flight")
        await until_shown(pilot, "55103000 SOL/USDT buy 8 limit: unknown")


async def test_a_switches_to_the_other_account_and_back(
    trading_home: Path, make_console: MakeConsole
) -> None:
    store = await Store.open(sqlite_url(trading_home))
    await save_orders(store, [order("pk-live0000", account_name="live", symbol="XRP/USDT")])
    await save_accounts(store, [account("live", equity="1204310.00")])
    await store.close()
    app = make_console(trading_home, live_exchange="bybit")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("a")
        await until_shown(pilot, "XRP/USDT")
        await until_shown(pilot, " LIVE ")
        await until_shown(pilot, "eq 1,204,310 USDT")
        await until_shown(pilot, "No position.")
        app.session.latch_of("live").halt("ana", "test", NOW_AT)
        await pilot.press("a")
        await until_shown(pilot, "91,877.0")
        await until_shown(pilot, "■ live HALTED")


async def test_with_one_account_a_says_so(trading_home: Path, make_console: MakeConsole) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5", "a")
        await until_shown(pilot, "paper is the only account")


async def test_rows_stay_under_the_cursor_and_stay_readable_when_data_is_old(
    trading_home: Path, make_console: MakeConsole
) -> None:
    clock = FakeClock(NOW_AT)
    app = make_console(trading_home, None, clock)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("j")
        app._poller.stop()
        clock.advance(41.0)
        await until_shown(pilot, "▲ data 41s STALE")
        await until_shown(pilot, "▲ 41s old")
        assert "91,877.0" in text_of(app)
        table = app.screen.query_one("#positions", LiveTable)
        assert table.selected_key is not None
        assert table.selected_key.startswith("ETH/USDT")
        assert table.has_class("-stale")


async def test_no_more_rows_than_the_configured_most_are_read_and_the_rest_is_counted(
    trading_home: Path, make_console: MakeConsole
) -> None:
    rows = [
        order(f"pk-{i:08}", state=OrderState.ACCEPTED, age_s=i + 60, symbol="ADA/USDT")
        for i in range(600)
    ]
    store = await Store.open(sqlite_url(trading_home))
    await save_orders(store, rows)
    await store.close()
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "Open orders 602 (500 shown)")
        assert app.screen.query_one("#orders", LiveTable).row_count == 500


async def test_a_home_that_never_traded_names_the_keys_that_change_that(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "2 lists all, + there promotes one")
        await until_shown(pilot, "No open order.")
        await pilot.press("F")
        await until_shown(pilot, "flatten symbol: no position is open in account paper")
