"""Workers on a real workerd: who may ask, what may be asked, and what ends without harm."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from engine.deploy.worker_client import WorkerClient, signal_body
from engine.deploy.workerd import Restart, Workerd
from engine.errors import RuntimeUnavailable, StrategyError
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.types import MS_PER_DAY, Bars
from tests.workers import TOKEN, need_workerd, raw_worker, worker_of

LONG = 'return { intent: "long", stop: 0.02, size: bars.close.length / 4, state: bars.close[0] };'
LOOP = "if (state === 1) for (;;) {}\n return { intent: 'hold', state: 1 };"
SPIN = "export default { async fetch(request) { if (request.url.includes('/spin')) for (;;) {} "
SPIN += "return new Response('{}'); } };"
CALL = "export default { async fetch(request) { try { await fetch('http://127.0.0.1:%d/'); "
CALL += "return new Response('{\"got\": true}'); } catch (e) { "
CALL += "return new Response('{\"got\": false}'); } } };"


@pytest.fixture(scope="module")
def bars() -> Bars:
    return generate_bars("BTC/USDT", 3, end_at=GENERATED_START_AT + MS_PER_DAY).slice(0, 3)


@pytest.fixture
async def workerd(tmp_path: Path) -> AsyncIterator[Workerd]:
    need_workerd()
    bundles = {
        "long": worker_of(LONG),
        "loop": worker_of(LOOP),
        "throw": worker_of("throw new Error('no luck');"),
        "wrong": worker_of("return { intent: 'buy' };"),
        "broken": worker_of("return { intent: 'hold' };", "v2"),
    }
    async with Workerd(tmp_path, bundles, TOKEN) as running:
        yield running


async def ask(
    workerd: Workerd, service: str, method: str, path: str, body: str | None, token: str | None
) -> tuple[int, dict[str, Any]]:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        url = workerd.url(service) + path
        octets = None if body is None else io.BytesIO(body.encode())
        async with session.request(method, url, data=octets) as response:
            return response.status, json.loads(await response.text())


async def test_it_answers_with_version_and_the_hash_of_its_own_text(
    workerd: Workerd, bars: Bars
) -> None:
    bundle = worker_of(LONG)
    async with workerd.client("long") as client:
        assert await client.health() == {
            "status": "ok",
            "name": "tested",
            "error": None,
            "version": "v1",
            "bundle": bundle.sha256,
        }
        told = await client.signal(bars)
        assert told.answer == {
            "intent": "long",
            "leave": None,
            "stop": 0.02,
            "target": None,
            "trailing": None,
            "max_bars": None,
            "size": 0.75,
            "confidence": None,
        }
        assert json.loads(told.state) == bars.close[0]
        assert (told.version, told.bundle) == ("v1", bundle.sha256)
        assert 'paddock_worker_signals_total{version="v1"} 1' in await client.metrics()


async def test_without_the_token_it_tells_nothing(workerd: Workerd, bars: Bars) -> None:
    body = signal_body(bars, "null")
    for method, path, given in (("GET", "/health", None), ("POST", "/signal", body)):
        for token in (None, "", "wrong", TOKEN[:-1], TOKEN + "x"):
            status, told = await ask(workerd, "long", method, path, given, token)
            assert (status, told["error"]["code"]) == (401, "token")
            assert TOKEN not in json.dumps(told)
    async with WorkerClient(workerd.url("long"), "wrong") as client:
        with pytest.raises(RuntimeUnavailable, match="401"):
            await client.health()


async def test_a_worker_that_was_given_no_token_answers_nobody(tmp_path: Path) -> None:
    need_workerd()
    async with Workerd(tmp_path, {"main": worker_of(LONG)}, "short") as running:
        status, told = await ask(running, "main", "GET", "/health", None, "short")
    assert (status, told["error"]["code"]) == (503, "token")


def body_with(bars: Bars, name: str, values: object) -> str:
    told = json.loads(signal_body(bars, "null"))
    told["bars"][name] = values
    return json.dumps(told)


async def test_what_is_no_question_is_refused(workerd: Workerd, bars: Bars) -> None:
    good = signal_body(bars, "null")
    wide = generate_bars("BTC/USDT", 3, end_at=GENERATED_START_AT + MS_PER_DAY).slice(0, 4)
    cases = [
        ("GET", "/", None, 404, "path"),
        ("GET", "/signal", None, 404, "path"),
        ("DELETE", "/health", None, 404, "path"),
        ("POST", "/signal", "", 400, "body"),
        ("POST", "/signal", "[1]", 400, "body"),
        ("POST", "/signal", "null", 400, "body"),
        ("POST", "/signal", "{" * 1000, 400, "body"),
        ("POST", "/signal", "{}", 400, "bars"),
        ("POST", "/signal", '{"bars": []}', 400, "bars"),
        ("POST", "/signal", signal_body(wide, "null"), 400, "bars"),
        ("POST", "/signal", signal_body(bars.slice(0, 0), "null"), 400, "bars"),
        ("POST", "/signal", body_with(bars, "close", [1, 2]), 400, "bars"),
        ("POST", "/signal", body_with(bars, "close", [1, 2, "3"]), 400, "bars"),
        ("POST", "/signal", body_with(bars, "close", [1, 2, None]), 400, "bars"),
        ("POST", "/signal", body_with(bars, "close", [1, 2, 0]), 400, "bars"),
        ("POST", "/signal", body_with(bars, "volume", [1, 2, -1]), 400, "bars"),
        ("POST", "/signal", body_with(bars, "t", [1, 1, 2]), 400, "bars"),
        ("POST", "/signal", body_with(bars, "low", {"length": 3}), 400, "bars"),
        (
            "POST",
            "/signal",
            good.replace('"state":null', '"state":' + json.dumps("x" * 9000)),
            400,
            "state",
        ),
    ]
    for method, path, body, status, code in cases:
        found, told = await ask(workerd, "long", method, path, body, TOKEN)
        assert (found, told["error"]["code"]) == (status, code), (method, path, str(body)[:60])
        assert told["version"] == "v1"
    assert (await ask(workerd, "long", "POST", "/signal", good, TOKEN))[0] == 200


async def test_a_body_that_is_too_long_is_not_read(workerd: Workerd, bars: Bars) -> None:
    try:
        status, told = await ask(workerd, "long", "POST", "/signal", "x" * 3_000_000, TOKEN)
    except aiohttp.ClientError:
        pass  # the connection was closed before all of it was sent
    else:
        assert (status, told["error"]["code"]) == (413, "body")
    async with workerd.client("long") as client:
        assert (await client.signal(bars)).answer["intent"] == "long"


async def test_a_strategy_that_fails_harms_neither_itself_nor_the_others(
    workerd: Workerd, bars: Bars
) -> None:
    pid = workerd.pid
    async with workerd.client("loop") as client:
        assert (await client.signal(bars)).state == "1"
        with pytest.raises(StrategyError, match=r"500 \(fuel\): out of fuel"):
            await client.signal(bars, "1")
        assert (await client.signal(bars)).state == "1"
        assert 'paddock_worker_errors_total{version="v1"} 1' in await client.metrics()
    for service, words in (("throw", "no luck"), ("wrong", r"\(answer.intent\)")):
        async with workerd.client(service) as client:
            with pytest.raises(StrategyError, match=words):
                await client.signal(bars)
    async with workerd.client("long") as client:
        assert (await client.signal(bars)).answer["intent"] == "long"
    assert workerd.pid == pid


def texts_in(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.iterdir()]


async def test_the_token_is_in_no_file(workerd: Workerd, tmp_path: Path) -> None:
    texts = texts_in(tmp_path)
    assert len(texts) == 7
    assert all(TOKEN not in text for text in texts)


async def test_a_worker_reaches_no_network_whatever_it_is(tmp_path: Path) -> None:
    need_workerd()
    seen = []
    server = await asyncio.start_server(lambda r, w: seen.append(w.close()), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Workerd(tmp_path, {"main": raw_worker(CALL % port)}, TOKEN) as running:
        status, told = await ask(running, "main", "GET", "/", None, TOKEN)
    server.close()
    await server.wait_closed()
    assert (status, told, seen) == (200, {"got": False}, [])


async def test_a_crash_is_noticed_and_mended(tmp_path: Path, bars: Bars) -> None:
    need_workerd()
    heard: list[Restart] = []
    mended = asyncio.Event()

    async def told(restart: Restart) -> None:
        heard.append(restart)
        mended.set()

    async with Workerd(tmp_path, {"main": worker_of(LONG)}, TOKEN) as running:
        watching = asyncio.create_task(running.supervise(told, period_s=0.05))
        pid = running.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await asyncio.wait_for(mended.wait(), 20)
        assert running.pid not in (None, pid)
        async with running.client("main") as client:
            assert (await client.signal(bars)).answer["intent"] == "long"
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert [(r.reason, r.n_restarts) for r in heard] == [("the process ended", 1)]


async def test_a_hang_is_noticed_and_mended(tmp_path: Path) -> None:
    need_workerd()
    heard: list[Restart] = []
    mended = asyncio.Event()

    async def told(restart: Restart) -> None:
        heard.append(restart)
        mended.set()

    async with Workerd(tmp_path, {"main": raw_worker(SPIN)}, TOKEN) as running:
        assert await running.failing(2.0) is None
        async with WorkerClient(running.url("main"), TOKEN, 0.3) as client:
            with pytest.raises(RuntimeUnavailable):
                await client._ask("GET", "/spin")
        pid = running.pid
        watching = asyncio.create_task(running.supervise(told, period_s=0.05, timeout_s=0.5))
        await asyncio.wait_for(mended.wait(), 30)
        assert running.pid not in (None, pid)
        assert await running.failing(5.0) is None
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert "does not answer" in heard[0].reason


async def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    need_workerd()
    running = Workerd(tmp_path, {"main": raw_worker("this is not JavaScript")}, TOKEN)
    with pytest.raises(RuntimeUnavailable, match=r"did not start: .*SyntaxError"):
        await running.start()
    assert running.pid is None
    with pytest.raises(RuntimeUnavailable, match="start it first"):
        running.url("main")
    await running.stop()


async def test_it_is_not_started_twice(workerd: Workerd) -> None:
    with pytest.raises(RuntimeUnavailable, match="runs already"):
        await workerd.start()


async def test_numbers_keep_their_bits_on_the_way(workerd: Workerd) -> None:
    rng = np.random.default_rng(1)
    values = np.abs(rng.normal(size=3) * 10.0 ** rng.integers(-8, 8, 3))
    stamps = np.arange(3, dtype=np.int64) * 300_000
    bars = Bars(stamps, values, values, values, values, values)
    async with workerd.client("long") as client:
        assert json.loads((await client.signal(bars)).state) == values[0]
