"""`paddock promote`, `pause`, `resume` and `retire`: a strategy's life by word of a person."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from console.commands.asking import ask
from console.commands.choices import JsonOption
from console.session import Session
from console.talk import emit_json, say
from engine.errors import UsageError

StrategyArgument = Annotated[str, typer.Argument(help="Its id, or how it begins.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the record.")]


def promote(
    context: typer.Context,
    strategy: StrategyArgument,
    reason: ReasonOption = "",
    to: Annotated[str, typer.Option("--to", help="paper or live.")] = "paper",
    confirm: Annotated[
        str,
        typer.Option("--confirm", help="Its id once more: for live money past a failed gate."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Let a strategy trade, on paper or live; marked for good when its gate did not pass it."""
    if to not in ("paper", "live"):
        raise UsageError(f"--to {to}: use paper or live")
    more = {"to": to, "typed": confirm}
    _carry_out(context, "strategy.promote", strategy, reason, as_json, more)


def pause(
    context: typer.Context,
    strategy: StrategyArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let a strategy enter nothing more; what it holds stays, with its stops."""
    _carry_out(context, "strategy.pause", strategy, reason, as_json, {})


def resume(
    context: typer.Context,
    strategy: StrategyArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let a paused strategy trade on where it was."""
    _carry_out(context, "strategy.resume", strategy, reason, as_json, {})


def retire(
    context: typer.Context,
    strategy: StrategyArgument,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Stop a strategy for good: what it holds is closed at market, its record stays."""
    _carry_out(context, "strategy.retire", strategy, reason, as_json, {})


def _carry_out(
    context: typer.Context,
    name: str,
    strategy: str,
    reason: str,
    as_json: bool,
    more: dict[str, Any],
) -> None:
    session: Session = context.obj()
    if not reason.strip():
        verb = name.partition(".")[2]
        raise UsageError(f"to {verb} a strategy, say why: --reason WORDS")
    arguments = {"strategy_id": strategy, "reason": reason.strip(), **more}
    result = asyncio.run(ask(session, name, arguments))
    if as_json:
        emit_json(result)
    else:
        say(f"strategy {result['strategy_id'][:12]}: {result['from']} → {result['to']}")
