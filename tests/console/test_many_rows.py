"""Ten thousand rows: what is read is capped, what is drawn is what is seen; inverse filters."""

from __future__ import annotations

from pathlib import Path

from textual.app import App, ComposeResult

from console.pages import RunsQuery
from console.pages_feed import _runs
from console.row_order import RowOrder
from console.theme import THEMES
from console.widgets.live_table import LiveCell, LiveColumn, LiveTable, Row
from engine.store.candidates import CandidateRow, add_candidates
from engine.store.cycles import create_cycle
from engine.store.database import Store, sqlite_url
from engine.store.filter_words import passes
from engine.store.strategies import leaderboard
from tests.console.conftest import MakeConsole
from tests.console.filled_store import NOW_AT, _cycle_values, genomes
from tests.console.screen_reading import text_of, until, until_shown

N_ROWS = 10_000
_COLUMNS = (LiveColumn("name", "name", 12), LiveColumn("n", "n", 8, is_number=True))


class _ManyRows(App[int]):
    """One table."""

    def __init__(self) -> None:
        super().__init__()
        self.n_drawn = 0
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "paddock"

    def compose(self) -> ComposeResult:
        """Yield it."""
        yield LiveTable(_COLUMNS, "list")

    def cells(self, key: str) -> Row:
        """Return a row, counted."""
        self.n_drawn += 1
        return {"name": LiveCell(f"row {key}"), "n": LiveCell(key)}


async def test_of_ten_thousand_rows_only_those_seen_are_ever_drawn() -> None:
    app = _ManyRows()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LiveTable)
        table.fit_columns(80)
        table.show_rows([str(n) for n in range(N_ROWS)], app.cells)
        await until_shown(pilot, "row 0 ")
        table.focus()
        for _ in range(20):
            await pilot.press("pagedown")
        await until(pilot, lambda: table.cursor_row == 20 * 23, "twenty screens down")
        await until_shown(pilot, f"row {20 * 23} ")
        await pilot.press("end")
        await until_shown(pilot, f"row {N_ROWS - 1} ")
        assert app.n_drawn < 24 * 24
        # New rows leave the cursor on its row, wherever that is now.
        table.show_rows([str(n) for n in range(N_ROWS - 1, -1, -1)], app.cells)
        await until(pilot, lambda: table.selected_key == str(N_ROWS - 1), "the same row")
        assert table.cursor_row == 0


async def test_who_scrolls_away_from_the_cursor_is_left_there_when_rows_come() -> None:
    app = _ManyRows()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(LiveTable)
        table.fit_columns(80)
        table.show_rows([str(n) for n in range(500)], app.cells)
        await until_shown(pilot, "row 0 ")
        await pilot.pause(0.2)
        table.scroll_to(y=200, animate=False)
        await until_shown(pilot, "row 200 ")
        for n_rows in range(501, 506):
            table.show_rows([str(n) for n in range(n_rows)], app.cells)
            await pilot.pause()
        await pilot.pause(0.2)
        assert (round(table.scroll_y), table.cursor_row) == (200, 0)
        await pilot.resize_terminal(80, 20)
        await until_shown(pilot, "row 0 ")


async def test_a_leaderboard_of_ten_thousand_lists_the_cap_of_all(
    tmp_path: Path, make_console: MakeConsole
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    await _many_strategies(home)
    app = make_console(home)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, f"500 of {N_ROWS:,}")
        await pilot.press("G")
        await until_shown(pilot, " 500 ")
        table = app.screen.query_one(LiveTable)
        await until(pilot, lambda: table.cursor_row == 499, "the last row")
        await pilot.press("slash", *"!momentum", "enter")
        await until_shown(pilot, "filter !momentum")
        await until(pilot, lambda: f"500 of {N_ROWS:,}" not in text_of(app), "fewer rows")
        await until(pilot, lambda: " momentum " not in _body(text_of(app)), "none of momentum")


def _body(text: str) -> str:
    return "\n".join(text.splitlines()[4:28])


async def _many_strategies(home: Path) -> None:
    store = await Store.open(sqlite_url(home))
    try:
        cycle = await create_cycle(store, **_cycle_values(1, NOW_AT))  # type: ignore[arg-type]
        kinds = genomes(4)
        rows = [
            CandidateRow(
                idx=n,
                strategy_id=f"{n:032x}",
                origin="immigrant",
                type=str(kinds[n % 4].type),
                timeframe="5m",
                direction="long",
                genome=kinds[n % 4].canonical_json(),
                generation=0,
                parent_a=None,
                parent_b=None,
                status="valid",
                created_at=NOW_AT,
            )
            for n in range(N_ROWS)
        ]
        await add_candidates(store, cycle.id, rows)
    finally:
        await store.close()


async def test_inverse_filters_list_what_the_plain_ones_leave_out(filled_home: Path) -> None:
    store = await Store.open(sqlite_url(filled_home))
    try:
        for text in ("momentum", "eth genetic", "%", "_", "'", "library"):
            _, n_with = await leaderboard(store, text=text)
            _, n_without = await leaderboard(store, text=f"!{text}")
            assert n_with + n_without == 30, text
        _, n_all = await leaderboard(store, text="!")
        assert n_all == 30
        n_runs = {
            text: len(await _runs(store, RunsQuery(text=text)))
            for text in ("", "fit", "!fit", "eth", "!eth", "2", "!2", "!")
        }
        assert n_runs["!"] == n_runs[""] == 181
        for word in ("fit", "eth", "2"):
            assert 0 < n_runs[word] < 181
            assert n_runs[word] + n_runs[f"!{word}"] == 181
    finally:
        await store.close()


def test_words_of_a_filter_are_all_needed_and_turned_round_together() -> None:
    assert passes("eth FIT", "ETH/USDT fit")
    assert not passes("eth fit", "ETH/USDT validation")
    assert passes("!eth fit", "ETH/USDT validation")
    assert not passes("!eth fit", "ETH/USDT fit")
    assert passes("", "anything")
    assert passes("!  ", "anything")


def test_rows_without_a_value_stand_last_whichever_way_round() -> None:
    order: RowOrder[float | None] = RowOrder({"as it is": None, "value": lambda row: row})
    rows = [2.0, float("nan"), 3.0, None, 1.0]
    assert order.applied(rows)[0] == 2.0
    order.next()
    assert order.applied(rows)[:3] == [3.0, 2.0, 1.0]
    order.reverse()
    assert order.applied(rows)[:3] == [1.0, 2.0, 3.0]
    assert order.words == "sort value↑"
    order.next()
    assert order.fact == ("as it is", True)
