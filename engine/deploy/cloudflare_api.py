"""Cloudflare's API of Workers, as far as deployments need it, through its own SDK.

The SDK is large: it is imported with the first question, not with this module. It never tries
again by itself here, since a wait of its own would hold up everything else: callers do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from engine.deploy.bundle import Bundle
from engine.deploy.workerd import COMPATIBILITY_DATE
from engine.errors import PaddockError, RuntimeUnavailable, StrategyError

if TYPE_CHECKING:
    import cloudflare

API_TOKEN_VARIABLE = "PADDOCK_CLOUDFLARE_API_TOKEN"  # noqa: S105
PERMISSION = "Account > Workers Scripts > Edit"
TOKEN_BINDING = "TOKEN"  # noqa: S105

_MODULE = "worker.js"
_MODULE_TYPE = "application/javascript+module"
_TAG = "workers/tag"
_MESSAGE = "workers/message"
_RETRY_MOST_S = 600.0

# Codes of the API: a token that it cannot read or does not know, an account that it cannot find,
# and a script or version that is not there.
_TOKEN_CODES = frozenset({1000, 6003, 6111, 9106, 9109, 10001})
_ACCOUNT_CODES = frozenset({7000, 7003})
_MISSING_CODES = frozenset({10007, 10092})

_ODD_SHAPES = (AttributeError, KeyError, TypeError, ValueError)

T = TypeVar("T")


class ScriptMissing(RuntimeUnavailable):
    """The account has no such script, or the script no such version."""


class CloudflareApi:
    """Ask for one account's Workers.

    Starting and stopping are cheap; `close` when done. Every method may run twice.

    Parameters
    ----------
    account : its id
    token : of the API; never shown, never in an error
    api_url : where the API is, without a slash at the end
    timeout_s : longest wait for one answer

    Every method raises
    ------
    RuntimeUnavailable : no answer, one that says later (its field `retry_s` how much), or a token,
        an account or a permission that is wrong: the message says which, and what to do.
    StrategyError : Cloudflare refuses the Worker itself.
    """

    def __init__(self, account: str, token: str, api_url: str, timeout_s: float) -> None:
        self._account = account
        self._token = token
        self._api_url = api_url
        self._timeout_s = timeout_s
        self._client: cloudflare.AsyncCloudflare | None = None

    async def close(self) -> None:
        """End its connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def subdomain(self) -> str:
        """Return the account's name under workers.dev."""
        try:
            return await self._ask(
                "read the account's subdomain",
                lambda api: api.subdomains.get(account_id=self._account),
                lambda told: str(told["subdomain"]),
            )
        except ScriptMissing as exc:
            raise RuntimeUnavailable(
                f"account {self._account} has no workers.dev subdomain: open Workers once in "
                "Cloudflare's dashboard, or set [cloudflare] worker_url"
            ) from exc

    async def scripts(self) -> list[str]:
        """Return the names of the account's scripts."""
        return await self._ask(
            "list scripts",
            lambda api: api.scripts.list(account_id=self._account),
            lambda told: [str(script["id"]) for script in told],
        )

    async def versions(self, script: str) -> dict[str, str]:
        """Return the versions that can be deployed: id by tag, of one tag the newest.

        Raises
        ------
        ScriptMissing : there is no such script.
        """
        # Ignored by the API: pages. It gives all that can be deployed at once.
        return await self._ask(
            f"list versions of {script}",
            lambda api: api.scripts.versions.list(
                script, account_id=self._account, deployable=True
            ),
            lambda told: _tagged(told["items"]),
        )

    async def upload_first(
        self, script: str, bundle: Bundle, secret: str, tag: str, words: str
    ) -> None:
        """Make a script of a version, which gets every request at once."""
        metadata = _metadata(secret, tag, words)
        await self._ask(
            f"upload {script}",
            lambda api: api.scripts.update(
                script, account_id=self._account, metadata=metadata, files=[_file(bundle)]
            ),
        )

    async def upload(self, script: str, bundle: Bundle, secret: str, tag: str, words: str) -> str:
        """Add a version to a script, without a single request for it; return its id.

        Raises
        ------
        ScriptMissing : there is no such script: `upload_first`.
        """
        metadata = _metadata(secret, tag, words)
        return await self._ask(
            f"upload {script}",
            lambda api: api.scripts.versions.create(
                script, account_id=self._account, metadata=metadata, files=[_file(bundle)]
            ),
            lambda told: str(told["id"]),
        )

    async def shares(self, script: str) -> dict[str, float]:
        """Return the percentage of requests that each deployed version gets, by version id."""
        return await self._ask(
            f"read what {script} serves",
            lambda api: api.scripts.deployments.list(script, account_id=self._account),
            lambda told: _shares(told["deployments"]),
        )

    async def deploy(self, script: str, shares: Mapping[str, float], words: str) -> None:
        """Give versions their percentages of the requests, which total 100."""
        versions = [{"version_id": name, "percentage": share} for name, share in shares.items()]
        notes = {_MESSAGE: words}
        await self._ask(
            f"deploy {script}",
            lambda api: api.scripts.deployments.create(
                script,
                account_id=self._account,
                strategy="percentage",
                versions=versions,
                annotations=notes,
            ),
        )

    async def open_door(self, script: str) -> None:
        """Let a script be asked under the account's subdomain; its previews stay shut."""
        await self._ask(
            f"open {script}",
            lambda api: api.scripts.subdomain.create(
                script, account_id=self._account, enabled=True, previews_enabled=False
            ),
        )

    async def set_crons(self, script: str, crons: tuple[str, ...]) -> None:
        """Let a script be woken at these times, and at no others."""
        await self._ask(
            f"schedule {script}",
            lambda api: api.scripts.schedules.update(
                script, account_id=self._account, body=[{"cron": cron} for cron in crons]
            ),
        )

    async def delete(self, script: str) -> None:
        """Delete a script with all its versions; one that is not there is deleted already."""
        with suppress(ScriptMissing):
            await self._ask(
                f"delete {script}",
                lambda api: api.scripts.delete(script, account_id=self._account),
            )

    async def _ask(
        self,
        doing: str,
        ask: Callable[[Any], Awaitable[Any]],
        read: Callable[[Any], T] = lambda told: told,
    ) -> T:
        """Return what is read from the `result` of an answer."""
        # Its import takes half a second, which nothing else has to wait for.
        cloudflare = await asyncio.to_thread(_sdk)
        try:
            # Raw: the SDK cannot build its own types of some answers, and takes others for pages.
            answer = await ask(self._opened(cloudflare).workers.with_raw_response)
            return read((await answer.json())["result"])
        except cloudflare.APIStatusError as exc:
            raise self._refused(doing, exc) from None
        except cloudflare.APITimeoutError as exc:
            raise RuntimeUnavailable(
                f"Cloudflare did not answer within {self._timeout_s:g} s: {doing}"
            ) from exc
        except cloudflare.APIConnectionError as exc:
            why = str(exc.__cause__ or exc) or "the connection broke"
            raise RuntimeUnavailable(
                f"Cloudflare cannot be reached at {self._api_url}: {why}"
            ) from exc
        except (cloudflare.CloudflareError, *_ODD_SHAPES) as exc:
            # Half an answer, or somebody else's.
            raise RuntimeUnavailable(
                f"{self._api_url} answered what is not Cloudflare's API: {doing}"
            ) from exc

    def _opened(self, sdk: Any) -> cloudflare.AsyncCloudflare:
        if self._client is None:
            self._client = client = sdk.AsyncCloudflare(
                api_token=self._token,
                base_url=self._api_url,
                timeout=self._timeout_s,
                max_retries=0,
            )
            # It looks for further identities in the environment: this token is the only one.
            client.api_key = client.api_email = client.user_service_key = None
        return self._client

    def _refused(self, doing: str, error: cloudflare.APIStatusError) -> PaddockError:
        status = error.status_code
        codes = {_code(one) for one in error.errors or ()}
        told = _words(error)
        fields = {"status": status, "cloudflare_codes": sorted(codes)}
        if status == 429:
            after = _retry_s(error.response.headers.get("retry-after"))
            words = f"Cloudflare asks to wait {after:,.0f} s: too many requests ({doing})"
            return RuntimeUnavailable(words, retry_s=after, **fields)
        if status >= 500 or status == 408:
            return RuntimeUnavailable(
                f"Cloudflare failed with {status} ({doing}): {told}", **fields
            )
        if status == 401 or codes & _TOKEN_CODES:
            return RuntimeUnavailable(
                f"Cloudflare knows no such token: set {API_TOKEN_VARIABLE} to one that is valid",
                **fields,
            )
        if codes & _ACCOUNT_CODES:
            return RuntimeUnavailable(
                f"Cloudflare knows no account {self._account!r}: see [cloudflare] account", **fields
            )
        if status == 403:
            return RuntimeUnavailable(
                f"the token in {API_TOKEN_VARIABLE} may not {doing}: give it the permission "
                f"{PERMISSION} for account {self._account}",
                **fields,
            )
        if status == 404 or codes & _MISSING_CODES:
            return ScriptMissing(f"Cloudflare has it no more ({doing}): {told}", **fields)
        if doing.startswith("upload "):
            return StrategyError(f"Cloudflare refuses the Worker: {told}", **fields)
        return RuntimeUnavailable(f"Cloudflare refuses to {doing}: {told}", **fields)


def _tagged(items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    tagged: dict[str, str] = {}
    for item in items:
        tag = (item.get("annotations") or {}).get(_TAG)
        if tag:
            tagged.setdefault(str(tag), str(item["id"]))
    return tagged


def _shares(deployments: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    versions = deployments[0]["versions"] if deployments else ()
    return {str(one["version_id"]): float(one["percentage"]) for one in versions}


def _sdk() -> Any:
    import cloudflare
    import cloudflare.resources.workers.scripts

    return cloudflare


def _metadata(secret: str, tag: str, words: str) -> Any:
    # The secret belongs to the version: changed by itself, it would make a version of its own that
    # gets every request at once.
    return {
        "main_module": _MODULE,
        "compatibility_date": COMPATIBILITY_DATE,
        "bindings": [{"type": "secret_text", "name": TOKEN_BINDING, "text": secret}],
        "annotations": {_TAG: tag, _MESSAGE: words},
    }


def _file(bundle: Bundle) -> tuple[str, bytes, str]:
    return _MODULE, bundle.text.encode(), _MODULE_TYPE


def _code(error: Any) -> int:
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else 0


def _words(error: cloudflare.APIStatusError) -> str:
    told = [f"{getattr(one, 'message', '')} ({_code(one)})" for one in error.errors or ()]
    return "; ".join(told)[:300] or f"status {error.status_code}"


def _retry_s(header: str | None) -> float:
    try:
        return min(max(float(header or ""), 1.0), _RETRY_MOST_S)
    except ValueError:
        return 30.0
