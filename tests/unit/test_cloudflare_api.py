from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.deploy.cloudflare_api import CloudflareApi, ScriptMissing
from engine.errors import PaddockError, RuntimeUnavailable, StrategyError
from tests.cloudflare_server import ACCOUNT, API_TOKEN, CloudflareServer, Fault
from tests.workers import TOKEN, need_workerd, raw_worker, worker_of

HOLD = worker_of('return { intent: "hold" };')
FLAT = worker_of('return { intent: "flat" };', "v2")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[CloudflareServer]:
    need_workerd()
    async with CloudflareServer(tmp_path) as server:
        yield server


@pytest.fixture
async def api(server: CloudflareServer) -> AsyncIterator[CloudflareApi]:
    api = api_of(server)
    yield api
    await api.close()


def api_of(
    server: CloudflareServer, token: str = API_TOKEN, account: str = ACCOUNT, timeout_s: float = 5.0
) -> CloudflareApi:
    return CloudflareApi(account, token, server.settings.api_url, timeout_s)


async def test_a_script_is_made_shared_scheduled_and_deleted(
    server: CloudflareServer, api: CloudflareApi
) -> None:
    assert await api.subdomain() == "ranch"
    assert await api.scripts() == []
    with pytest.raises(ScriptMissing):
        await api.upload("pony", HOLD, TOKEN, "one", "first")
    await api.upload_first("pony", HOLD, TOKEN, "one", "first")
    assert await api.scripts() == ["pony"]
    (first,) = (await api.versions("pony")).values()
    assert await api.shares("pony") == {first: 100.0}
    second = await api.upload("pony", FLAT, TOKEN, "two", "second")
    assert await api.versions("pony") == {"one": first, "two": second}
    assert await api.shares("pony") == {first: 100.0}, "an upload alone changes nothing"
    for share in (5.0, 25.0, 50.0):
        await api.deploy("pony", {second: share, first: 100.0 - share}, "onwards")
        assert await api.shares("pony") == {second: share, first: 100.0 - share}
    await api.open_door("pony")
    await api.set_crons("pony", ("*/5 * * * *",))
    script = server.scripts["pony"]
    assert script.is_open
    assert script.crons == ["*/5 * * * *"]
    assert [one.secrets for one in script.versions] == [{"TOKEN": TOKEN}] * 2
    assert not any(TOKEN in body for body in server.bodies)
    await api.delete("pony")
    await api.delete("pony")
    assert server.scripts == {}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=500), "Cloudflare failed with 500"),
        (Fault(status=503, raw="<html>busy</html>"), "Cloudflare failed with 503"),
        (Fault(status=429, headers={"retry-after": "17"}), "asks to wait 17 s"),
        (Fault(status=429), "asks to wait 30 s"),
        (Fault(status=401, code=1000), "knows no such token: set PADDOCK_CLOUDFLARE_API_TOKEN"),
        (Fault(status=400, code=6111), "knows no such token"),
        (Fault(status=403, code=10000), "give it the permission Account > Workers Scripts > Edit"),
        (Fault(status=404, code=7003), "knows no account"),
        (Fault(status=418, code=1), "refuses to list scripts"),
        (Fault(cut=True), "cannot be reached"),
        (Fault(status=200, raw='{"result": '), "is not Cloudflare's API"),
        (Fault(status=200, raw="[1, 2]"), "is not Cloudflare's API"),
        (Fault(status=200, raw='"hello"'), "is not Cloudflare's API"),
        (Fault(status=200, raw='{"result": 5}'), "is not Cloudflare's API"),
        (Fault(status=200, raw='{"result": [5]}'), "is not Cloudflare's API"),
    ],
)
async def test_every_failure_is_one_line_that_says_what_to_do(
    server: CloudflareServer, api: CloudflareApi, fault: Fault, words: str
) -> None:
    server.faults.append(fault)
    with pytest.raises(RuntimeUnavailable) as caught:
        await api.scripts()
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert API_TOKEN not in repr(caught.value.args) + repr(caught.value.fields)
    assert len(server.asked) == 1, "it is not asked again behind the caller's back"
    assert await api.scripts() == []


async def test_a_rate_limit_says_how_long_to_wait(
    server: CloudflareServer, api: CloudflareApi
) -> None:
    server.faults.append(Fault(status=429, headers={"retry-after": "17"}))
    with pytest.raises(RuntimeUnavailable) as caught:
        await api.scripts()
    assert caught.value.fields["retry_s"] == 17.0


async def test_a_slow_answer_and_a_closed_port_are_told(server: CloudflareServer) -> None:
    slow = api_of(server, timeout_s=0.05)
    server.faults.append(Fault(wait_s=0.5))
    with pytest.raises(RuntimeUnavailable, match=r"did not answer within 0\.05 s"):
        await slow.scripts()
    await slow.close()
    nobody = CloudflareApi(ACCOUNT, API_TOKEN, "http://127.0.0.1:9/client/v4", 5.0)
    with pytest.raises(RuntimeUnavailable, match="cannot be reached at http://127"):
        await nobody.scripts()
    await nobody.close()


async def test_a_wrong_token_account_and_permission_are_told_apart(
    server: CloudflareServer,
) -> None:
    wrong = api_of(server, token="nonsense-nonsense")
    with pytest.raises(RuntimeUnavailable, match="knows no such token"):
        await wrong.scripts()
    await wrong.close()
    elsewhere = api_of(server, account="feedface")
    with pytest.raises(RuntimeUnavailable, match="knows no account 'feedface'"):
        await elsewhere.scripts()
    await elsewhere.close()
    server.may_edit = False
    poor = api_of(server)
    with pytest.raises(RuntimeUnavailable, match=f"permission .* for account {ACCOUNT}"):
        await poor.upload_first("pony", HOLD, TOKEN, "one", "first")
    await poor.close()
    server.may_edit, server.subdomain = True, None
    api = api_of(server)
    with pytest.raises(RuntimeUnavailable, match=r"has no workers\.dev subdomain"):
        await api.subdomain()
    await api.close()


async def test_a_module_that_cannot_be_read_or_is_too_long_is_refused(
    api: CloudflareApi,
) -> None:
    with pytest.raises(StrategyError, match="refuses the Worker: Uncaught SyntaxError"):
        await api.upload_first("pony", raw_worker("export default {{"), TOKEN, "one", "first")
    long = raw_worker(HOLD.text + "\n//" + "x" * 2**22)
    with pytest.raises(StrategyError, match="exceeds the size limit"):
        await api.upload_first("pony", long, TOKEN, "one", "first")


async def test_other_identities_in_the_environment_are_not_used(
    server: CloudflareServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "another")
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "another")
    monkeypatch.setenv("CLOUDFLARE_EMAIL", "another")
    api = api_of(server)
    assert await api.scripts() == []
    await api.close()
    wrong = api_of(server, token="nonsense-nonsense")
    with pytest.raises(PaddockError):
        await wrong.scripts()
    await wrong.close()
