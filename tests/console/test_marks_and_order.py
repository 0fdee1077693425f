"""Tables of screens 4, 5 and 6: their order, and rows that are marked for one act on all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.app import PaddockApp
from console.effects import MOST_NAMED, cancel_lines, retire_lines
from console.pages import LearnersView, Parent
from console.row_order import RowOrder
from console.screens.learners import held_rows
from console.screens.modals import ConfirmScreen
from console.screens.orders_text import FILL_KEYS, ORDER_KEYS, POSITION_KEYS
from console.widgets.live_table import LiveTable
from engine.store.commands import recent_commands
from engine.store.database import Store, sqlite_url
from engine.store.deployments import save_deployments
from engine.store.orders import save_orders
from engine.store.strategies import change_status
from engine.trade.orders import OrderState
from tests.console.conftest import MakeConsole
from tests.console.filled_pages import VERSION, fill_pages
from tests.console.filled_store import NOW_AT, genomes
from tests.console.filled_trading import DONE, ENTRY, FLYING, POSITIONS, STOP, fill_row, order
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
FIRST, SECOND = (genome.id for genome in genomes(2))


async def _asked(home: Path) -> list[tuple[str, dict[str, Any]]]:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        rows = await recent_commands(store)
        found = [(row.name, dict(row.arguments)) for row in rows if row.created_at >= NOW_AT]
        return sorted(found, key=str)
    finally:
        await store.close()


@pytest.fixture
async def deployed_home(trading_home: Path) -> Path:
    """Return a home with two strategies on paper, each with a version that may be rolled back."""
    await fill_pages(trading_home)
    store = await Store.open(sqlite_url(trading_home))
    for strategy_id in (FIRST, SECOND):
        await change_status(store, strategy_id, "paper", "test", "test", NOW_AT)
    other = replace(VERSION, strategy_id=SECOND, state="live", share_frac=1.0)
    await save_deployments(store, [replace(other, changed_at=NOW_AT)])
    await store.close()
    return trading_home


def _table(app: PaddockApp, table_id: str) -> LiveTable:
    return app.screen.query_one(f"#{table_id}", LiveTable)


async def _mark(pilot: Pilot[int], app: PaddockApp, table_id: str, *keys: str) -> None:
    table = _table(app, table_id)
    for key in keys:
        await pilot.press("g")
        for _ in range(table.row_count):
            if table.selected_key == key:
                break
            await pilot.press("j")
        assert table.selected_key == key
        await pilot.press("space")


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        (POSITION_KEYS, POSITIONS),
        (ORDER_KEYS, (ENTRY, STOP, FLYING, DONE)),
        (FILL_KEYS, (fill_row(2), fill_row(3, "142.210"))),
    ],
    ids=["positions", "orders", "fills"],
)
def test_every_order_keeps_every_row_and_turns_round(
    keys: Mapping[str, Any], rows: tuple[Any, ...]
) -> None:
    order_of: RowOrder[Any] = RowOrder(keys)
    for name in keys:
        assert order_of.name == name
        down = order_of.applied(rows)
        order_of.reverse()
        up = order_of.applied(rows)
        assert sorted(map(id, down)) == sorted(map(id, up)) == sorted(map(id, rows))
        if keys[name] is not None:
            found = [keys[name](row) for row in down if keys[name](row) is not None]
            assert found == sorted(found, reverse=True), name
        order_of.next()


async def test_s_sorts_the_table_that_has_the_focus_and_the_cursor_stays_on_its_row(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        assert "sort" not in text_of(app).splitlines()[2]
        await pilot.press("s", "s")
        await until_shown(pilot, "account paper · positions sort uPnL↓")
        table = _table(app, "positions")
        assert str(table.selected_key).startswith("BTC/USDT")
        await pilot.press("S")
        await until_shown(pilot, "positions sort uPnL↑")
        assert str(table.selected_key).startswith("BTC/USDT")
        assert table.cursor_row == 1
        await pilot.press("tab", "s")
        await until_shown(pilot, "positions sort uPnL↑ · open orders sort symbol↓")
        orders = [line for line in text_of(app).splitlines() if "5510" in line or "5501" in line]
        assert "SOL/USDT" in orders[0]


async def test_marked_orders_are_cancelled_together_after_one_yes(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("space")
        await until_shown(pilot, "space marks open orders: tab goes there")
        await pilot.press("tab")
        await _mark(pilot, app, "orders", STOP.client_id, ENTRY.client_id)
        await until_shown(pilot, "marked 2 open orders")
        assert "│*" in text_of(app)
        await pilot.press("x")
        await until_shown(pilot, "Cancel 2 orders?")
        for words in (
            "▲ BTC/USDT sell 0.0041 stop",
            "SOL/USDT buy 40 limit",
            "▲ 1 of them protect positions",
        ):
            assert words in text_of(app), words
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "Cancel, the focus")
        assert await _asked(trading_home) == []
        await until_shown(pilot, "marked 2 open orders")
        await pilot.press("x", "y")
        await until_shown(pilot, "asked for order.cancel 2 times (requests 4 to 5)")
        await until(pilot, lambda: "marked" not in text_of(app), "no mark")
    assert await _asked(trading_home) == [
        ("order.cancel", {"account": "paper", "client_id": STOP.client_id}),
        ("order.cancel", {"account": "paper", "client_id": ENTRY.client_id}),
    ]


async def test_space_takes_a_mark_away_and_x_then_means_the_row_under_the_cursor(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("tab")
        await _mark(pilot, app, "orders", ENTRY.client_id)
        await until_shown(pilot, "marked 1 open orders")
        await _mark(pilot, app, "orders", ENTRY.client_id)
        await until(pilot, lambda: "marked" not in text_of(app), "no mark")
        await pilot.press("G", "x")
        await until_shown(pilot, "Cancel order 55010000?")


async def test_an_order_that_ended_is_not_marked_any_more(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("5")
        await until_shown(pilot, "142.210")
        await pilot.press("tab")
        await _mark(pilot, app, "orders", STOP.client_id, ENTRY.client_id)
        await until_shown(pilot, "marked 2 open orders")
        store = await Store.open(sqlite_url(trading_home))
        await save_orders(store, [replace(ENTRY, state=OrderState.CANCELED, updated_at=NOW_AT)])
        await store.close()
        await until_shown(pilot, "Open orders 1")
        await until_shown(pilot, "marked 1 open orders")
        await pilot.press("x")
        await until_shown(pilot, "Cancel order 55010000?")


def test_of_many_orders_those_that_protect_are_named_first_and_the_rest_is_counted() -> None:
    many = [*(order(f"pk-{i:08}", symbol=f"A{i}/USDT") for i in range(20)), STOP]
    lines = cancel_lines(many)
    assert lines[0] == "▲ BTC/USDT sell 0.0041 stop"
    assert lines[MOST_NAMED] == f"and {21 - MOST_NAMED} more"
    assert lines[-1].startswith("▲ 1 of them protect positions")
    assert len(lines) == MOST_NAMED + 2


@pytest.mark.parametrize(
    ("table_id", "key", "title", "name"),
    [
        ("list", "x", "Retire 2 strategies?", "strategy.retire"),
        ("versions", "x", "Retire 2 strategies?", "strategy.retire"),
        ("list", "u", "Roll back 2 versions?", "deployment.rollback"),
        ("versions", "u", "Roll back 2 versions?", "deployment.rollback"),
        ("list", "p", "", "strategy.pause"),
        ("versions", "p", "", "strategy.pause"),
    ],
)
async def test_what_makes_things_safer_takes_all_marked_rows_of_screen_6(
    deployed_home: Path,
    make_console: MakeConsole,
    table_id: str,
    key: str,
    title: str,
    name: str,
) -> None:
    app = make_console(deployed_home)
    keys = (FIRST, SECOND) if table_id == "list" else (f"{FIRST}/2", f"{SECOND}/2")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        await until_shown(pilot, "◐ rolling")
        if table_id == "list":
            await pilot.press("tab")
        await _mark(pilot, app, table_id, *keys)
        holds = "strategies" if table_id == "list" else "versions"
        await until_shown(pilot, f"marked 2 {holds}")
        await pilot.press(key)
        if title:
            await until_shown(pilot, title)
            assert FIRST[:8] in text_of(app)
            assert SECOND[:8] in text_of(app)
            assert await _asked(deployed_home) == []
            await pilot.press("y")
        await until_shown(pilot, f"asked for {name} 2 times")
        await until(pilot, lambda: "marked" not in text_of(app), "no mark")
    asked = await _asked(deployed_home)
    assert [found for found, _ in asked] == [name, name]
    assert {arguments["strategy_id"] for _, arguments in asked} == {FIRST, SECOND}


async def test_what_adds_risk_takes_the_row_under_the_cursor_whatever_is_marked(
    deployed_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(deployed_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        await until_shown(pilot, "◐ rolling")
        await _mark(pilot, app, "versions", f"{SECOND}/2", f"{FIRST}/2")
        await pilot.press("g")
        assert _table(app, "versions").selected_key == f"{FIRST}/2"
        await pilot.press("plus")
        await until_shown(pilot, f"Raise version 2 of {FIRST[:8]} to 50%?")


async def test_versions_and_strategies_have_an_order_of_their_own(
    deployed_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(deployed_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        await until_shown(pilot, "◐ rolling")
        await pilot.press("s", "s")
        await until_shown(pilot, "versions sort rollout↓")
        await pilot.press("g")
        assert _table(app, "versions").selected_key == f"{SECOND}/2"
        await pilot.press("tab", "s", "S")
        await until_shown(pilot, "versions sort rollout↓ · strategies sort mode↑")


def test_retiring_many_names_some_and_counts_the_rest() -> None:
    class Row:
        id, status = "abcdef0123456789", "paper"

    lines = retire_lines([Row()] * 12)  # type: ignore[list-item]
    assert lines[MOST_NAMED] == f"and {12 - MOST_NAMED} more"


async def test_each_list_of_the_learners_has_an_order_of_its_own(
    filled_home: Path, make_console: MakeConsole
) -> None:
    await fill_pages(filled_home)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "ranked by 1.10")
        await pilot.press("s", "S")
        await until_shown(pilot, "learners › pool sort fitness↑ ·")
        await pilot.press("right_square_bracket")
        await until_shown(pilot, "learners › patterns · ")
        await pilot.press("left_square_bracket")
        await until_shown(pilot, "learners › pool sort fitness↑ ·")
        await pilot.press("shift+tab", "s")
        await until_shown(pilot, "the rows of this table keep their places")


def test_a_sorted_list_of_the_learners_keeps_the_rank_of_each_row() -> None:
    pool = tuple(Parent(f"s{i}", 1.0 - i / 10, 1.0 - i / 10, i, 1, "short|low") for i in range(4))
    by_generation: RowOrder[Any] = RowOrder({"generation": lambda member: member.generation})
    rows, ids = held_rows(LearnersView(pool=pool), "pool", by_generation, {})
    assert [row["rank"].text for row in rows.values()] == ["4", "3", "2", "1"]
    assert [ids[key] for key in rows] == ["s3", "s2", "s1", "s0"]
