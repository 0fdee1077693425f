"""Ask a Worker: its health, its metrics, and what its strategy wants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from engine.errors import DataError, PaddockError, RuntimeUnavailable, StrategyError
from engine.types import Bars

VERSION_HEADER = "Cloudflare-Workers-Version-Overrides"
"""Says which version of a script is asked, whatever share of the requests it has."""

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Signal:
    """What a Worker wants at the close of a bar.

    Attributes
    ----------
    answer : intent, leave, stop, target, trailing, max_bars, size, confidence; None for what is
        absent
    state : JSON text to ask with next time
    version, bundle : of the Worker that answered
    """

    answer: Mapping[str, Any]
    state: str
    version: str
    bundle: str


def address(place: str, script: str, version_id: str) -> str:
    """Return the address of one version among those that share a place.

    The version stands behind a `#`, which is never part of a request: `WorkerClient` asks for it
    by a header.
    """
    return f'{place.rstrip("/")}#{script}="{version_id}"'


class WorkerClient:
    """One Worker over HTTP, as an async context manager.

    Parameters
    ----------
    url : where it listens, without a question's path; see `address`
    token : that it was given
    timeout_s : longest wait for one answer

    Every method raises
    ------
    RuntimeUnavailable : no answer in time, none that a Worker gives, or one that does not know our
        token; asking again is harmless.
    DataError : it refuses the question: these are no bars, or no state.
    StrategyError : its strategy failed.
    """

    def __init__(self, url: str, token: str, timeout_s: float = _TIMEOUT_S) -> None:
        place, _, named = url.partition("#")
        self._url = place.rstrip("/")
        self._named = {VERSION_HEADER: named} if named else {}
        self._token = token
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"authorization": f"Bearer {self._token}", **self._named}
        self._session = aiohttp.ClientSession(headers=headers, timeout=self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def health(self) -> Mapping[str, Any]:
        """Return status, name, version and bundle."""
        return _object(await self._ask("GET", "/health"))

    async def metrics(self) -> str:
        """Return its counters in Prometheus text."""
        return await self._ask("GET", "/metrics")

    async def signal(self, bars: Bars, state: str = "null") -> Signal:
        """Return what it wants after the last of `bars`, beginning with a state (JSON text)."""
        told = _object(await self._ask("POST", "/signal", signal_body(bars, state)))
        named = ("state", "version", "bundle")
        answer = {key: value for key, value in told.items() if key not in named}
        state = json.dumps(told.get("state"), separators=(",", ":"))
        return Signal(answer, state, str(told.get("version")), str(told.get("bundle")))

    async def _ask(self, method: str, path: str, body: str | None = None) -> str:
        if self._session is None:
            raise RuntimeUnavailable(f"{self._url}: the client is closed")
        try:
            async with self._session.request(method, self._url + path, data=body) as response:
                text = await response.text()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as exc:
            why = str(exc) or type(exc).__name__
            raise RuntimeUnavailable(f"{self._url}{path}: {why}", url=self._url) from exc
        if status == 200:
            return text
        raise self._refused(path, status, text)

    def _refused(self, path: str, status: int, text: str) -> PaddockError:
        try:
            error = _object(text).get("error")
        except RuntimeUnavailable:
            error = None
        if not isinstance(error, dict) or "code" not in error:
            # Not our shape: something on the way answered, or what runs Workers did.
            return RuntimeUnavailable(
                f"{self._url}{path} answered {status}, and no Worker of ours did: {text[:80]!r}",
                status=status,
            )
        code, message = error["code"], error.get("message", text[:200])
        sentence = f"{self._url}{path} answered {status} ({code}): {message}"
        kind: type[PaddockError] = StrategyError
        if code in ("token", "path"):
            kind = RuntimeUnavailable
        elif status < 500:
            kind = DataError
        return kind(sentence, status=status, worker_code=code)


def signal_body(bars: Bars, state: str) -> str:
    """Return the body of a question about the last of `bars`; numbers keep their bits."""
    columns = {
        "t": bars.timestamp,
        "open": bars.open,
        "high": bars.high,
        "low": bars.low,
        "close": bars.close,
        "volume": bars.volume,
    }
    told = {name: column.tolist() for name, column in columns.items()}
    return f'{{"bars":{json.dumps(told, separators=(",", ":"))},"state":{state}}}'


def _object(text: str) -> Mapping[str, Any]:
    try:
        told = json.loads(text)
    except ValueError as exc:
        raise RuntimeUnavailable(
            f"a Worker answered something else than JSON: {text[:80]}"
        ) from exc
    if not isinstance(told, dict):
        raise RuntimeUnavailable(f"a Worker answered something else than an object: {text[:80]}")
    return told
