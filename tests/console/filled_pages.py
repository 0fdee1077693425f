"""Lessons, insights and deployed versions for the screens that list them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from engine.evolve.learned_state import LearnedState, Member, PatternStatistic
from engine.store.database import Store, sqlite_url
from engine.store.deployments import DeploymentRow, save_deployments
from engine.store.insights import Insight, add_insights
from engine.store.states import save_state
from tests.console.filled_store import DAY_MS, NOW_AT, genomes

VERSION = DeploymentRow(
    strategy_id=genomes(1)[0].id,
    version=2,
    ticket="paper-4",
    account="paper",
    target="workerd",
    state="rolling",
    share_frac=0.25,
    allocation_frac=0.02,
    position_frac=0.05,
    stop_frac=0.02,
    who="ana",
    created_at=NOW_AT - 900_000,
    step_at=NOW_AT - 120_000,
    changed_at=NOW_AT - 120_000,
    bundle="c" * 64,
    lookback_bars=400,
    url="http://127.0.0.1:8787",
    reason="at 25%: waits for 180 s and 1 decisions",
    facts={"n_requests": 12, "latency_ms": 4.25},
)


async def fill_pages(home: Path) -> None:
    """Add them to a home that was filled."""
    store = await Store.open(sqlite_url(home))
    try:
        parent = LearnedState.empty()
        for cycle_id in (1, 2):
            state = _state(parent, cycle_id)
            await save_state(
                store,
                payload=state.canonical_json(),
                parent_hash=parent.hash,
                cycle_id=cycle_id,
                now_at=NOW_AT - (3 - cycle_id) * DAY_MS,
            )
            parent = state
        found = [
            Insight("indicator", "ema", 0.12, 0.0004, {"q_value": 0.0031, "is_significant": True}),
            Insight("range", "stop_frac", 0.03, 0.41, {"q_value": 0.62, "is_significant": False}),
        ]
        await add_insights(store, 2, found, NOW_AT - DAY_MS)
        before = replace(VERSION, version=1, state="ended", outcome="rolled back", share_frac=0.0)
        other = genomes(2)[1].id
        ended = replace(
            before, strategy_id=other, reason="its positions lost 41.20 of a capital of 2,000.00"
        )
        await save_deployments(store, [before, VERSION, ended])
    finally:
        await store.close()


def _state(parent: LearnedState, cycle_id: int) -> LearnedState:
    members = tuple(
        Member(
            strategy_id=genome.id,
            genome_json=genome.canonical_json(),
            fitness=0.8 + 0.2 * cycle_id - 0.05 * place,
            standing=0.7 + 0.2 * cycle_id - 0.05 * place,
            generation=cycle_id - 1,
            cycle=cycle_id,
            niche="short|low",
        )
        for place, genome in enumerate(genomes(8))
    )
    return LearnedState(
        population=members,
        patterns=MappingProxyType({"ema × momentum": PatternStatistic(12.0, 8.4, 6.1)}),
        priors=MappingProxyType({"indicator=ema": 1.4, "stop=0.02": 0.8}),
        n_cycles=cycle_id,
        n_outcomes=480 * cycle_id,
        n_backtests=2928 * cycle_id,
        earliest_read_at=NOW_AT - 90 * DAY_MS,
        parent_hash=parent.hash,
    )
