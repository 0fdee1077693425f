"""A ccxt client for public market history, and one door through which every request to it goes.

Only this module knows ccxt's classes and errors; whoever asks gets values or `VenueError`.
"""

from __future__ import annotations

import asyncio
import difflib
import importlib
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import ccxt
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from engine.errors import UsageError, VenueRejected, VenueUnavailable

PERP_SUFFIX = "-perp"
Sleep = Callable[[float], Awaitable[None]]
Answer = TypeVar("Answer")

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
_LONGEST_RETRY_AFTER_S = 120.0
# What ccxt's parsers raise on an answer that is not what the exchange documents.
_PARSER_ERRORS = (TypeError, ValueError, KeyError, AttributeError, IndexError)


def make_client(
    exchange_name: str,
    api_url: str | None,
    timeout_s: float,
    rate_limit_ms: int = 0,
    *,
    watches: bool = False,
) -> Any:
    """Return a ccxt client (asyncio) for public bars; the caller closes it.

    Parameters
    ----------
    exchange_name : str
        A ccxt exchange id, such as `binance`; `binance-perp` asks for its linear perpetuals.
    api_url : str or None
        Scheme, host and port that replace those of every address of the exchange, paths kept.
    timeout_s : float, > 0, for one request
    rate_limit_ms : int, least time between two requests; 0 = the exchange's own
    watches : one that can also listen to websockets

    Raises
    ------
    UsageError : no such exchange (naming the nearest), or an `api_url` without scheme and host.
    """
    venue = exchange_name.removesuffix(PERP_SUFFIX)
    if venue not in ccxt.exchanges:
        close = difflib.get_close_matches(venue, ccxt.exchanges, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else "see ccxt's list of exchanges"
        raise UsageError(f"unknown exchange {exchange_name!r}: {hint}", exchange=exchange_name)
    is_perp = exchange_name.endswith(PERP_SUFFIX)
    options: dict[str, Any] = {"defaultType": "swap" if is_perp else "spot"}
    if venue.startswith("binance"):
        options["fetchMarkets"] = {"types": ["linear" if is_perp else "spot"]}
        options["fetchMargins"] = False
    settings: dict[str, Any] = {
        "enableRateLimit": True,
        "timeout": round(timeout_s * 1000),
        "options": options,
    }
    if rate_limit_ms > 0:
        settings["rateLimit"] = rate_limit_ms
    client = getattr(_classes(watches=watches), venue)(settings)
    # An answer that is not JSON looks like an empty page otherwise (see VenueDoor).
    client.enableLastJsonResponse = True
    # Currencies are not needed for bars, and some exchanges want a key for them.
    client.has["fetchCurrencies"] = False
    client.options["fetchCurrencies"] = False
    if api_url is not None:
        move_client(client, api_url)
    return client


def _classes(*, watches: bool) -> ModuleType:
    # All exchanges once more: only those who listen pay for it.
    return importlib.import_module("ccxt.pro" if watches else "ccxt.async_support")


def move_client(client: Any, api_url: str) -> None:
    """Send a client's requests to another scheme, host and port; the paths stay.

    Raises
    ------
    UsageError : an `api_url` without scheme and host.
    """
    client.urls["api"] = _moved(client.urls["api"], _origin(api_url))


def venue_symbol(exchange_name: str, symbol: str) -> str:
    """Return the symbol as ccxt spells it: `BTC/USDT`, or `BTC/USDT:USDT` for a perpetual."""
    if not exchange_name.endswith(PERP_SUFFIX):
        return symbol
    return f"{symbol}:{symbol.partition('/')[2]}"


class VenueDoor:
    """Ask one exchange, and ask again when it does not answer.

    Parameters
    ----------
    exchange_name : str
    client : ccxt client (asyncio)
    retries : int, >= 0, repeats of one request that got no usable answer
    sleep : coroutine function of seconds

    Attributes
    ----------
    n_requests : int, requests sent, repeats included
    n_retries : int, repeats among them

    Notes
    -----
    Only reads go through this door: repeating them is harmless. Waits double from 1 s to 30 s, and
    are at least what a `Retry-After` header asks for; over 120 s it gives up at once.
    """

    def __init__(
        self, exchange_name: str, client: Any, retries: int, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.exchange_name = exchange_name
        self.client = client
        self.n_requests = 0
        self.n_retries = 0
        self._retries = retries
        self._sleep = sleep

    async def ask(self, what: str, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer to a request.

        Parameters
        ----------
        what : str, for messages, such as `bars of BTC/USDT`
        request : function that starts one try; `VenueUnavailable` from it is retried

        Raises
        ------
        VenueUnavailable : no usable answer in any of the tries.
        VenueRejected : the exchange said no.
        """
        attempts = AsyncRetrying(
            stop=stop_after_attempt(self._retries + 1),
            wait=_wait_s,
            retry=retry_if_exception_type(_NoAnswer),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    self.n_requests += 1
                    self.n_retries += attempt.retry_state.attempt_number > 1
                    return await self._try(what, request)
        except _NoAnswer as exc:
            raise VenueUnavailable(
                f"{self.exchange_name} gave no usable answer for {what} in "
                f"{self._retries + 1} tries ({exc.message}): try again later, "
                "what was fetched so far is kept",
                exchange=self.exchange_name,
            ) from exc
        raise VenueUnavailable(f"{self.exchange_name} was never asked for {what}")

    async def _try(self, what: str, request: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            answer = await request()
            if getattr(self.client, "last_json_response", ()) is None:
                raise VenueUnavailable("an answer that is not JSON")
            return answer
        except VenueUnavailable as exc:
            raise _NoAnswer(exc.message) from exc
        except ccxt.OperationFailed as exc:
            raise self._no_answer(exc, what) from exc
        except ccxt.BaseError as exc:
            # ccxt reports an answer that broke off half-way as if the exchange had said no.
            if isinstance(exc.__cause__, aiohttp.ClientError):
                raise _NoAnswer(f"an answer that broke off: {_first_line(exc)}") from exc
            raise VenueRejected(
                f"{self.exchange_name} refused {what}: {_first_line(exc)}",
                exchange=self.exchange_name,
            ) from exc
        except _PARSER_ERRORS as exc:
            raise _NoAnswer(f"an answer that cannot be read: {_first_line(exc)}") from exc

    def _no_answer(self, exc: Exception, what: str) -> VenueUnavailable:
        wait_s = 0.0
        if isinstance(exc, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
            wait_s = retry_after_s(getattr(self.client, "last_response_headers", None))
        if wait_s > _LONGEST_RETRY_AFTER_S:
            return VenueUnavailable(
                f"{self.exchange_name} refuses {what} for the next {wait_s:g} s (rate limit): "
                "try again after that",
                exchange=self.exchange_name,
                retry_after_s=wait_s,
            )
        return _NoAnswer(_first_line(exc), retry_after_s=wait_s)


class _NoAnswer(VenueUnavailable):
    # One failed try; never leaves this module.
    pass


def _wait_s(state: RetryCallState) -> float:
    wait_s = min(_FIRST_WAIT_S * 2.0 ** (state.attempt_number - 1), _LONGEST_WAIT_S)
    error = state.outcome.exception() if state.outcome is not None else None
    asked_s = error.fields.get("retry_after_s", 0.0) if isinstance(error, _NoAnswer) else 0.0
    return max(wait_s, asked_s if isinstance(asked_s, float) else 0.0)


def retry_after_s(headers: object) -> float:
    """Return the seconds that a `Retry-After` header asks for, 0 when there is none to read."""
    if not isinstance(headers, dict):
        return 0.0
    given = {str(name).lower(): value for name, value in headers.items()}.get("retry-after", "")
    try:
        return max(0.0, float(given))
    except ValueError:
        return 0.0


def _first_line(exc: Exception) -> str:
    text = (str(exc).splitlines() or [""])[0][:200]
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _origin(api_url: str) -> str:
    parts = urlsplit(api_url)
    if not parts.scheme or not parts.netloc:
        raise UsageError(f"{api_url!r} is not an address: write http://HOST:PORT", api_url=api_url)
    return f"{parts.scheme}://{parts.netloc}"


def _moved(urls: Any, origin: str) -> Any:
    if isinstance(urls, dict):
        return {name: _moved(url, origin) for name, url in urls.items()}
    return origin + urlsplit(str(urls)).path
