"""The deployer, the trader and real workerd processes: out at 5 %, on to 100 %, and back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.errors import UsageError, VenueUnavailable
from engine.store.events import events_page
from engine.strategy.genome import Genome
from engine.strategy.javascript.writer import javascript_of
from engine.trade.orders import Purpose
from tests.actors.deploy_house import DeployHouse, is_alive
from tests.busy_strategies import busy_genome
from tests.workers import need_workerd

PARTS = ("trader-paper", "deployer")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def house_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Awaitable[DeployHouse]]]:
    need_workerd()
    # A bar takes a second here: looks have to be quicker than that.
    monkeypatch.setattr("actors.deployer.LOOK_S", 0.1)
    made: list[DeployHouse] = []

    async def make(**sections: Any) -> DeployHouse:
        house = DeployHouse(tmp_path, **sections)
        made.append(house)
        await house.open(*PARTS)
        return house

    yield make
    for house in made:
        await house.close()


async def test_a_good_version_gets_all_of_the_capital(house_of: Any) -> None:
    house = await house_of()
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    assert (await house.deploy(name))["state"] == "checking"
    assert (await house.deploy(name))["version"] == 1
    row = await house.reaches(1, "live")
    assert (row.share_frac, row.outcome) == (1.0, "")
    events = await events_page(house.store, kind="deploy.step", limit=50)
    shares = [event.message.split(": ")[1].split(" ")[0] for event in events]
    assert shares == ["5%", "25%", "50%", "100%"]
    await house.until(lambda: 1 in house.owners_of_entries().values(), "the Worker opened one")
    assert house.failures == []


def diverging(genome: Genome, after_at: int) -> str:
    """Return a module that is the engine's, except that it enters nothing after a bar."""
    return changed(genome, f'if ({NEWEST} > {after_at}) return {{ intent: "hold", state }};')


def erring(genome: Genome, after_at: int) -> str:
    """Return a module that is the engine's, except that it throws after a bar."""
    return changed(genome, f'if ({NEWEST} > {after_at}) throw new Error("broken");')


NEWEST = "bars.t[bars.t.length - 1]"


def changed(genome: Genome, statement: str) -> str:
    """Return the engine's module with a statement before everything else."""
    head = "export function decide(bars, state) {"
    written = javascript_of(genome)
    assert head in written
    return written.replace(head, f"{head}\n  {statement}", 1)


def bad_from_now_on(house: DeployHouse, write: Callable[[Genome, int], str]) -> None:
    """Let versions be written that turn bad with the next bar.

    They are written after the bars that they are compared on were read: those they pass.
    """
    house.write = lambda genome: write(genome, house.trader._seats.newest_bar_at() or 0)  # type: ignore[union-attr]


async def no_position_changed_owner(house: DeployHouse) -> None:
    """Prove it from the journal: what closes a position names the strategy that opened it, and a
    version is noted only while nothing is held."""
    await house.until(lambda: house.broken_laws() == [], "every law held")
    assert house.notes_while_holding() == []


@pytest.mark.parametrize(
    ("write", "rule"), [(diverging, "divergence"), (erring, "errors")], ids=["diverges", "errs"]
)
async def test_a_bad_version_is_rolled_back_and_the_one_before_goes_on(
    house_of: Any, write: Callable[[Genome, int], str], rule: str
) -> None:
    house = await house_of()
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    await house.deploy(name)
    await house.reaches(1, "live")
    bad_from_now_on(house, write)
    await house.deploy(name, "2")
    await house.until(lambda: house.outcome(2) == "rolled back", f"{rule} rolled it back", 90.0)
    row = house.rows()[1]
    assert row.reason.startswith(f"rolled back ({rule})")
    assert row.share_frac == 0.0
    await house.reaches(1, "live")
    await house.reaches(2, "ended")
    told = [e for e in await events_page(house.store, limit=500) if e.kind == "deploy.rolled_back"]
    assert (told[0].level, told[0].subject) == ("error", f"strategy:{name}")
    assert told[0].fields["version"] == 2
    n_before = len(house.owners_of_entries())
    await house.until(lambda: len(house.owners_of_entries()) > n_before + 1, "version 1 goes on")
    assert list(house.owners_of_entries().values())[-1] == 1
    await no_position_changed_owner(house)
    assert house.failures == []


async def test_a_version_that_loses_too_much_is_rolled_back_and_nothing_is_entered(
    house_of: Any,
) -> None:
    house = await house_of(deploy={"step_s": 600.0})
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    await house.deploy(name, stop=1e-6)
    await house.until(lambda: house.outcome(1) == "rolled back", "it lost", 90.0)
    assert house.rows()[0].reason.startswith("rolled back (loss)")
    await house.reaches(1, "ended")
    n_before = len(house.owners_of_entries())
    at = house.trader._seats.newest_bar_at()
    await house.until(lambda: house.trader._seats.newest_bar_at() > at + 1_500_000, "bars went by")
    assert len(house.owners_of_entries()) == n_before
    await no_position_changed_owner(house)


async def test_a_slow_version_is_rolled_back(house_of: Any) -> None:
    house = await house_of(deploy={"step_s": 600.0, "latency_max_ms": 0.01})
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    await house.deploy(name)
    await house.until(lambda: house.outcome(1) == "rolled back", "it was slow", 90.0)
    assert house.rows()[0].reason.startswith("rolled back (latency)")
    await house.reaches(1, "ended")
    await no_position_changed_owner(house)


async def test_a_version_unlike_the_engine_is_refused_before_it_gets_anything(
    house_of: Any,
) -> None:
    house = await house_of()
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    house.write = lambda genome: diverging(genome, 0)
    await house.deploy(name)
    row = await house.reaches(1, "ended")
    assert row.outcome == "refused"
    assert "differs from the engine's" in row.reason
    house.write = lambda genome: "export const meta = {};"
    await house.deploy(name, "2")
    row = await house.reaches(2, "ended")
    assert row.reason.startswith("the validator refuses it")
    assert not house.trader._seats.workers.is_deployed(name)


async def test_killed_processes_and_a_killed_deployer_heal(house_of: Any) -> None:
    house = await house_of(deploy={"step_s": 3.0})
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    await house.deploy(name)
    await house.reaches(1, "rolling")
    await house.until(lambda: house.fleet.pids, "it was served")
    (pid,) = house.fleet.pids
    os.kill(pid, signal.SIGKILL)
    await house.until(lambda: house.fleet.pids not in ([], [pid]), "it was started again")
    async with asyncio.timeout(20):
        while "deploy.healed" not in await house.kinds():  # noqa: ASYNC110 - the store has no event
            await asyncio.sleep(0.05)
    (orphan,) = house.fleet.pids
    await house.kill("deployer")
    assert psutil.pid_exists(orphan)
    await house.start("deployer")
    assert not is_alive(orphan)
    assert [row.state for row in house.rows()] == ["rolling"]
    await house.reaches(1, "live", 90.0)
    await no_position_changed_owner(house)
    assert house.failures == []


async def test_a_deployer_killed_while_it_checks_begins_anew(house_of: Any) -> None:
    house = await house_of()
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    await house.deploy(name)
    await house.until(lambda: house.deployer._checking is not None, "it was being checked")
    checking = house.deployer._checking
    await house.kill("deployer")
    checking.cancel()
    await asyncio.gather(checking, return_exceptions=True)
    await house.start("deployer")
    await house.reaches(1, "rolling")
    assert house.failures == []


async def test_a_check_waits_for_a_trader_that_is_not_ready(house_of: Any) -> None:
    house = await house_of()
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    answers: list[Any] = [
        UsageError("account paper is not ready: starting"),
        VenueUnavailable("the exchange is out"),
        {},
    ]
    recent_bars = house.trader.recent_bars

    async def answer(*arguments: Any) -> Any:
        found = answers.pop(0) if answers else await recent_bars(*arguments)
        if isinstance(found, Exception):
            raise found
        return found

    house.trader.recent_bars = answer
    await house.deploy(name)
    await house.reaches(1, "rolling")
    waits = [e.message for e in await events_page(house.store, kind="deploy.waits", limit=50)]
    assert any("not ready" in words for words in waits)
    assert any("exchange is out" in words for words in waits)
    assert house.failures == []


async def test_a_silent_worker_is_told_nothing_is_entered_and_stops_stay(house_of: Any) -> None:
    house = await house_of(deploy={"step_s": 600.0, "silence_s": 1.0})
    (name,) = await house.promoted(busy_genome(1, max_bars=None))
    await house.seated()
    await house.deploy(name)
    await house.until(
        lambda: 1 in house.owners_of_entries().values() and house.book.open_positions(),
        "the Worker holds something",
        60.0,
    )
    await house.fleet.stop()

    async def nobody() -> None:
        """Start nothing."""

    house.fleet.serve = lambda wanted: nobody()
    # On a busy machine bars go by before a second of silence has.
    await house.until_stored(
        lambda: events_page(house.store, kind="deploy.silent"), 1, "word of the silence"
    )
    n_before = len(house.owners_of_entries())
    at = house.trader._seats.newest_bar_at()
    await house.until(lambda: house.trader._seats.newest_bar_at() > at + 3_000_000, "bars went by")
    assert len(house.owners_of_entries()) <= n_before + 1
    for position in house.book.open_positions():
        stops = [o for o in house.book.active_orders() if o.request.purpose is Purpose.STOP]
        assert any(o.request.strategy_id == position.strategy_id for o in stops)


async def test_an_operator_sets_the_share_and_takes_a_version_back(house_of: Any) -> None:
    house = await house_of(deploy={"step_s": 600.0})
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    for broken in ({"target": "moon"}, {"allocation": 0.2}, {"position": 0.06}, {"stop": 0}):
        with pytest.raises(UsageError):
            await house.deploy(name, **broken)
    await house.deploy(name)
    with pytest.raises(UsageError, match="checking"):
        await house.deploy(name, "2")
    await house.reaches(1, "rolling")
    asked = {"strategy_id": name[:10], "share": 0.25}
    assert (await house.deployer.set_share(asked, "me"))["share_frac"] == 0.25
    with pytest.raises(UsageError, match="steps"):
        await house.deployer.set_share({**asked, "share": 0.3}, "me")
    told = await house.deployer.roll_back({"strategy_id": name, "reason": "a doubt"}, "me")
    assert told["reason"] == "rolled back (operator): me: a doubt"
    await house.reaches(1, "ended")
    with pytest.raises(UsageError, match="no version"):
        await house.deployer.roll_back({"strategy_id": name}, "me")
