"""A ccxt client that may trade: keys, our clock, exact numbers, and answers that must be JSON."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import ccxt

from engine.clock import Clock
from engine.errors import ConfigError
from engine.market.ccxt_client import PERP_SUFFIX, make_client, move_client, retry_after_s
from engine.trade.keys import Keys
from engine.trade.pace import Pace

RECEIVE_WINDOW_MS = 5_000
"""Within this a request must arrive, on exchanges that have such a window."""

FORGETS_AFTER_MS = 60_000
"""After this a request is taken to be lost, on exchanges that have none."""

# Where ccxt keeps far below what the exchange allows: 2,400 a minute here, it keeps to 1,200.
_COSTS_PER_S = {"binance-perp": 36.0}
# What ccxt calls the credentials, and which of ours it is given.
_CREDENTIALS = {
    "apiKey": "api_key",
    "secret": "secret",
    "password": "password",
    "walletAddress": "api_key",
    "privateKey": "secret",
}


def trading_client(
    exchange_name: str,
    keys: Keys,
    clock: Clock,
    *,
    api_url: str | None = None,
    timeout_s: float = 10.0,
    is_paced: bool = True,
    find_api_url: Callable[[], str] | None = None,
) -> Any:
    """Return a ccxt client (asyncio) that signs; the caller closes it.

    Parameters
    ----------
    exchange_name, api_url, timeout_s : see `make_client`
    clock : stamps the requests
    is_paced : let reads wait for the exchange's rate limit; the kill switch does not wait, and
        still obeys an exchange that answers "too many"
    find_api_url : asked where the exchange is now after a request that failed on its way; empty
        when that is not known

    Raises
    ------
    UsageError : no such exchange.
    ConfigError : the exchange wants credentials that were not given; names the variable.
    """
    client = make_client(exchange_name, api_url, timeout_s)
    costs_per_s = _COSTS_PER_S.get(exchange_name, 1000.0 / client.rateLimit)
    client.throttle = Pace(costs_per_s, clock, waits=is_paced)
    _give_keys(client, exchange_name, keys)
    # It logs the headers of every request, keys among them.
    client.logger = _silent_logger()
    client.milliseconds = clock.now_at
    client.number = str
    client.enableLastResponseHeaders = True
    if _has_window(client):
        client.options["recvWindow"] = RECEIVE_WINDOW_MS
    client.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
    if isinstance(found := client.options.get("fetchOpenOrders"), dict):
        found["warnWithoutSymbol"] = False
    client.fetch = _guarded(client, client.fetch, find_api_url)
    return client


def watching_client(
    exchange_name: str,
    keys: Keys,
    clock: Clock,
    *,
    api_url: str | None = None,
    timeout_s: float = 10.0,
) -> Any:
    """Return a ccxt client that listens to the account's websocket; the caller closes it.

    Raises
    ------
    as `trading_client`
    """
    client = make_client(exchange_name, api_url, timeout_s, watches=True)
    client.throttle = Pace(1000.0 / client.rateLimit, clock)
    _give_keys(client, exchange_name, keys)
    client.logger = _silent_logger()
    client.milliseconds = clock.now_at
    # What it tells is not read: nothing need be asked for to make it whole.
    client.options["watchPositions"] = {"fetchPositionsSnapshot": False}
    client.newUpdates = True
    return client


def can_watch_orders(exchange_name: str) -> bool:
    """Return whether ccxt can listen to this exchange's word on orders."""
    import ccxt.pro

    found = getattr(ccxt.pro, exchange_name.removesuffix(PERP_SUFFIX), None)
    return found is not None and bool(found().has.get("watchOrders"))


def forgets_after_ms(client: Any) -> int:
    """Return how long after being sent a request may still take effect."""
    return int(client.options["recvWindow"]) if _has_window(client) else FORGETS_AFTER_MS


def _has_window(client: Any) -> bool:
    return isinstance(client.options.get("recvWindow"), int)


def _give_keys(client: Any, exchange_name: str, keys: Keys) -> None:
    required = {name for name, is_needed in client.requiredCredentials.items() if is_needed}
    unknown = sorted(required - set(_CREDENTIALS))
    if unknown:
        raise ConfigError(
            f"[trading] live_exchange {exchange_name} signs with {' and '.join(unknown)}, which "
            "Paddock has no setting for: use another exchange",
            exchange=exchange_name,
        )
    for name, ours in _CREDENTIALS.items():
        text: str = getattr(keys, ours)
        if name in required and not text:
            variable = f"PADDOCK_LIVE_API_{'KEY' if ours == 'api_key' else ours.upper()}"
            raise ConfigError(
                f"{exchange_name} wants a {ours} too: set {variable} in the environment",
                variable=variable,
            )
        if text and (name in required or name in ("apiKey", "secret", "password")):
            setattr(client, name, text)


def _guarded(
    client: Any, fetch: Callable[..., Awaitable[Any]], find_api_url: Callable[[], str] | None
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Refuse what is not JSON, which ccxt's parsers take for an empty answer."""
    moved_to = ""

    async def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            answer = await fetch(*args, **kwargs)
        except (ccxt.DDoSProtection, ccxt.RateLimitExceeded) as exc:
            # Nothing was awaited since its headers came: they are its own.
            vars(exc)["retry_after_s"] = retry_after_s(client.last_response_headers)
            raise
        except ccxt.NetworkError:
            # This request is not repeated: only the next one goes to the new place.
            nonlocal moved_to
            found = find_api_url() if find_api_url is not None else ""
            if found and found != moved_to:
                move_client(client, found)
                moved_to = found
            raise
        if not isinstance(answer, dict | list):
            raise ccxt.BadResponse(f"{client.id} answered something that is not JSON")
        return answer

    return guarded


def _silent_logger() -> logging.Logger:
    logger = logging.Logger("ccxt of an account")
    logger.disabled = True
    return logger
