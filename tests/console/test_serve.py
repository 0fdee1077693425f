"""The served console: who is let in, who is not, and what is left when it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp.test_utils import TestClient, TestServer

from console.cli import run
from console.operator_lock import OperatorLock
from console.serve_guard import MIN_TOKEN_LENGTH, TOKEN_VARIABLE, Guard, take_token
from console.serve_server import ConsoleServer, bound_socket, is_loopback, name_of
from engine.errors import PaddockError, UsageError
from engine.risk.latch import Latch
from engine.trade.accounts import PAPER, account_latch
from tests.console.served import PATIENCE_S, Served

TOKEN = "a-token-of-the-tests"
COOKIE = "paddock-test"
PATHS = ("/", "/?fontsize=20", "/ws", "/static/js/textual.js", "/static/css/xterm.css", "/other")
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
F9 = "\x1b[20~"
EVERYWHERE = "0.0.0.0"  # noqa: S104 what the test is about


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient]:
    guard = Guard(TOKEN, "127.0.0.1", COOKIE)
    said: list[str] = []
    server = ConsoleServer(guard, ["--no-runtime"], tmp_path / "log", said.append)
    async with TestClient(TestServer(server.application())) as client:
        yield client


async def _get(client: TestClient, path: str, **options: Any) -> aiohttp.ClientResponse:
    async with client.get(path, **options) as answer:
        await answer.read()
        return answer


async def _let_in(client: TestClient) -> None:
    answer = await _get(client, "/", params={"token": TOKEN}, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/")


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_is_shown_without_the_token(client: TestClient, path: str) -> None:
    parameters = dict([part.split("=") for part in path.partition("?")[2].split("&") if part])
    for extra, cookies in (
        ({}, {}),
        ({"token": ""}, {}),
        ({"token": TOKEN[:-1]}, {}),
        ({"token": f"{TOKEN}é"}, {}),
        ({}, {COOKIE: TOKEN}),
        ({}, {COOKIE: ""}),
    ):
        answer = await _get(
            client, path.partition("?")[0], params={**parameters, **extra}, cookies=cookies
        )
        assert answer.status == 401
        body = await answer.text()
        assert "open the link" in body
        assert TOKEN not in body


async def test_token_is_exchanged_for_a_cookie_that_scripts_cannot_read(
    client: TestClient,
) -> None:
    answer = await _get(client, "/", params={"token": TOKEN}, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    told = answer.headers["Set-Cookie"]
    assert TOKEN not in told
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in told.split(";")}
    page = await _get(client, "/")
    assert page.status == 200
    assert "<title>Paddock</title>" in await page.text()
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    script = await _get(client, "/static/js/textual.js")
    assert script.status == 200
    assert (await _get(client, "/other")).status == 404


async def test_page_asks_nothing_of_other_machines(client: TestClient) -> None:
    await _let_in(client)
    text = await (await _get(client, "/")).text()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text


@pytest.mark.parametrize("host", ("evil.example", "evil.example:80", "", "127.0.0.1.evil.example"))
async def test_a_foreign_name_is_refused_even_with_the_token(client: TestClient, host: str) -> None:
    await _let_in(client)
    for path in ("/", "/static/js/textual.js", "/ws", f"/?token={TOKEN}"):
        answer = await _get(client, path, headers={"Host": host})
        assert answer.status in (400, 403)


@pytest.mark.parametrize(
    "origin",
    (None, "null", "", "http://evil.example", "http://127.0.0.1:1", "file://", "https://localhost"),
)
async def test_a_websocket_of_another_page_is_refused(
    client: TestClient, origin: str | None
) -> None:
    await _let_in(client)
    headers = {**UPGRADE, **({} if origin is None else {"Origin": origin})}
    answer = await _get(client, "/ws", headers=headers)
    assert answer.status == 403


def test_token_is_random_or_chosen_and_taken_out_of_the_environment() -> None:
    env: dict[str, str] = {}
    token, is_chosen = take_token(env)
    assert len(token) >= 40
    assert not is_chosen
    assert take_token(env)[0] != token
    env = {TOKEN_VARIABLE: "x" * MIN_TOKEN_LENGTH}
    assert take_token(env) == ("x" * MIN_TOKEN_LENGTH, True)
    assert env == {}


@pytest.mark.parametrize("token", ("short", "x" * 20 + "&", "x" * 20 + " ", "é" * 20))
def test_a_token_that_is_short_or_no_part_of_an_address_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match=TOKEN_VARIABLE) as refused:
        take_token({TOKEN_VARIABLE: token})
    assert token not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "words", "code"),
    (
        (["--host", "no-such-host.invalid"], "no host is called 'no-such-host.invalid'", 2),
        (["--host", "192.0.2.1"], "192.0.2.1 is not an address of this machine", 2),
        (["--port", "70000"], "Invalid value for '--port'", 2),
    ),
)
def test_a_place_that_cannot_be_served_is_one_line(
    options: list[str], words: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", *options]) == code
    told = capsys.readouterr()
    assert words in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_taken_port_is_named_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run(["serve", "--port", str(port)]) == 1
    told = capsys.readouterr().err
    assert told == (
        f"paddock: port {port} on 127.0.0.1 is taken: choose another with --port, or 0 for a "
        "free one\n"
    )


class _Watched:
    """A page without a browser: what it was sent, until it holds some words."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard = b""

    async def until(self, words: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while words.encode() not in self.heard:
            message = await self.socket.receive(timeout=max(0.1, deadline - time.monotonic()))
            if message.type is aiohttp.WSMsgType.BINARY:
                self.heard += message.data
            elif message.type is not aiohttp.WSMsgType.TEXT:
                raise AssertionError(f"closed before {words!r}: {message}: {self.heard!r}")

    async def until_closed(self) -> str:
        while True:
            message = await self.socket.receive(timeout=PATIENCE_S)
            if message.type is aiohttp.WSMsgType.CLOSE:
                return str(message.extra)
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                raise AssertionError(f"closed without a word: {message}")

    async def type(self, keys: str) -> None:
        await self.socket.send_json(["stdin", keys])


async def _page(session: aiohttp.ClientSession, served: Served) -> _Watched:
    async with session.get(served.link) as answer:
        assert answer.status == 200
    headers = {"Origin": served.address}
    return _Watched(
        await session.ws_connect(f"{served.address}/ws?width=120&height=36", headers=headers)
    )


def _jar() -> aiohttp.CookieJar:
    return aiohttp.CookieJar(unsafe=True)


def _wait(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)


def _armed(home: Path) -> Latch:
    latch = account_latch(home, PAPER)
    latch.arm("ana", "test", now_at=1)
    return latch


async def test_served_console_draws_halts_and_ends_with_its_server(
    filled_home: Path, tmp_path: Path
) -> None:
    latch = _armed(filled_home)
    with Served(filled_home, tmp_path) as served:
        async with aiohttp.ClientSession(cookie_jar=_jar()) as session:
            page = await _page(session, served)
            await page.until("640/1,464")
            for garbage in ("{", "7", '["stdin", 7]', '["resize", {"width": "x"}]', '["x"]'):
                await page.socket.send_str(garbage)
            await page.socket.send_json(["resize", {"width": 10**9, "height": -4}])
            await page.socket.send_json(["resize", {"width": 100, "height": 30}])
            await page.type("2")
            await page.until("Leaderboard")
            await page.type(F9)
            await page.until("TRADING HALTED")
            assert latch.is_halted()
            (console,) = served.consoles()
            ended = served.end()
            assert await page.until_closed() == "The server was stopped."
        assert ended.code == 0
        assert not console.is_running()
        assert ended.emitted == f"{served.link}\n"
        assert served.token not in ended.said
        for path in (filled_home / "logs").rglob("*"):
            assert served.token not in path.read_text()
    assert json.loads((filled_home / "halt" / "HALT").read_text())["who"] == "ana"


@pytest.mark.parametrize("host", ("localhost", "127.0.0.1", "::1"))
def test_it_is_served_under_the_name_it_was_given(host: str) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listener = bound_socket(host, 0)
    except PaddockError as exc:
        assert host == "::1", str(exc)
        pytest.skip("no IPv6 here")
    with listener:
        port = listener.getsockname()[1]
        name = name_of(host, listener)
        assert f"{name}:{port}" == (f"[::1]:{port}" if host == "::1" else f"{host}:{port}")
        assert is_loopback(listener)


async def test_a_page_that_is_opened_again_acts_again(filled_home: Path, tmp_path: Path) -> None:
    with Served(filled_home, tmp_path) as served:
        async with aiohttp.ClientSession(cookie_jar=_jar()) as session:
            first = await _page(session, served)
            await first.until("640/1,464")
            second = await _page(session, served)
            await second.until(" RO ")
            await second.socket.close()
            await first.socket.close()
            third = await _page(session, served)
            await third.until("640/1,464")
            assert b" RO " not in third.heard
            await third.socket.close()
            _wait(lambda: not served.consoles(), "the end of the consoles")


async def test_a_console_that_is_killed_tells_its_page_why(
    filled_home: Path, tmp_path: Path
) -> None:
    with Served(filled_home, tmp_path) as served:
        async with aiohttp.ClientSession(cookie_jar=_jar()) as session:
            page = await _page(session, served)
            await page.until("640/1,464")
            (console,) = served.consoles()
            console.kill()
            assert (await page.until_closed()).startswith("The console ended with code -9")
        assert "serve: The console ended with code -9" in served.end().said


async def test_consoles_do_not_outlive_a_server_that_is_killed(
    filled_home: Path, tmp_path: Path
) -> None:
    with Served(filled_home, tmp_path) as served:
        async with aiohttp.ClientSession(cookie_jar=_jar()) as session:
            page = await _page(session, served)
            await page.until("640/1,464")
            (console,) = served.consoles()
            served.end(signal.SIGKILL)
            psutil.wait_procs([console], timeout=PATIENCE_S)
            await page.socket.close()
            assert not console.is_running()
    lock = OperatorLock(filled_home)
    assert lock.take("ana", 1) == ""
    lock.release()


def test_a_chosen_token_is_never_printed_whatever_is_asked(tmp_path: Path) -> None:
    token = "chosen-by-the-operator"
    with Served(tmp_path / "home", tmp_path, **{TOKEN_VARIABLE: token}) as served:
        assert served.token == "$PADDOCK_SERVE_TOKEN"
        variables = served.process.environ()
        port = int(served.address.rpartition(":")[2])
        for request in (
            f"GET /?token={token} HTTP/9.9\r\n\r\n",
            f"G\0T /?token={token} HTTP/1.1\r\n\r\n",
            f"GET /?token={token} HTTP/1.1\r\nBad header: 1\r\n\r\n",
            f"GET /?token={token}\r\n\r\n",
            f"GET /?token={token}&token=other HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "\0" * 70_000,
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as asked:
                asked.sendall(request.encode())
                assert asked.recv(12).startswith(b"HTTP/")
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as asked:
            asked.sendall(f"GET /?token={token} HTTP/1.0\r\n\r\n".encode())
            assert b" 403 " in asked.recv(64)
        ended = served.end()
    assert variables[TOKEN_VARIABLE] == token
    assert token not in ended.said + ended.emitted
    assert "Traceback" not in ended.said


def test_a_place_that_others_reach_is_warned_about(tmp_path: Path) -> None:
    with Served(tmp_path / "home", tmp_path, "--host", EVERYWHERE) as served:
        assert served.address.startswith(f"http://{socket.gethostname()}:")
        said = served.end(signal.SIGINT)
    assert said.code == 0
    assert "reached from other machines" in said.said
    assert os.linesep in said.emitted
