from __future__ import annotations

import math

import numpy as np

from engine.backtest.metric_names import N_METRICS
from engine.select.gates import Rule
from engine.store import candidates, curves, cycles, ledger
from engine.store.database import Store
from engine.store.verdicts import VerdictRow, save_verdicts, verdicts_of, verdicts_of_cycle

pytest_plugins = ["tests.store_backends"]


async def a_cycle(store: Store, *ids: str) -> int:
    cycle = await cycles.create_cycle(
        store,
        seed=1,
        count=1,
        symbols=["A"],
        timeframe="5m",
        days=1,
        exchange="x",
        market_label="GENERATED",
        created_at=1,
    )
    rows = [
        candidates.CandidateRow(i, name, "genetic", "breakout", "5m", "long", f'{{"{name}":1}}')
        for i, name in enumerate(ids)
    ]
    await candidates.add_candidates(store, cycle.id, rows)
    return cycle.id


def verdict(strategy_id: str, cycle_id: int, passed: bool, judged_at: int) -> VerdictRow:
    rules = (
        Rule("sharpe", 1.5, 1.0, True, "holdout"),
        Rule("deflated_sharpe", math.nan, 0.9, False, "holdout"),
        Rule("profit_factor", math.inf, 1.2, True, "holdout"),
    )
    facts = {"n_scored": 3, "n_effective": 2.5, "why": "three", "luck_sharpe": math.nan}
    return VerdictRow(strategy_id, cycle_id, "paper", "A", passed, rules, facts, judged_at)


async def test_a_verdict_comes_back_with_every_number(store: Store) -> None:
    cycle_id = await a_cycle(store, "s1")
    row = verdict("s1", cycle_id, False, 5)
    await save_verdicts(store, [row])
    [found] = await verdicts_of(store, "s1")
    assert found.rules[0] == row.rules[0]
    assert math.isnan(found.rules[1].number)
    assert found.rules[2].number == math.inf
    assert found.facts == {"n_scored": 3, "n_effective": 2.5, "why": "three", "luck_sharpe": None}
    assert (found.passed, found.judged_at) == (False, 5)


async def test_judging_a_cycle_again_replaces_its_verdict(store: Store) -> None:
    first, second = await a_cycle(store, "s1", "s2"), await a_cycle(store, "s1")
    await save_verdicts(store, [verdict("s1", first, False, 5), verdict("s2", first, False, 5)])
    await save_verdicts(store, [verdict("s1", first, True, 6), verdict("s1", second, False, 9)])
    found = [(row.cycle_id, row.passed, row.judged_at) for row in await verdicts_of(store, "s1")]
    assert found == [(second, False, 9), (first, True, 6)]
    assert [row.strategy_id for row in await verdicts_of_cycle(store, first)] == ["s1", "s2"]


async def test_holdout_scores_are_counted_and_are_no_part_of_the_cycle(store: Store) -> None:
    cycle_id = await a_cycle(store, "s1", "s2")
    unseen = ledger.TrialContext("x", "A", "5m", "h", 0, 9, "holdout", "c", "1")
    [context_id] = await ledger.ensure_contexts(store, cycle_id, [unseen], is_linked=False)
    digest = await ledger.results_digest(store, cycle_id)
    await ledger.record(
        store,
        cycle_id=cycle_id,
        context_ids=np.array([context_id, context_id]),
        strategy_ids=["s1", "s2"],
        metrics=np.zeros((2, N_METRICS)),
        now_at=1,
    )
    assert await ledger.results_digest(store, cycle_id) == digest
    assert await ledger.strategies_scored(store, "x", "A", "5m", "holdout") == 2
    assert await ledger.strategies_scored(store, "x", "A", "5m", "holdout", ["s2"]) == 1
    assert await ledger.strategies_scored(store, "x", "B", "5m", "holdout") == 0
    points = np.array([1.0, 1.5, 0.75], dtype=np.float32)
    rows = [curves.CurveRow(name, context_id, points, 0, 9) for name in ("s2", "s1")]
    await curves.save_curves(store, rows)
    found = await curves.holdout_curves(store, "x", "A", "5m", 10)
    assert [item.curve.strategy_id for item in found] == ["s1", "s2"]
    assert len(await curves.holdout_curves(store, "x", "A", "5m", 1)) == 1
    assert await curves.holdout_curves(store, "x", "A", "1h", 10) == []


async def test_a_sample_holds_evaluated_candidates_only(store: Store) -> None:
    cycle_id = await a_cycle(store, "s3", "s1", "s2")
    await candidates.mark_candidates(
        store, cycle_id, "evaluated", np.array([0, 2]), np.array([0.1, 0.2])
    )
    assert await candidates.evaluated_sample(store, cycle_id, 5) == [
        ("s2", '{"s2":1}'),
        ("s3", '{"s3":1}'),
    ]
    assert await candidates.evaluated_sample(store, cycle_id, 1) == [("s2", '{"s2":1}')]
