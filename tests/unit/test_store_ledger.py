from __future__ import annotations

import hashlib
import math
import struct

import numpy as np
import pytest
from sqlalchemy import select

from engine.backtest.metric_names import METRIC_INDEX, METRIC_NAMES, N_METRICS
from engine.errors import InvariantError, StoreError
from engine.store import cycles, evaluations, ledger, strategies
from engine.store.database import Store
from engine.store.ledger import TrialContext
from engine.store.strategies import CandidateRow
from engine.store.tables import evaluations as evaluations_table
from engine.types import FloatArray

pytest_plugins = ["tests.store_backends"]

CONTEXTS = [
    TrialContext("x", symbol, "5m", "hash", 0, 100, segment, "costs", "1")
    for symbol in ("ETH/USDT", "BTC/USDT")
    for segment in ("validation", "fit")
]


async def _cycle(store: Store, ids: list[str]) -> int:
    made = await cycles.create_cycle(
        store,
        seed=1,
        count=len(ids),
        symbols=["BTC/USDT", "ETH/USDT"],
        timeframe="5m",
        days=90,
        exchange="x",
        market_label="GENERATED",
        created_at=1,
    )
    rows = [
        CandidateRow(i, strategy_id, "genetic", "momentum", "5m", "long", "{}")
        for i, strategy_id in enumerate(ids)
    ]
    await strategies.add_candidates(store, made.id, rows)
    return made.id


def _metrics(n: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(n, N_METRICS))


async def _record_all(
    store: Store, cycle_id: int, ids: list[str], metrics: FloatArray, **more: object
) -> int:
    context_ids = await ledger.ensure_contexts(store, cycle_id, CONTEXTS)
    return await ledger.record(
        store,
        cycle_id=cycle_id,
        context_ids=np.tile(np.array(context_ids, dtype=np.int64), len(ids)),
        strategy_ids=[strategy_id for strategy_id in ids for _ in CONTEXTS],
        metrics=metrics,
        now_at=5,
        **more,  # type: ignore[arg-type]
    )


def _digest_by_hand(rows: list[tuple[str, TrialContext, str, list[float]]]) -> str:
    text = ""
    for strategy_id, context, status, metrics in sorted(rows, key=lambda row: row[:2]):
        key = [strategy_id, context.exchange, context.symbol, context.timeframe]
        key += [context.series_hash, str(context.window_start_at), str(context.window_end_at)]
        key += [context.segment, context.costs_hash, context.engine_version, status]
        hexes = [
            "7ff8000000000000" if math.isnan(value) else struct.pack(">d", value).hex()
            for value in metrics
        ]
        text += "\x1f".join(key) + "\x1f" + "".join(hexes) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()


async def test_contexts_get_one_id_for_good(store: Store) -> None:
    first, second = await _cycle(store, ["a"]), await _cycle(store, ["b"])
    ids = await ledger.ensure_contexts(store, first, CONTEXTS)
    assert len(set(ids)) == 4
    assert await ledger.ensure_contexts(store, second, CONTEXTS[::-1]) == ids[::-1]
    assert await ledger.ensure_contexts(store, second, CONTEXTS[:1]) == ids[:1]
    assert await ledger.ensure_contexts(store, second, []) == []
    known = await ledger.contexts_of_cycle(store, first)
    assert list(known.values()) == sorted(CONTEXTS)
    assert known[ids[0]] == CONTEXTS[0]


async def test_every_metric_survives_and_odd_floats_are_canonical(store: Store) -> None:
    cycle_id = await _cycle(store, ["a"])
    metrics = _metrics(4)
    metrics[0, :6] = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    await _record_all(store, cycle_id, ["a"], metrics)
    rows = await ledger.evaluations_of_strategy(store, "a")
    assert [row.context for row in rows] == sorted(CONTEXTS)
    found = next(row for row in rows if row.context == CONTEXTS[0]).metrics
    np.testing.assert_array_equal(found, metrics[0])
    assert math.copysign(1.0, found[3]) == 1.0
    by_context = {row.context: row.metrics for row in rows}
    for i, context in enumerate(CONTEXTS):
        np.testing.assert_array_equal(by_context[context], metrics[i])


async def test_undefined_metrics_are_null_in_the_database(store: Store) -> None:
    cycle_id = await _cycle(store, ["a"])
    metrics = _metrics(4)
    metrics[:, 0] = math.nan
    await _record_all(store, cycle_id, ["a"], metrics)
    async with store.read() as connection:
        values = await connection.execute(select(evaluations_table.c[METRIC_NAMES[0]]))
        assert values.scalars().all() == [None] * 4


async def test_an_evaluation_is_recorded_exactly_once(store: Store) -> None:
    first, second = await _cycle(store, ["a", "b"]), await _cycle(store, ["b", "c"])
    metrics = _metrics(8)
    assert await _record_all(store, first, ["a", "b"], metrics) == 8
    assert await _record_all(store, first, ["a", "b"], metrics * 2) == 0
    assert await _record_all(store, second, ["b", "c"], metrics[::-1].copy()) == 4
    assert await ledger.trials_total(store) == 12
    rows = [row async for row in ledger.evaluations_of_cycle(store, second)]
    assert [(row.strategy_id, row.cycle_id) for row in rows] == [("b", first)] * 4 + [
        ("c", second)
    ] * 4
    statistics = await ledger.cycle_statistics(store, second)
    assert (statistics.evaluations, statistics.reused) == (8, 4)


async def test_a_failed_evaluation_is_stored_with_its_error(store: Store) -> None:
    cycle_id = await _cycle(store, ["a"])
    metrics = _metrics(4)
    metrics[2] = math.nan
    await _record_all(store, cycle_id, ["a"], metrics, errors={2: "kernel: division"})
    rows = [row async for row in ledger.evaluations_of_cycle(store, cycle_id)]
    failed = [row for row in rows if row.status == "failed"]
    assert [(row.context, row.error) for row in failed] == [(CONTEXTS[2], "kernel: division")]
    assert np.isnan(failed[0].metrics).all()
    assert {row.error for row in rows if row.status == "ok"} == {None}


async def test_recording_for_an_unknown_strategy_writes_nothing(store: Store) -> None:
    cycle_id = await _cycle(store, ["a"])
    with pytest.raises(StoreError, match="not stored"):
        await _record_all(store, cycle_id, ["a", "nobody"], _metrics(8))
    assert await ledger.trials_total(store) == 0


async def test_shapes_that_do_not_agree_are_refused(store: Store) -> None:
    with pytest.raises(InvariantError, match=f"\\(2, {N_METRICS}\\)"):
        await ledger.record(
            store,
            cycle_id=1,
            context_ids=np.array([1, 2]),
            strategy_ids=["a", "b"],
            metrics=np.zeros((1, N_METRICS)),
            now_at=1,
        )


async def test_recorded_pairs_are_those_asked_for(store: Store) -> None:
    ids = [f"s{i:04}" for i in range(1203)]
    cycle_id = await _cycle(store, ids)
    await _record_all(store, cycle_id, ids, _metrics(4 * len(ids)))
    context_ids = await ledger.ensure_contexts(store, cycle_id, CONTEXTS)
    found = await ledger.recorded_pairs(store, context_ids[:2], [*ids[:1000], "nobody"])
    assert found == {(i, c) for i in ids[:1000] for c in context_ids[:2]}
    assert await ledger.recorded_pairs(store, [], ids) == set()
    assert await ledger.recorded_pairs(store, np.array(context_ids), []) == set()


async def test_a_cycle_is_read_in_key_order_over_several_blocks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluations, "_ROWS_PER_BLOCK", 12)
    ids = ["c", "B", "a", "é", "Z", "b", "0", "_"]
    cycle_id = await _cycle(store, ids)
    await _record_all(store, cycle_id, ids, _metrics(4 * len(ids)))
    rows = [row async for row in ledger.evaluations_of_cycle(store, cycle_id)]
    keys = [(row.strategy_id, row.context) for row in rows]
    assert keys == [(i, c) for i in sorted(ids) for c in sorted(CONTEXTS)]
    blocks = [len(b.strategy_ids) async for b in ledger.evaluation_blocks(store, cycle_id)]
    assert blocks == [12, 12, 8]


async def test_a_cycle_without_contexts_or_evaluations_is_empty(store: Store) -> None:
    cycle_id = await _cycle(store, ["a", "b"])
    nothing = hashlib.sha256().hexdigest()
    assert await ledger.results_digest(store, cycle_id) == nothing
    await ledger.ensure_contexts(store, cycle_id, CONTEXTS)
    assert [row async for row in ledger.evaluations_of_cycle(store, cycle_id)] == []
    assert await ledger.results_digest(store, cycle_id) == nothing
    statistics = await ledger.cycle_statistics(store, cycle_id)
    assert (statistics.evaluations, statistics.by_segment) == (0, {})
    assert math.isnan(statistics.median_validation_trades)
    assert await ledger.best(store, cycle_id) == []


async def test_the_digest_is_the_one_worked_out_by_hand(store: Store) -> None:
    ids = ["b", "a"]
    cycle_id = await _cycle(store, ids)
    metrics = _metrics(8)
    metrics[0, :3] = [math.nan, math.inf, -0.0]
    await _record_all(store, cycle_id, ids, metrics, errors={3: "boom"})
    expected = _digest_by_hand(
        [
            (
                ids[i // 4],
                CONTEXTS[i % 4],
                "failed" if i == 3 else "ok",
                (metrics[i] + 0.0).tolist(),
            )
            for i in range(8)
        ]
    )
    assert await ledger.results_digest(store, cycle_id) == expected


async def test_the_digest_sees_one_changed_bit_and_no_row_of_another_cycle(store: Store) -> None:
    cycle_id = await _cycle(store, ["a"])
    metrics = _metrics(4)
    await _record_all(store, cycle_id, ["a"], metrics)
    before = await ledger.results_digest(store, cycle_id)
    other = await _cycle(store, ["b"])
    await _record_all(store, other, ["b"], metrics)
    assert await ledger.results_digest(store, cycle_id) == before
    again = await _cycle(store, ["a"])
    await ledger.ensure_contexts(store, again, CONTEXTS)
    assert await ledger.results_digest(store, again) == before
    name = METRIC_NAMES[-1]
    changed = float(np.nextafter(metrics[0, -1], math.inf))
    async with store.write() as connection:
        await connection.execute(
            evaluations_table.update()
            .where(evaluations_table.c[name] == float(metrics[0, -1]))
            .where(evaluations_table.c.strategy_id == "a")
            .values({name: changed})
        )
    assert await ledger.results_digest(store, cycle_id) != before


async def test_rejected_candidates_are_no_part_of_the_results(store: Store) -> None:
    first, second = await _cycle(store, ["a", "b"]), await _cycle(store, ["a", "b"])
    await _record_all(store, first, ["a", "b"], _metrics(8))
    await ledger.ensure_contexts(store, second, CONTEXTS)
    await strategies.mark_candidates(store, second, "rejected", [1])
    rows = [row async for row in ledger.evaluations_of_cycle(store, second)]
    assert {row.strategy_id for row in rows} == {"a"}
    assert (await ledger.cycle_statistics(store, second)).evaluations == 4
    assert (await ledger.cycle_statistics(store, first)).evaluations == 8


async def test_a_strategy_drawn_twice_counts_once(store: Store) -> None:
    cycle_id = await _cycle(store, ["a", "a"])
    await _record_all(store, cycle_id, ["a"], _metrics(4))
    assert (await ledger.cycle_statistics(store, cycle_id)).evaluations == 4
    assert len([row async for row in ledger.evaluations_of_cycle(store, cycle_id)]) == 4
    await strategies.mark_candidates(store, cycle_id, "evaluated", [0, 1], fitness=[1.0, 1.0])
    assert len(await ledger.best(store, cycle_id)) == 1


async def test_statistics_count_segments_symbols_failures_and_the_median_trade(
    store: Store,
) -> None:
    cycle_id = await _cycle(store, ["a", "b"])
    metrics = _metrics(8)
    # CONTEXTS alternate validation and fit; only validation counts for the median.
    metrics[:, METRIC_INDEX["n_trades"]] = [10, 900, 20, 900, 40, 900, math.nan, 900]
    await _record_all(store, cycle_id, ["a", "b"], metrics, errors={6: "boom"})
    statistics = await ledger.cycle_statistics(store, cycle_id)
    assert statistics == ledger.CycleStatistics(
        evaluations=8,
        ok=7,
        failed=1,
        reused=0,
        by_segment={"fit": 4, "validation": 4},
        by_symbol={"BTC/USDT": 4, "ETH/USDT": 4},
        median_validation_trades=20.0,
    )


async def test_the_best_come_with_their_best_symbol_on_validation(store: Store) -> None:
    ids = ["a", "b", "c"]
    cycle_id = await _cycle(store, ids)
    metrics = _metrics(12)
    fitness = METRIC_INDEX["fitness"]
    # Rows per strategy: ETH validation, ETH fit, BTC validation, BTC fit.
    metrics[:, fitness] = [1, 9, 2, 9, 5, 9, math.nan, 9, 0, 0, 0, 0]
    await _record_all(store, cycle_id, ids, metrics)
    await strategies.mark_candidates(
        store, cycle_id, "evaluated", [0, 1, 2], fitness=[1.5, 5.0, math.nan]
    )
    rows = await ledger.best(store, cycle_id, 5)
    assert [(row.strategy.id, row.fitness, row.symbol) for row in rows] == [
        ("b", 5.0, "ETH/USDT"),
        ("a", 1.5, "BTC/USDT"),
    ]
    assert rows[1].metrics["sharpe"] == metrics[2, METRIC_INDEX["sharpe"]]
    assert [row.strategy.id for row in await ledger.best(store, cycle_id, 1)] == ["b"]
