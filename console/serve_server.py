"""Serve the console to browsers: each page has a console of its own, while it is open."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import textual_serve
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError

from console.serve_guard import Guard
from console.serve_session import ServedConsole
from console.talk import one_line, write_crash_log
from engine.errors import PaddockError, UsageError

MAX_CONSOLES = 8
FONT_SIZES = range(6, 41)
_HEARTBEAT_S, _CLOSE_S = 15.0, 2.0
_MAX_MESSAGE_BYTES = 1 << 20
_WIDTHS, _HEIGHTS = range(20, 501), range(5, 201)
_REASON_BYTES = 123
"""The most that a websocket's last word may hold."""
_PAGE = Path(__file__).with_name("serve_page.html")
_STATICS = Path(textual_serve.__file__).parent / "static"


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a host and port; port 0 takes a free one.

    Raises
    ------
    UsageError : there is no such host, or it is not this machine.
    PaddockError : the port is taken, or may not be used.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise UsageError(
            f"no host is called {host!r}: --host takes an address of this machine"
        ) from exc
    family, kind, protocol, _, address = min(found, key=lambda item: item[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as exc:
        listener.close()
        raise _bind_error(exc, host, port) from exc
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Return whether only this machine reaches a socket."""
    return ip_address(listener.getsockname()[0]).is_loopback


def name_of(host: str, listener: socket.socket) -> str:
    """Return how a browser names a server: every address goes by the machine's own name."""
    if ip_address(listener.getsockname()[0]).is_unspecified:
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


class ConsoleServer:
    """Pages, their websockets and their consoles.

    Parameters
    ----------
    guard : who may come in
    options : of each console's command line
    log : file that what consoles say on stderr goes to
    say : called with a line for the operator of the server
    """

    def __init__(
        self, guard: Guard, options: Sequence[str], log: Path, say: Callable[[str], None]
    ) -> None:
        self._guard = guard
        self._options = tuple(options)
        self._log = log
        self._say = say
        self._page = _PAGE.read_text(encoding="utf-8")
        self._last_word = "The console was closed."
        self._consoles: dict[ServedConsole, web.WebSocketResponse] = {}

    async def serve(self, listener: socket.socket, is_ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT, then end every console and return."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        # No access log: it would hold addresses, and one of them holds the token.
        runner = web.AppRunner(
            self.application(), access_log=None, logger=self._faults(), shutdown_timeout=1.0
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            is_ready()
            await stop.wait()
        finally:
            await self.close()
            await runner.cleanup()

    def application(self) -> web.Application:
        """Return the web application."""
        application = web.Application(middlewares=[self._guard.middleware])
        application.add_routes(
            [
                web.get("/", self._index),
                web.get("/ws", self._websocket),
                web.static("/static", _STATICS),
            ]
        )
        return application

    async def close(self) -> None:
        """End every console and its page's connection."""
        self._last_word = "The server was stopped."
        await asyncio.gather(*(console.stop() for console in list(self._consoles)))

    def _faults(self) -> logging.Logger:
        logger = logging.getLogger(__name__)
        logger.propagate = False
        logger.handlers = [_FaultHandler(self._log.parent, self._say)]
        return logger

    async def _index(self, request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        size = _within(request.query.get("fontsize"), FONT_SIZES, 16)
        text = self._page.replace("%NONCE%", nonce).replace("%FONT_SIZE%", str(size))
        response = web.Response(text=text, content_type="text/html")
        here = request.host
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; "
            "style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:; "
            f"connect-src 'self' ws://{here} wss://{here}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        page = web.WebSocketResponse(
            timeout=_CLOSE_S, heartbeat=_HEARTBEAT_S, max_msg_size=_MAX_MESSAGE_BYTES
        )
        await page.prepare(request)
        # A page that was loaded again finds the lock free: its console before it is on its way out.
        leaving = [item for item, its_page in self._consoles.items() if its_page.closed]
        await asyncio.gather(*(console.has_ended.wait() for console in leaving))
        if len(self._consoles) >= MAX_CONSOLES:
            await _close(page, f"{MAX_CONSOLES} consoles are open already: close another page.")
            return page
        console = ServedConsole(
            self._options,
            self._log,
            write_bytes=page.send_bytes,
            write_str=page.send_str,
            close=lambda why: self._ended(page, why),
        )
        self._consoles[console] = page
        try:
            await console.start(
                _within(request.query.get("width"), _WIDTHS, 80),
                _within(request.query.get("height"), _HEIGHTS, 24),
            )
            await _listen(page, console)
        except OSError as exc:
            await self._ended(page, f"The console could not be started: {exc.strerror or exc}")
        finally:
            await console.stop()
            del self._consoles[console]
        return page

    async def _ended(self, page: web.WebSocketResponse, why: str) -> None:
        if why:
            self._say(f"serve: {one_line(why)} (log: {self._log})")
        await _close(page, why or self._last_word)


class _FaultHandler(logging.Handler):
    """Say what went wrong inside the server in one line.

    Requests that are none are anybody's; their words may hold the token, and are not repeated.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._folder = folder
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Write the traceback of a fault of ours beside the other logs."""
        error = None if record.exc_info is None else record.exc_info[1]
        if error is None or isinstance(error, HttpProcessingError):
            return
        path = write_crash_log(self._folder, error)
        self._say(f"serve: unexpected {type(error).__name__}; the traceback is in {path}")


async def _listen(page: web.WebSocketResponse, console: ServedConsole) -> None:
    async for message in page:
        if message.type is not WSMsgType.TEXT:
            continue
        kind, value = _envelope(message.data)
        if kind == "stdin" and isinstance(value, str):
            await console.send_bytes(value.encode(errors="replace"))
        elif kind == "resize" and isinstance(value, dict):
            await console.set_terminal_size(
                _within(value.get("width"), _WIDTHS, 80), _within(value.get("height"), _HEIGHTS, 24)
            )
        elif kind == "ping":
            await page.send_str(json.dumps(["pong", str(value)[:64]]))
        elif kind == "blur":
            await console.blur()
        elif kind == "focus":
            await console.focus()


def _envelope(text: str) -> tuple[str, Any]:
    # A page of ours sends nothing else; what is not understood is not for the console.
    try:
        told = json.loads(text)
    except ValueError:
        return "", None
    if not isinstance(told, list) or not told or not isinstance(told[0], str):
        return "", None
    return told[0], told[1] if len(told) > 1 else None


def _within(given: object, allowed: range, otherwise: int) -> int:
    try:
        number = int(str(given))
    except ValueError:
        return otherwise
    return min(allowed[-1], max(allowed[0], number))


async def _close(page: web.WebSocketResponse, why: str) -> None:
    if page.closed:
        return
    last_word = why.encode()[:_REASON_BYTES].decode(errors="ignore").encode()
    with contextlib.suppress(ConnectionError, RuntimeError):
        await page.close(code=WSCloseCode.OK, message=last_word)


def _bind_error(error: OSError, host: str, port: int) -> PaddockError:
    if error.errno == errno.EADDRINUSE:
        return PaddockError(
            f"port {port} on {host} is taken: choose another with --port, or 0 for a free one"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"{host} is not an address of this machine: see --host")
    if error.errno in (errno.EACCES, errno.EPERM):
        return PaddockError(f"port {port} needs the rights of root: choose one above 1023")
    return PaddockError(f"{host}:{port} cannot be listened on: {error.strerror or error}")
