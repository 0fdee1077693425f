"""`paddock reconcile`: what journal and exchange differ in, and the operator's word about it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from console.commands.asking import ask
from console.commands.choices import JsonOption
from console.session import Session
from console.talk import EXIT_FAILED, emit, emit_json, say
from engine.errors import UsageError


def reconcile(
    context: typer.Context,
    account: Annotated[str, typer.Option("--account", help="paper or live.")] = "paper",
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over what the exchange says.")
    ] = False,
    disown: Annotated[bool, typer.Option("--disown", help="Leave it to somebody else.")] = False,
    subject: Annotated[
        str | None,
        typer.Option("--subject", help="Of one difference: an order, symbol or currency."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Compare an account with its exchange; nothing is entered while they differ.

    Exit code 1 when they do.
    """
    session: Session = context.obj()
    if adopt and disown:
        raise UsageError("--adopt and --disown: use one of them")
    if (adopt or disown) and not reason.strip():
        raise UsageError("to adopt or disown, say why: --reason WORDS")
    asked: dict[str, Any] = {"account": account}
    if adopt or disown:
        name = "account.adopt" if adopt else "account.disown"
        word = {**asked, "subject": subject, "reason": reason.strip()}
        asyncio.run(ask(session, name, word))
    differences: list[dict[str, str]] = asyncio.run(ask(session, "account.reconcile", asked))
    if as_json:
        emit_json({"account": account, "clean": not differences, "differences": differences})
    elif not differences:
        say(f"account {account}: journal and exchange agree")
    for found in () if as_json else differences:
        emit(_words(found))
    if differences:
        raise typer.Exit(EXIT_FAILED)


def _words(found: dict[str, str]) -> str:
    choices = [f"--{name} {found[name]}" for name in ("adopt", "disown") if found[name]] or [
        "it ends by itself"
    ]
    return f"{found['kind']} [{found['subject']}]: {found['words']} ({'; '.join(choices)})"
