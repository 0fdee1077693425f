"""`paddock serve`: the console in a browser, for those who have its token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.talk import emit, say

if TYPE_CHECKING:
    import socket

    from console.session import Session

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8765
LOG_FILE = "serve.log"


def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; only this machine's own if not given.")
    ] = DEFAULT_HOST,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = DEFAULT_PORT,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Consoles that only look; halting still works.")
    ] = False,
    no_runtime: Annotated[
        bool, typer.Option("--no-runtime", help="Consoles that start no runtime.")
    ] = False,
) -> None:
    """Serve the console to browsers; the link with its token is printed once.

    PADDOCK_SERVE_TOKEN sets the token. Ctrl+C or SIGTERM ends it; the runtime keeps running.
    """
    import asyncio

    from console.serve_guard import Guard, take_token
    from console.serve_server import ConsoleServer, bound_socket

    session = context.obj()
    token, is_chosen = take_token()
    listener = bound_socket(host, port)
    number = listener.getsockname()[1]
    server = ConsoleServer(
        Guard(token, host, f"paddock-{number}"),
        _options(session, read_only=read_only, no_runtime=no_runtime),
        session.home / "logs" / LOG_FILE,
        say,
    )
    shown = "$PADDOCK_SERVE_TOKEN" if is_chosen else token
    asyncio.run(server.serve(listener, lambda: _announce(host, listener, shown)))
    say("serve: stopped; the runtime keeps running")


def _options(session: Session, *, read_only: bool, no_runtime: bool) -> list[str]:
    chosen = [] if session.config_path is None else ["--config", str(session.config_path)]
    looks = ["--read-only"] if read_only else []
    return [*chosen, *looks, *(["--no-runtime"] if no_runtime else [])]


def _announce(host: str, listener: socket.socket, token: str) -> None:
    from console.serve_server import is_loopback, name_of

    name = name_of(host, listener)
    emit(f"http://{name}:{listener.getsockname()[1]}/?token={token}")
    if not is_loopback(listener):
        say(
            f"serve: {host} is reached from other machines, and what goes over the network is not "
            "encrypted: whoever reads it has the token, and with it this account. An SSH tunnel "
            f"(`ssh -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT}`) needs no --host"
        )
    say("serve: open the link in a browser; Ctrl+C ends it")
