"""A server that speaks Cloudflare's API of Workers, runs what is uploaded, and misbehaves.

Uploaded modules run in real workerd processes; requests at `/edge/SCRIPT/...` go to the version
that the override header names, or else by the percentages of the deployment, as on Cloudflare.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from engine.deploy.worker_client import VERSION_HEADER
from engine.deploy.workerd import Workerd
from engine.deploy_settings import Cloudflare
from engine.errors import RuntimeUnavailable
from tests.workers import raw_worker

ACCOUNT = "0123456789abcdef0123456789abcdef"
API_TOKEN = "cf-test-token-very-secret-0123456789"
_OVERRIDE = re.compile(r'([a-z0-9-]+)="([0-9a-f-]+)"')
_MOST_BYTES = 3 * 2**20


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of a question in place of an answer.

    Attributes
    ----------
    where : part of `METHOD /path` of the questions that it is for
    after : what was asked is done all the same, and the answer is lost
    cut : the connection ends half way through
    """

    where: str = ""
    status: int = 500
    code: int = 10013
    message: str = "An unknown error has occurred"
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    after: bool = False
    cut: bool = False
    raw: str | None = None


@dataclass
class Version:
    """An uploaded version."""

    id: str
    number: int
    text: str
    secrets: dict[str, str]
    annotations: dict[str, str]
    process: Workerd | None = None


@dataclass
class Script:
    """A script of the account."""

    versions: list[Version] = field(default_factory=list)
    deployments: list[dict[str, float]] = field(default_factory=list)
    crons: list[str] = field(default_factory=list)
    is_open: bool = False
    stale: int = 0

    def named(self, version_id: str) -> Version | None:
        """Return the version that has an id."""
        return next((one for one in self.versions if one.id == version_id), None)


class Refused(Exception):
    """An answer of the API that is an error."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class CloudflareServer:
    """Serve the API and the Workers; use as an async context manager.

    Attributes
    ----------
    faults : each is for the next question that it fits
    asked : `METHOD /path` of every question for the API
    lag : requests for a Worker that still go by the deployment before, after each change
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scripts: dict[str, Script] = {}
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.bodies: list[str] = []
        self.tokens = {API_TOKEN}
        self.may_edit = True
        self.subdomain: str | None = "ranch"
        self.lag = 0
        self.is_edge_down = False
        self._draws = random.Random(1)
        self._numbers = itertools.count(1)
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> CloudflareServer:
        app = web.Application(client_max_size=2**26, middlewares=[self._guarded])
        place = "/client/v4/accounts/{account}/workers"
        script = f"{place}/scripts/{{script}}"
        app.router.add_get(f"{place}/subdomain", self._get_subdomain)
        app.router.add_get(f"{place}/scripts", self._list_scripts)
        app.router.add_put(script, self._put_script)
        app.router.add_delete(script, self._delete_script)
        app.router.add_get(f"{script}/versions", self._list_versions)
        app.router.add_post(f"{script}/versions", self._post_version)
        app.router.add_get(f"{script}/deployments", self._list_deployments)
        app.router.add_post(f"{script}/deployments", self._post_deployment)
        app.router.add_put(f"{script}/schedules", self._put_schedules)
        app.router.add_post(f"{script}/subdomain", self._post_subdomain)
        app.router.add_route("*", "/edge/{script}/{path}", self._edge)
        self._session = aiohttp.ClientSession()
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._runner.cleanup()
        for script in self.scripts.values():
            await self._end(script)

    @property
    def settings(self) -> Cloudflare:
        """Return settings that lead here."""
        return Cloudflare(
            account=ACCOUNT,
            api_url=f"{self.url}/client/v4",
            worker_url=f"{self.url}/edge/{{script}}",
            timeout_s=5.0,
        )

    @property
    def only(self) -> Script:
        """Return the one script that there is."""
        (script,) = self.scripts.values()
        return script

    def shares(self) -> dict[int, float]:
        """Return the percentages of the only script, by the number of the version."""
        script = self.only
        now = script.deployments[-1]
        return {one.number: now[one.id] for one in script.versions if one.id in now}

    # The API

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith("/edge/"):
            return await handler(request)  # type: ignore[no-any-return]
        told = f"{request.method} {request.path}"
        self.asked.append(told)
        fault = next((one for one in self.faults if one.where in told), None)
        if fault is not None:
            self.faults.remove(fault)
            if fault.after:
                await self._answered(request, handler)
            return await self._failed(request, fault)
        return await self._answered(request, handler)

    async def _answered(self, request: web.Request, handler: Any) -> web.Response:
        try:
            self._check(request)
            result = await handler(request)
        except Refused as refused:
            errors = [{"code": refused.code, "message": str(refused)}]
            told = {"success": False, "errors": errors, "messages": [], "result": None}
            return self._json(told, refused.status)
        return self._json({"success": True, "errors": [], "messages": [], "result": result})

    def _json(self, told: Any, status: int = 200) -> web.Response:
        text = json.dumps(told)
        self.bodies.append(text)
        return web.json_response(text=text, status=status)

    async def _failed(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        await asyncio.sleep(fault.wait_s)
        errors = [{"code": fault.code, "message": fault.message}]
        text = fault.raw or json.dumps({"success": False, "errors": errors, "result": None})
        kind = "application/json"
        if not fault.cut:
            return web.Response(
                text=text, status=fault.status, headers=fault.headers, content_type=kind
            )
        response = web.StreamResponse(status=200, headers={"content-length": "5000"})
        response.content_type = kind
        await response.prepare(request)
        await response.write(b'{"success": true, "result": {"id": "')
        assert request.transport is not None
        request.transport.close()
        return response

    def _check(self, request: web.Request) -> None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or " " in token or not token:
            raise Refused(400, 6003, "Invalid request headers")
        if token not in self.tokens:
            raise Refused(403, 9109, "Invalid access token")
        if request.match_info["account"] != ACCOUNT:
            raise Refused(404, 7003, "Could not route to that account")
        if not self.may_edit:
            raise Refused(403, 10000, "Authentication error")

    def _script(self, request: web.Request) -> Script:
        found = self.scripts.get(request.match_info["script"])
        if found is None:
            raise Refused(404, 10007, "This Worker does not exist on your account.")
        return found

    async def _get_subdomain(self, request: web.Request) -> Any:
        if self.subdomain is None:
            raise Refused(404, 10007, "You do not have a workers.dev subdomain.")
        return {"subdomain": self.subdomain}

    async def _list_scripts(self, request: web.Request) -> Any:
        return [{"id": name} for name in self.scripts]

    async def _put_script(self, request: web.Request) -> Any:
        version = await self._uploaded(request)
        script = self.scripts.setdefault(request.match_info["script"], Script())
        script.versions.append(version)
        self._deploy(script, {version.id: 100.0})
        return {"id": request.match_info["script"], "etag": version.id}

    async def _delete_script(self, request: web.Request) -> Any:
        await self._end(self._script(request))
        del self.scripts[request.match_info["script"]]
        return None

    async def _list_versions(self, request: web.Request) -> Any:
        # All of them for every page, as the API does when asked for deployable ones.
        items = [
            {"id": one.id, "number": one.number, "annotations": one.annotations, "metadata": {}}
            for one in reversed(self._script(request).versions)
        ]
        return {"items": items}

    async def _post_version(self, request: web.Request) -> Any:
        script = self._script(request)
        version = await self._uploaded(request)
        script.versions.append(version)
        return {"id": version.id, "number": version.number, "resources": {}}

    async def _list_deployments(self, request: web.Request) -> Any:
        told = []
        for shares in reversed(self._script(request).deployments):
            versions = [{"version_id": name, "percentage": part} for name, part in shares.items()]
            told.append(
                {
                    "id": str(uuid.uuid4()),
                    "created_on": "2026-01-01T00:00:00Z",
                    "source": "api",
                    "strategy": "percentage",
                    "versions": versions,
                }
            )
        return {"deployments": told}

    async def _post_deployment(self, request: web.Request) -> Any:
        script = self._script(request)
        body = await request.json()
        shares = {one["version_id"]: float(one["percentage"]) for one in body["versions"]}
        if body["strategy"] != "percentage" or not 1 <= len(shares) <= 2:
            raise Refused(400, 10021, "a deployment has one or two versions")
        if sum(shares.values()) != 100.0 or min(shares.values()) < 0.0:
            raise Refused(400, 10021, "percentages must total 100")
        if any(script.named(name) is None for name in shares):
            raise Refused(404, 10092, "version not found")
        self._deploy(script, shares)
        return {"id": str(uuid.uuid4())}

    async def _put_schedules(self, request: web.Request) -> Any:
        script = self._script(request)
        script.crons = [one["cron"] for one in await request.json()]
        return {"schedules": [{"cron": cron} for cron in script.crons]}

    async def _post_subdomain(self, request: web.Request) -> Any:
        body = await request.json()
        self._script(request).is_open = bool(body["enabled"])
        return {"enabled": body["enabled"], "previews_enabled": body["previews_enabled"]}

    async def _uploaded(self, request: web.Request) -> Version:
        metadata: dict[str, Any] = {}
        files: dict[str, str] = {}
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            assert isinstance(part, aiohttp.BodyPartReader)
            text = (await part.read()).decode()
            if part.name == "metadata":
                metadata = json.loads(text)
            else:
                assert part.headers["content-type"] == "application/javascript+module"
                files[str(part.filename)] = text
        main = files.get(str(metadata.get("main_module")))
        if main is None:
            raise Refused(400, 10021, "main_module names no uploaded file")
        if len(main.encode()) > _MOST_BYTES:
            raise Refused(400, 10027, "Your Worker exceeds the size limit of 3 MiB.")
        secrets = {
            one["name"]: one["text"] for one in metadata["bindings"] if one["type"] == "secret_text"
        }
        version = Version(
            str(uuid.uuid4()), next(self._numbers), main, secrets, metadata["annotations"]
        )
        try:
            await self._started(version)
        except RuntimeUnavailable:
            raise Refused(400, 10021, "Uncaught SyntaxError: Unexpected token") from None
        return version

    def _deploy(self, script: Script, shares: dict[str, float]) -> None:
        script.deployments.append(shares)
        script.stale = self.lag

    # The Workers

    async def _edge(self, request: web.Request) -> web.Response:
        script = self.scripts.get(request.match_info["script"])
        if script is None or self.is_edge_down:
            return web.Response(text="<html>nothing here</html>", status=404)
        version = self._routed(script, request)
        process = await self._started(version)
        url = f"{process.url('main')}/{request.match_info['path']}"
        headers = {"authorization": request.headers.get("authorization", "")}
        body = await request.read()
        async with self._session.request(
            request.method, url, data=body or None, headers=headers
        ) as response:
            return web.Response(
                body=await response.read(),
                status=response.status,
                content_type=response.content_type,
            )

    def _routed(self, script: Script, request: web.Request) -> Version:
        is_stale = script.stale > 0 and len(script.deployments) > 1
        script.stale = max(0, script.stale - 1)
        shares = script.deployments[-2 if is_stale else -1]
        wish = _OVERRIDE.fullmatch(request.headers.get(VERSION_HEADER, ""))
        if wish and wish[1] == request.match_info["script"] and wish[2] in shares:
            name = wish[2]
        else:
            name = self._draws.choices(list(shares), list(shares.values()))[0]
        version = script.named(name)
        assert version is not None
        return version

    async def _started(self, version: Version) -> Workerd:
        async with self._starting:
            if version.process is None:
                process = Workerd(
                    self.folder / version.id,
                    {"main": raw_worker(version.text)},
                    version.secrets.get("TOKEN", ""),
                )
                await process.start()
                version.process = process
        return version.process

    async def _end(self, script: Script) -> None:
        for version in script.versions:
            if version.process is not None:
                await version.process.stop()
                version.process = None
