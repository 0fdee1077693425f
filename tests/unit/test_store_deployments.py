from __future__ import annotations

from dataclasses import replace

from engine.store.database import Store
from engine.store.deployments import (
    DeploymentRow,
    deployments_of,
    newest_deployments,
    save_deployments,
)

pytest_plugins = ["tests.store_backends"]

ROW = DeploymentRow(
    strategy_id="a" * 64,
    version=1,
    ticket="command 1",
    account="paper",
    target="workerd",
    state="checking",
    share_frac=0.0,
    allocation_frac=0.02,
    position_frac=0.05,
    stop_frac=0.02,
    who="me",
    created_at=5,
    step_at=5,
    changed_at=5,
    facts={"latency_ms": 2.5},
)


async def test_a_version_is_read_as_it_was_written(store: Store) -> None:
    await save_deployments(store, [ROW])
    assert await deployments_of(store) == [ROW]
    assert await deployments_of(store, strategy_id="b") == []
    assert await deployments_of(store, states=["rolling"]) == []


async def test_a_late_write_undoes_nothing(store: Store) -> None:
    live = replace(ROW, state="live", share_frac=1.0, changed_at=9)
    await save_deployments(store, [live])
    await save_deployments(store, [replace(ROW, reason="late", changed_at=8)])
    assert await deployments_of(store) == [live]
    again = replace(live, url="http://127.0.0.1:1")
    await save_deployments(store, [again])
    assert await deployments_of(store) == [again]


async def test_a_strategy_is_known_by_its_last_version_that_ran(store: Store) -> None:
    ended = replace(ROW, state="ended", outcome="rolled back", ended_at=7)
    refused = replace(ROW, version=3, state="ended", outcome="refused")
    await save_deployments(
        store, [replace(ROW, state="ended", outcome="replaced"), replace(ended, version=2), refused]
    )
    assert [row.version for row in await newest_deployments(store)] == [2]
