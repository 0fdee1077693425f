"""A webhook on this machine that answers as it is told to: fails, hangs, or is not there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from aiohttp import web

SECRET = "s3cr3t-tok3n-of-the-hook"


class Hook:
    """A webhook that answers as it is told to, and remembers what it was sent."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.letters: list[dict[str, object]] = []
        self.n_calls = 0
        self.hang = asyncio.Event()
        self.hangs = False
        self.port = 0
        self.called = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.n_calls += 1
        self.called.set()
        if self.hangs:
            await self.hang.wait()
        status = self.answers.pop(0) if self.answers else 200
        if request.method == "POST" and status == 200:
            self.letters.append(await request.json())
        return web.Response(status=status, text=f"body with {SECRET}")

    @property
    def address(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}/?cto=2&rto=2"

    @property
    def watcher(self) -> str:
        return f"http://127.0.0.1:{self.port}/ping/{SECRET}"


@contextlib.asynccontextmanager
async def served_hook() -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook.port = runner.addresses[0][1]
    yield hook
    hook.hang.set()
    await runner.cleanup()


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
