from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.backtest.metric_names import N_METRICS
from engine.store import cycles, ledger, strategies
from engine.store.database import Store, sqlite_url
from engine.store.ledger import TrialContext
from engine.store.strategies import CandidateRow
from engine.types import FloatArray

CONTEXTS = [TrialContext("x", symbol, "5m", "h", 0, 9, "fit", "c", "1") for symbol in "CAB"]
Pairs = list[tuple[int, int]]


async def _digest(values: FloatArray, chunks: list[Pairs], order: list[int]) -> tuple[str, int]:
    with tempfile.TemporaryDirectory() as home:
        store = await Store.open(sqlite_url(Path(home)))
        made = await cycles.create_cycle(
            store,
            seed=1,
            count=len(order),
            symbols=list("ABC"),
            timeframe="5m",
            days=1,
            exchange="x",
            market_label="GENERATED",
            created_at=1,
        )
        rows = [CandidateRow(i, f"s{i}", "genetic", "t", "5m", "long", "{}") for i in order]
        await strategies.add_candidates(store, made.id, rows)
        shuffled = sorted(range(len(CONTEXTS)), key=lambda i: (order[0] + i) % len(CONTEXTS))
        ids = await ledger.ensure_contexts(store, made.id, [CONTEXTS[i] for i in shuffled])
        id_of = dict(zip(shuffled, ids, strict=True))
        new = 0
        for chunk in chunks:
            new += await ledger.record(
                store,
                cycle_id=made.id,
                context_ids=np.array([id_of[c] for _, c in chunk], dtype=np.int64),
                strategy_ids=[f"s{i}" for i, _ in chunk],
                metrics=np.array([values[i, c] for i, c in chunk]).reshape(-1, N_METRICS),
                now_at=len(chunks),
            )
        digest = await ledger.results_digest(store, made.id)
        read = [row async for row in ledger.evaluations_of_cycle(store, made.id)]
        for row in read:
            expected = values[int(row.strategy_id[1:]), CONTEXTS.index(row.context)]
            np.testing.assert_array_equal(row.metrics, expected)
        await store.close()
    return digest, new


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_results_depend_neither_on_chunks_nor_on_order_nor_on_what_was_sent_twice(
    data: st.DataObject,
) -> None:
    n = data.draw(st.integers(1, 6))
    seed = data.draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).normal(size=(n, len(CONTEXTS), N_METRICS))
    odd = data.draw(st.lists(st.floats(), min_size=1, max_size=20))
    values.reshape(-1)[: len(odd)] = odd
    pairs = [(i, c) for i in range(n) for c in range(len(CONTEXTS))]
    plain = asyncio.run(_digest(values, [pairs], list(range(n))))
    shuffled = data.draw(st.permutations(pairs))
    size = data.draw(st.integers(1, len(pairs)))
    chunks = [list(shuffled[i : i + size]) for i in range(0, len(pairs), size)]
    again = data.draw(st.sampled_from(chunks))
    order = list(data.draw(st.permutations(range(n))))
    assert asyncio.run(_digest(values, [*chunks, again], order)) == plain
    assert plain[1] == len(pairs)
