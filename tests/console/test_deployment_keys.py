"""Screen 6: versions as Workers, their gates with numbers, and the keys that move them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.app import PaddockApp
from console.bindings import Place, bindings_of
from console.screens.deployment_text import rollout_gates, step_after, step_before
from console.screens.modals import ConfirmScreen
from console.screens.typed import TypedScreen
from console.widgets.live_table import LiveTable
from engine.deploy.rollout import STEPS_FRAC
from engine.deploy_settings import Deploy
from engine.store.commands import recent_commands
from engine.store.database import Store, sqlite_url
from engine.store.deployments import DeploymentRow, save_deployments
from engine.store.events import events_page
from engine.store.strategies import change_status
from tests.console.conftest import MakeConsole
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_pages import VERSION, fill_pages
from tests.console.filled_store import NOW_AT, session_of
from tests.console.screen_reading import text_of, until, until_shown

SIZE = (120, 36)
ID = VERSION.strategy_id


@pytest.fixture
async def deployed_home(trading_home: Path) -> Path:
    """Return a home with a strategy on paper whose second version is at 25 %."""
    await fill_pages(trading_home)
    await _move(trading_home, "paper")
    return trading_home


async def _move(home: Path, status: str) -> None:
    store = await Store.open(sqlite_url(home))
    await change_status(store, ID, status, "test", "test", NOW_AT)
    await store.close()


async def _save(home: Path, row: DeploymentRow) -> None:
    store = await Store.open(sqlite_url(home))
    await save_deployments(store, [replace(row, changed_at=NOW_AT)])
    await store.close()


async def _asked(home: Path) -> list[tuple[str, dict[str, Any]]]:
    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        rows = await recent_commands(store)
        return [(row.name, dict(row.arguments)) for row in rows if row.created_at >= NOW_AT]
    finally:
        await store.close()


async def _to_the_version(app: PaddockApp, pilot: Any) -> None:
    await pilot.press("6")
    await until_shown(pilot, "◐ rolling")
    for _ in range(4):
        if "5% ✓ → 25% ●" in text_of(app):
            return
        await pilot.press("j")
        await pilot.pause()
    await until_shown(pilot, "5% ✓ → 25% ●")


def test_steps_are_those_of_the_deployer() -> None:
    assert [step_after(step) for step in STEPS_FRAC] == [*STEPS_FRAC[1:], None]
    assert [step_before(step) for step in STEPS_FRAC] == [None, *STEPS_FRAC[:-1]]


def test_gates_tell_now_and_need_with_numbers() -> None:
    facts = {
        "n_compared_step": 2,
        "n_requests": 40,
        "n_failed": 3,
        "latency_ms": 260.0,
        "pnl_quote": -41.0,
        "capital_quote": 2_000.0,
        "n_differing": 1,
        "silent_s": 20.0,
    }
    gates = rollout_gates(replace(VERSION, facts=facts), Deploy(), NOW_AT)
    found = {gate.name: (gate.now, gate.need, gate.passed) for gate in gates}
    assert found == {
        "time at 25%": ("2m00s", "≥ 5m00s", False),
        "equal decisions": ("2", "≥ 3", False),
        "other decisions": ("1", "0", False),
        "failed in 5 min": ("3 of 40", "≤ 5%", False),
        "slowest 1 %": ("260.0 ms", "≤ 250 ms", False),
        "gain": ("-41.00", "> -40.00", False),
        "answered": ("20 s ago", "< 15 s", False),
    }
    well = {**facts, "n_failed": 1, "latency_ms": 4.0, "pnl_quote": 3.0, "n_differing": 0}
    later = replace(VERSION, facts={**well, "silent_s": 0.4, "n_compared_step": 3})
    assert all(gate.passed for gate in rollout_gates(later, Deploy(), NOW_AT + 180_000))


def test_gates_that_were_never_measured_are_dashes() -> None:
    gates = rollout_gates(replace(VERSION, facts={}), Deploy(), NOW_AT)
    assert {gate.name: gate.now for gate in gates if gate.now == "–"} == {
        "slowest 1 %": "–",
        "gain": "–",
        "answered": "–",
    }


async def test_version_gate_and_workers_stand_beside_each_other(
    deployed_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(deployed_home)
    async with app.run_test(size=SIZE) as pilot:
        await _to_the_version(app, pilot)
        shown = text_of(app)
        for words in (
            "gate to 50%",
            "✗ time at 25%",
            "≥ 5m00s",
            "✓ failed in 5 min        0 of 12   ≤ 5%",
            "4.2 ms   ≤ 250 ms",
            "at 25%: waits for 180 s and 1 decisions",
            "asked by ana 15m00s ago · 2.0% of equity",
            "v2 cccccc",
            "25% rolling     127.0.0.1:8787",
        ):
            assert words in shown, words
        await pilot.press("w")
        await until_shown(pilot, "latency ms 4.25  n requests 12")
        assert "strategies that trade" not in text_of(app).lower()
        await pilot.press("w")
        await until_shown(pilot, "Strategies that trade")


async def test_plus_raises_one_step_only_after_the_id_is_typed(
    deployed_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(deployed_home)
    async with app.run_test(size=SIZE) as pilot:
        await _to_the_version(app, pilot)
        await pilot.press("plus")
        await until_shown(pilot, f"Raise version 2 of {ID[:8]} to 50%?")
        assert "which is 1.00% of equity" in text_of(app)
        assert "✗ time at 25% 2m00s, needs ≥ 5m00s" in text_of(app)
        await pilot.press("y", "enter")
        assert isinstance(app.screen, TypedScreen)
        await pilot.press("backspace", *ID[:8], "enter")
        await until_shown(pilot, "asked for deployment.rollout (request 4)")
    assert await _asked(deployed_home) == [
        ("deployment.rollout", {"strategy_id": ID, "share": 0.5})
    ]


async def test_a_raise_that_is_not_typed_asks_for_nothing_and_is_recorded(
    deployed_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(deployed_home)
    async with app.run_test(size=SIZE) as pilot:
        await _to_the_version(app, pilot)
        await pilot.press("plus")
        await until_shown(pilot, f"Raise version 2 of {ID[:8]} to 50%?")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, TypedScreen), "no question")
        await _until_told(deployed_home, pilot, "not confirmed by ana: Raise version 2")
    assert await _asked(deployed_home) == []


async def _until_told(home: Path, pilot: Any, words: str) -> None:
    for _ in range(600):
        store = await Store.open(sqlite_url(home), read_only=True)
        rows = await events_page(store, limit=50)
        await store.close()
        if any(words in row.message for row in rows):
            return
        await pilot.pause(0.05)
    raise AssertionError(f"never told: {words}")


@pytest.mark.parametrize(
    ("key", "title", "name", "arguments"),
    [
        (
            "minus",
            f"Lower version 2 of {ID[:8]} to 5%?",
            "deployment.rollout",
            {"strategy_id": ID, "share": 0.05},
        ),
        (
            "u",
            f"Roll back version 2 of {ID[:8]}?",
            "deployment.rollback",
            {"strategy_id": ID, "reason": "key in the console"},
        ),
    ],
)
async def test_less_is_asked_for_after_a_yes_and_enter_is_none(
    deployed_home: Path,
    make_console: MakeConsole,
    key: str,
    title: str,
    name: str,
    arguments: dict[str, Any],
) -> None:
    app = make_console(deployed_home)
    async with app.run_test(size=SIZE) as pilot:
        await _to_the_version(app, pilot)
        await pilot.press(key)
        await until_shown(pilot, title)
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "Cancel, the focus")
        await pilot.press(key)
        await until_shown(pilot, title)
        await pilot.press("y")
        await until_shown(pilot, f"asked for {name} (request 4)")
    assert await _asked(deployed_home) == [(name, arguments)]


async def test_p_pauses_entries_at_once_and_enters_again_only_after_a_yes(
    deployed_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(deployed_home)
    async with app.run_test(size=SIZE) as pilot:
        await _to_the_version(app, pilot)
        await pilot.press("p")
        await until_shown(pilot, "asked for strategy.pause (request 4)")
        await _move(deployed_home, "paused")
        await until_shown(pilot, "▲ paused")
        await pilot.press("p")
        await until_shown(pilot, f"Resume {ID[:8]}?")
    assert await _asked(deployed_home) == [("strategy.pause", {"strategy_id": ID})]


@pytest.mark.parametrize("key", ["2", "6"])
async def test_d_deploys_a_strategy_that_trades_after_a_yes(
    deployed_home: Path, make_console: MakeConsole, key: str
) -> None:
    app = make_console(deployed_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(key)
        await until_shown(pilot, "◐ paper")
        if key == "6":
            await pilot.press("tab")
        table = app.screen.query_one("#list" if key == "6" else LiveTable, LiveTable)
        for _ in range(40):
            if table.selected_key == ID:
                break
            await pilot.press("j")
        await pilot.press("d")
        await until_shown(pilot, f"Deploy {ID[:8]} as a Worker?")
        shown = text_of(app)
        assert "only if it decides like the engine on 400 bars" in shown
        assert "A loss of 2.0% of its capital takes it back" in shown
        await pilot.press("y")
        await until_shown(pilot, "asked for deployment.start (request 4)")
    assert await _asked(deployed_home) == [
        ("deployment.start", {"strategy_id": ID, "target": "workerd"})
    ]


async def test_d_refuses_a_strategy_that_does_not_trade_and_says_what_would_let_it(
    trading_home: Path, make_console: MakeConsole
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("2")
        await until_shown(pilot, "30 of 30")
        await pilot.press("d")
        await until_shown(pilot, "only what trades is deployed, + on screen 2 promotes it first")
    assert await _asked(trading_home) == []


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        (replace(VERSION, share_frac=0.05), "minus", "5% is the first step; u takes version 2"),
        (replace(VERSION, share_frac=1.0), "plus", "has all of its capital"),
        (replace(VERSION, state="checking"), "plus", "no version is being rolled out"),
        (replace(VERSION, state="live"), "minus", "no version is being rolled out"),
        (
            replace(VERSION, state="draining", outcome="rolled back"),
            "u",
            "no version is checked, rolled out or live",
        ),
    ],
)
async def test_a_key_that_cannot_be_used_says_why_and_asks_for_nothing(
    deployed_home: Path, make_console: MakeConsole, row: DeploymentRow, key: str, words: str
) -> None:
    await _save(deployed_home, row)
    app = make_console(deployed_home)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("6")
        await until_shown(pilot, "✗ rolled back")
        table = app.screen.query_one("#versions", LiveTable)
        for _ in range(6):
            if table.selected_key == f"{ID}/2":
                break
            await pilot.press("j")
        await pilot.press(key)
        await until_shown(pilot, words)
    assert await _asked(deployed_home) == []


async def test_a_console_that_only_looks_moves_no_version(deployed_home: Path) -> None:
    app = PaddockApp(
        session_of(deployed_home),
        starts_runtime=False,
        kill_switch=FakeSwitch(),
        read_only="--read-only",
    )
    async with app.run_test(size=SIZE) as pilot:
        await _to_the_version(app, pilot)
        for key in ("d", "plus", "minus", "u", "p", "x"):
            await pilot.press(key)
        assert len(app.screen_stack) == 1
    assert await _asked(deployed_home) == []


def test_every_key_of_the_wireframe_is_bound() -> None:
    keys = {binding.key for binding in bindings_of(Place.DEPLOYMENTS, "screen")}  # type: ignore[union-attr]
    assert {"d", "plus", "minus", "u", "p", "w"} <= keys
