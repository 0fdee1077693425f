"""Strategies promoted, paused, resumed and retired by word of a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.lifecycle import Lifecycle
from engine.clock import FakeClock
from engine.errors import UsageError
from engine.store import strategies, verdicts
from engine.store.database import Store, sqlite_url
from engine.store.strategies import get_strategy
from engine.store.verdicts import VerdictRow, save_verdicts, verdicts_of
from tests.busy_strategies import busy_genome, store_strategies

NOW_AT = 1_700_000_000_000


class Direct:
    """A writer that writes at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, name: str, rows: Any) -> None:
        if name == "change_statuses":
            await strategies.change_statuses(self._store, rows, NOW_AT)
        else:
            await verdicts.save_verdicts(self._store, rows)


class Desk:
    def __init__(self, store: Store, strategy_id: str) -> None:
        self.store = store
        self.id = strategy_id
        self.has_live = True

    async def ask(self, verb: str, **arguments: Any) -> Any:
        writer: Any = Direct(self.store)
        life = Lifecycle(self.store, writer, FakeClock(NOW_AT), has_live=self.has_live)
        given = {"strategy_id": self.id, "reason": "because", **arguments}
        return await life.carry_out(f"strategy.{verb}", given, "op")

    async def status(self) -> str:
        return (await get_strategy(self.store, self.id)).row.status

    async def pass_gate(self, gate: str, *, passed: bool = True) -> None:
        cycle_id = (await get_strategy(self.store, self.id)).row.cycle_id
        assert cycle_id is not None
        row = VerdictRow(self.id, cycle_id, gate, "BTC/USDT", passed, (), {}, NOW_AT)
        await save_verdicts(self.store, [row])


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = await Store.open(sqlite_url(tmp_path))
    genomes = [busy_genome(1), busy_genome(2)]
    ids = await store_strategies(store, genomes, ["BTC/USDT"], NOW_AT, status="screened")
    yield Desk(store, ids[0])
    await store.close()


async def test_a_promotion_by_hand_is_marked_for_good(desk: Desk) -> None:
    assert (await desk.ask("promote")) == {
        "strategy_id": desk.id,
        "from": "screened",
        "to": "paper",
    }
    assert await desk.status() == "paper"
    (mark,) = await verdicts_of(desk.store, desk.id)
    assert (mark.gate, mark.symbol) == ("by-hand paper", "BTC/USDT")
    assert dict(mark.facts) == {"by_hand": "because", "who": "op"}


async def test_a_strategy_that_passed_its_gate_is_not_marked(desk: Desk) -> None:
    await desk.pass_gate("paper")
    await desk.ask("promote")
    assert [row.gate for row in await verdicts_of(desk.store, desk.id)] == ["paper"]


@pytest.mark.parametrize("typed", ["", "abc", None, 7, "short"])
async def test_live_past_a_failed_gate_wants_the_id_typed(desk: Desk, typed: Any) -> None:
    await desk.ask("promote")
    await desk.pass_gate("live", passed=False)
    with pytest.raises(UsageError, match="type its id"):
        await desk.ask("promote", to="live", typed=typed)
    assert await desk.status() == "paper"
    assert (await desk.ask("promote", to="live", typed=desk.id[:8]))["to"] == "live"
    gates = {row.gate for row in await verdicts_of(desk.store, desk.id)}
    assert "by-hand live" in gates


async def test_live_through_its_gate_wants_nothing_typed(desk: Desk) -> None:
    await desk.ask("promote")
    await desk.pass_gate("live")
    assert (await desk.ask("promote", to="live"))["to"] == "live"


async def test_without_a_live_account_nothing_goes_live(desk: Desk) -> None:
    desk.has_live = False
    with pytest.raises(UsageError, match="there is no live account"):
        await desk.ask("promote", to="live", typed=desk.id)


async def test_a_paused_strategy_resumes_where_it_was(desk: Desk) -> None:
    await desk.pass_gate("live")
    await desk.ask("promote", to="live")
    await desk.ask("pause")
    assert await desk.status() == "paused"
    with pytest.raises(UsageError, match="is paused: resume it"):
        await desk.ask("promote")
    assert (await desk.ask("resume"))["to"] == "live"


@pytest.mark.parametrize(
    ("verb", "words"),
    [("pause", "it does not trade"), ("resume", "is not paused"), ("promote", "")],
)
async def test_what_its_state_does_not_allow_is_refused(desk: Desk, verb: str, words: str) -> None:
    if verb == "promote":
        with pytest.raises(UsageError, match="not to 'moon'"):
            await desk.ask("promote", to="moon")
        return
    with pytest.raises(UsageError, match=words):
        await desk.ask(verb)


async def test_retired_is_for_good(desk: Desk) -> None:
    await desk.ask("retire")
    assert await desk.status() == "retired"
    with pytest.raises(UsageError, match="is retired already"):
        await desk.ask("retire")


async def test_an_unknown_strategy_is_named(desk: Desk) -> None:
    with pytest.raises(UsageError, match="is not in the store"):
        await desk.ask("pause", strategy_id="ffff")
