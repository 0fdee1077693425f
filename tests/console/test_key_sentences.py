"""Sentences that tell what a key does: they name the key that the operator has for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.content import Content

from console.bindings import ENTRIES, Place
from console.help_words import PLACE_WORDS
from console.key_words import content_with_keys
from console.keymap import NAMED_IN_TEXT, Keymap, read_keymap
from console.screens.help import help_content
from console.screens.modals import ConfirmScreen
from engine.store.database import Store, sqlite_url
from engine.store.events import events_page
from tests.console.filled_pages import fill_pages
from tests.console.screen_reading import text_of, until, until_shown
from tests.console.test_keymap import SIZE, _console

_CONSOLE = Path(__file__).parents[2] / "console"
# The table itself; what is printed beside the console is not shown in it.
_NOT_SENTENCES = ("bindings.py", "keymap.py", "glyphs.py")
# Keys of what lies over a screen are the same for everybody, and so are those after a halt.
_FIXED = (
    "esc closes",
    "esc stays",
    "esc leaves",
    "esc changes",
    "q is the chance",
    " s flattens",
    "? checks ",
)
_USUAL_KEY = re.compile(
    r"(?:^|(?<=[ (:,;]))([b-zB-Z?!/+]|\[ \]|space|esc) (?:or \w+ )?(?=[a-z]+s\b)|: [a-z]$"
)
# More keys than one has, each unlike any usual one.
KEYS = {
    "cycle.start": "f2",
    "runtime.start": "f3",
    "back": "f4",
    "help": "f5",
    "strategies.strategy.promote": "f6",
    "strategy.strategy.promote": "f7",
    "go.strategies": "f8",
    "orders.order.cancel": "f10",
    "paper.arm": "f11",
    "cycle.pause": "f12",
    "reduce": "f13",
    "rearm": "f14",
    "drill": "f15",
    "backtests.run.again": "f16",
    "backtests.run.cancel": "f17",
    "cycle.cancel": "f18",
    "deployments.deploy.new": "f19",
    "rollback": "f20",
    "strategies.mark": "f21",
    "orders.mark": "f22",
    "failed.only": "f23",
    "reload": "f24",
    "lesson.previous": "L",
    "lesson.next": "O",
    "strategy.run.again": "B",
    "strategy.view.next": "I",
    "strategy.deploy.new": "H",
    "strategy.symbol.next": "J",
    "strategy.segment.next": "Z",
    "events.bottom": "W",
    "events.filter": "E",
    "events.find.next": "J",
    "events.find.previous": "V",
    "alert.ack": "Q",
    "edit": "P",
    "settings.keymap": "M",
    "changed.only": "O",
}


def _sentences() -> Iterator[tuple[str, str]]:
    for path in sorted(_CONSOLE.rglob("*.py")):
        if path.name in _NOT_SENTENCES or path.parent.name == "commands":
            continue
        tree = ast.parse(path.read_text())
        told = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if id(node) not in told:
                    yield f"{path.relative_to(_CONSOLE)}:{node.lineno}", node.value


def test_every_entry_that_a_sentence_names_is_there() -> None:
    names = {entry.id for entry in ENTRIES} | {entry.name for entry in ENTRIES}
    named = [(where, name) for where, text in _sentences() for name in NAMED_IN_TEXT.findall(text)]
    assert len(named) > 90
    assert [found for found in named if found[1] not in names] == []


def test_no_sentence_names_a_usual_key_itself() -> None:
    found = [
        (where, text)
        for where, text in _sentences()
        if _USUAL_KEY.search(text) and not any(words in text for words in _FIXED)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["x stops it", "none. ! or esc shows all", "changed: r", "tab, then d deploys one"]
)
def test_a_usual_key_in_a_sentence_would_be_found(text: str) -> None:
    assert _USUAL_KEY.search(text)


def test_a_sentence_means_the_entry_of_the_place_where_it_is_told() -> None:
    keymap = read_keymap({"backtests.run.again": "B", "strategy.run.again": "H"})
    assert keymap.told("{run.again} runs it", Place.BACKTESTS) == "B runs it"
    assert keymap.told("{run.again} runs it", Place.STRATEGY) == "H runs it"
    assert keymap.told("{strategy.run.again} runs it", Place.BACKTESTS) == "H runs it"
    assert keymap.told("{record} ends it") == ":record ends it"


def test_braces_of_others_stay_as_they_are() -> None:
    text = "it said {'a': 1}, {no.such} and {}"
    assert Keymap().told(text, Place.EVENTS) == text


def test_help_names_changed_keys_in_its_words() -> None:
    keymap = read_keymap(KEYS)
    for place, words in (
        (Place.OVERVIEW, "F"),
        (Place.SETTINGS, "P opens it, F24 reads it again"),
        (Place.OVERVIEW, "Q marks one as seen"),
        (Place.BACKTESTS, "F16 runs it again"),
    ):
        assert words in help_content(place, None, keymap).plain.replace("\n", " ")
    for place in PLACE_WORDS:
        assert not NAMED_IN_TEXT.search(help_content(place, None, keymap).plain), place


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((), " F2  starts one"),
        ((), " F11  arms the paper account"),
        ((), " F5  lists every key"),
        ((), " F8  lists strategies,  F6  promotes one"),
        (("f8",), "No strategies yet.  F2  starts a cycle"),
        (("3",), "No backtest was recorded yet: F2 on screen 1 starts a cycle"),
        (("3", "f17"), "F17 stops what F16 started; backtests of a cycle end with F18 on screen 1"),
        (("4",), "Nothing was learned yet: F2 on screen 1 starts a cycle"),
        (("4",), "learners › pool · L O pool"),
        (("5",), "F3 starts the runtime"),
        (("6",), "tab, then F19 deploys one that trades"),
        (("6", "tab"), "Nothing trades: F6 on screen 2 promotes a strategy"),
        (("7",), "gateway: has told nothing yet; F3"),
        (("7",), "ACTIVE ─F13→ REDUCING ─^k→ HALTED"),
        (("7",), "never armed here: F14 arms it"),
        (("7",), "F15 tests the switch"),
        (("8",), "Nothing was told yet: F2 on screen 1 starts a cycle, F3 starts the runtime"),
        (("8", "J"), "E says what to find; F4 lists all again, J and V go on"),
        (("colon", *"nonsense", "enter"), "unknown command 'nonsense': F5 lists what there is"),
        (("colon", *"tour", "enter"), "F5"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value[:30],
)
async def test_an_empty_home_names_the_operators_keys(
    tmp_path: Path, keys: tuple[str, ...], words: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    app = _console(home, KEYS)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "No cycle has run in this home yet.")
        await pilot.press(*keys)
        await until_shown(pilot, words)
        assert not NAMED_IN_TEXT.search(text_of(app))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("f18",), "F12 pauses it instead"),
        (("f8", "m"), "F21 marks strategies"),
        (("f8", "slash", *"zzz", "enter"), "F4 shows all again"),
        (("3", "f23"), "No run failed. F23 or F4 shows all again."),
        (("3", "f16"), "nothing is recorded. F17 stops it."),
        (("5", "f22"), "F22 marks open orders: tab goes there"),
        (("5", "f10"), "tab goes to the open orders: F10 cancels the one chosen there"),
        (("5", "F"), "F13 on screen 7 forbids new exposure"),
        (("6", "G", "f20"), "is ended already"),
        (("7", "f13"), "no new exposure; F14 re-arms"),
        (("8", "g"), "new: W goes there"),
        (("f8", "enter", "right_square_bracket", "right_square_bracket"), "B runs it again"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value[:30],
)
async def test_a_home_that_trades_names_the_operators_keys(
    trading_home: Path, keys: tuple[str, ...], words: str
) -> None:
    await fill_pages(trading_home)
    app = _console(trading_home, KEYS)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press(keys[0])
        await until_shown(pilot, {"3": "the last 181", "f8": "30 of 30"}.get(keys[0], " "))
        for key in keys[1:]:
            await pilot.press(key)
            await pilot.pause(0.1)
        await until_shown(pilot, words)
        assert not NAMED_IN_TEXT.search(text_of(app))


async def test_what_is_refused_is_recorded_with_the_operators_key(
    trading_home: Path,
) -> None:
    app = _console(trading_home, KEYS)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("6")
        await until_shown(pilot, "Nothing trades")
        await pilot.press("f19")
        await until_shown(pilot, "nothing trades: F6 on screen 2")
        await pilot.pause(0.5)
    store = await Store.open(sqlite_url(trading_home), read_only=True)
    rows = await events_page(store, kind="operator.refused", limit=5)
    await store.close()
    assert any("F6 on screen 2 promotes" in row.message for row in rows)


async def test_a_question_names_the_operators_key(filled_home: Path) -> None:
    app = _console(filled_home, KEYS)
    async with app.run_test(size=SIZE) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("f18")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen), "the question")
        assert "F12 pauses it instead." in text_of(app)


async def test_a_key_in_a_styled_text_has_the_style_of_its_name(filled_home: Path) -> None:
    app = _console(filled_home, KEYS)
    told = Content.assemble(
        ("a ", "red"), (" {go.strategies} ", "bold"), "|", ("{no.such}", "green"), ("z", "blue")
    )
    async with app.run_test(size=SIZE):
        shown = content_with_keys(app, told)
    assert shown.plain == "a  F8 |{no.such}z"
    found = {shown.plain[span.start : span.end]: span.style for span in shown.spans}
    assert found == {"a ": "red", " F8 ": "bold", "{no.such}": "green", "z": "blue"}
