"""`paddock alerts`: what needs a person, who has seen it, and whether the channels work."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.choices import JsonOption
from console.commands.strategies import with_store
from console.session import Session, operator
from console.talk import EXIT_FAILED, emit, emit_json, say
from engine.errors import StoreError, UsageError

if TYPE_CHECKING:
    from engine.store.alerts import AlertRow

_MOST = 1_000

alerts_app = typer.Typer(
    name="alerts",
    help="List alerts, acknowledge one, try the channels.",
    no_args_is_help=False,
    add_completion=False,
)


@alerts_app.callback(invoke_without_command=True)
def alerts(context: typer.Context, as_json: JsonOption = False) -> None:
    """List alerts that are not over; `ack KEY` acknowledges one, `test` tries the channels."""
    if context.invoked_subcommand is not None:
        return
    from engine.store.alerts import active_alerts

    session: Session = context.obj()
    rows: list[AlertRow] = asyncio.run(
        with_store(session, lambda store: active_alerts(store, _MOST))
    )
    if as_json:
        emit_json({"alerts": [asdict(row) for row in rows]})
        return
    for row in rows:
        emit(_line(row))
    if not rows:
        say("no alerts")


@alerts_app.command()
def ack(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="As `paddock alerts` shows it.")],
) -> None:
    """Acknowledge an alert: it is not sent again while it lasts, unless it gets worse."""
    asyncio.run(_acknowledge(context.obj(), key))
    emit(f"{key} acknowledged by {operator()}")


@alerts_app.command()
def test(context: typer.Context, as_json: JsonOption = False) -> None:
    """Send a test to every address of PADDOCK_ALERT_URLS; exit 1 when one does not take it."""
    from engine.alert_words import Letter
    from engine.alerts import ALERT_URLS, channels_of

    context.obj()
    channels = channels_of(os.environ)
    if not channels.channels and not channels.problems:
        raise UsageError(f"{ALERT_URLS} is empty: name at least one address of an apprise service")
    words = f"a test, sent by {operator()}: nothing is wrong"
    letter = Letter(f"Paddock {socket.gethostname()}: test", words, None)
    deliveries = asyncio.run(channels.tell(letter))
    failed = [item for item in deliveries if not item.is_delivered]
    if as_json:
        emit_json(
            {
                "channels": [asdict(item) for item in deliveries],
                "problems": list(channels.problems),
            }
        )
    else:
        for item in deliveries:
            emit(f"{'sent' if item.is_delivered else 'NOT SENT'}  {item.channel}  {item.reason}")
        for problem in channels.problems:
            say(f"paddock: {problem}")
    if failed or channels.problems:
        raise typer.Exit(EXIT_FAILED)


async def _acknowledge(session: Session, key: str) -> None:
    from engine.store.alerts import acknowledge_alert, get_alert

    if not session.has_database():
        raise StoreError(f"there is no database in {session.home} yet: nothing was raised")
    store = await session.open_store(read_only=False)
    try:
        if await acknowledge_alert(store, key, operator(), session.clock.now_at()):
            return
        row = await get_alert(store, key)
    finally:
        await store.close()
    if row is None:
        raise UsageError(f"there is no alert {key!r}: `paddock alerts` lists those that are raised")
    if row.resolved_at is not None:
        raise UsageError(f"alert {key} is over: there is nothing to acknowledge")


def _line(row: AlertRow) -> str:
    from console.format import instant

    seen = f", seen by {row.acknowledged_by}" if row.acknowledged_by else ""
    words = " ".join(row.message.split())
    return f"{row.level:<5} {instant(row.raised_at)}  {row.key}  {words}{seen}"
