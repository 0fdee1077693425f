"""What a stranger asks of the screen, answered within two keys, without help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from console.screens.halt import HaltScreen
from engine.risk.latch import LatchCause
from engine.store.database import Store, sqlite_url
from engine.store.events import Event, add_events
from tests.console.conftest import MakeConsole
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_pages import fill_pages
from tests.console.filled_store import DAY_MS, NOW_AT, genomes
from tests.console.screen_reading import text_of, until, until_shown

SIZES = ((120, 36), (80, 24))
MOST_KEYS = 2


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the keys to its answer, and words of it."""

    asked: str
    keys: tuple[str, ...]
    answer: tuple[str, ...]


QUESTIONS = (
    Question("Is this real money?", (), ("PAPER", "GENERATED")),
    Question("What is running?", (), ("Cycle 3", "backtest", "ACTIVE")),
    Question("How far is it?", (), ("640/1,464", "eta 2.0s")),
    Question("Is anything wrong?", (), ("Needs you (2)", "order is unknown", "strategy drawdown")),
    Question("How do I stop it?", (), ("^k/F9 HALT",)),
    Question("How much is at risk?", ("7",), ("leverage  ", "drawdown")),
    Question("What do I hold?", ("5",), ("BTC/USDT", "long", "0.0041", "gross 549 USDT")),
    Question("What does this strategy do?", ("2", "enter"), ("What it does", "Leaves by a stop")),
    Question(
        "Why was this strategy refused?",
        ("2", "enter"),
        ("refused", "deflated Sharpe", "overfit probability"),
    ),
    Question(
        "What changed since yesterday?",
        ("D",),
        (
            "Since 2026-01-04 13:41:00Z",
            "paper    100,380 → 100,310 USDT  -69.78 (-0.07%)",
            "2× data.gap",
            "cycle 2 done",
            "1 generated → paper",
        ),
    ),
    Question("What went wrong, in order?", ("8", "exclamation_mark"), ("backtest.failed",)),
    Question("What did people ask for?", ("D",), ("ana: cycle.start refused  cycle 3 is ru",)),
    Question("What is missing on this machine?", ("9",), ("Doctor: what is installed",)),
    Question("What do these words mean?", ("question_mark",), ("eta", "stage still takes")),
    Question("What was learned?", ("4",), ("genetic pool", "8 parents")),
    Question("What trades as a Worker?", ("6",), ("rolling", "25%")),
)


async def _tell_of_a_day(home: Path) -> None:
    store = await Store.open(sqlite_url(home))
    try:
        moved = genomes(3)[2].id
        await add_events(
            store,
            [
                Event(NOW_AT - DAY_MS - 1, "error", "old.story", "the day before"),
                Event(NOW_AT - 3_600_000, "warn", "data.gap", "BTC/USDT lacks 1 bar"),
                Event(
                    NOW_AT - 3_500_000,
                    "info",
                    "strategy.status",
                    "generated → paper: passed the paper gate",
                    moved,
                    fields={"from": "generated", "to": "paper", "who": "conductor"},
                ),
            ],
        )
    finally:
        await store.close()


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.asked)
async def test_question_is_answered_within_two_keys(
    trading_home: Path, make_console: MakeConsole, question: Question
) -> None:
    await fill_pages(trading_home)
    await _tell_of_a_day(trading_home)
    app = make_console(trading_home)
    async with app.run_test(size=SIZES[0]) as pilot:
        await until_shown(pilot, "640/1,464")
        assert len(question.keys) <= MOST_KEYS
        for key in question.keys:
            await pilot.press(key)
            if question.keys[-1] != key:
                await until_shown(pilot, "of 30" if key == "2" else "events")
        for words in question.answer:
            await until_shown(pilot, words)


async def test_how_do_i_stop_it_is_one_key_that_stops_it(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home, FakeSwitch())
    async with app.run_test(size=SIZES[1]) as pilot:
        await until_shown(pilot, "^k/F9 HALT")
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, HaltScreen), "the halt")
        assert app.session.latch.read().cause is LatchCause.HALT_FILE


async def test_what_is_older_than_a_day_is_no_change(
    trading_home: Path, make_console: MakeConsole
) -> None:
    await _tell_of_a_day(trading_home)
    app = make_console(trading_home)
    async with app.run_test(size=SIZES[1]) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("D")
        await until_shown(pilot, "Since 2026-01-04")
        await until_shown(pilot, "backtest.failed")
        assert "old.story" not in text_of(app)
        await pilot.press("escape")
        await until_shown(pilot, "640/1,464")


async def test_a_home_without_a_store_says_that_nothing_changed(
    tmp_path: Path, make_console: MakeConsole
) -> None:
    app = make_console(tmp_path / "new")
    async with app.run_test(size=SIZES[0]) as pilot:
        await until_shown(pilot, "No cycle has run")
        await pilot.press("D")
        await until_shown(pilot, "There is no database yet: nothing changed.")
