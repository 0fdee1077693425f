"""Keys that an operator changes: what is refused, and where the changed ones are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from console.app import PaddockApp
from console.bindings import ENTRIES, Place, entries_at
from console.keymap import HALT_KEYS, Keymap, read_keymap
from console.screens.halt import HaltScreen
from console.screens.help import HelpScreen, KeymapScreen
from console.screens.modals import ConfirmScreen
from engine.config import load_config
from engine.errors import ConfigError
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_store import session_of
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)


def _console(home: Path, keys: dict[str, str]) -> PaddockApp:
    session = session_of(home)
    settings = session.config.console.model_copy(update={"keys": keys})
    session = replace(session, config=session.config.model_copy(update={"console": settings}))
    return PaddockApp(session, starts_runtime=False, kill_switch=FakeSwitch())


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"cycl.start": "C"}, "knows no such thing; nearest: cycle.start"),
        ({"overview.cycle.start": "C"}, "knows no such thing; nearest: overview.cycle."),
        ({"cycle.pause": "c"}, "c is taken by everywhere.cycle.start (start cycle)"),
        ({"cycle.start": "x"}, "x is taken by overview.alert.ack (seen)"),
        ({"alert.ack": "c"}, "c is taken by everywhere.cycle.start (start cycle)"),
        ({"cycle.start": "C", "alert.ack": "C"}, "C is taken by"),
        ({"halt": "f8"}, "F9 and ctrl+k always halt: keep both"),
        ({"halt": "f9"}, "F9 and ctrl+k always halt: keep both"),
        ({"everywhere.halt": "f9,ctrl+k,h"}, "would halt nothing while one types"),
        ({"alert.ack": "f9"}, "F9 and ctrl+k always halt and do nothing else"),
        ({"cycle.start": "c,ctrl+k"}, "F9 and ctrl+k always halt and do nothing else"),
        ({"flatten.now": "x"}, "the keys of the halt overlay are the same for everybody"),
        ({"alert.open": "o"}, "enter and tab belong to the list that has the focus"),
        ({"cycle.start": "tabb"}, "'tabb' is no key; nearest: tab"),
        ({"cycle.start": "up"}, "up moves in lists and prompts"),
        ({"cycle.start": ""}, "name at least one key"),
    ],
    ids=str,
)
def test_a_keymap_that_does_not_go_is_one_clear_line(keys: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_keymap(keys)
    assert said in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("header", [True, False])
def test_the_error_names_the_line_of_the_file(tmp_path: Path, header: bool) -> None:
    path = tmp_path / "config.toml"
    lines = (
        '[console.keys]\nhelp = "h"\n"cycle.start" = "f9"\n'
        if header
        else '[console]\nkeys = {"help" = "h", "cycle.start" = "f9"}\n'
    )
    path.write_text(lines)
    keys = load_config(path, {}).console.keys
    with pytest.raises(ConfigError, match=rf"config\.toml:{3 if header else 2}: \[console\.keys\]"):
        read_keymap(keys, path)


def test_names_with_dots_need_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[console.keys]\ncycle.start = "C"\noverview.alert.ack = "a,f2"\n')
    with pytest.raises(ConfigError, match=r"a is taken by everywhere\.account\.next"):
        read_keymap(load_config(path, {}).console.keys, path)
    path.write_text('[console.keys]\ncycle.start = "C"\noverview.alert.ack = "x,f2"\n')
    found = read_keymap(load_config(path, {}).console.keys, path).for_textual
    assert found == {"everywhere.cycle.start": "C", "overview.alert.ack": "x,f2"}


def test_the_environment_may_change_keys_and_is_named_in_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    monkeypatch.setenv("PADDOCK_CONSOLE__KEYS", '{"cycle.start" = "f9"}')
    keys = load_config(path).console.keys
    with pytest.raises(ConfigError, match="environment variable PADDOCK_CONSOLE__KEYS: "):
        read_keymap(keys, path)


def test_two_keys_may_be_exchanged() -> None:
    found = read_keymap({"record": "f2", "backtests.sort.next": "S", "backtests.sort.reverse": "s"})
    assert found.for_textual["backtests.sort.next"] == "S"
    assert found.for_textual["backtests.sort.reverse"] == "s"


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.keys], ids=lambda e: e.name)
def test_every_name_is_known_and_its_own_keys_are_always_allowed(entry: object) -> None:
    name, keys = entry.name, ",".join(entry.keys)  # type: ignore[attr-defined]
    if entry.place is Place.HALT or entry.keys[0] in ("enter", "tab"):  # type: ignore[attr-defined]
        with pytest.raises(ConfigError):
            read_keymap({name: keys})
    else:
        assert read_keymap({name: keys}).entries == ENTRIES


def test_whatever_is_changed_no_two_keys_clash_and_both_halting_keys_stay() -> None:
    keys = {"row.next": "J", "row.previous": "H", "halt": "f8,f9,ctrl+k", "help": "f1"}
    found = read_keymap(keys)
    for place in Place:
        shown = [key for entry in entries_at(place, found.entries) for key in entry.keys]
        assert len(shown) == len(set(shown)), place
        if place is not Place.HALT:
            halting = next(e for e in entries_at(place, found.entries) if e.id == "halt")
            assert set(HALT_KEYS) < set(halting.keys)


def test_an_unchanged_table_changes_nothing() -> None:
    assert read_keymap({}) == Keymap()
    assert Keymap().for_textual == {}


async def test_changed_keys_act_and_the_usual_ones_do_not(filled_home: Path) -> None:
    app = _console(filled_home, {"cycle.start": "C,f2", "halt": "f8,f9,ctrl+k"})
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("c")
        assert not isinstance(app.screen, ConfirmScreen)
        for key in ("C", "f2"):
            await pilot.press(key)
            await until_shown(pilot, "Start a cycle?")
            await pilot.press("n")
            await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "it to close")
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, HaltScreen), "the halt")
        assert app.session.latch.is_halted()


@pytest.mark.parametrize("key", HALT_KEYS)
async def test_halting_keys_halt_under_any_keymap(filled_home: Path, key: str) -> None:
    app = _console(filled_home, {"row.next": "J", "help": "f1", "command": "f3"})
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f3", *"strat", key)
        await until(pilot, lambda: isinstance(app.screen, HaltScreen), "the halt")
        assert app.session.latch.is_halted()


async def test_footer_help_palette_and_keymap_show_the_changed_key(filled_home: Path) -> None:
    app = _console(filled_home, {"cycle.start": "C", "settings.keymap": "M"})
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await until_shown(pilot, "C start cycle")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen), "the page of keys")
        await pilot.press("escape", "ctrl+p", *"start cyc")
        await until(pilot, lambda: " C " in text_of(app), "the key in the palette")
        await pilot.press("escape", "9", "M")
        await until(pilot, lambda: isinstance(app.screen, KeymapScreen), "the keymap")
        await until_shown(pilot, "▸ everywhere.cycle.start")
        rows = text_of(app).splitlines()
        (row,) = [row for row in rows if "everywhere.cycle.start" in row]
        assert " C " in row
        assert "(changed)" in row


def test_doctor_finds_keys_that_do_not_go(tmp_path: Path) -> None:
    from console.commands.doctor import examine

    session = session_of(tmp_path / "home")
    for keys, state in (({"cycle.start": "C"}, "ok"), ({"cycle.start": "f9"}, "fail")):
        settings = session.config.console.model_copy(update={"keys": keys})
        changed = replace(session, config=session.config.model_copy(update={"console": settings}))
        (found,) = [result for result in examine(changed) if result.subject == "console"]
        assert found.state == state, found
