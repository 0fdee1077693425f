"""Cycles with a share for a language model, every part in one process, the server a local one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.evolve.universe import Universe
from engine.store.candidates import candidates_page
from engine.store.cycles import CycleRow
from engine.store.events import events_page
from engine.store.transcripts import spent_on, transcripts_of_cycle
from engine.strategy.library import LIBRARY
from engine.strategy.written import is_written
from tests.actors.test_conductor import House
from tests.language_author import Misbehaving, Writer
from tests.openai_server import KEY, Behave, OpenAIServer, Reply

pytestmark = pytest.mark.timeout(240)

UNIVERSE = Universe.of("5m", "perp", ("5m", "15m", "1h", "4h"))
COUNT = 60
OWED = round(COUNT * 0.2)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PADDOCK_OPENAI_API_KEY", KEY)


@asynccontextmanager
async def a_house(
    folder: Path, behave: Behave, share: float = 0.2, **settings: Any
) -> AsyncIterator[tuple[House, OpenAIServer]]:
    async with OpenAIServer(behave) as server:
        house = House(
            folder,
            cycle={"language_model_share": share},
            language_model={"base_url": server.base_url, "retries": 2, **settings},
        )
        await house.open()
        try:
            yield house, server
        finally:
            await house.close()
        assert house.failures == []


async def candidates_of(house: House, row: CycleRow) -> list[tuple[Any, ...]]:
    page = await candidates_page(house.store, row.id)
    return [(c.idx, c.strategy_id, c.origin, c.status, c.genome, c.parent_a) for c in page]


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_cycle_under_every_misbehaviour_finishes_and_replays_without_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path, Misbehaving(UNIVERSE)) as (house, server):
        first = await house.cycle(count=COUNT, seed=5)
        assert (first.status, first.error) == ("done", None)
        found = await candidates_of(house, first)
        rows = await transcripts_of_cycle(house.store, first.id)
        assert len(found) == COUNT
        assert server.n_most <= house.config.cycle.max_llm_in_flight
        outcomes = {row.outcome for row in rows}
        assert {"accepted", "refused"} <= outcomes
        written = [c for c in found if c[2] == "language_model"]
        assert 0 < len(written) <= OWED
        assert any(is_written(c[4]) for c in written)
        assert not any(is_written(c[4]) for c in found if c[2] != "language_model")
        # Every answer stands in the record in full, with what it took.
        assert all(row.prompt and row.prompt_hash for row in rows)
        accepted = {row.idx: row.strategy_id for row in rows if row.outcome == "accepted"}
        assert {c[0]: c[1] for c in written}.items() <= accepted.items()

        monkeypatch.delenv("PADDOCK_OPENAI_API_KEY")
        n_asked = len(server.bodies)
        again = await house.cycle(replay=first.id)
        assert again.status == "done"
        assert await candidates_of(house, again) == found
        assert again.results_digest == first.results_digest
        assert again.summary and first.summary
        assert again.summary["learned_state_hash"] == first.summary["learned_state_hash"]
        assert len(server.bodies) == n_asked
        replayed = await house.cycle(replay=again.id)
        assert replayed.results_digest == first.results_digest
    assert KEY.encode() not in everything_in(tmp_path)


async def test_a_dead_server_leaves_the_cycle_as_it_is_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path / "dead", Writer(UNIVERSE), retries=0) as (house, server):
        await server.__aexit__()
        dead = await house.cycle(count=30, seed=5)
        assert dead.status == "done"
        with_server = await candidates_of(house, dead)
        rows = await transcripts_of_cycle(house.store, dead.id)
        assert {row.outcome for row in rows} == {"failed"}
        (told,) = await events_page(house.store, kind="language_model.done")
        assert told.level == "warn"
        await server.__aenter__()
    monkeypatch.delenv("PADDOCK_OPENAI_API_KEY")
    async with a_house(tmp_path / "none", Writer(UNIVERSE)) as (house, _):
        none = await house.cycle(count=30, seed=5)
        assert await candidates_of(house, none) == with_server
        assert none.results_digest == dead.results_digest
        (told,) = await events_page(house.store, kind="language_model.off")
        assert "PADDOCK_OPENAI_API_KEY" in told.message
        assert told.level == "warn"


async def test_a_slow_server_is_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    def slow(_number: int, _body: dict[str, Any]) -> Reply:
        return Reply("{}", wait_s=30.0)

    async with a_house(tmp_path, slow, patience_s=1.0) as (house, _):
        row = await house.cycle(count=30, seed=5)
        assert row.status == "done"
        rows = await transcripts_of_cycle(house.store, row.id)
        assert {one.outcome for one in rows} == {"late"}
        # What was sent and never answered may have been paid for.
        assert all(one.tokens_out > 0 for one in rows)
        found = await candidates_of(house, row)
        assert not [c for c in found if c[2] == "language_model"]
        assert [c[2] for c in found[: len(LIBRARY)]] == ["library"] * len(LIBRARY)


async def test_a_spent_budget_ends_the_asking_not_the_cycle(tmp_path: Path) -> None:
    # Room for one question at a time in its worst case, and for some of the twelve in all.
    most = 20_000
    limits = {"tokens_max": most, "answer_tokens_max": 1_000}
    async with a_house(tmp_path, Writer(UNIVERSE), **limits) as (house, server):
        row = await house.cycle(count=COUNT, seed=5)
        assert row.status == "done"
        spent = await spent_on(house.store, row.id)
        assert 0 < spent.tokens_in + spent.tokens_out <= most
        assert spent.tokens_in + spent.tokens_out == 1_200 * len(server.bodies)
        outcomes = [one.outcome for one in await transcripts_of_cycle(house.store, row.id)]
        assert outcomes.count("budget") > 0
        found = await candidates_of(house, row)
        assert len(found) == COUNT


async def test_no_question_is_asked_twice_after_a_restart(tmp_path: Path) -> None:
    async with a_house(tmp_path, Writer(UNIVERSE)) as (house, server):
        house.peers["generator"].lost = {"generate": 2, "open_cycle": 1}
        row = await house.cycle(count=COUNT, seed=5)
        assert row.status == "done"
        rows = await transcripts_of_cycle(house.store, row.id)
        assert all(one.outcome in ("accepted", "refused") for one in rows)
        asked = [body["messages"] for body in server.bodies]
        assert len(asked) <= len(rows) + house.config.cycle.max_llm_in_flight
        undisturbed = await candidates_of(house, row)
        replayed = await house.cycle(replay=row.id)
        assert await candidates_of(house, replayed) == undisturbed


async def test_a_block_that_is_drawn_twice_is_the_same_block(tmp_path: Path) -> None:
    async with a_house(tmp_path, Writer(UNIVERSE)) as (house, _):
        generator = house.peers["generator"].part
        generate, write = generator.generate, generator._writer.write
        drawn: dict[int, set[str]] = {}

        async def note(method: str, *arguments: Any) -> Any:
            if method == "add_candidates":
                for row in arguments[1]:
                    drawn.setdefault(row.idx, set()).add(row.strategy_id)
            return await write(method, *arguments)

        async def twice(*arguments: Any) -> Any:
            await generate(*arguments)
            return await generate(*arguments)

        generator.generate, generator._writer.write = twice, note
        row = await house.cycle(count=COUNT, seed=5)
        found = await candidates_of(house, row)
        assert [c for c in found if c[2] == "language_model"]
        assert drawn == {c[0]: {c[1]} for c in found}


async def test_known_strategies_are_refused_and_repaired(tmp_path: Path) -> None:
    writer = Writer(UNIVERSE)

    def parrot(number: int, body: dict[str, Any]) -> Reply:
        return writer(0, body) if number < 8 else writer(number, body)

    async with a_house(tmp_path, parrot, share=0.3) as (house, _):
        row = await house.cycle(count=40, seed=5)
        found = [c[1] for c in await candidates_of(house, row)]
        assert len(found) == len(set(found)) == 40
