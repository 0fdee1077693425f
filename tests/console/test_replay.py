"""A recording on the console's own screens: its keys, its time, and that nothing can be done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from console.child_process import ChildProcess
from console.recording_file import Recording
from console.recording_writer import RecordingWriter, Shown
from console.replay_app import NothingHalted, ReplayApp
from console.screenshot import draw
from engine.clock import FakeClock, SystemClock
from tests.console.filled_pages import fill_pages
from tests.console.filled_store import session_of
from tests.console.recorded import ABOUT, later, record_home, whole_snapshot
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
N_PICTURES = 200


@pytest.fixture
async def recording(trading_home: Path, tmp_path: Path) -> AsyncIterator[Recording]:
    await fill_pages(trading_home)
    (tmp_path / "kept").mkdir()
    path = tmp_path / "kept" / "seen.paddock"
    await record_home(trading_home, path, N_PICTURES)
    yield Recording(path)


def replay_of(
    recording: Recording, clock: FakeClock | None = None, speed: float = 1.0
) -> ReplayApp:
    """Return a replay whose own clock stands, unless another is given."""
    return ReplayApp(recording, session_of(Path("/nowhere"), clock or FakeClock()), speed)


async def test_a_replay_names_itself_and_shows_recorded_time(recording: Recording) -> None:
    app = replay_of(recording)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "REPLAY ▶ 1× 2026-01-05 13:41:00Z 1/200")
        await until_shown(pilot, "640/1,464")
        await until_shown(pilot, "p pause  , . step")
        await until_shown(pilot, "eq 100,310 USDT")
        assert " RO " in text_of(app)
        # Ages are those of then.
        assert "STALE" not in text_of(app)


async def test_a_replay_steps_jumps_and_turns_back(recording: Recording) -> None:
    app = replay_of(recording)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "1/200")
        await pilot.press("full_stop")
        await until_shown(pilot, "REPLAY ‖ 1× 2026-01-05 13:41:01Z 2/200")
        await until_shown(pilot, "641/1,464")
        await pilot.press("full_stop", "full_stop", "comma")
        await until_shown(pilot, "13:41:02Z 3/200")
        await until_shown(pilot, "642/1,464")
        await pilot.press(">")
        await until_shown(pilot, "13:42:02Z 63/200")
        await until_shown(pilot, "702/1,464")
        await pilot.press("<")
        await until_shown(pilot, "3/200")
        await pilot.press("dollar_sign")
        await until_shown(pilot, "REPLAY ■ 1× 2026-01-05 13:44:19Z 200/200")
        await pilot.press("0")
        await until_shown(pilot, "13:41:00Z 1/200")
        await pilot.press(*":at 13:41:30", "enter")
        await until_shown(pilot, "13:41:30Z 31/200")
        await pilot.press(*":at 25%", "enter")
        await until_shown(pilot, "13:41:49Z 50/200")
        await pilot.press(*":at noon", "enter")
        await until_shown(pilot, "type a UTC time")
        await pilot.press("plus")
        await until_shown(pilot, "REPLAY ‖ 2×")
        await pilot.press("minus", "minus")
        await until_shown(pilot, "REPLAY ‖ 0.5×")
        await pilot.press("p")
        await until_shown(pilot, "REPLAY ▶ 0.5×")


async def test_a_replay_plays_by_itself_to_its_end_and_begins_again(
    filled_home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "short.paddock"
    snapshot = await whole_snapshot(filled_home)
    writer = RecordingWriter(path, ABOUT)
    for number in range(120):
        writer.add(later(snapshot, number), Shown("overview"))
    writer.close()
    session = replace(session_of(filled_home), clock=SystemClock())
    app = ReplayApp(Recording(path), session, speed=64.0)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "REPLAY ■ 64× 2026-01-05 13:42:59Z 120/120")
        await until_shown(pilot, "759/1,464")
        await pilot.press("minus", "minus", "minus", "minus", "minus", "minus", "minus", "minus")
        await pilot.press("p")
        await until(pilot, lambda: "▶ 0.25× 2026-01-05 13:41:0" in text_of(app), "the start")


async def test_a_replay_follows_the_operator_until_its_watcher_goes_elsewhere(
    recording: Recording,
) -> None:
    app = replay_of(recording)
    strategy_id = recording.shown(N_PICTURES - 1).strategy_id
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("dollar_sign")
        await until_shown(pilot, "Metrics by symbol and segment")
        await until_shown(pilot, f"strategies › {strategy_id[:8]}")
        await pilot.press("0")
        await until_shown(pilot, "Needs you")
        await pilot.press("3")
        await until_shown(pilot, "Runs: evaluations")
        await pilot.press("dollar_sign")
        await until_shown(pilot, "200/200")
        await until_shown(pilot, "Runs: evaluations")
        await pilot.press("o")
        await until_shown(pilot, "Metrics by symbol and segment")


async def test_every_screen_shows_what_was_recorded(recording: Recording) -> None:
    app = replay_of(recording)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        for key, words in (
            ("2", "Leaderboard"),
            ("3", "Runs: evaluations"),
            ("4", "Learners"),
            ("5", "BTC/USDT"),
            ("6", "deployments"),
            ("7", "Trading state of account paper"),
            ("8", "cycle.started"),
            ("9", "Settings are not part of a recording"),
        ):
            await pilot.press(key)
            await until_shown(pilot, words)
            assert "Traceback" not in text_of(app)


async def test_lists_are_sorted_filtered_and_paged_from_what_was_recorded(
    recording: Recording,
) -> None:
    app = replay_of(recording)
    first = recording.snapshot(0).store
    assert first is not None
    assert first.leaderboard is not None
    ids = [row.id[:8] for row in first.leaderboard.rows]
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, ids[0])
        await pilot.press("S")
        await until_shown(pilot, "sort fitness↑")
        await pilot.press("/", *ids[3], "enter")
        await until_shown(pilot, "1 of 1")
        await pilot.press("8")
        await until_shown(pilot, "following")
        await pilot.press(*"/level=error", "enter")
        await until_shown(pilot, "backtest.failed")
        await until(pilot, lambda: "cycle.started" not in text_of(app), "only errors")
        await pilot.press("3")
        await until_shown(pilot, "Runs: evaluations")
        await pilot.press("!")
        await until_shown(pilot, "failed only")


async def test_details_are_found_where_they_were_recorded(recording: Recording) -> None:
    app = replay_of(recording)
    strategy_id = recording.shown(N_PICTURES - 1).strategy_id
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "1/200")
        await pilot.press(*f":strat {strategy_id[:8]}", "enter")
        await until_shown(pilot, "Metrics by symbol and segment")
        await until_shown(pilot, "fitness")
        await pilot.press("escape")
        await pilot.press(*":strat ffffffff", "enter")
        await until_shown(pilot, "No strategy has an id")


@pytest.mark.parametrize("key", ("f9", "ctrl+k"))
async def test_the_halt_key_says_that_nothing_is_halted(
    recording: Recording, trading_home: Path, key: str
) -> None:
    app = replay_of(recording)
    before = _files(recording.path.parent), _files(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press(key, key)
        await until_shown(pilot, "Nothing was halted")
        assert [type(screen) for screen in app.screen_stack].count(NothingHalted) == 1
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, NothingHalted), "its end")
    assert (_files(recording.path.parent), _files(trading_home)) == before


async def test_nothing_can_be_done_in_a_replay(recording: Recording, trading_home: Path) -> None:
    app = replay_of(recording)
    before = _files(recording.path.parent), _files(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        for keys in ("1cXAux", "2+x", "5xF", "6+-x", "7RUt", "9er"):
            await pilot.press(*keys)
            await pilot.pause()
            assert len(app.screen_stack) <= 2
            assert "?" not in text_of(app).splitlines()[12]
        for word in ("reduce", "rearm", "cycle", "halt", "down", "up", "flatten", "record"):
            await pilot.press(":", *word, "enter")
            await pilot.pause()
            await pilot.press("escape")
        await pilot.press("1")
        await until_shown(pilot, "Needs you")
    assert (_files(recording.path.parent), _files(trading_home)) == before
    assert app.return_code in (None, 0)


async def test_a_replay_starts_no_process(recording: Recording) -> None:
    child = ChildProcess(replay_of(recording).session, ["status", "--json"])
    assert await child.run() is None
    assert child.problem == "this is a recording: nothing is run"


async def test_help_lists_the_keys_of_time_and_that_nothing_can_be_halted(
    recording: Recording,
) -> None:
    app = replay_of(recording)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("question_mark")
        await until_shown(pilot, "picture before")
        await until_shown(pilot, "not now: this is a recording")


async def test_a_replay_is_quit_without_a_question(recording: Recording) -> None:
    app = replay_of(recording)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running, "the end")
    assert app.return_code == 0


async def test_a_picture_that_cannot_be_read_is_said_and_the_others_are_shown(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = replay_of(recording)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        monkeypatch.setattr(recording, "_body", lambda _number: {"@": 7})
        await pilot.press("dollar_sign")
        await until_shown(pilot, "picture 200 of 200 cannot be read")
        monkeypatch.undo()
        await pilot.press("full_stop", "comma")
        await until_shown(pilot, "199/200")
        await until_shown(pilot, "Metrics by symbol and segment")


async def test_a_picture_is_drawn_from_a_moment_without_a_sign_of_the_replay(
    recording: Recording,
) -> None:
    session = session_of(Path("/nowhere"), FakeClock())
    app = ReplayApp(recording, session, picture_at=recording.times[41])
    picture = await draw(app, ["1"])
    assert "681/1,464" in picture
    assert "REPLAY" not in picture
    assert "follow" not in picture


def _files(folder: Path) -> list[tuple[str, int, int]]:
    return sorted(
        (str(path), path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        # Sqlite's own, which readers touch.
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    )
