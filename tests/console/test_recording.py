"""Recording what the console sees: all of it, in little space, without harm or secrets."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.app import PaddockApp
from console.cli import run
from console.recording_delta import SAME, change, changed
from console.recording_file import Recording
from console.recording_values import DeclaredValues, PlainValues
from console.recording_writer import PICTURES_A_MEMBER, RecordingWriter, Shown
from console.snapshot import Snapshot
from engine.errors import DataError, UsageError
from tests.console.conftest import MakeConsole
from tests.console.filled_pages import fill_pages
from tests.console.recorded import ABOUT, later, record_home, whole_snapshot
from tests.console.screen_reading import until, until_shown

SIZE = (120, 36)
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(allow_nan=False) | st.text("ab"),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=30,
)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are alike, undefined numbers and types included."""
    if type(one) is not type(other):
        return isinstance(one, dict) and isinstance(other, dict)
    if isinstance(one, float) and one != one:
        return bool(other != other)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=True))
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


@given(_PLAIN, _PLAIN)
def test_a_change_turns_the_old_value_into_the_new_one(old: Any, new: Any) -> None:
    told = change(old, new)
    if told is SAME:
        assert old == new
    else:
        assert changed(old, json.loads(json.dumps(told))) == new


@given(st.lists(st.dictionaries(st.just("id"), st.integers(0, 20)), max_size=12), st.data())
def test_a_list_of_rows_that_moved_is_told_by_its_parts(
    old: list[Any], data: st.DataObject
) -> None:
    kept = data.draw(st.permutations(old))[: data.draw(st.integers(0, len(old)))]
    new = [*kept, *data.draw(st.lists(st.just({"id": 99}), max_size=3))]
    told = change(old, new)
    assert (old if told is SAME else changed(old, told)) == new


def test_a_row_that_came_and_one_that_went_cost_one_row() -> None:
    old = [{"id": number, "text": "x" * 100} for number in range(100)]
    new = [*old[1:], {"id": 100, "text": "y"}]
    assert len(json.dumps(change(old, new))) < 100


@pytest.mark.parametrize(
    "told", ({"@": [[0, 9]]}, {"#": {"7": 1}}, {"~": {"a": {"#": {"0": 1}}}}, {"@": 7}, {"?": 1})
)
def test_a_change_of_something_else_is_refused(told: Any) -> None:
    with pytest.raises(DataError):
        changed([1, 2], told)


async def test_everything_a_console_can_know_comes_back_as_it_was(trading_home: Path) -> None:
    await fill_pages(trading_home)
    plain = await whole_snapshot(trading_home)
    assert plain.store is not None
    assert plain.store.leaderboard is not None
    snapshot = await whole_snapshot(trading_home, plain.store.leaderboard.rows[0].id)
    store = snapshot.store
    assert store is not None
    assert store.strategy is not None
    assert store.strategy.curves
    assert store.trading is not None
    assert store.trading.orders
    assert store.pages is not None
    assert store.pages.learners is not None
    assert store.pages.learners.pool
    told = json.loads(json.dumps(PlainValues().of(snapshot)))
    assert same(DeclaredValues().of(Snapshot, told), snapshot)


@pytest.mark.parametrize(
    "damage",
    (
        {"taken_at": "soon"},
        {"taken_at": None},
        {"latch": {}},
        {"latch": {"state": "ASLEEP", "cause": "halt_file", "detail": ""}},
        {"unheard_of": 1},
        {"latches": []},
        {"store": 7},
    ),
)
async def test_values_of_another_shape_are_refused(filled_home: Path, damage: Any) -> None:
    told = json.loads(json.dumps(PlainValues().of(await whole_snapshot(filled_home))))
    with pytest.raises(DataError, match="not a Snapshot"):
        DeclaredValues().of(Snapshot, {**told, **damage})


async def test_every_picture_of_a_recording_comes_back(trading_home: Path, tmp_path: Path) -> None:
    path = tmp_path / "seen.paddock"
    first = await record_home(trading_home, path, 2 * PICTURES_A_MEMBER + 20)
    recording = Recording(path)
    assert len(recording) == 2 * PICTURES_A_MEMBER + 20
    assert recording.cut_short == ""
    assert recording.about["who"] == "ana"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    last = len(recording) - 1
    n = PICTURES_A_MEMBER
    for number in (0, 1, 7, n - 1, n, n + 1, 5, 2 * n, last, n):
        found = recording.snapshot(number)
        assert found.taken_at == first.taken_at + number * 1000
        assert recording.number_at(found.taken_at + 999) == number
        if number < len(recording) // 2:
            assert same(found, later(first, number))
        else:
            assert found.store is not None
            assert found.store.strategy is not None
            assert found.store.strategy.row.id == recording.shown(number).strategy_id


async def test_a_picture_like_the_one_before_it_costs_next_to_nothing(
    trading_home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "seen.paddock"
    snapshot = await whole_snapshot(trading_home)
    writer = RecordingWriter(path, ABOUT)
    writer.add(snapshot, Shown("overview"))
    whole = path.stat().st_size
    for number in range(1, PICTURES_A_MEMBER):
        writer.add(later(snapshot, number), Shown("overview"))
    writer.close()
    assert (path.stat().st_size - whole) / (PICTURES_A_MEMBER - 1) < 200


async def test_a_file_cut_anywhere_plays_up_to_its_last_whole_picture(
    filled_home: Path, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole.paddock", tmp_path / "cut.paddock"
    snapshot = await whole_snapshot(filled_home)
    writer = RecordingWriter(whole, ABOUT)
    ends = []
    for number in range(4):
        writer.add(later(snapshot, number), Shown("overview"))
        ends.append(whole.stat().st_size)
    # Not ended: as a kill leaves it.
    written = whole.read_bytes()
    writer.close()
    step = max(1, len(written) // 300)
    for size in {*range(0, len(written), step), *ends, *(end - 1 for end in ends)}:
        cut.write_bytes(written[:size])
        # A picture may be whole before the last bytes of its flush are there.
        n_whole = sum(1 for end in ends if size >= end)
        try:
            recording = Recording(cut)
        except DataError as exc:
            assert n_whole == 0
            assert "nothing to play" in str(exc) or "no recording of the console" in str(exc)
            continue
        assert n_whole <= len(recording) <= n_whole + 1
        assert recording.cut_short == "its end is missing"
        assert recording.snapshot(len(recording) - 1).problem == ""


async def test_a_damaged_file_plays_up_to_the_damage(filled_home: Path, tmp_path: Path) -> None:
    path = tmp_path / "seen.paddock"
    await record_home(filled_home, path, 2 * PICTURES_A_MEMBER)
    written = bytearray(path.read_bytes())
    place = int(len(written) * 0.9)
    written[place : place + 40] = bytes(40)
    path.write_bytes(written)
    recording = Recording(path)
    assert PICTURES_A_MEMBER <= len(recording) < 2 * PICTURES_A_MEMBER
    assert recording.cut_short


def _packed(*lines: str) -> bytes:
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


@pytest.mark.parametrize(
    ("content", "words"),
    (
        (b"", "is no recording of the console"),
        (b"\x1f\x8b", "is no recording of the console"),
        (os.urandom(4000), "is no recording of the console"),
        (b"plain text\n" * 50, "is no recording of the console"),
        (_packed("[1, 2]"), "is no recording of the console"),
        (_packed('{"some": "thing"}'), "is no recording of the console"),
        (_packed('{"paddock_recording": "1"}'), "is no recording of the console"),
        (_packed('{"paddock_recording": 99}'), "was recorded by a newer Paddock (format 99"),
        (_packed('{"paddock_recording": 1}'), "holds no whole picture"),
        (
            _packed('{"paddock_recording": 1}', '{"at": 1, "on": ["", "", ""], "is": "whole"}'),
            "holds no whole picture",
        ),
        (
            _packed(
                '{"paddock_recording": 1}', '{"at": 1, "on": ["", "", ""], "is": "whole"}', "{}"
            ),
            "picture 1 of 1 cannot be read",
        ),
        (
            _packed(
                '{"paddock_recording": 1}', '{"at": 1, "on": ["", "", ""], "is": "change"}', "{}"
            ),
            "its first picture is missing",
        ),
    ),
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_a_file_that_cannot_be_played_is_one_clear_line(
    tmp_path: Path, content: bytes, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert run(["replay", str(path)]) == 1
    told = capsys.readouterr().err
    assert words in told
    assert str(path) in told
    assert told.count("\n") == 1


def test_a_file_that_is_not_there_and_a_folder_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["replay", str(tmp_path / "none")]) == 2
    assert run(["replay", str(tmp_path)]) == 2
    assert run(["replay", str(tmp_path), "--speed", "0"]) == 2
    first, second, third = capsys.readouterr().err.splitlines()
    assert "none cannot be read: No such file or directory" in first
    assert "cannot be read: Is a directory" in second
    assert "--speed" in third


async def test_no_secret_reaches_the_file(
    filled_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "PADDOCK_LIVE_API_SECRET": 'deep"secret\\value',
        "OPENAI_API_KEY": "sk-made-up-1234567",
        "PADDOCK_ALERT_URLS": "tgram://1234:abcdef/chat json://other-host/path",
        "SOME_PASSWORD": "hünter-22222",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    snapshot = await whole_snapshot(filled_home)
    said = " ".join([*secrets.values(), "postgresql://ana:pass-word@host/db"])
    path = tmp_path / "seen.paddock"
    writer = RecordingWriter(path, ABOUT)
    writer.add(snapshot, Shown("overview"))
    writer.add(dataclasses.replace(later(snapshot, 1), problem=said), Shown("overview"))
    writer.close()
    text = gzip.decompress(path.read_bytes()).decode()
    for part in (*secrets.values(), "abcdef", "other-host", "pass-word"):
        assert part not in text
        assert json.dumps(part, ensure_ascii=False)[1:-1] not in text
    problem = Recording(path).snapshot(1).problem
    assert problem.count("(hidden)") >= 5
    assert "postgresql://ana:(hidden)@host/db" in problem


def test_a_file_that_is_there_is_never_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kept"
    path.write_text("kept")
    with pytest.raises(UsageError, match="is there already"):
        RecordingWriter(path, ABOUT)
    assert path.read_text() == "kept"
    assert run(["--record", str(path), "status"]) == 2
    assert "--record" in capsys.readouterr().err


async def test_console_records_what_it_shows_and_replays_it(
    trading_home: Path, tmp_path: Path, make_console: MakeConsole
) -> None:
    path = tmp_path / "seen.paddock"
    app = make_console(trading_home)
    app.recording.start(path)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, " REC ")
        await until_shown(pilot, "640/1,464")
        await pilot.press("2")
        await until_shown(pilot, "Leaderboard")
        await pilot.press("enter")
        await until_shown(pilot, "Metrics by symbol")
        await _until_recorded(pilot, app, 3)
        await pilot.press("8")
        await until_shown(pilot, "following")
        await _until_recorded(pilot, app, 3)
    assert "recorded" in app.recording.outcome
    recording = Recording(path)
    shown = [recording.shown(number) for number in range(len(recording))]
    assert list(dict.fromkeys(item.mode for item in shown)) == ["overview", "strategies", "events"]
    assert any(item.strategy_id for item in shown)
    last = recording.snapshot(len(recording) - 1).store
    assert last is not None
    assert last.leaderboard is not None
    assert last.pages is not None
    assert last.pages.runs is not None
    assert last.pages.learners is not None
    assert last.trading is not None
    assert last.trading.fills


async def _until_recorded(pilot: Any, app: PaddockApp, n: int) -> None:
    writer = app.recording._writer
    assert writer is not None
    wanted = writer.n_pictures + n
    await until(pilot, lambda: writer.n_pictures >= wanted, f"{n} more pictures")


async def test_recording_begins_and_ends_by_a_typed_word(
    filled_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press(*(":", *"record", "enter"))
        await until_shown(pilot, " REC ")
        await _until_recorded(pilot, app, 2)
        await pilot.press(*(":", *"record", "enter"))
        await until_shown(pilot, "paddock replay")
        assert not app.recording.is_on
    (path,) = (filled_home / "recordings").iterdir()
    assert len(Recording(path)) >= 2


async def test_a_full_disk_ends_the_recording_and_nothing_else(
    filled_home: Path, tmp_path: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "seen.paddock"
    app = make_console(filled_home)
    app.recording.start(path)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await _until_recorded(pilot, app, 2)

        def fail(*_given: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("console.recording_writer.os.write", fail)
        await until_shown(pilot, "recording ended at 13:41:00Z (No space left on device)")
        assert not app.recording.is_on
        await until_shown(pilot, " REC BROKE OFF ")
        await pilot.press("2")
        await until_shown(pilot, "Leaderboard")
        await pilot.press("f9")
        await until_shown(pilot, "TRADING HALTED")
        assert app.session.latch.is_halted()
    assert len(Recording(path)) >= 2


async def test_a_fault_of_the_recorder_ends_the_recording_and_nothing_else(
    filled_home: Path, tmp_path: Path, make_console: MakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_console(filled_home)
    app.recording.start(tmp_path / "seen.paddock")
    monkeypatch.setattr(PlainValues, "of", lambda *_: 1 // 0)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "unexpected ZeroDivisionError")
        await until_shown(pilot, "640/1,464")
        assert not app.recording.is_on
