"""`paddock strategies` and `paddock show`: what has been bred so far."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.choices import JsonOption, at_least
from console.session import Session
from console.talk import emit, emit_json, one_line
from engine.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from console.snapshot import FitScore, StrategyView
    from engine.store.database import Store
    from engine.store.strategies import StrategyRow
    from engine.store.transcripts import TranscriptRow

_TEXT_WIDTH = 100
_SHOWN_METRICS = (
    "fitness",
    "sharpe",
    "sortino",
    "total_return",
    "annual_return",
    "max_drawdown",
    "n_trades",
    "win_rate",
    "profit_factor",
    "expectancy_quote",
    "exposure",
    "turnover_per_day",
)


def strategies(
    context: typer.Context,
    status: Annotated[
        str | None, typer.Option(help="Only this status, such as screened or paper.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only this strategy type.")] = None,
    find: Annotated[str | None, typer.Option(help="Words in id, name, type or symbol.")] = None,
    sort: Annotated[str, typer.Option(help="Column to sort by.")] = "fitness",
    ascending: Annotated[bool, typer.Option("--ascending", help="Lowest first.")] = False,
    limit: Annotated[int, typer.Option(help="Most rows.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List strategies, best first; fit and validation are kept apart."""
    session: Session = context.obj()
    at_least(limit, 1, "--limit")
    if status is not None:
        _check_status(status)

    async def read(store: Store) -> tuple[list[StrategyRow], dict[str, FitScore], int]:
        from console.queries import fit_scores
        from engine.store.strategies import leaderboard

        rows, total = await leaderboard(
            store,
            statuses=None if status is None else [status],
            type=kind,
            text=find,
            sort=sort,
            descending=not ascending,
            limit=limit,
        )
        return rows, await fit_scores(store, [row.id for row in rows]), total

    rows, fit, total = asyncio.run(with_store(session, read))
    if as_json:
        listed = [
            {**asdict(row), "fit": asdict(fit[row.id]) if row.id in fit else None} for row in rows
        ]
        emit_json({"total": total, "strategies": listed})
        return
    _print_rows(rows, fit, total)


def show(
    context: typer.Context,
    strategy_id: Annotated[str, typer.Argument(metavar="ID", help="Id, or the start of one.")],
    as_json: JsonOption = False,
) -> None:
    """Show one strategy: what it does, how it did, what the gates said, where it comes from."""
    from console.queries import strategy_view
    from engine.store.transcripts import transcripts_of_strategy

    async def read(store: Store) -> tuple[StrategyView, list[TranscriptRow]]:
        view = await strategy_view(store, strategy_id)
        return view, await transcripts_of_strategy(store, view.row.id)

    session: Session = context.obj()
    view, asked = asyncio.run(with_store(session, read))
    if as_json:
        emit_json({**_view_json(view), "transcripts": [asdict(row) for row in asked]})
        return
    for line in [*strategy_lines(view), *transcript_lines(asked)]:
        emit(line)


def transcript_lines(asked: Sequence[TranscriptRow]) -> list[str]:
    """Return who wrote a strategy and in how many tries, nothing when no model did."""
    if not asked:
        return []
    tokens = sum(row.tokens_in + row.tokens_out for row in asked)
    lines = ["", f"  Written by {asked[-1].arm.replace('|', ' on ')}, {tokens:,} tokens:"]
    lines += [
        f"    cycle {row.cycle_id}, try {row.attempt + 1}: {row.outcome}"
        + (f", {_printable(row.reason)}" if row.reason else "")
        for row in asked
    ]
    return lines


def _printable(words: str) -> str:
    """Return what a validator said of a model's text without what could move a cursor."""
    return one_line("".join(c if c.isprintable() else " " for c in words))


async def with_store(session: Session, work: Callable[[Store], Awaitable[Any]]) -> Any:
    """Run `work` over the store, opened for reading.

    Raises
    ------
    StoreError : there is no store yet, or it cannot be read.
    """
    if not session.has_database():
        raise StoreError(
            f"there is no database in {session.home} yet: `paddock cycle` makes one",
            home=str(session.home),
        )
    store = await session.open_store(read_only=True)
    try:
        return await work(store)
    finally:
        await store.close()


def strategy_lines(view: StrategyView) -> list[str]:
    """Return one strategy as text: words, metrics, gates, ancestors, history."""
    from console.format import clock_time, day, number, short_id
    from console.wording import genome_sentences

    row = view.row
    lines = [
        f"{row.id}  {row.type}  {row.timeframe}  {row.status}",
        f"  origin {row.origin}, generation {row.generation}, first of cycle {row.cycle_id}",
        "",
        *(f"  {sentence}" for sentence in genome_sentences(view.genome)),
    ]
    for symbol, by_segment in by_symbol(view).items():
        segments = list(by_segment)
        lines += ["", f"  {symbol:<18}" + "".join(f"{segment:>14}" for segment in segments)]
        for name in _SHOWN_METRICS:
            values = "".join(
                f"{metric_text(name, by_segment[segment].metrics.get(name)):>14}"
                for segment in segments
            )
            lines.append(f"    {name:<16}{values}")
        spans = "".join(f"{day(by_segment[segment].window_start_at):>14}" for segment in segments)
        lines.append(f"    {'window from':<16}{spans}")
        lines += [
            f"    {segment} failed: {item.error}"
            for segment, item in by_segment.items()
            if item.error
        ]
    lines += ["", *_gate_lines(view), "", "  ancestors"]
    lines += [
        f"    {'  ' * item.depth}{short_id(item.row.id)} {item.row.origin} "
        f"fitness {number(item.row.fitness)}"
        for item in view.lineage
    ]
    lines += ["", "  history"]
    lines += [
        f"    {day(event.at)} {clock_time(event.at)} {event.message}" for event in view.history
    ]
    return lines


def by_symbol(view: StrategyView) -> dict[str, dict[str, Any]]:
    """Return the latest evaluation of each symbol and segment: fit, validation, holdout, paper."""
    order = ("fit", "validation", "holdout", "paper", "replay")
    found: dict[str, dict[str, Any]] = {}
    for item in sorted(
        view.evaluations,
        key=lambda item: (item.symbol, order.index(item.segment), item.window_end_at),
    ):
        found.setdefault(item.symbol, {})[item.segment] = item
    return found


def metric_text(name: str, value: float | None) -> str:
    """Return a metric with its unit."""
    from console.format import count, drawdown, number, percent, signed_percent

    if name == "max_drawdown":
        return drawdown(value)
    if name in ("n_trades", "n_bars", "max_drawdown_bars", "win_streak", "loss_streak"):
        return count(value)
    if name in ("total_return", "annual_return"):
        return signed_percent(value)
    if name in ("win_rate", "exposure"):
        return percent(value)
    return number(value)


def _gate_lines(view: StrategyView) -> list[str]:
    """Return each verdict with its rules and what it rests on, newest first."""
    from textwrap import wrap

    from console.verdict_words import (
        fact_sentences,
        judged_words,
        no_verdict_words,
        outcome_word,
        table_lines,
    )

    if not view.verdicts:
        return [f"  {no_verdict_words(view)}"]
    lines: list[str] = []
    for verdict in view.verdicts:
        head = f"  {verdict.gate} gate on {verdict.symbol}: {outcome_word(verdict)}"
        lines += [""] if lines else []
        lines.append(f"{head}, {judged_words(verdict)}")
        lines += [f"    {line}" for line in table_lines(verdict)]
        for sentence in fact_sentences(verdict):
            lines += wrap(sentence, _TEXT_WIDTH, initial_indent="    ", subsequent_indent="      ")
    return lines


def _check_status(status: str) -> None:
    from engine.types import Status

    if status not in set(Status):
        raise UsageError(f"--status {status}: use one of {' '.join(Status)}", status=status)


def _print_rows(rows: list[StrategyRow], fit: dict[str, FitScore], total: int) -> None:
    from console.format import drawdown, number, short_id, signed_percent

    if not rows:
        emit("no strategies match" if total == 0 else "no rows")
        return
    emit(
        f"{'id':<10}{'type':<17}{'origin':<11}{'status':<10}{'gen':>4}"
        f"{'fit fitness':>12}{'val fitness':>12}{'val Sharpe':>11}{'val DD':>8}{'trades':>8}"
        f"{'return':>9}  best symbol"
    )
    for row in rows:
        score = fit.get(row.id)
        emit(
            f"{short_id(row.id):<10}{row.type:<17}{row.origin:<11}{row.status:<10}"
            f"{row.generation:>4}{number(score.fitness if score else None):>12}"
            f"{number(row.fitness):>12}{number(row.sharpe):>11}{drawdown(row.max_drawdown):>8}"
            f"{number(row.n_trades, 0):>8}{signed_percent(row.total_return):>9}"
            f"  {row.best_symbol or ''}"
        )
    emit(f"{len(rows):,} of {total:,}")


def _view_json(view: StrategyView) -> dict[str, Any]:
    import json

    from console.wording import genome_sentences

    return {
        **asdict(view.row),
        "words": genome_sentences(view.genome),
        "genome": json.loads(view.genome),
        "evaluations": [asdict(item) for item in view.evaluations],
        "verdicts": [asdict(item) for item in view.verdicts],
        "lineage": [{"depth": item.depth, **asdict(item.row)} for item in view.lineage],
        "history": [
            {"at": event.at, "kind": event.kind, "message": event.message} for event in view.history
        ],
    }
