"""Who may see the served console: those with the token, from a page of its own.

The token comes once, in the address; a cookie that lives as long as the server takes its place.
Names other than the machine's own are refused, so that no foreign name can be made to point here,
and a websocket must come from a page of this very server.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from engine.errors import UsageError

TOKEN_VARIABLE = "PADDOCK_SERVE_TOKEN"  # noqa: S105 the name of it, not its value
MIN_TOKEN_LENGTH = 16
_TOKEN_BYTES = 32
_REFUSED = "Not without the token: open the link that `paddock serve` printed when it started.\n"
_FOREIGN_NAME = "This name is not served: open the link that `paddock serve` printed.\n"
_FOREIGN_PAGE = "Only a page of this server may open the console.\n"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def take_token(environment: MutableMapping[str, str] | None = None) -> tuple[str, bool]:
    """Return the token, and whether the operator chose it; no child process will find it.

    Raises
    ------
    UsageError : the one in the environment is too short, or holds what no address may.
    """
    env = os.environ if environment is None else environment
    chosen = env.pop(TOKEN_VARIABLE, "")
    if not chosen:
        return secrets.token_urlsafe(_TOKEN_BYTES), False
    if len(chosen) < MIN_TOKEN_LENGTH:
        raise UsageError(
            f"environment variable {TOKEN_VARIABLE}: at least {MIN_TOKEN_LENGTH} characters are "
            "needed; unset it, and a random token is made"
        )
    if not all(sign.isascii() and (sign.isalnum() or sign in "-._~") for sign in chosen):
        raise UsageError(
            f"environment variable {TOKEN_VARIABLE}: only letters, digits and -._~ may stand in "
            "it, since it is part of an address"
        )
    return chosen, True


class Guard:
    """Let through what has the token, and nothing else.

    Parameters
    ----------
    token : what the address must hold
    host : the name that the server was asked to listen on
    cookie : name of the cookie; cookies know no ports, so that each server needs its own
    """

    def __init__(self, token: str, host: str, cookie: str) -> None:
        self._token = token.encode()
        self._cookie = cookie
        self._pass = secrets.token_urlsafe(_TOKEN_BYTES)
        self._names = frozenset({"localhost", host.lower(), socket.gethostname().lower()})

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or refuse it; nothing is told to those without the token."""
        refusal = self._refusal(request)
        response = refusal or self._entrance(request) or await _handled(request, handler)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        if not self._is_own_name(request.headers.get("Host", "")):
            return web.Response(status=403, text=_FOREIGN_NAME)
        given = request.query.get("token")
        if given is not None:
            is_known = hmac.compare_digest(given.encode(errors="replace"), self._token)
        else:
            shown = request.cookies.get(self._cookie, "")
            is_known = hmac.compare_digest(shown.encode(errors="replace"), self._pass.encode())
        if not is_known:
            return web.Response(status=401, text=_REFUSED)
        if request.path == "/ws" and not _is_own_page(request):
            return web.Response(status=403, text=_FOREIGN_PAGE)
        return None

    def _entrance(self, request: web.Request) -> web.Response | None:
        # The token leaves the address bar, and with it the history.
        if "token" not in request.query:
            return None
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            self._cookie,
            self._pass,
            httponly=True,
            samesite="Lax",
            secure=request.secure,
            path="/",
        )
        return response

    def _is_own_name(self, host: str) -> bool:
        name = _name_of(host)
        return name in self._names or _is_address(name)


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as exc:
        return web.Response(status=exc.status, text=f"{exc.reason}\n")


def _is_own_page(request: web.Request) -> bool:
    origin = urlsplit(request.headers.get("Origin", ""))
    return origin.scheme in ("http", "https") and origin.netloc.lower() == request.host.lower()


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
