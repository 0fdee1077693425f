"""Every part in one process, without Ray.

The conductor's own decisions, restarts and the schedule.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.backtester import Backtester
from actors.conductor import Conductor
from actors.feeder import Feeder
from actors.generator import Generator
from actors.learner import Learner
from actors.ports import PeerLost
from actors.recorder import Recorder
from actors.roster import PartSpec, part_names
from engine.clock import SystemClock
from engine.config import database_url
from engine.settings import Config
from engine.store.commands import get_command, insert_command
from engine.store.cycles import CycleRow, get_cycle, latest_cycle, stages
from engine.store.database import Store
from engine.store.events import events_page

DAY_MS = 86_400_000

pytestmark = pytest.mark.timeout(60)


class MovedClock(SystemClock):
    """The machine's clock, set forward by a test."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_at(self) -> int:
        return super().now_at() + self.ahead_ms


class Local:
    """A peer in this process; `lose` makes the next calls of a method end like a death."""

    def __init__(self, name: str, part: Any) -> None:
        self.name = name
        self.part = part
        self.lost: dict[str, int] = {}

    async def call(self, method: str, *args: Any, timeout_s: float = 30.0) -> Any:
        if method == "ping":
            return {}
        # As between processes: whoever waits may be cancelled, the work goes on.
        answer = await asyncio.shield(getattr(self.part, method)(*args))
        if self.lost.get(method, 0) > 0:
            # The work was done and the answer was lost: the worst case for whoever repeats it.
            self.lost[method] -= 1
            raise PeerLost(f"{self.name} is down")
        return answer


class LocalObjects:
    def put(self, value: Any) -> Any:
        return value

    async def fetch(self, reference: Any, timeout_s: float = 30.0) -> Any:
        return reference


class House:
    """All parts of a runtime over one store."""

    def __init__(self, folder: Path, **sections: Mapping[str, Any]) -> None:
        self.config = Config.model_validate(
            {
                "paths": {"home": folder, "store": folder / "market"},
                "market": {"days": 10, "symbols": ("BTC/USDT", "ETH/USDT")},
                "generated": {"days": 10},
                "cycle": {"wave_size": 20},
                "runtime": {"worker_nice": 0, "chunk_target_ms": 20},
                "trading": {"enabled": False},
                **sections,
            }
        )
        self.clock = MovedClock()
        self.failures: list[BaseException] = []
        self.peers: dict[str, Local] = {}
        self.scheduled = False

    async def open(self) -> None:
        self.store = await Store.open(database_url(self.config))
        made: dict[str, Callable[[PartSpec], Any]] = {
            "recorder": lambda spec: Recorder(spec, self.clock, self.fail),
            "feeder": lambda spec: Feeder(spec, LocalObjects(), self.clock),
            "generator": lambda spec: Generator(spec, self.peer, self.clock),
            "learner": lambda spec: Learner(spec, self.peer, self.clock),
            "backtester": lambda spec: Backtester(spec, self.peer, LocalObjects(), self.clock),
        }
        kinds = {name: name.partition("-")[0] for name in part_names(2)}
        self.peers = {name: Local(name, None) for name, kind in kinds.items() if kind in made}
        for name, peer in self.peers.items():
            peer.part = made[kinds[name]](self.spec(name))
        for peer in self.peers.values():
            await peer.part.start()
        await self.new_conductor()

    async def new_conductor(self) -> None:
        self.conductor = Conductor(self.spec("conductor"), self.peer, self.clock, self.fail)
        await self.conductor.start()

    async def close(self) -> None:
        await self.conductor.stop()
        for peer in reversed(self.peers.values()):
            await peer.part.stop()
        await self.store.close()

    def spec(self, name: str) -> PartSpec:
        kind = name.partition("-")[0]
        return PartSpec(kind, name, self.config, 2, "mark", "0", self.scheduled)

    def peer(self, name: str) -> Local:
        return self.peers[name]

    async def fail(self, error: BaseException) -> None:
        self.failures.append(error)

    async def ask(self, name: str, **arguments: Any) -> Any:
        command_id = await insert_command(
            self.store, who="test", name=name, arguments=arguments, now_at=self.clock.now_at()
        )
        async with asyncio.timeout(30):
            while (row := await get_command(self.store, command_id)).finished_at is None:  # noqa: ASYNC110 - the store has no event
                await asyncio.sleep(0.01)
        return row

    async def cycle(self, **arguments: Any) -> CycleRow:
        return await self.finished((await self.ask("cycle.start", **arguments)).result["cycle_id"])

    async def finished(self, cycle_id: int) -> CycleRow:
        async with asyncio.timeout(60):
            while True:
                row = await get_cycle(self.store, cycle_id)
                if row.status in ("done", "failed", "cancelled"):
                    return row
                assert self.failures == []
                await asyncio.sleep(0.01)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.open()
    yield made
    await made.close()
    assert made.failures == []


async def test_a_command_becomes_a_finished_cycle(house: House) -> None:
    row = await house.cycle(seed=5, count=40)
    summary = row.summary or {}
    assert (row.status, row.error) == ("done", None)
    assert summary["evaluations"] == 2 * summary["validated"]
    assert summary["state_hash"] == row.state_hash
    assert [stage.status for stage in await stages(house.store, row.id)] == 7 * ["done"]


@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("recorder", "record"),
        ("recorder", "write"),
        ("generator", "generate"),
        ("feeder", "prepare"),
        ("backtester-1", "backtest"),
        ("learner", "filter"),
        ("learner", "learn"),
        ("backtester-1", "prove"),
        ("backtester-2", "control"),
    ],
)
async def test_lost_answers_change_nothing(house: House, part: str, method: str) -> None:
    first = await house.cycle(seed=5, count=40)
    async with house.store.write() as connection:
        from sqlalchemy import text

        await connection.execute(text("DELETE FROM curves"))
        await connection.execute(text("DELETE FROM evaluations"))
    house.peers[part].lost[method] = 2
    row = await house.cycle(seed=5, count=40, state=first.state_hash)
    assert row.results_digest == first.results_digest
    assert (row.summary or {})["generated"] == 40


async def test_the_next_cycle_starts_from_what_was_learned(house: House) -> None:
    first = await house.cycle(seed=5, count=40)
    second = await house.cycle(seed=6, count=40)
    assert second.state_hash == (first.summary or {})["learned_state_hash"]
    assert second.state_hash != first.state_hash
    again = await house.cycle(seed=5, count=40, state="empty")
    assert again.state_hash == first.state_hash
    assert again.results_digest == first.results_digest


async def test_a_command_taken_before_a_crash_is_carried_out_once(house: House) -> None:
    await house.conductor.stop()
    now_at = house.clock.now_at()
    arguments = {"seed": 5, "count": 10}
    command_id = await insert_command(
        house.store, who="test", name="cycle.start", arguments=arguments, now_at=now_at
    )
    await house.peers["recorder"].part.write("claim_command", (), {"command_id": command_id})
    await house.new_conductor()
    while (row := await get_command(house.store, command_id)).finished_at is None:  # noqa: ASYNC110 - the store has no event
        await asyncio.sleep(0.01)
    done = await house.finished(row.result["cycle_id"])
    newest = await latest_cycle(house.store)
    assert (row.status, done.status) == ("done", "done")
    assert newest is not None
    assert newest.id == done.id == 1


async def test_a_new_conductor_takes_the_cycle_up_again(house: House) -> None:
    undisturbed = await house.cycle(seed=5, count=60)
    async with house.store.write() as connection:
        from sqlalchemy import text

        await connection.execute(text("DELETE FROM curves"))
        await connection.execute(text("DELETE FROM evaluations"))
    state = undisturbed.state_hash
    asked = await house.ask("cycle.start", seed=5, count=60, state=state)
    cycle_id = asked.result["cycle_id"]
    for name in ("generate", "validate", "backtest", "learn"):
        while (row := await get_cycle(house.store, cycle_id)).status == "running":
            if row.stage == name:
                break
            await asyncio.sleep(0.005)
        await house.conductor.stop()
        await house.new_conductor()
    done = await house.finished(cycle_id)
    assert done.results_digest == undisturbed.results_digest


@pytest.mark.parametrize("seed", range(3))
async def test_a_conductor_may_end_at_any_moment(house: House, seed: int) -> None:
    undisturbed = await house.cycle(seed=5, count=60)
    moments = random.Random(seed)
    asked = await house.ask("cycle.start", seed=5, count=60, state=undisturbed.state_hash)
    for _ in range(12):
        await asyncio.sleep(moments.uniform(0.0, 0.05))
        async with asyncio.timeout(10):
            await house.conductor.stop()
        await house.new_conductor()
    done = await house.finished(asked.result["cycle_id"])
    assert done.results_digest == undisturbed.results_digest


async def test_a_missed_daily_cycle_is_made_up_for_once(house: House) -> None:
    house.scheduled = True
    await house.conductor.stop()
    await house.new_conductor()
    while not await events_page(house.store, kind="schedule.handled"):  # noqa: ASYNC110 - the store has no event
        await asyncio.sleep(0.01)
    await house.conductor.stop()
    house.clock.ahead_ms = 9 * DAY_MS
    await house.new_conductor()
    while await latest_cycle(house.store) is None:  # noqa: ASYNC110 - the store has no event
        await asyncio.sleep(0.01)
    await house.ask("cycle.cancel")
    await house.conductor.stop()
    await house.new_conductor()
    await house.ask("cycle.pause")
    newest = await latest_cycle(house.store)
    assert newest is not None
    assert newest.id == 1
    assert len(await events_page(house.store, kind="schedule.handled")) == 2
