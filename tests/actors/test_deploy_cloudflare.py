"""The deployer with Cloudflare as its target: the same steps, over Cloudflare's API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.deploy.cloudflare_api import API_TOKEN_VARIABLE
from engine.errors import RuntimeUnavailable, UsageError
from engine.store.events import events_page
from tests.actors.deploy_house import DeployHouse
from tests.actors.test_deployer import bad_from_now_on, diverging, no_position_changed_owner
from tests.busy_strategies import busy_genome
from tests.cloudflare_server import API_TOKEN, CloudflareServer, Fault
from tests.workers import need_workerd

PARTS = ("trader-paper", "deployer")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[CloudflareServer]:
    need_workerd()
    async with CloudflareServer(tmp_path / "cloudflare") as server:
        yield server


@pytest.fixture
async def house(
    tmp_path: Path, server: CloudflareServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DeployHouse]:
    monkeypatch.setenv(API_TOKEN_VARIABLE, API_TOKEN)
    monkeypatch.setattr("actors.deployer.LOOK_S", 0.1)
    monkeypatch.setattr("engine.deploy.cloudflare.VERIFY_S", 0.5)
    house = DeployHouse(
        tmp_path, deploy={"target": "cloudflare"}, cloudflare=server.settings.model_dump()
    )
    await house.open(*PARTS)
    yield house
    await house.close()


async def test_versions_reach_all_of_it_and_a_bad_one_comes_back(
    house: DeployHouse, server: CloudflareServer
) -> None:
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    # The first check meets an API that fails, and is made again.
    server.faults = [Fault("versions", 500), Fault("PUT", cut=True, after=True)]
    await house.deploy(name)
    await house.reaches(1, "live")
    assert list(server.shares().values()) == [100.0]
    assert house.fleet.pids == []
    bad_from_now_on(house, diverging)
    await house.deploy(name, "2")
    await house.until(lambda: house.outcome(2) == "rolled back", "it was rolled back", 120.0)
    assert house.rows()[1].reason.startswith("rolled back (divergence)")
    await house.reaches(2, "ended")
    await house.until(
        lambda: list(server.shares().values()) == [100.0], "version 1 has everything again"
    )
    n_before = len(house.owners_of_entries())
    await house.until(lambda: len(house.owners_of_entries()) > n_before + 1, "version 1 goes on")
    assert list(house.owners_of_entries().values())[-1] == 1
    deployed = [list(one.values()) for one in server.only.deployments]
    assert [95.0, 5.0] in [sorted(one, reverse=True) for one in deployed]
    await no_position_changed_owner(house)
    assert house.failures == []


async def test_a_killed_deployer_takes_up_what_cloudflare_serves(
    house: DeployHouse, server: CloudflareServer
) -> None:
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    await house.deploy(name)
    await house.reaches(1, "rolling")
    await house.kill("deployer")
    await house.start("deployer")
    await house.reaches(1, "live")
    assert len(server.only.versions) == 1
    # The API is gone: what is served goes on, and the operator is told once.
    server.tokens = set()
    await house.until(lambda: "knows no such token" in house.deployer._words, "it was told")
    n_before = len(house.owners_of_entries())
    await house.until(lambda: len(house.owners_of_entries()) > n_before + 1, "it goes on")
    server.tokens = {API_TOKEN}
    await house.deployer.roll_back({"strategy_id": name, "reason": "a doubt"}, "me")
    await house.reaches(1, "ended")
    await house.until(lambda: server.scripts == {}, "nothing is left there", 120.0)
    waits = [e for e in await events_page(house.store, limit=500) if e.kind == "deploy.waits"]
    assert len([one for one in waits if "knows no such token" in one.message]) == 1
    await no_position_changed_owner(house)
    assert house.failures == []


async def test_a_token_that_may_not_is_told_to_whoever_deploys(
    house: DeployHouse, server: CloudflareServer
) -> None:
    (name,) = await house.promoted(busy_genome(1))
    await house.seated()
    server.may_edit = False
    with pytest.raises(RuntimeUnavailable, match="give it the permission"):
        await house.deploy(name)
    with pytest.raises(UsageError, match="target 'moon'"):
        await house.deploy(name, target="moon")
    assert house.rows() == []
