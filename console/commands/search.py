"""`paddock search`: try the points of a family's parameter space and show the best by a metric."""

from __future__ import annotations

import asyncio
import difflib
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.choices import (
    ExchangeOption,
    JsonOption,
    MarketOption,
    SymbolsOption,
    at_least,
)
from console.commands.cycle import cycle_arguments, follower, interruptible
from console.session import Session
from console.talk import EXIT_INTERRUPTED, emit, emit_json, say
from engine.errors import UsageError

if TYPE_CHECKING:
    from console.commands.search_run import SearchOutcome, SearchWish, Trial
    from engine.store.cycles import CycleRow
    from engine.strategy.search_space import Value

_BEST = 10
_DEFAULT_TRIALS = 500
_COLUMNS = ("sharpe", "total_return", "max_drawdown", "n_trades")


def search(
    context: typer.Context,
    family: Annotated[
        str | None, typer.Argument(metavar="[FAMILY]", help="Name of a family, such as SMA_RSI.")
    ] = None,
    method: Annotated[str, typer.Option(help="grid, random or genetic.")] = "grid",
    by: Annotated[str, typer.Option(help="Metric that ranks, on validation.")] = "fitness",
    trials: Annotated[int, typer.Option(help="Most points to try.")] = _DEFAULT_TRIALS,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    symbols: SymbolsOption = None,
    timeframe: Annotated[str | None, typer.Option(help="Bars that the strategies read.")] = None,
    days: Annotated[int | None, typer.Option(help="Length of the window, days.")] = None,
    market: MarketOption = None,
    exchange: ExchangeOption = None,
    workers: Annotated[int | None, typer.Option(help="Backtesters to use.")] = None,
    is_list: Annotated[
        bool, typer.Option("--list", help="List the families and the sizes of their grids.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Search a family's parameters: the whole grid, a random sample, or bred from the best."""
    if is_list:
        _list(as_json=as_json)
        return
    from console.commands.search_run import METHODS, SearchWish, check_size
    from engine.config import config_hash
    from engine.evolve.point_search import find_family

    if family is None:
        raise UsageError("name a family, such as SMA_RSI: `paddock search --list` names them all")
    space = find_family(family)
    if method not in METHODS:
        raise UsageError(f"--method {method}: use {', '.join(METHODS)}", method=method)
    _check_metric(by)
    check_size(space, method, at_least(trials, 1, "--trials"))
    session: Session = context.obj()
    arguments = cycle_arguments(
        session,
        symbols=symbols,
        timeframe=timeframe,
        days=days,
        market=market,
        exchange=exchange,
        seed=seed,
        workers=workers,
    )
    del arguments["count"]
    wish = SearchWish(
        space, method, by, trials, arguments["seed"], arguments, config_hash(session.config)
    )
    if wish.n_points < trials and method != "grid":
        say(f"paddock: {space.name} has {space.size:,} points, fewer than --trials: all are tried")
    try:
        outcome = asyncio.run(interruptible(_run(session, wish)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("paddock: the same command again goes on with this search")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        emit_json(outcome_json(wish, outcome))
    else:
        print_outcome(wish, outcome)


async def _run(session: Session, wish: SearchWish) -> SearchOutcome:
    from console.commands.search_run import SearchRun

    async with follower(session) as following:

        async def ask(arguments: dict[str, Any]) -> int:
            summary = await following.run(arguments)
            return int(summary["cycle_id"])

        return await SearchRun(wish, following.store, ask, following.rejoin).outcome()


def flattered(n_trials: int) -> str:
    """Return the warning that goes with every result of a search."""
    return (
        f"The best of {n_trials:,} trials is flattered by having been chosen: expect less of it on"
        " bars that no trial has seen."
    )


def _check_metric(name: str) -> None:
    from engine.backtest.metric_names import METRIC_NAMES

    if name not in METRIC_NAMES:
        near = difflib.get_close_matches(name, METRIC_NAMES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"--by {name}: {hint}use one of {' '.join(METRIC_NAMES)}", metric=name)


def _list(*, as_json: bool) -> None:
    from engine.strategy.families.catalogue import FAMILIES

    if as_json:
        listed = [
            {
                "family": space.name,
                "size": space.size,
                "words": space.words,
                "parameters": {item.name: list(item.values) for item in space.parameters},
            }
            for space in FAMILIES.values()
        ]
        emit_json({"families": listed})
        return
    width = max(map(len, FAMILIES))
    for space in FAMILIES.values():
        emit(f"{space.name:<{width}}{space.size:>7,}  {space.words}")
    emit(f"{len(FAMILIES)} families, {sum(s.size for s in FAMILIES.values()):,} points")


def _best(wish: SearchWish, outcome: SearchOutcome) -> list[Trial]:
    return [trial for trial in outcome.trials[:_BEST] if not math.isnan(trial.score(wish.by))]


def outcome_json(wish: SearchWish, outcome: SearchOutcome) -> dict[str, Any]:
    """Return the best trials with all their metrics, and what they were chosen from."""
    from engine.backtest.metric_names import METRIC_NAMES

    row = outcome.cycles[-1]
    return {
        "family": wish.space.name,
        "words": wish.space.words,
        "method": wish.method,
        "by": wish.by,
        "seed": wish.seed,
        "size": wish.space.size,
        "trials": len(outcome.trials),
        "market": {
            "label": row.market_label,
            "edge": row.edge,
            "exchange": row.exchange,
            "symbols": list(row.symbols),
            "timeframe": row.timeframe,
            "start_at": row.window_start_at,
            "end_at": row.window_end_at,
            "data_hash": row.data_hash,
        },
        "cycles": [
            {"cycle_id": item.id, "results_digest": item.results_digest} for item in outcome.cycles
        ],
        "best": [
            {
                "id": trial.strategy_id,
                "point": trial.point,
                "parameters": wish.space.point(trial.point),
                "fit": dict(zip(METRIC_NAMES, trial.fit.tolist(), strict=True)),
                "validation": dict(zip(METRIC_NAMES, trial.validation.tolist(), strict=True)),
            }
            for trial in _best(wish, outcome)
        ],
        "note": flattered(len(outcome.trials)),
    }


def print_outcome(wish: SearchWish, outcome: SearchOutcome) -> None:
    """Print the best trials, fit and validation side by side, and how many there were."""
    row = outcome.cycles[-1]
    space = wish.space
    emit(f"{space.name}  {space.words}")
    emit(_where(row))
    emit(
        f"{len(outcome.trials):,} trials of {space.size:,} points by {wish.method},"
        f" in {_cycles(outcome)}; best by {wish.by} on validation"
    )
    best = _best(wish, outcome)
    if best:
        for text in _table(wish, best):
            emit(text)
    else:
        emit(f"No trial has a defined {wish.by} on validation: use more days or another metric.")
    emit(flattered(len(outcome.trials)))


def _table(wish: SearchWish, best: list[Trial]) -> list[str]:
    """Return two lines of headings and one for each trial, columns as wide as they need."""
    from console.commands.strategies import metric_text
    from engine.backtest.metric_names import METRIC_INDEX

    shown = (wish.by, *(name for name in _COLUMNS if name != wish.by))
    names = [parameter.name for parameter in wish.space.parameters]
    rows = [
        ["id", *names, *shown],
        ["", *("" for _ in names), *("fit | validation" for _ in shown)],
    ]
    for trial in best:
        values = wish.space.point(trial.point)
        numbers = [
            " | ".join(
                metric_text(metric, float(segment[METRIC_INDEX[metric]]))
                for segment in (trial.fit, trial.validation)
            )
            for metric in shown
        ]
        rows.append([trial.strategy_id[:8], *(_value(values[name]) for name in names), *numbers])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _value(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _cycles(outcome: SearchOutcome) -> str:
    numbers = [str(row.id) for row in outcome.cycles]
    return f"cycle{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def _where(row: CycleRow) -> str:
    from console.format import instant

    edge = f" ({row.edge})" if row.edge else ""
    return (
        f"{row.market_label}{edge} {row.exchange} {row.timeframe} {', '.join(row.symbols)}, "
        f"{instant(row.window_start_at)} to {instant(row.window_end_at)}"
    )
