from __future__ import annotations

import pytest
from sqlalchemy import text

from engine.errors import UsageError
from engine.store import events
from engine.store.database import Store
from engine.store.events import Event

pytest_plugins = ["tests.store_backends"]

TOLD = [
    Event(1, "info", "cycle.started", "cycle 1 started", cycle_id=1, fields={"seed": 7}),
    Event(2, "debug", "cycle.stage", "prepare done", cycle_id=1),
    Event(3, "warn", "actor.slow", "backtester is 100% busy", subject="backtester-1"),
    Event(4, "error", "cyclex", "Disk FULL", subject="store"),
    Event(5, "info", "cycle", "cycle 2 started", cycle_id=2),
]


async def _ats(store: Store, **wanted: object) -> list[int]:
    return [row.at for row in await events.events_page(store, **wanted)]  # type: ignore[arg-type]


async def test_events_come_oldest_first_with_what_was_told(store: Store) -> None:
    assert await events.add_events(store, TOLD) == 5
    rows = await events.events_page(store)
    assert [row.at for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0].fields == {"seed": 7}
    assert (rows[2].subject, rows[2].cycle_id) == ("backtester-1", None)
    assert await events.add_events(store, []) == 0


async def test_events_are_filtered_by_level_kind_text_and_cycle(store: Store) -> None:
    await events.add_events(store, TOLD)
    assert await _ats(store, level="warn") == [3, 4]
    assert await _ats(store, level="debug") == [1, 2, 3, 4, 5]
    assert await _ats(store, kind="cycle") == [1, 2, 5]
    assert await _ats(store, text="full disk") == [4]
    assert await _ats(store, text="0%") == [3]
    assert await _ats(store, text="_") == []
    assert await _ats(store, cycle_id=1, kind="cycle.stage") == [2]
    assert await _ats(store, subject="store") == [4]
    with pytest.raises(UsageError, match="loud"):
        await events.events_page(store, level="loud")


async def test_events_are_followed_and_scrolled_back_page_by_page(store: Store) -> None:
    await events.add_events(store, TOLD)
    last = await events.events_page(store, limit=2)
    assert [row.at for row in last] == [4, 5]
    earlier = await events.events_page(store, before_id=last[0].id, limit=2)
    assert [row.at for row in earlier] == [2, 3]
    assert await _ats(store, after_id=earlier[0].id, limit=2) == [3, 4]
    assert await _ats(store, after_id=last[1].id) == []


async def test_pruning_keeps_the_newest_and_never_reuses_an_id(store: Store) -> None:
    await events.add_events(store, TOLD)
    newest = (await events.events_page(store))[-1].id
    assert await events.prune_events(store, keep=2) == 3
    assert await _ats(store) == [4, 5]
    assert await events.prune_events(store, keep=2) == 0
    assert await events.prune_events(store, keep=0) == 2
    await events.add_events(store, TOLD[:1])
    assert (await events.events_page(store))[0].id > newest


async def test_a_reader_sees_one_snapshot_while_others_write(store: Store) -> None:
    count = text("SELECT count(*) FROM events")
    async with store.read() as connection:
        assert (await connection.execute(count)).scalar_one() == 0
        await events.add_events(store, TOLD)
        assert (await connection.execute(count)).scalar_one() == 0
    assert len(await events.events_page(store)) == 5


async def test_words_that_no_database_takes_are_stored_with_a_mark(store: Store) -> None:
    odd = Event(1, "error", "k", "file \udcff \x00 é \U0001f40e", fields={"path": "\udcff\x00"})
    await events.add_events(store, [odd])
    row = (await events.events_page(store))[0]
    assert row.message == "file \ufffd \ufffd é \U0001f40e"
    assert row.fields == odd.fields
