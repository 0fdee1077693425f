from __future__ import annotations

from dataclasses import replace

from engine.store import cycles
from engine.store.database import Store
from engine.store.transcripts import (
    Spent,
    TranscriptRow,
    save_transcripts,
    spent_on,
    transcripts_of_cycle,
    transcripts_of_strategy,
)

pytest_plugins = ["tests.store_backends"]

ROW = TranscriptRow(
    cycle_id=1,
    idx=4,
    attempt=0,
    outcome="answered",
    strategy_id=None,
    parent_id=None,
    arm="plain@0|m",
    model="m",
    prompt_hash="h",
    prompt="{}",
    answer="words",
    finish="stop",
    reason="",
    tokens_in=10,
    tokens_out=5,
    cost_quote=0.25,
    latency_s=0.5,
    created_at=7,
)


async def a_cycle(store: Store) -> int:
    row = await cycles.create_cycle(
        store,
        seed=1,
        count=5,
        symbols=["BTC/USDT"],
        timeframe="5m",
        days=10,
        exchange="generated",
        market_label="GENERATED",
        workers=1,
        settings={},
        config_hash="c",
        data_hash="d",
        code_version="0",
        created_at=1,
    )
    return row.id


async def test_a_question_written_twice_stands_once_as_it_was_written_last(store: Store) -> None:
    cycle_id = await a_cycle(store)
    row = replace(ROW, cycle_id=cycle_id)
    await save_transcripts(store, [row])
    later = replace(row, outcome="accepted", strategy_id="a" * 32)
    await save_transcripts(store, [later])
    assert await transcripts_of_cycle(store, cycle_id) == [later]


async def test_an_answer_no_database_takes_is_stored_in_readable_form(store: Store) -> None:
    cycle_id = await a_cycle(store)
    await save_transcripts(store, [replace(ROW, cycle_id=cycle_id, answer="a\x00b\ud800")])
    (stored,) = await transcripts_of_cycle(store, cycle_id)
    assert stored.answer == "a\ufffdb\ufffd"


async def test_the_lineage_of_a_strategy_holds_every_try_that_led_to_it(store: Store) -> None:
    cycle_id = await a_cycle(store)
    first = replace(ROW, cycle_id=cycle_id, outcome="refused", reason="no stop")
    second = replace(first, attempt=1, outcome="accepted", strategy_id="b" * 32, reason="")
    other = replace(first, idx=5)
    await save_transcripts(store, [second, other, first])
    assert await transcripts_of_strategy(store, "b" * 32) == [first, second]


async def test_what_a_cycle_spent_is_added_up(store: Store) -> None:
    cycle_id = await a_cycle(store)
    assert await spent_on(store, cycle_id) == Spent(0, 0, 0, 0, 0.0)
    rows = [replace(ROW, cycle_id=cycle_id, idx=n) for n in range(3)]
    await save_transcripts(store, [*rows, replace(rows[0], attempt=1, outcome="accepted")])
    assert await spent_on(store, cycle_id) == Spent(4, 1, 40, 20, 1.0)
