from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.deploy.bundle import Bundle
from engine.deploy.cloudflare import VERIFY_S, CloudflareTarget, percentages
from engine.deploy.cloudflare_api import API_TOKEN_VARIABLE
from engine.deploy.target import Wanted
from engine.deploy.worker_client import WorkerClient
from engine.deploy_settings import Cloudflare
from engine.errors import RuntimeUnavailable, StrategyError
from tests.cloudflare_server import API_TOKEN, CloudflareServer, Fault
from tests.workers import TOKEN, need_workerd, worker_of

STRATEGY = "feedface01234567" * 4
ONE = worker_of('return { intent: "hold" };', "v1")
TWO = worker_of('return { intent: "flat" };', "v2")
BUNDLES = {1: ONE, 2: TWO}


class Ranch:
    """A target whose clock stands still, and the server that it asks."""

    def __init__(self, server: CloudflareServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.now_s = 0.0
        self.told: list[str] = []
        self.targets: list[CloudflareTarget] = []
        self.restart()

    def restart(self, secret: str = TOKEN, settings: Cloudflare | None = None) -> None:
        """Begin another life of the target."""
        self.target = CloudflareTarget(
            settings or self.server.settings,
            self.folder,
            secret,
            lambda: self.now_s,
            self.told.append,
            {API_TOKEN_VARIABLE: API_TOKEN},
        )
        self.targets.append(self.target)

    async def settle(self, wanted: Sequence[Wanted]) -> None:
        """Have these served, and raise what is in the way."""
        with suppress(RuntimeUnavailable):
            await self.target.serve(wanted)
        if self.target._work is not None:
            await self.target._work
        await self.target.serve(wanted)

    async def bundle_at(self, version: int, secret: str = TOKEN) -> str:
        """Return the bundle that answers where a version is asked."""
        async with WorkerClient(self.target.url(wanted(version, 1.0).name), secret) as client:
            return str((await client.health())["bundle"])


def wanted(version: int, share_frac: float, bundle: Bundle | None = None) -> Wanted:
    return Wanted(STRATEGY, version, bundle or BUNDLES[version], share_frac)


@pytest.fixture
async def ranch(tmp_path: Path) -> AsyncIterator[Ranch]:
    need_workerd()
    async with CloudflareServer(tmp_path / "workers") as server:
        ranch = Ranch(server, tmp_path / "home")
        yield ranch
        for target in ranch.targets:
            await target.stop()


async def test_a_version_is_rolled_out_and_the_one_before_is_let_go(ranch: Ranch) -> None:
    await ranch.settle([wanted(1, 1.0)])
    assert ranch.server.shares() == {1: 100.0}
    assert await ranch.bundle_at(1) == ONE.sha256
    async with ranch.target.trial(wanted(2, 0.0)) as client:
        assert ranch.server.shares() == {1: 100.0, 2: 0.0}
        assert (await client.health())["bundle"] == TWO.sha256
        await ranch.settle([wanted(1, 1.0)])
        assert ranch.server.shares() == {1: 100.0, 2: 0.0}
    for share in (0.05, 0.25, 0.5, 1.0):
        await ranch.settle([wanted(1, 1.0 - share), wanted(2, share)])
        assert ranch.server.shares() == {1: 100.0 * (1.0 - share), 2: 100.0 * share}
        for _ in range(3):
            # Whatever their shares: a position asks the version that opened it.
            assert await ranch.bundle_at(1) == ONE.sha256
            assert await ranch.bundle_at(2) == TWO.sha256
    await ranch.settle([wanted(2, 1.0)])
    assert ranch.server.shares() == {2: 100.0}
    assert ranch.target.url(wanted(1, 0.0).name) == ""
    assert ranch.told == []


async def test_a_version_that_is_taken_back_looks_after_what_it_opened(ranch: Ranch) -> None:
    await ranch.settle([wanted(1, 0.95), wanted(2, 0.05)])
    await ranch.settle([wanted(1, 1.0), wanted(2, 0.0)])
    assert ranch.server.shares() == {1: 100.0, 2: 0.0}
    assert await ranch.bundle_at(2) == TWO.sha256
    await ranch.settle([wanted(1, 1.0)])
    assert ranch.server.shares() == {1: 100.0}
    await ranch.settle([])
    assert ranch.server.scripts == {}


async def test_every_step_may_be_done_twice_and_another_life_takes_it_up(ranch: Ranch) -> None:
    both = [wanted(1, 0.75), wanted(2, 0.25)]
    await ranch.settle(both)
    n_asked = len(ranch.server.asked)
    await ranch.settle(both)
    assert len(ranch.server.asked) == n_asked, "what is known to be so is not asked for"
    ranch.restart()
    await ranch.settle(both)
    changed = [one for one in ranch.server.asked[n_asked:] if not one.startswith("GET")]
    assert all("schedules" in one or "subdomain" in one for one in changed), changed
    assert len(ranch.server.only.versions) == 2
    assert await ranch.bundle_at(2) == TWO.sha256


async def test_another_life_deletes_what_nobody_wants_and_nothing_of_others(ranch: Ranch) -> None:
    await ranch.settle([wanted(1, 1.0)])
    (own,) = ranch.server.scripts
    ranch.server.scripts["paddock-00000000-feed"] = ranch.server.scripts[own]
    ranch.restart()
    await ranch.settle([])
    assert list(ranch.server.scripts) == ["paddock-00000000-feed"]


async def test_another_secret_is_another_version_of_the_same_bundle(ranch: Ranch) -> None:
    await ranch.settle([wanted(1, 1.0)])
    other = TOKEN[::-1]
    ranch.restart(other)
    await ranch.settle([wanted(1, 1.0)])
    assert ranch.server.shares() == {2: 100.0}
    assert await ranch.bundle_at(1, other) == ONE.sha256
    with pytest.raises(RuntimeUnavailable, match="token"):
        await ranch.bundle_at(1, TOKEN)
    told = " ".join([*ranch.server.bodies, *map(str, ranch.server.only.versions[0].annotations)])
    assert TOKEN not in told


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=500, after=True),
        Fault(status=409),
        Fault(status=429, headers={"retry-after": "7"}),
        Fault(status=403, code=10000),
        Fault(cut=True),
        Fault(cut=True, after=True),
        Fault(status=200, raw="{"),
        Fault(status=200, raw="{", after=True),
    ],
    ids=lambda fault: f"{fault.status}{'-cut' * fault.cut}{'-after' * fault.after}",
)
async def test_whatever_fails_on_the_way_is_done_once_in_the_end(
    ranch: Ranch, fault: Fault
) -> None:
    steps = [
        [wanted(1, 1.0)],
        [wanted(1, 0.95), wanted(2, 0.05)],
        [wanted(1, 0.0), wanted(2, 1.0)],
        [wanted(2, 1.0)],
        [],
    ]
    places = ("GET", "PUT", "versions", "POST", "deployments", "schedules", "DELETE")
    shares, n_versions = [], []
    for step in steps:
        ranch.restart()
        ranch.server.faults = [replace(fault, where=where) for where in places]
        while True:
            with suppress(RuntimeUnavailable):
                await ranch.settle(step)
            if ranch.target._problem is None:
                break
            ranch.now_s += 100.0
        script = next(iter(ranch.server.scripts.values()), None)
        shares.append({} if script is None else ranch.server.shares())
        n_versions.append(0 if script is None else len(script.versions))
    assert shares == [{1: 100.0}, {1: 95.0, 2: 5.0}, {1: 0.0, 2: 100.0}, {2: 100.0}, {}]
    assert n_versions == [1, 2, 2, 2, 0], "nothing is uploaded twice"
    assert ranch.told == []


async def test_a_rate_limit_is_waited_for(ranch: Ranch) -> None:
    ranch.server.faults = [Fault(status=429, headers={"retry-after": "17"})]
    with pytest.raises(RuntimeUnavailable, match="wait 17 s"):
        await ranch.settle([wanted(1, 1.0)])
    n_asked = len(ranch.server.asked)
    ranch.now_s = 16.9
    with pytest.raises(RuntimeUnavailable, match="wait 17 s"):
        await ranch.settle([wanted(1, 1.0)])
    assert len(ranch.server.asked) == n_asked
    ranch.now_s = 17.0
    await ranch.settle([wanted(1, 1.0)])
    assert ranch.server.shares() == {1: 100.0}


async def test_what_somebody_changes_there_is_put_right(ranch: Ranch) -> None:
    both = [wanted(1, 0.75), wanted(2, 0.25)]
    await ranch.settle(both)
    script = ranch.server.only
    script.deployments.append({script.versions[0].id: 100.0})
    ranch.now_s += VERIFY_S
    await ranch.settle(both)
    assert ranch.server.shares() == {1: 75.0, 2: 25.0}
    assert "served something else" in ranch.told[0]
    (name,) = ranch.server.scripts
    await ranch.server._end(ranch.server.scripts.pop(name))
    ranch.now_s += VERIFY_S
    await ranch.settle(both)
    assert sorted(ranch.server.shares().values()) == [25.0, 75.0]
    assert await ranch.bundle_at(2) == TWO.sha256


async def test_a_trial_alone_leaves_nothing_behind(ranch: Ranch) -> None:
    async with ranch.target.trial(wanted(1, 0.0)) as client:
        assert (await client.health())["bundle"] == ONE.sha256
    assert len(ranch.server.scripts) == 1
    await ranch.settle([])
    assert ranch.server.scripts == {}


async def test_a_trial_waits_until_its_version_is_out_everywhere(ranch: Ranch) -> None:
    await ranch.settle([wanted(1, 1.0)])
    ranch.server.lag = 2
    async with ranch.target.trial(wanted(2, 0.0)) as client:
        assert (await client.health())["bundle"] == TWO.sha256


async def test_a_third_version_has_no_place(ranch: Ranch) -> None:
    await ranch.settle([wanted(1, 0.0), wanted(2, 1.0)])
    await ranch.settle([wanted(1, 0.5), wanted(2, 0.5)])
    three = worker_of('return { intent: "long", stop: 0.1 };', "v3")
    with pytest.raises(StrategyError, match="2 versions of a strategy at a time"):
        async with ranch.target.trial(wanted(3, 0.0, three)):
            pass
    await ranch.settle([wanted(1, 0.5), wanted(2, 0.5)])
    assert ranch.server.shares() == {1: 50.0, 2: 50.0}


async def test_a_version_that_does_not_answer_is_known(ranch: Ranch) -> None:
    name = wanted(1, 1.0).name
    await ranch.settle([wanted(1, 1.0)])
    assert not ranch.target.answers(name)
    for is_down in (False, True, False):
        ranch.server.is_edge_down = is_down
        ranch.now_s += 10.0
        await ranch.target.look()
        assert ranch.target._probing is not None
        await ranch.target._probing
        assert ranch.target.answers(name) is not is_down


async def test_it_is_woken_by_a_timer_where_one_is_set(ranch: Ranch) -> None:
    settings = ranch.server.settings.model_copy(update={"cron": "*/5 * * * *"})
    ranch.restart(settings=settings)
    await ranch.settle([wanted(1, 1.0)])
    assert ranch.server.only.crons == ["*/5 * * * *"]
    ranch.restart()
    await ranch.settle([wanted(1, 1.0)])
    assert ranch.server.only.crons == []


async def test_what_is_missing_is_told_before_anything_is_tried(ranch: Ranch) -> None:
    await ranch.target.ready()
    for environment, changed, words in (
        ({}, {}, "no token for Cloudflare: set PADDOCK_CLOUDFLARE_API_TOKEN"),
        ({API_TOKEN_VARIABLE: API_TOKEN}, {"account": ""}, "set .cloudflare. account"),
        ({API_TOKEN_VARIABLE: "nonsense"}, {}, "knows no such token"),
        ({API_TOKEN_VARIABLE: API_TOKEN}, {"account": "ab12"}, "knows no account 'ab12'"),
    ):
        settings = ranch.server.settings.model_copy(update=changed)
        target = CloudflareTarget(
            settings, ranch.folder, TOKEN, lambda: 0.0, ranch.told.append, environment
        )
        with pytest.raises(RuntimeUnavailable, match=words):
            await target.ready()
        await target.stop()
    ranch.server.may_edit = False
    with pytest.raises(RuntimeUnavailable, match="give it the permission"):
        await ranch.target.ready()


async def test_a_home_that_never_used_it_asks_nothing(ranch: Ranch) -> None:
    for _ in range(3):
        await ranch.target.serve([])
        await ranch.target.look()
    assert ranch.target._work is None
    assert ranch.server.asked == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("api_url", "http://api.example.com", "not https, nor http on this machine"),
        ("api_url", "", "name where the API is"),
        ("worker_url", "http://127.0.0.1.example.com/{script}", "not https"),
        ("worker_url", "http://127.0.0.1@example.com/{script}", "not https"),
        ("worker_url", "https://example.com/", "where {script} stands"),
        ("worker_url", "https://example.com/{script}/{0}", "where {script} stands"),
        ("account", "../accounts", "letters and digits only"),
        ("cron", "every minute", "not five parts"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(key: str, value: str, words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        Cloudflare.model_validate({key: value})


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=2))
def test_percentages_total_a_hundred(shares_frac: list[float]) -> None:
    found = percentages(shares_frac)
    assert len(found) == len(shares_frac)
    assert sum(found) == 100.0
    assert all(0.0 <= share <= 100.0 for share in found)
