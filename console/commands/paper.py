"""`paddock paper`: trade strategies on the simulated exchange, or see what trades there now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.commands.choices import (
    ExchangeOption,
    JsonOption,
    MarketOption,
    SymbolsOption,
    at_least,
    check_timeframe,
    parse_symbols,
)
from console.session import Session
from console.talk import EXIT_FAILED
from engine.errors import UsageError

_HIGHEST_LATENCY_MS = 60_000


def paper(
    context: typer.Context,
    strategies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID ...]", help="Ids, library names or genome files; else by --status."
        ),
    ] = None,
    status: Annotated[
        str, typer.Option(help="Trade every stored strategy of this status.")
    ] = "paper",
    market: MarketOption = None,
    exchange: ExchangeOption = None,
    symbols: SymbolsOption = None,
    timeframe: Annotated[
        str | None, typer.Option(help="Timeframe of library strategies; only those of it else.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Replay the last so many days.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="Simulated seconds a second; as fast as it goes else.")
    ] = None,
    limits: Annotated[
        bool,
        typer.Option(
            "--limits/--no-limits",
            help="One account under all limits, or one for each without any.",
        ),
    ] = True,
    latency_ms: Annotated[int, typer.Option(help="Time between a request and its effect, ms.")] = 0,
    faults: Annotated[
        float, typer.Option(help="Chance that a message is lost, late, doubled or refused.")
    ] = 0.0,
    trades_path: Annotated[
        Path | None, typer.Option("--trades", help="Write both trade logs (CSV) here.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the journals in this empty folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Trade strategies on paper: replay bars with --market or --days, else show the account."""
    session: Session = context.obj()
    if market is None and days is None:
        if strategies:
            raise UsageError(
                "say what to trade them on: --days 30 for the configured market, or --market"
                " FOLDER; without strategies this shows the runtime's paper account"
            )
        from console.commands.paper_account import show_paper_account

        show_paper_account(session, as_json=as_json)
        return
    from console.commands.paper_replay import ReplayWish, replay_paper

    wish = ReplayWish(
        strategies=tuple(strategies or ()),
        status=status,
        market=market,
        exchange=exchange,
        symbols=parse_symbols(symbols) if symbols else (),
        timeframe=None if timeframe is None else check_timeframe(timeframe),
        days=session.config.market.days if days is None else at_least(days, 1, "--days"),
        speed=_speed(speed),
        has_limits=limits,
        latency_ms=int(_within(latency_ms, _HIGHEST_LATENCY_MS, "--latency-ms")),
        fault_chance=_within(faults, 1, "--faults"),
        trades_path=trades_path,
        keep=keep,
    )
    if not replay_paper(session, wish, as_json=as_json):
        raise typer.Exit(EXIT_FAILED)


def _speed(speed: float | None) -> float | None:
    if speed is not None and not 0.0 < speed < 1e9:
        raise UsageError(f"--speed {speed:g}: use a number above 0, such as 3600", option="--speed")
    return speed


def _within(value: float, most: float, option: str) -> float:
    if not 0 <= value <= most:
        raise UsageError(f"{option} {value:g}: use a number from 0 to {most:g}", option=option)
    return value
