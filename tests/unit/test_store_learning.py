from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from sqlalchemy import text

from engine.errors import StoreError
from engine.store import candidates, curves, cycles, heartbeats, insights, ledger, states
from engine.store.database import Store
from engine.store.heartbeats import HeartbeatRow
from engine.store.insights import Insight

pytest_plugins = ["tests.store_backends"]


async def test_the_last_beat_of_a_part_wins(store: Store) -> None:
    await heartbeats.beat(store, [HeartbeatRow("b-2", "backtester", 1, "idle")])
    await heartbeats.beat(
        store,
        [
            HeartbeatRow("b-1", "backtester", 2, "busy", {"pid": 4}),
            HeartbeatRow("b-2", "backtester", 2, "idle"),
            HeartbeatRow("b-2", "backtester", 3, "busy", {"rate": 0.5}),
        ],
    )
    rows = await heartbeats.heartbeats(store)
    assert [(row.name, row.at, row.state) for row in rows] == [
        ("b-1", 2, "busy"),
        ("b-2", 3, "busy"),
    ]
    assert rows[1].detail == {"rate": 0.5}
    await heartbeats.forget_heartbeats(store, ["b-1", "nobody"])
    assert [row.name for row in await heartbeats.heartbeats(store)] == ["b-2"]


async def test_adding_insights_again_replaces_that_cycles_only(store: Store) -> None:
    first = [Insight("correlation", "rsi", 0.3, 0.01, {"n": 40}), Insight("range", "stop")]
    await insights.add_insights(store, 1, first, 10)
    await insights.add_insights(store, 2, [Insight("correlation", "atr", 0.1, 0.5)], 20)
    await insights.add_insights(store, 1, first, 30)
    rows = await insights.insights(store)
    assert [(row.cycle_id, row.subject) for row in rows] == [(2, "atr"), (1, "rsi"), (1, "stop")]
    assert (rows[1].value, rows[1].p_value, rows[1].payload) == (0.3, 0.01, {"n": 40})
    assert math.isnan(rows[2].value)
    assert math.isnan(rows[2].p_value)
    assert [row.subject for row in await insights.insights(store, kind="range")] == ["stop"]
    assert [row.subject for row in await insights.insights(store, 1, limit=1)] == ["rsi"]


async def test_a_state_is_stored_once_under_its_content(store: Store) -> None:
    digest = await states.save_state(store, payload='{"arms":[1]}', cycle_id=1, now_at=10)
    assert digest == hashlib.sha256(b'{"arms":[1]}').hexdigest()
    again = await states.save_state(store, payload='{"arms":[1]}', cycle_id=9, now_at=99)
    assert again == digest
    row = await states.load_state(store, digest)
    assert (row.payload, row.cycle_id, row.created_at) == ('{"arms":[1]}', 1, 10)


async def test_the_latest_state_is_the_one_saved_last(store: Store) -> None:
    assert await states.latest_state(store) is None
    first = await states.save_state(store, payload="a", cycle_id=1, now_at=10)
    second = await states.save_state(store, payload="b", parent_hash=first, cycle_id=2, now_at=20)
    latest = await states.latest_state(store)
    assert latest is not None
    assert (latest.hash, latest.parent_hash) == (second, first)


async def test_a_missing_or_changed_state_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="abcdef"):
        await states.load_state(store, "abcdef")
    digest = await states.save_state(store, payload="a", now_at=10)
    async with store.write() as connection:
        await connection.execute(text("UPDATE learned_states SET payload = 'b'"))
    with pytest.raises(StoreError, match="damaged"):
        await states.load_state(store, digest)


async def test_curves_come_back_as_the_floats_that_went_in(store: Store) -> None:
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
    row = candidates.CandidateRow(0, "s1", "genetic", "breakout", "5m", "long", "{}")
    await candidates.add_candidates(store, cycle.id, [row])
    contexts = [
        ledger.TrialContext("x", symbol, "5m", "h", 0, 9, "validation", "c", "1") for symbol in "BA"
    ]
    ids = await ledger.ensure_contexts(store, cycle.id, contexts)
    points = np.array([1.0, 1.1, 0.5], dtype=np.float32)
    await curves.save_curve(store, curves.CurveRow("s1", ids[0], points * 2, 0, 9))
    await curves.save_curves(
        store,
        [
            curves.CurveRow("s1", ids[0], points, 0, 9),
            curves.CurveRow("s1", ids[1], points[::2], 3, 8),
        ],
    )
    found = await curves.load_curves(store, "s1")
    assert [item.context.symbol for item in found] == ["A", "B"]
    np.testing.assert_array_equal(found[1].curve.points, points)
    np.testing.assert_array_equal(found[0].curve.points, points[::2])
    assert (found[0].curve.start_at, found[0].curve.end_at) == (3, 8)
    assert found[0].curve.points.dtype == np.float32
    assert await curves.load_curves(store, "s2") == []
