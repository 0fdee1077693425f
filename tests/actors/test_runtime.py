"""One real runtime with two backtesters and a paper account.

Cycles, kills, poison, refusals, limits that change while it trades, and an end without leftovers.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.owned_processes import owned
from console.app import PaddockApp
from console.session import Session
from engine.clock import SystemClock
from engine.config import load_config
from engine.risk.words import percent
from engine.store.commands import recent_commands
from engine.store.cycles import CycleRow
from engine.store.database import Store, sqlite_url
from engine.store.events import events_page
from engine.trade.accounts import PAPER, account_latch
from engine.trade.orders import OrderState
from tests.actors.judged_entries import Entries, ended_order
from tests.busy_strategies import busy_genome, store_strategies
from tests.chaos.harness import PROJECT, Home
from tests.chaos.trade_kills import TRADER, Killing
from tests.console.screen_reading import until_shown
from tests.console.test_limit_keys import type_limit

POISON = Path(__file__).parent / "poison"
COUNT = 700
SEED = 5
# A bar closes each second. What correlates is refused elsewhere, and no rate halts.
SPEED = 300.0
TRADING = """
[limits]
position_frac = 0.1
correlation_max = 1.0
value_at_risk_frac = 1.0
[orders]
rate_per_minute = 100000
"""

pytestmark = pytest.mark.timeout(600)


@dataclass
class Lab:
    """The runtime under test, and the cycle that nobody disturbed."""

    home: Home
    poison: Path
    undisturbed: CycleRow
    is_trading: bool = False

    def forget_results(self) -> None:
        """Empty the ledger, so that the same cycle is computed and not looked up."""
        with sqlite3.connect(self.home.home / "paddock.db", timeout=30) as connection:
            connection.execute("DELETE FROM curves")
            connection.execute("DELETE FROM evaluations")
        connection.close()

    async def again(self, **arguments: Any) -> int:
        """Start the undisturbed cycle anew, from the same learned state and an empty ledger."""
        self.forget_results()
        state = self.undisturbed.state_hash
        return await self.home.start_cycle(seed=SEED, count=COUNT, state=state, **arguments)

    async def trade(self) -> None:
        """Let a strategy trade on paper that enters again and again, once and for all tests."""
        if self.is_trading:
            return
        self.is_trading = True
        now_at = SystemClock().now_at()
        account_latch(self.home.home, PAPER).arm("test", "to trade", now_at)
        store = await Store.open(sqlite_url(self.home.home))
        await store_strategies(store, [busy_genome(0, max_bars=1)], ["BTC/USDT"], now_at)
        await store.close()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    folder = Path(tempfile.mkdtemp(prefix="lab-"))
    poison = folder / "poison.txt"
    paths = f"{POISON}:{PROJECT}"
    home = Home(
        folder,
        workers=2,
        days=40,
        trading=True,
        speed=SPEED,
        more=TRADING,
        environment={"PYTHONPATH": paths, "CHAOS_POISON": str(poison)},
    )
    try:
        home.up()
        cycle_id = asyncio.run(home.start_cycle(seed=SEED, count=COUNT))
        yield Lab(home, poison, asyncio.run(home.finished(cycle_id)))
    finally:
        home.discard()
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_cycle_of_sixty_runs_through_every_stage_to_its_end(lab: Lab) -> None:
    cycle_id = await lab.home.start_cycle(seed=61, count=60)
    row = await lab.home.finished(cycle_id)
    summary = row.summary or {}
    stages = await lab.home.stages(cycle_id)
    assert (row.status, row.error) == ("done", None)
    assert [name for name, stage in stages.items() if stage.status != "done"] == []
    assert list(stages) == [
        "generate", "prepare", "validate", "backtest", "filter", "learn", "promote",
    ]  # fmt: skip
    assert summary["generated"] == 60
    assert summary["validated"] + summary["rejected"] == 60
    assert summary["evaluations"] == 3 * summary["validated"]
    assert summary["ledger_rows"] == 6 * summary["validated"]
    assert summary["promoted"] == 0
    assert row.results_digest == summary["results_digest"]
    assert row.market_label == "GENERATED"


async def test_one_and_two_workers_give_the_same_digest(lab: Lab) -> None:
    one = await lab.home.finished(await lab.again(workers=1))
    two = await lab.home.finished(await lab.again(workers=2))
    assert (one.summary or {})["reused"] == (two.summary or {})["reused"] == 0
    assert one.results_digest == two.results_digest == lab.undisturbed.results_digest


async def test_what_the_ledger_holds_is_not_computed_again(lab: Lab) -> None:
    state = lab.undisturbed.state_hash
    await lab.home.finished(await lab.again())
    cycle_id = await lab.home.start_cycle(seed=SEED, count=COUNT, state=state)
    row = await lab.home.finished(cycle_id)
    summary = row.summary or {}
    assert summary["reused"] == summary["ledger_rows"] > 0
    assert row.results_digest == lab.undisturbed.results_digest


@pytest.mark.parametrize("victim", ["backtester-1", "recorder", "conductor"])
async def test_a_killed_part_changes_nothing(lab: Lab, victim: str) -> None:
    cycle_id = await lab.again()
    await lab.home.wait_progress(cycle_id, "backtest", 0.1)
    pid = await lab.home.kill(victim)
    row = await lab.home.finished(cycle_id)
    counts = await lab.home.counts(cycle_id)
    assert not psutil.pid_exists(pid)
    assert (row.status, row.error) == ("done", None)
    assert row.results_digest == lab.undisturbed.results_digest
    assert counts["rows"] == counts["pairs"] == (row.summary or {})["ledger_rows"]


async def test_poison_stands_alone_and_the_cycle_goes_on(lab: Lab) -> None:
    best = (lab.undisturbed.summary or {})["best"][0]["id"]
    lab.poison.write_text(best)
    try:
        row = await lab.home.finished(await lab.again())
    finally:
        lab.poison.unlink()
    summary = row.summary or {}
    told = [event for event in await lab.home.events("candidate.poison") if event.subject == best]
    before = lab.undisturbed.summary or {}
    assert row.status == "done"
    assert summary["failed"] == 1
    assert summary["backtested"] == before["backtested"] - 1
    assert summary["ledger_rows"] == before["ledger_rows"]
    assert len(told) == 1
    assert "poison in the candidate" in told[0].message


async def test_a_paused_cycle_stands_still_and_goes_on_when_resumed(lab: Lab) -> None:
    cycle_id = await lab.again()
    await lab.home.wait_progress(cycle_id, "generate", 0.0)
    paused = await lab.home.command("cycle.pause", {"cycle_id": cycle_id})
    again = await lab.home.command("cycle.pause", {})
    status = (await lab.home.cycle(cycle_id)).status
    resumed = await lab.home.command("cycle.resume", {"cycle_id": cycle_id})
    row = await lab.home.finished(cycle_id)
    assert (paused.status, resumed.status) == ("done", "done")
    assert (again.status, again.reason) == ("refused", "the cycle is paused already")
    assert status == "paused"
    assert row.results_digest == lab.undisturbed.results_digest


async def test_a_cancelled_cycle_ends_and_the_next_one_runs(lab: Lab) -> None:
    cycle_id = await lab.again()
    cancelled = await lab.home.command("cycle.cancel", {"cycle_id": cycle_id})
    row = await lab.home.finished(cycle_id)
    following = await lab.home.finished(await lab.home.start_cycle(seed=3, count=20))
    assert cancelled.status == "done"
    assert (row.status, row.error) == ("cancelled", "test cancelled it")
    assert following.status == "done"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"count": 0}, "count = 0 is not allowed"),
        ({"days": -1}, "days = -1 is not allowed"),
        ({"days": 5000}, "too few bars"),
        ({"market": "/nowhere"}, "does not exist"),
        ({"symbols": "NOT A PAIR"}, "not of the form BASE/QUOTE"),
        ({"workers": 99}, "the runtime has 2"),
        ({"colour": "red"}, "no argument 'colour'"),
        ({"state": "0" * 64}, "not in the store"),
    ],
)
async def test_a_bad_wish_is_refused_in_words_and_leaves_nothing(
    lab: Lab, arguments: dict[str, Any], words: str
) -> None:
    answer = await lab.home.command("cycle.start", arguments)
    assert answer.status == "refused"
    assert words in answer.reason
    assert "\n" not in answer.reason
    assert answer.result is None


async def test_waves_follow_each_other_until_cancelled(lab: Lab) -> None:
    first = await lab.home.start_cycle(seed=4, count="infinite")
    await lab.home.finished(first)
    async with asyncio.timeout(120):
        while (following := await lab.home.latest()).id == first:  # noqa: ASYNC110 - the store has no event
            await asyncio.sleep(0.05)
    # Named by its first wave, an endless run ends whichever wave runs by now.
    cancelled = await lab.home.command("cycle.cancel", {"cycle_id": first})
    first_row = await lab.home.cycle(first)
    idle = await lab.home.command("cycle.cancel")
    last = await lab.home.latest()
    assert cancelled.status == "done"
    assert (first_row.wave, following.wave) == (1, 2)
    assert following.seed != first_row.seed
    assert (idle.status, idle.reason) == ("refused", "no cycle runs now")
    assert last.id == cancelled.result["cycle_id"]


def test_a_second_runtime_on_the_home_is_refused_in_one_line(lab: Lab) -> None:
    command = [sys.executable, "-m", "actors.runtime", "up", "--config", str(lab.home.config)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "already runs on home" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


async def test_after_a_power_cut_the_cycle_is_taken_up_again(lab: Lab) -> None:
    cycle_id = await lab.again()
    await lab.home.wait_progress(cycle_id, "backtest", 0.1)
    lab.home.kill_all()
    lab.home.up()
    row = await lab.home.finished(cycle_id)
    assert row.results_digest == lab.undisturbed.results_digest


async def test_new_limits_judge_the_next_entry_and_more_risk_needs_its_name_and_a_reason(
    lab: Lab,
) -> None:
    home, config = lab.home.home, load_config(lab.home.config)
    await lab.trade()
    store = await Store.open(sqlite_url(home), read_only=True)
    entries = Entries(home)
    before = (await entries.next_sent()).rule("position_frac")
    assert (before.passed, before.limit) == (True, 0.1)

    app = PaddockApp(Session(config, lab.home.config), starts_runtime=False)
    async with app.run_test(size=(120, 36)) as pilot:
        await type_limit(pilot, "position_frac", "0.5%")
        await until_shown(pilot, "Lower position_frac to 0.5%?")
        await pilot.press("y")
        await entries.new_life()
        refused = await entries.next_judged()
        rule = refused.rule("position_frac")
        order = await ended_order(store, refused.client_id)
        assert (refused.is_sent, rule.passed, rule.limit) == (False, False, 0.005)
        assert rule.value == pytest.approx(before.value, rel=0.1)
        assert rule.message.startswith(f"BTC/USDT: {percent(rule.value)} of equity (")
        assert rule.message.endswith("limit 0.5 %")
        assert order.state is OrderState.REJECTED
        assert order.reason.startswith(f"risk: {rule.message}")

        await type_limit(pilot, "position_frac", "10%")
        await until_shown(pilot, "Raise position_frac to 10.0%?")
        await pilot.press("y", "enter", "enter")
        assert load_config(lab.home.config).limits.position_frac == 0.005
        await pilot.press("shift+tab", "backspace", *"position_frac", "enter", *"agreed", "enter")
        await entries.new_life()
    after = (await entries.next_sent()).rule("position_frac")
    told = list(await events_page(store, kind="risk.limit", limit=10))
    asked = [row for row in await recent_commands(store) if row.name == "limits.apply"]
    await store.close()
    assert (after.passed, after.limit) == (True, 0.1)
    told.sort(key=lambda event: event.id)
    assert [(event.fields["result"], event.fields["reason"]) for event in told] == [
        ("changed", "lowered with a key"), ("asked", "agreed"), ("changed", "agreed"),
    ]  # fmt: skip
    assert [row.status for row in asked] == ["done", "done"]


async def test_a_trader_that_is_killed_while_it_trades_breaks_no_law(lab: Lab) -> None:
    await lab.trade()
    told = await Killing(lab.home, seed=1).kill(TRADER)
    assert told["broken"] == []


def test_what_computes_steps_back_behind_everything_else(lab: Lab) -> None:
    niceness, sessions = {}, {}
    for process in owned(lab.home.mark):
        # While it answers a call, the title also names the method.
        title = "".join(process.cmdline()[:1]).strip().partition(".")[0]
        niceness[title], sessions[title] = process.nice(), os.getsid(process.pid)
    for part in ("Backtester", "Feeder", "Generator", "Learner"):
        assert niceness[f"ray::{part}"] == 15
    assert (niceness["ray::Conductor"], niceness["ray::Recorder"]) == (5, 5)
    assert (niceness["ray::Trader"], niceness["ray::Watchdog"]) == (0, 0)
    # Where the kernel groups processes by session, only a session of their own lets them give way.
    assert len({sessions[f"ray::{part}"] for part in ("Backtester", "Conductor", "Trader")}) == 3


def test_down_leaves_no_process_and_no_trace(lab: Lab) -> None:
    lab.home.down()
    assert lab.home.living() == []
    assert not (lab.home.home / "runtime.json").exists()
    assert (lab.home.home / "ray.token").stat().st_mode & 0o777 == 0o600
