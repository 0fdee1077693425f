from __future__ import annotations

import asyncio

import pytest

from engine.errors import InvariantError, StoreError
from engine.store import commands
from engine.store.database import Store

pytest_plugins = ["tests.store_backends"]


async def test_a_command_is_inserted_waiting_and_read_back(store: Store) -> None:
    made = await commands.insert_command(
        store, who="ada", name="cycle", arguments={"count": 500}, now_at=1
    )
    row = await commands.get_command(store, made)
    assert (row.who, row.name, row.arguments, row.status) == (
        "ada",
        "cycle",
        {"count": 500},
        "waiting",
    )
    assert (row.taken_at, row.finished_at, row.result, row.reason) == (None, None, None, "")
    assert await commands.waiting_commands(store) == [row]
    assert await commands.waiting_commands(store, ["pause"]) == []


async def test_commands_are_claimed_oldest_first(store: Store) -> None:
    made = [await commands.insert_command(store, who="a", name=n, now_at=1) for n in "xyz"]
    taken = [await commands.claim_command(store, 5) for _ in range(4)]
    assert [row.id for row in taken if row] == made
    assert taken[3] is None
    assert [row.taken_at for row in taken if row] == [5, 5, 5]


async def test_a_command_is_claimed_once_by_eight_racing_tasks(store: Store) -> None:
    made = [await commands.insert_command(store, who="a", name="c", now_at=i) for i in range(20)]

    async def take_all() -> list[int]:
        mine: list[int] = []
        while (row := await commands.claim_command(store, 9)) is not None:
            mine.append(row.id)
        return mine

    taken = await asyncio.gather(*(take_all() for _ in range(8)))
    assert sorted(command_id for mine in taken for command_id in mine) == made


async def test_a_named_command_is_claimed_once_by_eight_racing_tasks(store: Store) -> None:
    made = await commands.insert_command(store, who="a", name="c", now_at=1)
    taken = await asyncio.gather(*(commands.claim_command(store, 2, made) for _ in range(8)))
    assert [row.id for row in taken if row is not None] == [made]


async def test_a_command_is_answered_once(store: Store) -> None:
    made = await commands.insert_command(store, who="a", name="c", now_at=1)
    await commands.claim_command(store, 2)
    assert [row.id for row in await commands.taken_commands(store)] == [made]
    assert await commands.finish_command(store, made, status="done", result={"id": 4}, now_at=3)
    assert not await commands.finish_command(store, made, status="failed", reason="late", now_at=4)
    row = await commands.get_command(store, made)
    assert (row.status, row.result, row.reason, row.finished_at) == ("done", {"id": 4}, "", 3)
    assert await commands.taken_commands(store) == []


async def test_a_command_ends_only_in_a_final_status(store: Store) -> None:
    made = await commands.insert_command(store, who="a", name="c", now_at=1)
    with pytest.raises(InvariantError, match="done, refused, failed"):
        await commands.finish_command(store, made, status="taken", now_at=2)
    with pytest.raises(StoreError, match="command 77"):
        await commands.get_command(store, 77)


async def test_recent_commands_come_newest_first(store: Store) -> None:
    made = [await commands.insert_command(store, who="a", name="c", now_at=i) for i in range(3)]
    recent = await commands.recent_commands(store, 2)
    assert [row.id for row in recent] == made[:0:-1]
