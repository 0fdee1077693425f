"""Recordings for tests: a filled home as a console would have seen it, one second after another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from console.feed import Feed
from console.pages import EventsQuery, PagesWatch, RunsQuery
from console.recording_writer import RecordingWriter, Shown
from console.snapshot import LeaderboardQuery, Snapshot
from console.trading_view import TradingWatch
from tests.console.filled_store import NOW_AT, session_of

LIMIT = 500
ABOUT = {
    "began_at": NOW_AT,
    "poll_s": 1.0,
    "rows_max": LIMIT,
    "who": "ana",
    "accounts": ["paper"],
}


async def whole_snapshot(home: Path, strategy_id: str | None = None) -> Snapshot:
    """Return everything that a console can know of a home."""
    feed = Feed(session_of(home))
    try:
        return await feed.snapshot(
            LeaderboardQuery(limit=LIMIT),
            strategy_id,
            TradingWatch(fills=True, audit=True, equity=True),
            PagesWatch(
                events=EventsQuery(limit=LIMIT),
                runs=RunsQuery(limit=LIMIT),
                learners=True,
                deployments=True,
            ),
        )
    finally:
        await feed.close()


def later(snapshot: Snapshot, number: int) -> Snapshot:
    """Return a snapshot as it was taken some seconds later, its backtests further on."""
    store = snapshot.store
    assert store is not None
    stages = tuple(
        replace(stage, done=stage.done + number) if stage.name == "backtest" else stage
        for stage in store.stages
    )
    at = snapshot.taken_at + number * 1000
    return replace(snapshot, taken_at=at, store=replace(store, read_at=at, stages=stages))


async def record_home(home: Path, path: Path, n_pictures: int = 200) -> Snapshot:
    """Record a home: the overview, then for the last half the best strategy; return the first."""
    plain = await whole_snapshot(home)
    assert plain.store is not None
    assert plain.store.leaderboard is not None
    strategy_id = plain.store.leaderboard.rows[0].id
    detailed = await whole_snapshot(home, strategy_id)
    writer = RecordingWriter(path, {**ABOUT, "home": str(home)})
    for number in range(n_pictures):
        if number < n_pictures // 2:
            writer.add(later(plain, number), Shown("overview"))
        else:
            writer.add(later(detailed, number), Shown("strategies", strategy_id))
    writer.close()
    return plain
