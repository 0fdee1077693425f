"""A server that speaks enough of the OpenAI API to be asked, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "sk-test-0123456789abcdef-very-secret"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, good or bad.

    Attributes
    ----------
    usage : prompt and completion tokens told; None tells none
    wait_s : before it begins
    cut : ends the connection half way
    raw : sent instead of what the API says
    """

    text: str | None = ""
    finish: str = "stop"
    usage: tuple[int, int] | None = (100, 50)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    error: str = "no"
    wait_s: float = 0.0
    cut: bool = False
    raw: str | None = None


Behave = Callable[[int, dict[str, Any]], Reply]


class OpenAIServer:
    """Answer `behave(number of the request, its body)`; use as an async context manager."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.bodies: list[dict[str, Any]] = []
        self.n_now = 0
        self.n_most = 0
        self.keys: set[str] = set()

    async def __aenter__(self) -> OpenAIServer:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.keys.add(request.headers.get("Authorization", ""))
        self.bodies.append(body)
        number = len(self.bodies) - 1
        self.n_now += 1
        self.n_most = max(self.n_most, self.n_now)
        try:
            reply = self.behave(number, body)
            if reply.wait_s:
                await asyncio.sleep(reply.wait_s)
            return await self._sent(request, body, reply)
        finally:
            self.n_now -= 1

    async def _sent(
        self, request: web.Request, body: dict[str, Any], reply: Reply
    ) -> web.StreamResponse:
        if reply.status != 200:
            told = {"error": {"message": reply.error, "type": "error", "code": None}}
            return web.json_response(told, status=reply.status, headers=reply.headers)
        text = reply.raw if reply.raw is not None else json.dumps(completion(body, reply))
        if not reply.cut:
            return web.Response(text=text, content_type="application/json")
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Content-Length": str(len(text))}
        )
        await response.prepare(request)
        await response.write(text[: len(text) // 2].encode())
        if request.transport is not None:
            request.transport.abort()
        return response


def completion(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "finish_reason": reply.finish,
                "message": {"role": "assistant", "content": reply.text},
            }
        ],
    }
    if reply.usage is not None:
        told["usage"] = {
            "prompt_tokens": reply.usage[0],
            "completion_tokens": reply.usage[1],
            "total_tokens": sum(reply.usage),
        }
    return told
