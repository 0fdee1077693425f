from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InvariantError, StoreError, UsageError
from engine.store import cycles
from engine.store.database import Store

pytest_plugins = ["tests.store_backends"]


async def _create(store: Store, **changes: Any) -> cycles.CycleRow:
    values: dict[str, Any] = {
        "seed": 7,
        "count": 500,
        "symbols": ["BTC/USDT", "ETH/USDT"],
        "timeframe": "5m",
        "days": 90,
        "exchange": "binance",
        "market_label": "STORE",
        "created_at": 1_000,
    }
    return await cycles.create_cycle(store, **{**values, **changes})


async def test_a_created_cycle_reads_back_as_it_was_returned(store: Store) -> None:
    created = await _create(store, settings={"elite": 10, "name": "ünï"}, edge="mild drift")
    assert created.symbols == ("BTC/USDT", "ETH/USDT")
    assert created.settings == {"elite": 10, "name": "ünï"}
    assert created.status == "running"
    assert created.started_at is None
    assert await cycles.get_cycle(store, created.id) == created


async def test_an_unknown_cycle_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="cycle 99"):
        await cycles.get_cycle(store, 99)
    with pytest.raises(StoreError, match="cycle 99"):
        await cycles.update_cycle(store, 99, stage="learn")
    assert await cycles.latest_cycle(store) is None


async def test_only_running_and_paused_cycles_are_unfinished(store: Store) -> None:
    statuses = ["done", "running", "failed", "paused", "cancelled"]
    made = [await _create(store, status=status) for status in statuses]
    unfinished = await cycles.unfinished_cycles(store)
    assert [row.id for row in unfinished] == [made[1].id, made[3].id]


async def test_recent_cycles_come_newest_first_and_limited(store: Store) -> None:
    made = [await _create(store, wave=wave) for wave in range(4)]
    assert [row.wave for row in await cycles.recent_cycles(store, 3)] == [3, 2, 1]
    latest = await cycles.latest_cycle(store)
    assert latest is not None
    assert latest.id == made[-1].id


async def test_an_update_sets_what_it_names_and_nothing_else(store: Store) -> None:
    made = await _create(store)
    await cycles.update_cycle(
        store, made.id, status="done", finished_at=5, summary={"passed": 3}, symbols=["A"]
    )
    row = await cycles.get_cycle(store, made.id)
    assert (row.status, row.finished_at, row.summary, row.symbols) == (
        "done",
        5,
        {"passed": 3},
        ("A",),
    )
    assert (row.seed, row.timeframe, row.settings) == (made.seed, made.timeframe, made.settings)


@pytest.mark.parametrize("column", ["id", "sede"])
async def test_a_column_that_is_not_there_is_refused(store: Store, column: str) -> None:
    made = await _create(store)
    with pytest.raises(InvariantError, match=column):
        await cycles.update_cycle(store, made.id, **{column: 1})
    with pytest.raises(InvariantError, match="nmae"):
        await cycles.save_stage(store, made.id, "prepare", nmae=1)


async def test_saving_a_stage_again_keeps_what_is_not_named(store: Store) -> None:
    made = await _create(store)
    await cycles.save_stage(store, made.id, "backtest", position=3, total=1500, started_at=10)
    await cycles.save_stage(store, made.id, "backtest", done=700, rate_per_s=81.5, status="running")
    await cycles.save_stage(store, made.id, "generate", position=0, status="done")
    await cycles.save_stage(store, made.id, "generate")
    rows = await cycles.stages(store, made.id)
    assert [row.name for row in rows] == ["generate", "backtest"]
    assert rows[0].status == "done"
    backtest = rows[1]
    assert (backtest.done, backtest.total, backtest.failed) == (700, 1500, 0)
    assert (backtest.rate_per_s, backtest.started_at, backtest.note) == (81.5, 10, "")


async def test_a_stage_of_no_cycle_is_refused_in_words(store: Store) -> None:
    with pytest.raises(StoreError, match="not stored"):
        await cycles.save_stage(store, 12, "generate")


async def test_a_seed_beyond_64_bits_is_refused(store: Store) -> None:
    assert (await _create(store, seed=2**63 - 1)).seed == 2**63 - 1
    with pytest.raises(UsageError, match="too large"):
        await _create(store, seed=2**63)


async def test_an_update_of_nothing_changes_nothing(store: Store) -> None:
    made = await _create(store)
    await cycles.update_cycle(store, made.id)
    assert await cycles.get_cycle(store, made.id) == made
