"""Screens 3, 4, 6, 8 and 9: their keys, over a filled home and an empty one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from console.bindings import Place, footer_entries
from console.event_pages import EventPages, words_of
from console.pages import EventsQuery
from console.screens.strategy import StrategyScreen
from console.setting_rows import SECRETS, read_settings, secrets_set, setting_rows
from console.widgets.live_table import LiveTable
from engine.clock import FakeClock
from engine.config import Config, load_config
from engine.store.database import Store, sqlite_url
from engine.store.events import Event, add_events
from tests.console.conftest import MakeConsole
from tests.console.filled_pages import fill_pages
from tests.console.filled_store import NOW_AT, session_of
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)


async def _tell(home: Path, n: int, level: str = "info") -> None:
    store = await Store.open(sqlite_url(home))
    try:
        rows = [Event(NOW_AT, level, "test.told", f"told {i}") for i in range(n)]
        await add_events(store, rows)
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("3", "No backtest was recorded yet"),
        ("4", "Nothing was learned yet"),
        ("6", "No strategy was ever deployed"),
        ("8", "Nothing was told yet"),
        ("9", "Doctor: what is installed"),
    ],
)
async def test_every_number_leads_to_a_screen_that_says_what_fills_it(
    tmp_path: Path, make_console: MakeConsole, key: str, words: str
) -> None:
    app = make_console(tmp_path / "new")
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "No cycle has run")
        await pilot.press(key)
        await until_shown(pilot, words)


@pytest.mark.parametrize(
    "place",
    [Place.BACKTESTS, Place.LEARNERS, Place.DEPLOYMENTS, Place.EVENTS, Place.SETTINGS],
)
def test_footers_of_the_lists_keep_the_way_out(place: Place) -> None:
    shown = footer_entries(place)
    assert len(shown) <= 10
    assert shown[-1].id == "leave"


async def test_click_on_a_name_of_the_second_row_goes_there(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        row = text_of(app).splitlines()[1]
        await pilot.click(offset=(row.index("8 Events"), 1))
        await until_shown(pilot, "events · following")


async def test_runs_are_listed_filtered_and_opened(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "recorded 181 · failed 0")
        assert "running cycle 3: 640/1,464, 2 failed" in text_of(app)
        assert "holdout" in text_of(app)
        await pilot.press("exclamation_mark")
        await until_shown(pilot, "No run failed.")
        await pilot.press("escape")
        await until_shown(pilot, "the last 181")
        await pilot.press("slash", *"holdout")
        await pilot.press("enter")
        await until_shown(pilot, "the last 1 ")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, StrategyScreen), "the strategy")


async def test_garbage_in_the_filter_of_runs_finds_nothing_and_breaks_nothing(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "the last 181")
        app.screen.filter_typed("%_'\";-- \x00 99999999999999999999 [b]")  # type: ignore[attr-defined]
        await until_shown(pilot, "No run matches")


async def test_run_again_asks_first_and_says_why_it_failed(
    filled_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "console.rerun.Rerun._command",
        lambda _self: ["sh", "-c", "echo paddock: the market is closed >&2; exit 1"],
    )
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "the last 181")
        await pilot.press("r")
        await until_shown(pilot, "Run it again?")
        await pilot.press("y")
        await until_shown(pilot, "✗ the market is closed")


async def test_run_again_stands_beside_what_was_recorded(
    filled_home: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (
        '{"results": [{"symbol": "ETH/USDT", "segment": "holdout", '
        '"metrics": {"fitness": -3.5, "sharpe": null}}]}'
    )
    monkeypatch.setattr("console.rerun.Rerun._command", lambda _self: ["echo", told])
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "the last 181")
        await pilot.press("r")
        await until_shown(pilot, "Run it again?")
        await pilot.press("y")
        await until_shown(pilot, "-3.5000  differs")


async def test_learners_tell_what_they_hold_and_which_are_absent(
    filled_home: Path, make_console: MakeConsole
) -> None:
    await fill_pages(filled_home)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("4")
        await until_shown(pilot, "ranked by 1.10")
        shown = text_of(app)
        for words in ("8 parents", "2 insights, 1 sure", "1.20 (+0.20)", "not in this version"):
            assert words in shown, words
        for words in ("ema × momentum", "indicator=ema", "indicator of ema", "No language model"):
            await pilot.press("right_square_bracket")
            await until_shown(pilot, words)


async def test_deployed_versions_show_their_step_and_reason(
    filled_home: Path, make_console: MakeConsole
) -> None:
    await fill_pages(filled_home)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        await until_shown(pilot, "◐ rolling")
        assert "✗ rolled back" in text_of(app)
        await until_shown(pilot, "5% ✓ → 25% ● → 50% → 100%")
        assert "waits for 180 s and 1 decisions" in text_of(app)


async def test_events_follow_until_one_scrolls_and_then_count_the_new_ones(
    filled_home: Path, make_console: MakeConsole
) -> None:
    await _tell(filled_home, 60)
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("8")
        await until_shown(pilot, "told 59")
        await until_shown(pilot, "events · following")
        await pilot.press("k")
        await until_shown(pilot, "paused, 0 new")
        await _tell(filled_home, 37)
        await until_shown(pilot, "paused, 37 new")
        await pilot.press("G")
        await until_shown(pilot, "events · following")
        await until_shown(pilot, "told 36")


async def test_events_are_filtered_by_words_levels_and_errors(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("8")
        await until_shown(pilot, "2 candidates failed")
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "cycle.started" not in text_of(app), "errors only")
        assert "backtest.failed" in text_of(app)
        await pilot.press("escape")
        await until_shown(pilot, "cycle.started")
        await pilot.press("1", "colon", *"log level=warn")
        await pilot.press("enter")
        await until_shown(pilot, "filter level=warn")
        await until(pilot, lambda: "cycle.started" not in text_of(app), "warnings only")
        assert "data.gap" in text_of(app)


async def test_n_goes_to_the_matches_of_the_last_filter_among_all_events(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("8")
        await until_shown(pilot, "2 candidates failed")
        await pilot.press("n")
        await until_shown(pilot, "/ says what to find")
        await pilot.press("slash", *"!cycle", "enter")
        await until(pilot, lambda: "cycle.started" not in text_of(app), "all but cycles")
        assert "data.gap" in text_of(app)
        await pilot.press("slash", *["backspace"] * 6, *"gap", "enter")
        await until(pilot, lambda: "backtest.failed" not in text_of(app), "the gap alone")
        await pilot.press("escape")
        await until_shown(pilot, "backtest.failed")
        table = app.screen.query_one("#list", LiveTable)
        await until(pilot, lambda: table.cursor_row == table.row_count - 1, "the newest")
        await pilot.press("N")
        await until(
            pilot,
            lambda: table.cells_of(table.selected_key or "")["kind"].text == "data.gap",
            "the gap",
        )
        await pilot.press("n")
        await until_shown(pilot, "no event below")


async def test_listed_runs_are_sorted_and_turned_round(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        await until_shown(pilot, "the last 181")
        await pilot.press("s")
        await until_shown(pilot, "sort fitness↓ of those listed")
        table = app.screen.query_one("#list", LiveTable)
        shown = [float(table.cells_of(key)["fitness"].text) for key in table._keys]
        assert shown == sorted(shown, reverse=True)
        await pilot.press("S")
        await until_shown(pilot, "sort fitness↑")
        assert [float(table.cells_of(key)["fitness"].text) for key in table._keys] == shown[::-1]


async def test_time_expansion_saving_and_opening_of_events(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("8")
        await until_shown(pilot, "13:40:58.000Z")
        await pilot.press("t")
        await until_shown(pilot, "01-05 13:40:58Z")
        await pilot.press("t")
        await until_shown(pilot, " 2.0s ")
        await pilot.press("space")
        await until(pilot, lambda: "about nothing" not in text_of(app), "the panel closed")
        await pilot.press("w")
        await until_shown(pilot, "5 events are in")
        (path,) = (filled_home / "views").iterdir()
        assert "2 candidates failed in isolation" in path.read_text()
        await pilot.press("g")
        await until(
            pilot, lambda: app.screen.query_one("#list", LiveTable).cursor_row == 0, "the top"
        )
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, StrategyScreen), "the strategy")


async def test_pages_of_many_events_are_bounded_and_meet_without_a_gap(filled_home: Path) -> None:
    await _tell(filled_home, 3_000)
    store = await Store.open(sqlite_url(filled_home))
    try:
        pages = EventPages()
        query = EventsQuery(limit=100)
        newest = await pages.view(store, query)
        assert len(newest.rows) == 100
        older = await pages.view(store, replace(query, before_id=newest.rows[25].id))
        assert older.rows[-1].id == newest.rows[24].id
        assert older.n_newer == 75
        first = await pages.view(store, replace(query, after_id=0))
        assert first.rows[0].id == 1
        await pages.view(store, query)
        await _tell(filled_home, 250)
        followed = await pages.view(store, query)
        assert [row.message for row in followed.rows[-2:]] == ["told 248", "told 249"]
        ids = [row.id for row in followed.rows]
        assert ids == list(range(ids[0], ids[0] + 100))
    finally:
        await store.close()


def test_filter_of_events_understands_kind_and_level_and_keeps_the_words() -> None:
    assert words_of("gap level=warn kind=data BNB") == ("gap BNB", "data", "warn")
    assert words_of("level=loud kind=") == ("level=loud kind=", None, None)


def test_settings_name_value_unit_source_and_what_runs(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[paths]\nhome = "./home"\n[cycle]\ncount = 50\n')
    running = load_config(path, {})
    path.write_text('[paths]\nhome = "./home"\n[cycle]\ncount = 70\n')
    view = read_settings(replace(session_of(tmp_path), config=running, config_path=path), 1)
    rows = {(row.section, row.key): row for row in view.rows}
    row = rows["cycle", "count"]
    assert (row.value, row.running, row.source) == ("70", "50", "config.toml:4")
    assert not row.is_same
    assert rows["console", "poll_s"].unit == "s"
    assert rows["console", "poll_s"].source == "default"
    assert view.is_newer


def test_settings_that_cannot_be_read_keep_what_runs_and_say_why(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[cycle]\ncounts = 50\n")
    view = read_settings(replace(session_of(tmp_path), config_path=path), None)
    assert "config.toml:2" in view.problem
    assert all(row.is_same for row in view.rows)


def test_secrets_are_set_or_unset_and_never_shown() -> None:
    found = secrets_set({"PADDOCK_LIVE_API_KEY": "hunter2"})
    assert found["live API key"] == (True, "PADDOCK_LIVE_API_KEY")
    assert set(found) == set(SECRETS)
    assert "hunter2" not in repr(found)
    config = Config.model_validate({"database": {"url": "postgresql://ana:hunter2@db/p"}})
    assert "hunter2" not in repr(setting_rows(config, config, Config(), {}))


async def test_reload_applies_the_console_and_lists_what_waits(
    tmp_path: Path, make_console: MakeConsole
) -> None:
    home = tmp_path / "home"
    path = tmp_path / "config.toml"
    path.write_text(f'[paths]\nhome = "{home}"\n')
    app = make_console(home, clock=FakeClock(NOW_AT))
    app.session = replace(app.session, config=load_config(path, {}), config_path=path)
    path.write_text(f'[paths]\nhome = "{home}"\n[cycle]\ncount = 70\n[console]\ntheme = "ansi"\n')
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("9")
        await until_shown(pilot, "changed since this console read it")
        await pilot.press("r")
        await until_shown(pilot, "now: [console] theme: default → ansi")
        assert "with a restart of console and runtime: [cycle] count: 500 → 70" in text_of(app)
        await pilot.press("y")
        await until_shown(pilot, "1 applied; 1 wait for a restart")
        assert app.theme == "paddock-ansi"
