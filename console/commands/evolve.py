"""`paddock evolve`: better versions of one strategy, round after round, until it pays no more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.choices import (
    ExchangeOption,
    JsonOption,
    MarketOption,
    SymbolsOption,
    at_least,
    check_market,
    parse_symbols,
)
from console.commands.cycle import Follower, follower, interruptible
from console.session import Session, operator
from console.talk import EXIT_INTERRUPTED, emit, emit_json, say
from engine.errors import RuntimeUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from engine.store.cycles import CycleRow

_POLL_S = 0.15
_LOOK_BACK = 20
_FINAL = ("refused", "failed")
_ENDINGS = {
    "replaced": "a better version takes its place",
    "converged": "converged: the last round improved too little",
    "rounds": "the last round allowed",
    "stopped": "the next round could not begin",
}


@dataclass(frozen=True, slots=True)
class Evolved:
    """What an evolution came to: a cycle for each round, and the outcome of each."""

    root: str
    cycles: tuple[int, ...]
    outcomes: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as `paddock evolve --json` prints it."""
        last = self.outcomes[-1]
        return {
            "strategy_id": self.root,
            "ending": last["ending"],
            "best": last.get("best", self.root),
            "total_gain": last.get("total_gain"),
            "rounds": [
                {"cycle_id": cycle_id, **outcome}
                for cycle_id, outcome in zip(self.cycles, self.outcomes, strict=True)
            ],
        }


def evolve(
    context: typer.Context,
    strategy_id: Annotated[str, typer.Argument(metavar="ID", help="Start of a stored id.")],
    rounds: Annotated[int | None, typer.Option(help="Most rounds.")] = None,
    symbols: SymbolsOption = None,
    days: Annotated[int | None, typer.Option(help="Length of the window, days.")] = None,
    market: MarketOption = None,
    exchange: ExchangeOption = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Improve one strategy: analyse, propose, validate, backtest, compare; round after round."""
    session: Session = context.obj()
    arguments: dict[str, Any] = {"strategy_id": strategy_id}
    if rounds is not None:
        arguments["rounds"] = at_least(rounds, 1, "--rounds")
    arguments |= _market_arguments(session, symbols, days, market, exchange, seed)
    try:
        found = asyncio.run(interruptible(_run(session, arguments)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("paddock: the evolution goes on in the runtime; the same command follows it again")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        emit_json(found.as_json())
    else:
        _print(found)


def _market_arguments(
    session: Session,
    symbols: str | None,
    days: int | None,
    market: Path | None,
    exchange: str | None,
    seed: int | None,
) -> dict[str, Any]:
    config = session.config
    arguments: dict[str, Any] = {}
    chosen = config.market.symbols if symbols is None else parse_symbols(symbols)
    if symbols is not None:
        arguments["symbols"] = list(chosen)
    if days is not None:
        arguments["days"] = at_least(days, 1, "--days")
    if seed is not None:
        arguments["seed"] = at_least(seed, 0, "--seed")
    if exchange:
        arguments["exchange"] = exchange
    if market is not None:
        name = exchange or config.market.exchange or None
        root, name = check_market(market, name, chosen, config.cycle.timeframe)
        arguments |= {"market": str(root), "exchange": name}
    return arguments


async def _run(session: Session, arguments: dict[str, Any]) -> Evolved:
    async with follower(session) as following:
        return await followed(following, arguments)


async def followed(following: Follower, arguments: dict[str, Any]) -> Evolved:
    """Ask for an evolution and follow it to its end.

    Raises
    ------
    RuntimeUnavailable : it was refused, a round did not end well, or the runtime is lost.
    """
    cycle_id = await _asked(following, arguments)
    row = await _cycle(following, cycle_id)
    root = str(row.settings["evolve"]["root"])
    cycles: list[int] = []
    outcomes: list[dict[str, Any]] = []
    while True:
        await following.rejoin(cycle_id)
        outcome = await _outcome(following, cycle_id)
        cycles.append(cycle_id)
        outcomes.append(outcome)
        say(f"paddock: {_round_words(outcome)}")
        if outcome["ending"] is not None:
            return Evolved(root, tuple(cycles), tuple(outcomes))
        cycle_id = await _next(following, root, cycle_id)


async def _asked(following: Follower, arguments: dict[str, Any]) -> int:
    from engine.store.commands import get_command, insert_command

    command_id = await insert_command(
        following.store,
        who=operator(),
        name="strategy.evolve",
        arguments=arguments,
        now_at=following.session.clock.now_at(),
    )
    while True:
        command = await get_command(following.store, command_id)
        if command.status in _FINAL:
            raise RuntimeUnavailable(
                f"the evolution was {command.status}: {command.reason}", command_id=command_id
            )
        if command.status == "done" and isinstance(command.result, dict):
            return int(command.result["cycle_id"])
        await following.check_runtime()
        await asyncio.sleep(_POLL_S)


async def _cycle(following: Follower, cycle_id: int) -> CycleRow:
    from engine.store.cycles import get_cycle

    return await get_cycle(following.store, cycle_id)


async def _outcome(following: Follower, cycle_id: int) -> dict[str, Any]:
    """Return what the conductor says of a round that is done."""
    while True:
        outcome = (await _cycle(following, cycle_id)).settings["evolve"].get("outcome")
        if outcome is not None:
            return dict(outcome)
        await following.check_runtime()
        await asyncio.sleep(_POLL_S)


async def _next(following: Follower, root: str, after: int) -> int:
    """Return the cycle of the next round."""
    from engine.store.cycles import recent_cycles

    while True:
        for row in await recent_cycles(following.store, _LOOK_BACK):
            evolve = row.settings.get("evolve") or {}
            if row.id > after and evolve.get("root") == root and not row.settings.get("replay"):
                return row.id
        outcome = await _outcome(following, after)
        if outcome["ending"] is not None:
            raise RuntimeUnavailable(f"the evolution ended: {outcome.get('reason', '')}")
        await following.check_runtime()
        await asyncio.sleep(_POLL_S)


def _round_words(outcome: dict[str, Any]) -> str:
    if "gain" not in outcome:
        return _ENDINGS["stopped"]
    return (
        f"round {outcome['round']}: Sharpe {outcome['parent_sharpe']:.2f} →"
        f" {outcome['best_sharpe']:.2f}, {outcome['gain']:+.1%},"
        f" {outcome['total_gain']:+.1%} in all"
    )


def _print(found: Evolved) -> None:
    from console.format import short_id

    for cycle_id, outcome in zip(found.cycles, found.outcomes, strict=True):
        emit(f"cycle {cycle_id}  {_round_words(outcome)}")
    last = found.outcomes[-1]
    emit(f"{_ENDINGS[last['ending']]}; best {short_id(last.get('best', found.root))}")
