"""The screens over a filled home, an empty one, and one that breaks while it is watched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from console.screens.help import HelpScreen
from console.screens.modals import ConfirmScreen
from console.widgets.footer import PromptLine
from console.widgets.live_table import LiveTable
from engine.store.commands import recent_commands
from engine.store.database import Store, sqlite_url
from engine.store.events import Event, add_events
from tests.console.conftest import MakeConsole
from tests.console.filled_store import write_runtime_file
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)


async def _commands(home: Path) -> list[tuple[str, str, dict[str, object]]]:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        return [(row.who, row.name, dict(row.arguments)) for row in await recent_commands(store)]
    finally:
        await store.close()


def _remove_database(home: Path) -> None:
    for path in home.glob("paddock.db*"):
        path.unlink()


async def test_overview_shows_market_edge_stages_rates_actors_and_outcomes(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        shown = text_of(app)
    for words in (
        "GENERATED",
        "planted momentum 0.15",
        "NOT ARMED",
        "runtime ● up 3h07m",
        "Cycle 3 · running 6.2s",
        "412/s eta 2.0s ✗ 2",
        "12 refused",
        "1,236 backtests/s",
        "best fitness by cycle",
        "backtester-1",
        "▲ watchdog         silent",
        "✗ backtest.failed",
        "refused cycle.start cycle 3 is ru",
        "waiting cycle.pause",
    ):
        assert words in shown, words


async def test_empty_home_names_the_key_that_starts_a_cycle_and_says_the_runtime_is_down(
    tmp_path: Path, make_console: MakeConsole
) -> None:
    app = make_console(tmp_path / "new")
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "No cycle has run in this home yet.")
        await until_shown(pilot, " c  starts one")
        shown = text_of(app)
    assert "runtime ○ down" in shown
    assert "no database yet" in shown
    assert not (tmp_path / "new").exists()


async def test_c_asks_first_and_enter_does_not_confirm_by_habit(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("c")
        await until_shown(pilot, "Start a cycle?")
        shown = text_of(app)
        assert "500 candidates, seed 10" in shown
        assert "It waits until cycle 3 is done." in shown
        await pilot.press("enter")
        await until(
            pilot, lambda: not isinstance(app.screen, ConfirmScreen), "the question to close"
        )
    assert len(await _commands(filled_home)) == 3


async def test_c_then_y_becomes_a_command_with_the_arguments_that_were_shown(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("c")
        await until_shown(pilot, "Start a cycle?")
        await pilot.press("y")
        await until_shown(pilot, "asked for cycle.start (request 4)")
    who, name, arguments = (await _commands(filled_home))[0]
    assert (who, name) == ("ana", "cycle.start")
    assert arguments == {
        "count": 500,
        "seed": 10,
        "symbols": ["BTC/USDT", "ETH/USDT", "BNB/USDT"],
        "timeframe": "5m",
        "days": 90,
    }


async def test_cycle_can_be_asked_for_with_no_database_and_no_runtime(
    tmp_path: Path, make_console: MakeConsole
) -> None:
    home = tmp_path / "new"
    app = make_console(home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "No cycle has run")
        await pilot.press("c")
        await until_shown(pilot, "the request waits until it does")
        await pilot.press("y")
        await until_shown(pilot, "waiting cycle.start")
    assert [(who, name) for who, name, _ in await _commands(home)] == [("ana", "cycle.start")]


async def test_p_pauses_and_shift_x_cancels_the_cycle_that_runs(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("p")
        await until_shown(pilot, "Pause cycle 3?")
        await pilot.press("y")
        await until_shown(pilot, "asked for cycle.pause (request 4)")
        await pilot.press("X")
        await until_shown(pilot, "Cancel cycle 3?")
        await pilot.press("y")
        await until_shown(pilot, "asked for cycle.cancel (request 5)")
    found = [(name, arguments) for _, name, arguments in await _commands(filled_home)]
    assert found[:2] == [("cycle.cancel", {"cycle_id": 3}), ("cycle.pause", {"cycle_id": 3})]


async def test_disabled_key_says_why(tmp_path: Path, make_console: MakeConsole) -> None:
    app = make_console(tmp_path / "new")
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "No cycle has run")
        await pilot.press("p")
        await until_shown(pilot, "pause/resume: no cycle is running")


async def test_dead_runtime_is_told_with_the_age_of_the_last_beat(
    filled_home: Path, make_console: MakeConsole
) -> None:
    write_runtime_file(filled_home, pid=2**22 + 7)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "runtime ✗ DEAD 0.3s")
        assert "The runtime's process has ended" in text_of(app)
        await until_shown(pilot, " u  starts it")
        await until_shown(pilot, "Cycle 3 · kept, goes on when the runtime is up")


async def test_silent_runtime_and_old_data_are_told_with_their_ages(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "runtime ● up")
        app._poller.stop()
        app.session.clock.advance(41.0)  # type: ignore[attr-defined]
        await until_shown(pilot, "▲ data 41s STALE")
        assert "▲ 41s old" in text_of(app)


async def test_vanished_database_keeps_the_last_state_and_says_what_is_wrong(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        _remove_database(filled_home)
        await until(pilot, lambda: bool(app.snapshot and app.snapshot.problem), "the problem")
        assert app.snapshot is not None
        assert "gone" in app.snapshot.problem
        # A look that had begun before may end after: only now is the last state's age settled.
        app.session.clock.advance(5.0)  # type: ignore[attr-defined]
        await until_shown(pilot, "STALE")
        assert "640/1,464" in text_of(app)


async def test_locked_database_is_still_shown_and_a_request_says_that_it_is_locked(
    filled_home: Path, make_console: MakeConsole
) -> None:
    lock = sqlite3.connect(filled_home / "paddock.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        app = make_console(filled_home)
        async with app.run_test(size=SIZE) as pilot:
            await until_shown(pilot, "640/1,464")
            await pilot.press("p")
            await until_shown(pilot, "Pause cycle 3?")
            await pilot.press("y")
            await until_shown(pilot, "cycle.pause was not asked for")
    finally:
        lock.close()
    assert len(await _commands(filled_home)) == 3


async def test_leaderboard_keeps_fit_and_validation_apart_and_counts_all(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        shown = text_of(app)
        assert "fit fitness  val fitness" in shown
        assert "sort fitness↓" in shown
        assert "mean reversion" in shown


async def test_sort_reverse_and_filter_change_the_list_and_esc_shows_all_again(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        table = app.screen.query_one(LiveTable)
        best = table._keys[0]
        await pilot.press("S")
        await until_shown(pilot, "sort fitness↑")
        await until(pilot, lambda: table._keys[-1] == best, "the best one to be the last")
        await pilot.press("s")
        await until_shown(pilot, "sort sharpe↓")
        await pilot.press("slash", *"breakout")
        await until_shown(pilot, "8 of 8")
        await pilot.press("enter")
        assert "filter breakout" in text_of(app)
        await pilot.press("escape")
        await until_shown(pilot, "30 of 30")


async def test_cursor_stays_on_its_strategy_when_the_order_changes(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        table = app.screen.query_one(LiveTable)
        await pilot.press("j", "j", "j")
        chosen = table.selected_key
        assert chosen == table._keys[3]
        await pilot.press("S")
        await until(pilot, lambda: table._keys[-4] == chosen, "the order to turn round")
        assert table.selected_key == chosen


async def test_enter_opens_a_strategy_in_words_with_metrics_curve_and_ancestors(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("enter")
        await until_shown(pilot, "What it does")
        for words in (
            "Leaves by a stop at 2% loss",
            "fit validation",
            "Sharpe /yr",
            "Equity",
            "parent",
            "generated → screened",
        ):
            await until_shown(pilot, words)
        await pilot.press("m")
        await until_shown(pilot, "Equity BNB/USDT")
        await pilot.press("down", "enter")
        await until(pilot, lambda: len(app.screen_stack) == 3, "the ancestor to open")
        await pilot.press("escape", "escape")
        await until_shown(pilot, "30 of 30")


@pytest.mark.parametrize("size", [SIZE, (80, 24)], ids=["120x36", "80x24"])
async def test_gates_say_what_was_measured_what_was_asked_and_why_it_was_refused(
    filled_home: Path, make_console: MakeConsole, size: tuple[int, int]
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=size) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("enter")
        await until_shown(pilot, "holdout")
        # Below the lineage, which has the keys at first.
        await pilot.press("tab")
        await until_shown(pilot, "paper gate on ETH/USDT ✗ refused")
        for words in (
            "judged 2026-01-04 13:41Z in cycle 2",
            "✗ failed: deflated Sharpe, overfit probability",
            "max drawdown           -4.2%  ≥ -15.0%  ✓ passed",
        ):
            await until_shown(pilot, words)
        await pilot.press("end")
        await until_shown(pilot, "Choosing the best of 20")


async def test_holdout_is_a_column_of_its_own_even_where_there_is_little_room(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("enter")
        await until_shown(pilot, "fit  valid. holdout")
        await until_shown(pilot, "2.44    2.18    1.54")


async def test_strategy_without_a_verdict_says_why_there_is_none(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("G", "enter")
        await until_shown(pilot, "No gate has judged it yet: it did not pass the")


@pytest.mark.parametrize("is_told", [False, True])
async def test_overview_tells_the_newest_negative_controls_and_warns_when_the_cycle_did(
    filled_home: Path, make_console: MakeConsole, is_told: bool
) -> None:
    if is_told:
        store = await Store.open(sqlite_url(filled_home))
        await add_events(store, [Event(1, "error", "cycle.controls", "too many", cycle_id=2)])
        await store.close()
    app = make_console(filled_home)
    sign = "▲ " if is_told else ""
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, f"│ {sign}controls of 2: ")
        await until_shown(pilot, "naive")
        assert "permuted" in text_of(app)
        # Where rows are few, the line takes none from what can be acted upon.
        assert "412/s eta 2.0s ✗ 2" in text_of(app)
        assert "best fitness by cycle" in text_of(app)


async def test_colon_opens_a_strategy_by_the_start_of_its_id_and_says_when_there_is_none(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("colon", *"strat zzzz", "enter")
        await until_shown(pilot, "No strategy has an id that starts with 'zzzz'")
        await pilot.press("escape", "colon", *"frob", "enter")
        await until_shown(pilot, "unknown command 'frob'")
        await pilot.press("colon", *"strategies", "enter")
        await until_shown(pilot, "30 of 30")


async def test_printable_keys_are_text_while_a_command_is_typed(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("colon", *"cxq2")
        assert app.screen.query_one(PromptLine).is_typing
        assert not isinstance(app.screen, ConfirmScreen)
        await pilot.press("escape")
        assert not app.screen.query_one(PromptLine).is_typing


async def test_help_lists_every_key_of_the_place(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=(120, 100)) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen), "the page of keys")
        shown = text_of(app)
        for words in ("HALT all trading", "cancel cycle", "not now: a runtime runs already"):
            assert words in shown, words
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_quitting_asks_and_says_that_the_runtime_goes_on(
    filled_home: Path, make_console: MakeConsole, key: str
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press(key)
        await until_shown(pilot, "The runtime keeps running")
        await pilot.press("n")
        await until(
            pilot, lambda: not isinstance(app.screen, ConfirmScreen), "the question to close"
        )
        assert app.is_running
        await pilot.press(key)
        await until_shown(pilot, "Quit the console?")
        await pilot.press("y")
    assert app.return_code == 0
    assert (filled_home / "runtime.json").exists()


async def test_q_below_the_root_goes_back_one_crumb(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("q")
        await until_shown(pilot, "── overview")


async def test_terminal_smaller_than_80x24_gets_words_instead_of_tables(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=(60, 20)) as pilot:
        await until_shown(pilot, "This terminal is 60x20; the console needs 80x24.")
        await until_shown(pilot, "NOT ARMED")
        await pilot.resize_terminal(100, 30)
        await until_shown(pilot, "640/1,464")


async def test_cycle_that_is_worked_on_is_shown_rather_than_the_one_that_waits(
    filled_home: Path, make_console: MakeConsole
) -> None:
    from engine.store.cycles import create_cycle

    store = await Store.open(sqlite_url(filled_home))
    await create_cycle(
        store,
        seed=11,
        count=5,
        symbols=["BTC/USDT"],
        timeframe="5m",
        days=30,
        exchange="generated",
        market_label="GENERATED",
        created_at=1,
    )
    await store.close()
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "Cycle 3 · running")
        await pilot.press("c")
        await until_shown(pilot, "cycle 4 waits already")


async def test_z_shows_the_focused_pane_alone_under_the_first_rows_and_all_again(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("z")
        await until_shown(pilot, "tab chooses a pane first")
        await pilot.press("tab", "z")
        await until(pilot, lambda: "640/1,464" not in text_of(app), "one pane alone")
        assert "NOT ARMED" in text_of(app)
        await pilot.press("z")
        await until_shown(pilot, "640/1,464")
