from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.errors import InvariantError, StoreError, UsageError
from engine.store import cycles, events, strategies
from engine.store.database import Store
from engine.store.strategies import CandidateRow, ScoreRow, StatusChange

pytest_plugins = ["tests.store_backends"]


async def _cycle(store: Store) -> int:
    made = await cycles.create_cycle(
        store,
        seed=1,
        count=4,
        symbols=["A"],
        timeframe="5m",
        days=90,
        exchange="x",
        market_label="GENERATED",
        created_at=1,
    )
    return made.id


def _row(idx: int, strategy_id: str, **changes: Any) -> CandidateRow:
    values: dict[str, Any] = {
        "origin": "genetic",
        "type": "momentum",
        "timeframe": "5m",
        "direction": "long",
        "genome": f'{{"id":"{strategy_id}"}}',
        "created_at": 100 + idx,
    }
    return CandidateRow(idx, strategy_id, **{**values, **changes})


def _score(strategy_id: str, fitness: float, **changes: Any) -> ScoreRow:
    values: dict[str, Any] = {
        "best_symbol": "BTC/USDT",
        "sharpe": 1.0,
        "max_drawdown": 0.1,
        "n_trades": 20.0,
        "total_return": 0.2,
        "win_rate": 0.5,
        "profit_factor": 1.5,
    }
    return ScoreRow(strategy_id, fitness, **{**values, **changes})


async def _four(store: Store) -> int:
    cycle_id = await _cycle(store)
    rows = [
        _row(0, "aaa1", name="Fast 100%"),
        _row(1, "aab2", type="breakout", parent_a="aaa1"),
        _row(2, "bbb3", parent_a="aab2", parent_b="aaa1", generation=2),
        _row(3, "ccc4", origin="library", parent_a="gone"),
    ]
    await strategies.add_candidates(store, cycle_id, rows)
    return cycle_id


async def test_candidates_come_back_in_order_page_by_page(store: Store) -> None:
    cycle_id = await _cycle(store)
    rows = [_row(i, f"s{i}", findings=[{"code": "E1"}] if i == 2 else None) for i in range(5)]
    assert await strategies.add_candidates(store, cycle_id, rows[::-1]) == 5
    first = await strategies.candidates_page(store, cycle_id, -1, 2)
    rest = await strategies.candidates_page(store, cycle_id, first[-1].idx, 10)
    assert [*first, *rest] == rows
    assert await strategies.candidates_page(store, cycle_id, 4) == []


async def test_adding_candidates_twice_changes_nothing(store: Store) -> None:
    cycle_id = await _cycle(store)
    rows = [_row(0, "s0"), _row(1, "s1")]
    await strategies.add_candidates(store, cycle_id, rows)
    await strategies.mark_candidates(store, cycle_id, "valid", [0])
    assert await strategies.add_candidates(store, cycle_id, [*rows, _row(2, "s2")]) == 1
    found = await strategies.candidates_page(store, cycle_id)
    assert [(row.idx, row.status) for row in found] == [
        (0, "valid"),
        (1, "generated"),
        (2, "generated"),
    ]


async def test_a_strategy_met_again_keeps_its_row_and_remembers_the_earliest_bar(
    store: Store,
) -> None:
    first, second = await _cycle(store), await _cycle(store)
    await strategies.add_candidates(store, first, [_row(0, "s0", earliest_read_at=50)])
    await strategies.add_candidates(
        store, second, [_row(0, "s0", origin="pattern", earliest_read_at=40)]
    )
    await strategies.add_candidates(store, second, [_row(1, "s0", earliest_read_at=45)])
    await strategies.add_candidates(store, second, [_row(2, "s0")])
    stored = (await strategies.get_strategy(store, "s0")).row
    assert (stored.cycle_id, stored.origin, stored.earliest_read_at) == (first, "genetic", 40)
    assert (await strategies.candidates_page(store, second))[0].origin == "pattern"


async def test_one_strategy_may_fill_two_places_in_one_batch(store: Store) -> None:
    cycle_id = await _cycle(store)
    rows = [_row(0, "s0", earliest_read_at=5), _row(1, "s0", earliest_read_at=5)]
    assert await strategies.add_candidates(store, cycle_id, rows) == 2
    assert await strategies.known_ids(store, cycle_id) == {"s0"}


async def test_marking_counts_and_keeps_what_is_not_given(store: Store) -> None:
    cycle_id = await _four(store)
    marked = await strategies.mark_candidates(
        store, cycle_id, "rejected", [0, 9], findings=[[{"code": "RISK"}], None]
    )
    assert marked == 1
    fitness = np.array([0.5, math.nan])
    await strategies.mark_candidates(store, cycle_id, "evaluated", np.array([1, 2]), fitness)
    rows = await strategies.candidates_page(store, cycle_id)
    assert [row.status for row in rows] == ["rejected", "evaluated", "evaluated", "generated"]
    assert [row.fitness for row in rows] == [None, 0.5, None, None]
    assert rows[0].findings == [{"code": "RISK"}]
    await strategies.mark_candidates(store, cycle_id, "failed", [0, 1])
    rows = await strategies.candidates_page(store, cycle_id, statuses=["failed"])
    assert [(row.idx, row.fitness) for row in rows] == [(0, None), (1, 0.5)]
    assert rows[0].findings == [{"code": "RISK"}]
    assert await strategies.count_candidates(store, cycle_id) == {
        "generated": 1,
        "valid": 0,
        "rejected": 0,
        "evaluated": 1,
        "failed": 2,
    }
    assert await strategies.mark_candidates(store, cycle_id, "valid", []) == 0


async def test_marking_refuses_unknown_statuses_and_unequal_lengths(store: Store) -> None:
    with pytest.raises(InvariantError, match="good"):
        await strategies.mark_candidates(store, 1, "good", [0])
    with pytest.raises(InvariantError, match="one value"):
        await strategies.mark_candidates(store, 1, "valid", [0, 1], fitness=[1.0])


async def test_a_candidate_of_no_cycle_stores_nothing_at_all(store: Store) -> None:
    with pytest.raises(StoreError, match="not stored"):
        await strategies.add_candidates(store, 5, [_row(0, "s0")])
    assert (await strategies.leaderboard(store))[1] == 0


async def test_the_leaderboard_sorts_with_undefined_last_either_way(store: Store) -> None:
    await _four(store)
    scores = [_score("aaa1", 0.1), _score("aab2", 0.3), _score("bbb3", math.nan)]
    assert await strategies.update_scores(store, [*scores, _score("nobody", 1.0)]) == 3
    down, total = await strategies.leaderboard(store)
    assert [row.id for row in down] == ["aab2", "aaa1", "bbb3", "ccc4"]
    assert total == 4
    up, _ = await strategies.leaderboard(store, descending=False)
    assert [row.id for row in up] == ["aaa1", "aab2", "bbb3", "ccc4"]
    assert math.isnan(up[3].sharpe)
    assert down[0].profit_factor == 1.5
    page, total = await strategies.leaderboard(store, sort="id", limit=2, offset=1)
    assert [row.id for row in page] == ["bbb3", "aab2"]
    assert total == 4


async def test_the_leaderboard_filters(store: Store) -> None:
    cycle_id = await _four(store)
    await strategies.add_candidates(store, await _cycle(store), [_row(0, "ddd5")])
    await strategies.update_scores(store, [_score("ddd5", 0.2, best_symbol="ETH/USDT")])
    await strategies.change_status(store, "ccc4", "paper", "good", "ada", 5)

    async def ids(**wanted: Any) -> list[str]:
        rows, total = await strategies.leaderboard(store, sort="id", descending=False, **wanted)
        assert total == len(rows)
        return [row.id for row in rows]

    assert await ids(statuses=["paper", "live"]) == ["ccc4"]
    assert await ids(statuses=[]) == []
    assert await ids(type="breakout") == ["aab2"]
    assert await ids(symbol="ETH/USDT") == ["ddd5"]
    assert await ids(text="100%") == ["aaa1"]
    assert await ids(text="MOMENTUM b3") == ["bbb3"]
    assert await ids(cycle_id=cycle_id) == ["aaa1", "aab2", "bbb3", "ccc4"]


async def test_an_unknown_sort_names_the_nearest(store: Store) -> None:
    with pytest.raises(UsageError, match="'sharpe'"):
        await strategies.leaderboard(store, sort="sharp")


async def test_a_strategy_is_found_by_id_or_by_the_start_of_it(store: Store) -> None:
    await _four(store)
    await strategies.add_candidates(store, await _cycle(store), [_row(0, "aaa10")])
    assert (await strategies.get_strategy(store, "BB")).row.id == "bbb3"
    assert (await strategies.get_strategy(store, "aaa1")).genome == '{"id":"aaa1"}'
    with pytest.raises(UsageError, match="ambiguous: aaa1, aaa10, aab2"):
        await strategies.get_strategy(store, "aa")
    with pytest.raises(UsageError, match="nearest is bbb3"):
        await strategies.get_strategy(store, "bbb9")
    with pytest.raises(UsageError, match="not in the store"):
        await strategies.get_strategy(store, "zzz")
    with pytest.raises(UsageError, match="not in the store"):
        await strategies.get_strategy(store, " ")


async def test_an_empty_store_says_so(store: Store) -> None:
    with pytest.raises(UsageError, match="no strategies yet"):
        await strategies.get_strategy(store, "ab")


async def test_genomes_leave_out_unknown_ids(store: Store) -> None:
    await _four(store)
    found = await strategies.genomes(store, ["ccc4", "nobody"])
    assert found == {"ccc4": '{"id":"ccc4"}'}


async def test_lineage_lists_each_ancestor_once_nearest_first(store: Store) -> None:
    await _four(store)
    rows = await strategies.lineage(store, "bbb3", 5)
    assert [(row.depth, row.row.id) for row in rows] == [(0, "bbb3"), (1, "aaa1"), (1, "aab2")]
    assert [row.row.id for row in await strategies.lineage(store, "bbb3", 0)] == ["bbb3"]
    assert [row.row.id for row in await strategies.lineage(store, "ccc4")] == ["ccc4"]
    assert await strategies.lineage(store, "nobody") == []


async def test_each_status_change_is_an_event_with_reason_and_author(store: Store) -> None:
    await _four(store)
    assert await strategies.change_status(store, "aaa1", "screened", "passed", "learner", 9)
    assert not await strategies.change_status(store, "aaa1", "screened", "passed", "learner", 10)
    assert (await strategies.get_strategy(store, "aaa1")).row.status == "screened"
    told = await events.events_page(store, kind="strategy.status")
    assert [(row.at, row.subject, row.fields) for row in told] == [
        (
            9,
            "aaa1",
            {"from": "generated", "to": "screened", "reason": "passed", "who": "learner"},
        )
    ]
    assert await strategies.count_statuses(store) == {"generated": 3, "screened": 1}


async def test_many_status_changes_are_all_made_or_none(store: Store) -> None:
    await _four(store)
    changes = [
        StatusChange("aaa1", "screened", "r", "w"),
        StatusChange("aaa1", "paper", "r", "w"),
        StatusChange("bbb3", "rejected", "r", "w"),
    ]
    assert await strategies.change_statuses(store, changes, 5) == 3
    assert await strategies.count_statuses(store) == {"generated": 2, "paper": 1, "rejected": 1}
    wrong = [StatusChange("ccc4", "paper", "r", "w"), StatusChange("nobody", "paper", "r", "w")]
    with pytest.raises(UsageError, match="nobody"):
        await strategies.change_statuses(store, wrong, 6)
    with pytest.raises(UsageError, match="great"):
        await strategies.change_status(store, "ccc4", "great", "r", "w", 6)
    assert (await strategies.get_strategy(store, "ccc4")).row.status == "generated"
    assert len(await events.events_page(store)) == 3
