"""The cloudflare target: a script for each strategy, its versions, and what share each has.

Every version is asked by name, so that a position keeps the version that opened it; the shares on
Cloudflare repeat those of the capital, for whoever looks there. A deployment has at most two
versions, of which one may have no share: the one that is being compared with the engine, or that
looks after what it opened.

What is wanted and what Cloudflare serves are compared in the background: the caller never waits
for the API, and decisions never go through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.deploy.cloudflare_api import API_TOKEN_VARIABLE, CloudflareApi, ScriptMissing
from engine.deploy.target import Wanted
from engine.deploy.worker_client import WorkerClient, address
from engine.deploy_settings import Cloudflare
from engine.errors import DataError, PaddockError, RuntimeUnavailable, StrategyError

MOST_VERSIONS = 2
"""Versions of one script that Cloudflare serves at a time."""

VERIFY_S = 60.0
"""Time after which what Cloudflare serves is read again: somebody may have changed it there."""

PROBE_S = 5.0
"""Time between two questions whether a version answers."""

_LATER_MOST_S = 64.0
_ANSWER_S = 10.0
_SPREAD_S = 60.0
_ASK_AGAIN_S = 0.5
_NAME_FILE = "cloudflare_name"


@dataclass(slots=True)
class _Script:
    """What is known of a script.

    Attributes
    ----------
    ids : version ids by tag, as uploaded
    shares : percentages by version id, as deployed last by us or read
    is_open : it can be asked, and is woken as the settings say
    verified_s : when `shares` were read
    """

    ids: dict[str, str] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    is_open: bool = False
    verified_s: float = -math.inf


class CloudflareTarget:
    """A `Target` on Cloudflare.

    Parameters
    ----------
    folder : of the home's `workers`; the name of this home's scripts is kept there
    secret : that every question must carry; each version gets it as a secret of its own
    now_s : seconds of a clock that never runs backwards
    told : hears in words what was mended
    environment : holds the API's token
    """

    def __init__(
        self,
        settings: Cloudflare,
        folder: Path,
        secret: str,
        now_s: Callable[[], float],
        told: Callable[[str], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._secret = secret
        self._now_s = now_s
        self._told = told
        env = os.environ if environment is None else environment
        self._api_token = env.get(API_TOKEN_VARIABLE, "").strip()
        self._api: CloudflareApi | None = None
        self._place = ""
        self._wanted: dict[str, Wanted] = {}
        self._trials: dict[str, Wanted] = {}
        self._scripts: dict[str, _Script] = {}
        self._is_swept = False
        self._urls: dict[str, str] = {}
        self._answering: dict[str, bool] = {}
        self._changing = asyncio.Lock()
        self._is_told = True
        self._work: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._probed_s = -math.inf
        self._n_failures = 0
        self._retry_s = -math.inf
        self._patience_s = -math.inf
        self._problem: RuntimeUnavailable | StrategyError | None = None

    # Target

    async def ready(self) -> None:
        """Raise unless the account can be reached and the token may read its scripts."""
        api = self._opened()
        await api.scripts()
        await self._located(api)

    async def begin(self) -> None:
        """Leave everything as it is: Cloudflare went on serving."""

    async def serve(self, wanted: Sequence[Wanted]) -> None:
        """Have these served as soon as Cloudflare does; raise what is in the way meanwhile."""
        named = {one.name: one for one in wanted}
        if named != self._wanted:
            self._wanted = named
            self._is_told = True
            # Something new is tried at once, unless Cloudflare asked for patience.
            self._retry_s = self._patience_s
        self._urls = {name: url for name, url in self._urls.items() if name in named}
        self._answering = {name: is_up for name, is_up in self._answering.items() if name in named}
        self._kick()
        problem = self._problem
        if problem is not None and (self._wanted or self._scripts):
            raise RuntimeUnavailable(problem.message, **problem.fields)

    async def look(self) -> None:
        """Ask the versions whether they answer, in the background."""
        if self._probing is not None and not self._probing.done():
            return
        if self._now_s() - self._probed_s >= PROBE_S and self._urls:
            self._probed_s = self._now_s()
            self._probing = asyncio.create_task(self._probe(dict(self._urls)))

    def url(self, name: str) -> str:
        """Return the address of a version, empty while it is not deployed."""
        return self._urls.get(name, "")

    def answers(self, name: str) -> bool:
        """Return whether a version answered the last question for its health."""
        return self._answering.get(name, False)

    def trial(self, version: Wanted) -> AbstractAsyncContextManager[WorkerClient]:
        """Serve a version without a share, until the comparison is over."""
        return self._trial(version)

    @property
    def pids(self) -> list[int]:
        """Return nothing: no process of this machine serves."""
        return []

    async def stop(self) -> None:
        """Look after nothing more; Cloudflare goes on serving."""
        tasks = [task for task in (self._work, self._probing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        api, self._api = self._api, None
        if api is not None:
            await api.close()

    # What is wanted, brought about

    def _kick(self) -> None:
        if self._work is not None and not self._work.done():
            return
        now_s = self._now_s()
        is_old = any(now_s - one.verified_s >= VERIFY_S for one in self._scripts.values())
        if (self._is_told or is_old) and now_s >= self._retry_s and self._is_used():
            self._work = asyncio.create_task(self._reconcile())

    def _is_used(self) -> bool:
        """Return whether there is anything of ours to look after, or may be."""
        if self._wanted or self._trials or self._scripts:
            return True
        is_set = bool(self._api_token and self._settings.account)
        return is_set and (self._folder / _NAME_FILE).exists()

    async def _reconcile(self) -> None:
        self._is_told = False
        try:
            async with self._changing:
                await self._bring_about()
        except (RuntimeUnavailable, StrategyError) as exc:
            self._is_told = True
            self._n_failures += 1
            later_s = min(2.0 ** (self._n_failures - 1), _LATER_MOST_S)
            self._retry_s = self._now_s() + later_s
            asked_s = exc.fields.get("retry_s")
            if isinstance(asked_s, int | float):
                self._retry_s = self._patience_s = self._now_s() + float(asked_s)
            self._problem = exc
        else:
            self._n_failures, self._problem = 0, None

    async def _bring_about(self) -> None:
        api = self._opened()
        by_script: dict[str, list[Wanted]] = {}
        for one in self._wanted.values():
            by_script.setdefault(self._script_name(one), []).append(one)
        trials = {self._script_name(one) for one in self._trials.values()}
        await self._sweep(api, {*by_script, *trials})
        for script in [name for name in self._scripts if name not in {*by_script, *trials}]:
            await api.delete(script)
            del self._scripts[script]
        for script, versions in by_script.items():
            await self._deployed(api, script, self._chosen(script, versions))

    async def _sweep(self, api: CloudflareApi, kept: set[str]) -> None:
        """Delete what an earlier life of this home left and nobody wants any more."""
        if self._is_swept:
            return
        own = f"{self._name()}-"
        for script in await api.scripts():
            if script.startswith(own) and script not in kept:
                await api.delete(script)
        self._is_swept = True

    def _chosen(self, script: str, versions: Sequence[Wanted]) -> list[Wanted]:
        """Return the versions that are deployed, at most two: who has a share goes first."""
        trials = [one for one in self._trials.values() if self._script_name(one) == script]
        sharing = [one for one in versions if one.share_frac > 0.0]
        idle = [one for one in versions if one.share_frac <= 0.0]
        newest = sorted(idle, key=lambda one: -one.version)
        return [*sharing, *trials, *newest][:MOST_VERSIONS]

    async def _deployed(self, api: CloudflareApi, name: str, chosen: Sequence[Wanted]) -> None:
        script = self._scripts.setdefault(name, _Script())
        try:
            await self._deploy(api, name, script, chosen)
        except PaddockError:
            # What was being done may have been done: it is read again before the next try.
            script.shares, script.verified_s = {}, -math.inf
            raise

    async def _deploy(
        self, api: CloudflareApi, name: str, script: _Script, chosen: Sequence[Wanted]
    ) -> None:
        if self._now_s() - script.verified_s >= VERIFY_S:
            await self._read(api, name, script)
        ids = [await self._uploaded(api, name, script, one) for one in chosen]
        shares = dict(zip(ids, percentages([one.share_frac for one in chosen]), strict=True))
        if shares != script.shares:
            words = [f"v{one.version} {shares[i]:g} %" for one, i in zip(chosen, ids, strict=True)]
            await api.deploy(name, shares, f"Paddock: {', '.join(words)}")
            script.shares = shares
        if not script.is_open:
            if not self._settings.worker_url:
                await api.open_door(name)
            await api.set_crons(name, (self._settings.cron,) if self._settings.cron else ())
            script.is_open = True
        place = await self._located(api)
        for one, version_id in zip(chosen, ids, strict=True):
            self._urls[one.name] = address(place.format(script=name), name, version_id)

    async def _read(self, api: CloudflareApi, name: str, script: _Script) -> None:
        before = dict(script.shares)
        try:
            script.ids = await api.versions(name)
            script.shares = await api.shares(name)
        except ScriptMissing:
            script.ids, script.shares, script.is_open = {}, {}, False
        if before and script.shares != before:
            self._told(f"{name} served something else on Cloudflare: it is deployed again")
        script.verified_s = self._now_s()

    async def _uploaded(
        self, api: CloudflareApi, name: str, script: _Script, version: Wanted
    ) -> str:
        tag = self._tag(version)
        known = script.ids.get(tag)
        if known is not None:
            return known
        words = f"Paddock: version {version.version} of strategy {version.strategy_id[:16]}"
        try:
            uploaded = await api.upload(name, version.bundle, self._secret, tag, words)
        except ScriptMissing:
            await api.upload_first(name, version.bundle, self._secret, tag, words)
            script.ids, script.shares = await api.versions(name), await api.shares(name)
            script.is_open = False
            uploaded = script.ids.get(tag, "")
            if not uploaded:
                raise RuntimeUnavailable(f"Cloudflare does not list {name} yet") from None
        script.ids[tag] = uploaded
        return uploaded

    # Trials

    @asynccontextmanager
    async def _trial(self, version: Wanted) -> AsyncIterator[WorkerClient]:
        name = self._script_name(version)
        self._trials[name] = version
        try:
            api = self._opened()
            async with self._changing:
                versions = [o for o in self._wanted.values() if self._script_name(o) == name]
                chosen = self._chosen(name, versions)
                if version not in chosen:
                    raise StrategyError(
                        f"Cloudflare serves {MOST_VERSIONS} versions of a strategy at a time, and "
                        "both are in use: wait until the older one holds nothing more"
                    )
                await self._deployed(api, name, chosen)
            async with WorkerClient(self._urls[version.name], self._secret, _ANSWER_S) as client:
                await self._spread(client, version)
                yield client
        finally:
            self._trials.pop(name, None)
            self._is_told = True

    async def _spread(self, client: WorkerClient, version: Wanted) -> None:
        """Wait until the version answers: a deployment takes seconds to be everywhere."""
        until_s = self._now_s() + _SPREAD_S
        while True:
            try:
                bundle = str((await client.health()).get("bundle"))
                problem = f"bundle {bundle[:12]} answers instead of {version.bundle.sha256[:12]}"
                if bundle == version.bundle.sha256:
                    return
            except (RuntimeUnavailable, DataError) as exc:
                problem = exc.message
            if self._now_s() >= until_s:
                raise RuntimeUnavailable(f"{version.name} is not out on Cloudflare: {problem}")
            await asyncio.sleep(_ASK_AGAIN_S)

    # Health

    async def _probe(self, urls: Mapping[str, str]) -> None:
        async def asked(name: str, url: str) -> None:
            wanted, told = self._wanted.get(name), None
            with contextlib.suppress(PaddockError):
                async with WorkerClient(url, self._secret, PROBE_S) as client:
                    told = (await client.health()).get("bundle")
            if wanted is not None:
                self._answering[name] = told == wanted.bundle.sha256

        await asyncio.gather(*(asked(name, url) for name, url in urls.items()))

    # Names

    def _opened(self) -> CloudflareApi:
        if self._api is None:
            if not self._api_token:
                raise RuntimeUnavailable(
                    f"no token for Cloudflare: set {API_TOKEN_VARIABLE} where the runtime starts"
                )
            if not self._settings.account:
                raise RuntimeUnavailable(
                    "no account on Cloudflare: set [cloudflare] account to its id"
                )
            self._api = CloudflareApi(
                self._settings.account,
                self._api_token,
                self._settings.api_url.rstrip("/"),
                self._settings.timeout_s,
            )
        return self._api

    async def _located(self, api: CloudflareApi) -> str:
        """Return where scripts are asked, with `{script}` in it."""
        if self._settings.worker_url:
            return self._settings.worker_url
        if not self._place:
            self._place = f"https://{{script}}.{await api.subdomain()}.workers.dev"
        return self._place

    def _script_name(self, version: Wanted) -> str:
        return f"{self._name()}-{version.strategy_id[:16]}"

    def _name(self) -> str:
        """Return the beginning of this home's scripts: drawn once, so that no two homes share."""
        path = self._folder / _NAME_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(f"paddock-{secrets.token_hex(4)}")
        except FileExistsError:
            pass
        return path.read_text(encoding="utf-8").strip()

    def _tag(self, version: Wanted) -> str:
        # Another secret makes another version of the same bundle; eight digits tell the two apart
        # and give nothing away.
        mixed = f"{version.bundle.sha256} {self._secret}".encode()
        return f"{version.bundle.sha256}-{hashlib.sha256(mixed).hexdigest()[:8]}"


def percentages(shares_frac: Sequence[float]) -> list[float]:
    """Return percentages that total 100 from the shares of at most two versions.

    A lone version gets everything; of two that share, the second gets what the first leaves.
    """
    if not shares_frac:
        return []
    if len(shares_frac) == 1:
        return [100.0]
    first, second = shares_frac
    if first <= 0.0 and second <= 0.0:
        return [100.0, 0.0]
    share = round(100.0 * first / (first + second), 2)
    return [share, round(100.0 - share, 2)]
