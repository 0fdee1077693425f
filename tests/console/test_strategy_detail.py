"""Screen 2.1: its sub-tabs, each of its keys, what is empty and what is missing."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from console.app import PaddockApp
from console.queries import strategy_view
from console.recording_values import DeclaredValues, PlainValues
from console.screens.strategy import StrategyScreen
from console.snapshot import StrategyView
from console.strategy_feed import StrategyFeed
from console.widgets.footer import PromptLine
from console.widgets.live_table import LiveTable
from engine.report.trade_log import COLUMNS
from engine.store.database import Store, sqlite_url
from tests.console.conftest import MakeConsole
from tests.console.filled_detail import N_TRADES, fill_detail
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
TABS = ("Summary", "Equity", "Trades", "Lineage", "Code", "Backtests", "Deploys")
NEXT, BEFORE = "right_square_bracket", "left_square_bracket"


async def _open(pilot: Pilot[int], tab: str = "Summary") -> None:
    await pilot.press("2")
    await until_shown(pilot, "30 of 30")
    await pilot.press("enter")
    await until_shown(pilot, "[Summary]")
    for name in TABS[1 : TABS.index(tab) + 1]:
        await pilot.press(NEXT)
        await until_shown(pilot, f"[{name}]")


def _table(app: PaddockApp) -> LiveTable:
    assert isinstance(app.screen, StrategyScreen)
    table = app.screen.tab.table
    assert table is not None
    return table


async def test_brackets_and_the_mouse_go_through_the_sub_tabs(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot, "Deploys")
        await pilot.press(NEXT)
        await until_shown(pilot, "[Summary]")
        await pilot.press(BEFORE)
        await until_shown(pilot, "[Deploys]")
        row = text_of(app).splitlines()[3]
        await pilot.click(offset=(row.index("Lineage") + 2, 3))
        await until_shown(pilot, "[Lineage]")


async def test_equity_says_what_the_band_is_made_of_and_where_the_curve_ended(
    filled_home: Path, make_console: MakeConsole
) -> None:
    await fill_detail(filled_home)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot, "Equity")
        await until_shown(pilot, "of 30 days inside")
        for words in ("60 days", "blocks of 5 days", "middle 80 %", "12 closed trades"):
            assert words in " ".join(text_of(app).replace("│", " ").split()), words
        assert "paper +" in text_of(app)
        await pilot.press("i")
        await until_shown(pilot, "segment fit")
        await until_shown(pilot, "fit +")
        await until(pilot, lambda: "validation +" not in _title(app), "fit alone")


def _title(app: PaddockApp) -> str:
    return text_of(app).splitlines()[4]


async def test_trades_of_accounts_are_sorted_reversed_filtered_and_summed(
    filled_home: Path, make_console: MakeConsole
) -> None:
    await fill_detail(filled_home)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot, "Trades")
        await until_shown(pilot, "Trades in accounts")
        await until_shown(pilot, f"listed: {N_TRADES} trades")
        newest = _table(app).cells_of("1")["entered"].text
        await pilot.press("S")
        await until_shown(pilot, "sort newest↑")
        assert _table(app).cells_of(str(N_TRADES))["entered"].text == newest
        await pilot.press("s")
        await until_shown(pilot, "sort profit↓")
        assert _table(app).cells_of("1")["pnl"].text == "+17.25"
        await pilot.press("slash", *"stop", "enter")
        await until_shown(pilot, "filter stop")
        await until(pilot, lambda: 0 < _table(app).row_count < N_TRADES, "the stops")
        n_stops = _table(app).row_count
        await pilot.press("slash", *["backspace"] * 4, *"!stop", "enter")
        await until_shown(pilot, "filter !stop")
        await until(pilot, lambda: _table(app).row_count == N_TRADES - n_stops, "all but stops")
        await pilot.press("G", "g", "j")
        assert _table(app).cursor_row == 1
        await pilot.press("escape")
        await until(pilot, lambda: _table(app).row_count == N_TRADES, "all again")


async def test_garbage_in_the_filter_of_a_tab_finds_nothing_and_says_how_to_get_back(
    filled_home: Path, make_console: MakeConsole
) -> None:
    await fill_detail(filled_home)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot, "Trades")
        await until_shown(pilot, "listed: 12")
        await pilot.press("slash", *"%_'(*![", "enter")
        await until_shown(pilot, "esc shows all again")
        await pilot.press("escape")
        await until_shown(pilot, "listed: 12")


async def test_trades_of_a_backtest_are_computed_outside_and_read_from_the_csv(
    filled_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled_home / "trades.csv"
    row = ("ETH/USDT", "fit", "long", 1_767_000_000_000, 3000.0, 1_767_003_600_000, 3030.0)
    with path.open("w", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(COLUMNS)
        writer.writerow((*row, "target", 0.5, 14.5, 0.0097, 10_014.5))
    told = f'{{"trades": "{path}"}}'
    monkeypatch.setattr("console.child_process.ChildProcess._command", lambda _self: ["echo", told])
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot, "Trades")
        await until_shown(pilot, "r runs it again")
        await pilot.press("r")
        await until_shown(pilot, "Run it again?")
        await pilot.press("y")
        await until_shown(pilot, "+14.50")
        await until_shown(pilot, "held 1h00m")
        assert "target" in text_of(app)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["sh", "-c", "echo paddock: the bars are gone >&2; exit 1"], "✗ the bars are gone"),
        (["echo", '{"trades": "/nowhere/at-all.csv"}'], "✗ cannot read /nowhere"),
        (["echo", "[1]"], "✗ no trade log is in"),
    ],
    ids=["it fails", "no file", "no answer"],
)
async def test_a_run_that_goes_wrong_says_why_where_its_trades_would_be(
    filled_home: Path,
    make_console: MakeConsole,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    words: str,
) -> None:
    monkeypatch.setattr("console.child_process.ChildProcess._command", lambda _self: command)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot)
        await pilot.press("r")
        await until_shown(pilot, "Run it again?")
        await pilot.press("y")
        await until_shown(pilot, "[Trades]")
        await until_shown(pilot, words)


async def test_a_run_is_stopped_with_x_and_the_screen_goes_on_meanwhile(
    filled_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = [sys.executable, "-c", "import signal; signal.pause()"]
    monkeypatch.setattr("console.child_process.ChildProcess._command", lambda _self: waits)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot)
        await pilot.press("X")
        await until_shown(pilot, "nothing runs")
        await pilot.press("r")
        await until_shown(pilot, "Run it again?")
        await pilot.press("y")
        await until_shown(pilot, "◐ runs: X stops it")
        await pilot.press(NEXT)
        await until_shown(pilot, "[Lineage]")
        await pilot.press(BEFORE, "X")
        await until_shown(pilot, "✗ stopped")


async def test_backtest_and_paper_stand_side_by_side_with_the_cause_of_each_difference(
    filled_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.commands.paper_report import _LOG_COLUMNS

    log = filled_home / "log.csv"
    both = ("long", 1_767_000_000_000, 3000.0, 1_767_003_600_000, 3030.0, "target", 14.5)
    with log.open("w", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(_LOG_COLUMNS)
        head = ("id", "ETH/USDT", 1_766_999_700_000)
        writer.writerow((*head, "", "", *both, *both))
        writer.writerow((*head, "limit", "trade", *both, *[""] * 7))
    monkeypatch.setattr(
        "console.child_process.ChildProcess._command",
        lambda self: ["sh", "-c", f"cp {log} {self._arguments[-2]}; echo {{}}"],
    )
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot, "Trades")
        await pilot.press("v")
        await until_shown(pilot, "closed no trade in an account")
        await pilot.press("v")
        await until_shown(pilot, "r replays its bars on paper")
        await pilot.press("r")
        await until_shown(pilot, "no gate reads")
        await pilot.press("y")
        await until_shown(pilot, "▲ limit")
        await until_shown(pilot, "2 pairs")
        assert "● the same" in text_of(app)
        assert "no trade" in text_of(app)


async def test_lineage_is_a_tree_and_enter_opens_an_ancestor(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot, "Lineage")
        await until_shown(pilot, "└─ ")
        assert "× genetic" in text_of(app)
        await pilot.press("j")
        await until(pilot, lambda: _table(app).cursor_row == 1, "the parent")
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) == 3, "the ancestor")
        await pilot.press("escape")
        await until_shown(pilot, "[Lineage]")


async def test_code_is_readable_found_in_and_compared_with_a_parent(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot, "Code")
        await until_shown(pilot, "exits.stop_frac")
        await pilot.press("slash", *"exits.", "enter")
        await until_shown(pilot, "find exits.")
        first = _table(app).cursor_row
        await pilot.press("n")
        await until(pilot, lambda: _table(app).cursor_row == first + 1, "the next match")
        await pilot.press("N", "N")
        await until(pilot, lambda: _table(app).cursor_row > first + 1, "the last match, around")
        await pilot.press("slash", *["backspace"] * 6, *"!!nothing", "enter", "v")
        await until_shown(pilot, "lines differ from")
        row = next(line for line in text_of(app).splitlines() if " EMA(5)" in line)
        assert "+" in row or "-" in row


async def test_backtests_of_one_strategy_have_their_context_and_are_sorted(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot, "Backtests")
        await until_shown(pilot, "7 of 7")
        for words in ("holdout", "seed 8", "engine 1", "bars aaaaaaaaaa"):
            assert words in text_of(app), words
        await pilot.press("s")
        await until_shown(pilot, "sort fitness↓")
        table = _table(app)
        shown = [float(table.cells_of(key)["fitness"].text) for key in table._keys]
        assert shown == sorted(shown, reverse=True)
        await pilot.press("i")
        await until_shown(pilot, "3 of 7")


async def test_versions_are_stepped_through_and_tell_what_became_of_them(
    filled_home: Path, make_console: MakeConsole
) -> None:
    await fill_detail(filled_home)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot)
        await until_shown(pilot, "version ‹ v2 / 2 ›")
        await pilot.press("less_than_sign")
        await until_shown(pilot, "[Deploys]")
        await until_shown(pilot, "version ‹ v1 / 2 ›")
        await until_shown(pilot, "version 2 has taken over")
        await until_shown(pilot, "decisions agreed")
        row = text_of(app).splitlines()[3]
        await pilot.click(offset=(row.index("›"), 3))
        await until_shown(pilot, "version ‹ v2 / 2 ›")


async def test_every_empty_tab_says_which_key_fills_it(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("G")
        await until(pilot, lambda: app.screen.query_one(LiveTable).cursor_row == 29, "the last")
        await pilot.press("enter")
        for words in (
            "No equity curve is stored",
            "r computes its trades again",
            "r runs it again",
            "ancestors",
            "exits.",
            "Evaluations",
            "d brings it out as a Worker",
        ):
            await until_shown(pilot, words)
            await pilot.press(NEXT)
        await until_shown(pilot, "[Summary]")
        await pilot.press("greater_than_sign")
        await until_shown(pilot, "it has no deployed version")


async def test_a_pane_is_zoomed_and_keys_without_use_say_where_they_work(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot)
        await pilot.press("z")
        await until(pilot, lambda: "What it does" not in text_of(app), "the lineage alone")
        await pilot.press("escape")
        await until_shown(pilot, "What it does")
        for key, words in {
            "v": "v works on the tabs",
            "s": "s works on the tabs",
            "slash": "no list to filter",
            "n": "/ says what to find",
        }.items():
            await pilot.press(key)
            await until_shown(pilot, words)
        assert not app.screen.query_one(PromptLine).is_typing


async def test_a_missing_strategy_is_said_on_every_tab_and_no_key_breaks(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("colon", *"strat zzzz", "enter")
        await until_shown(pilot, "No strategy has an id that starts with 'zzzz'")
        for key in (NEXT, "m", "i", "v", "r", "X", "s", "n", "G", "g", "z", "d", "plus"):
            await pilot.press(key)
        await until_shown(pilot, "No strategy has an id")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, StrategyScreen), "back")


async def test_a_console_that_only_looks_computes_nothing(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    app.read_only = "somebody else operates"
    async with app.run_test(size=SIZE) as pilot:
        await _open(pilot)
        await pilot.press("r", NEXT)
        await until_shown(pilot, "[Equity]")
        assert "Run it again?" not in text_of(app)


async def test_what_the_screen_is_given_survives_a_recording(filled_home: Path) -> None:
    strategy_id = await fill_detail(filled_home)
    store = await Store.open(sqlite_url(filled_home))
    try:
        view = await strategy_view(store, strategy_id)
        facts = await StrategyFeed(0.02).facts(store, view.row, view.curves)
    finally:
        await store.close()
    assert facts.bands
    assert len(facts.trades) == N_TRADES
    text = json.dumps(PlainValues().of(replace(view, facts=facts)))
    read = DeclaredValues().of(StrategyView, json.loads(text)).facts
    assert read.trades == facts.trades
    assert read.versions == facts.versions
    assert read.told == facts.told
    assert read.parents == facts.parents
    for mine, other in zip(read.bands, facts.bands, strict=True):
        assert np.array_equal(mine.low, other.low)
        assert (mine.name, mine.n_known) == (other.name, other.n_known)
