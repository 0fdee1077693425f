"""`paddock backtest`: one strategy over one market, in this process."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.choices import (
    ExchangeOption,
    JsonOption,
    MarketOption,
    SymbolsOption,
    at_least,
    check_symbols,
    check_timeframe,
    market_request,
    parse_symbols,
)
from console.session import Session
from console.talk import emit, emit_json, say
from engine.errors import StoreError, UsageError

if TYPE_CHECKING:
    from engine.backtest.run import BacktestResult, BacktestSettings, Evaluator
    from engine.market.feed import LoadedMarket
    from engine.strategy.genome import Genome
    from engine.types import Bars

_WHOLE = "whole"
_SHOWN = (
    "fitness",
    "total_return",
    "annual_return",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "n_trades",
    "win_rate",
    "profit_factor",
    "expectancy_quote",
    "exposure",
    "n_bars",
)
_TRADE_COLUMNS = (
    "symbol",
    "side",
    "entry_at",
    "entry_quote",
    "exit_at",
    "exit_quote",
    "reason",
    "qty_base",
    "pnl_quote",
    "net_return_frac",
    "equity_after_quote",
)


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """What is backtested.

    Attributes
    ----------
    timeframe, symbols : what it is for; no symbols mean the configured ones
    genomes : whose columns are needed
    results : gives one result for each span of bars
    """

    id: str
    name: str
    type: str
    words: Sequence[str]
    timeframe: str
    symbols: tuple[str, ...]
    genomes: tuple[Genome, ...]
    results: Callable[[Evaluator, Bars, tuple[tuple[int, int], ...]], Sequence[BacktestResult]]


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    symbol: str
    segment: str
    bars: Bars
    result: BacktestResult


def backtest(
    context: typer.Context,
    strategy: Annotated[
        str,
        typer.Argument(
            help="Id from the store, library name, genome JSON file, or JavaScript (.js) file."
        ),
    ],
    symbols: SymbolsOption = None,
    timeframe: Annotated[str | None, typer.Option(help="Timeframe of a library strategy.")] = None,
    days: Annotated[int | None, typer.Option(help="Length of the window, days.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First UTC day, 2025-01-31.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="UTC day to stop before.")] = None,
    market: MarketOption = None,
    exchange: ExchangeOption = None,
    csv_path: Annotated[Path | None, typer.Option("--csv", help="Write all metrics here.")] = None,
    trades_path: Annotated[
        Path | None, typer.Option("--trades", help="Write the trade log (CSV) here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Backtest one strategy and print its metrics by symbol and segment."""
    session: Session = context.obj()
    config = session.config
    bars_of = check_timeframe(timeframe or config.cycle.timeframe)
    window_days = config.market.days if days is None else at_least(days, 1, "--days")
    subject = _find(session, strategy, bars_of)
    chosen = (
        parse_symbols(symbols)
        if symbols
        else check_symbols(subject.symbols or config.market.symbols)
    )
    request = market_request(
        config,
        market=market,
        exchange=exchange,
        symbols=chosen,
        timeframe=subject.timeframe,
        days=window_days,
    )
    loaded = _load(request, start, end, window_days)
    from engine.backtest.configured import backtest_settings

    runs = _run_all(subject, loaded, backtest_settings(config))
    if csv_path is not None:
        _write_csv(csv_path, ("symbol", "segment", *runs[0].result.metrics), _metric_rows(runs))
    if trades_path is not None:
        _write_csv(trades_path, _TRADE_COLUMNS, _trade_rows(runs))
    if as_json:
        emit_json(_as_json(subject, loaded, runs))
    else:
        _print(subject, loaded, runs)


def _find(session: Session, strategy: str, timeframe: str) -> _Subject:
    path = Path(strategy).expanduser()
    if path.suffix == ".js":
        return _script(session, path, timeframe)
    from console.wording import genome_sentences
    from engine.strategy.written import is_written, module_of

    known = None if path.is_file() else _stored_document(session, strategy)
    if known is not None and is_written(known):
        return _written(session, path, module_of(known).encode(), timeframe)
    genome, name = find_genome(session, strategy, timeframe)
    return _Subject(
        id=genome.id,
        name=name,
        type=str(genome.type),
        words=genome_sentences(genome.canonical_json()),
        timeframe=genome.timeframe,
        symbols=genome.symbols,
        genomes=(genome,),
        results=lambda evaluator, _bars, spans: [
            evaluator.backtest(genome, begin, stop) for begin, stop in spans
        ],
    )


def _script(session: Session, path: Path, timeframe: str) -> _Subject:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise UsageError(f"strategy file {path}: {exc.strerror or exc}", path=str(path)) from exc
    return _written(session, path, content, timeframe)


def _written(session: Session, path: Path, content: bytes, timeframe: str) -> _Subject:
    from console.commands.script import valid_script

    script = valid_script(session.config, path, content)
    return _Subject(
        id=script.id,
        name=script.meta.name,
        type=script.meta.type or "written",
        words=script.words(),
        timeframe=script.meta.timeframe or timeframe,
        symbols=script.meta.symbols,
        genomes=(),
        results=script.results,
    )


def find_genome(session: Session, strategy: str, timeframe: str) -> tuple[Genome, str]:
    """Return the strategy that a name means: a genome file, a library strategy, or a stored id.

    Raises
    ------
    UsageError : nothing is called that.
    """
    from engine.strategy.library import LIBRARY, library_genome

    if strategy in LIBRARY:
        return library_genome(strategy, timeframe), strategy
    path = Path(strategy).expanduser()
    if path.suffix == ".json" or path.is_file():
        return _genome_file(path), path.name
    stored = _stored_genome(session, strategy)
    if stored is not None:
        return stored, strategy
    raise UsageError(
        f"no strategy {strategy!r}: give the start of a stored id, a genome JSON or .js file, or "
        f"one of {', '.join(LIBRARY)}",
        strategy=strategy,
    )


def _genome_file(path: Path) -> Genome:
    from pydantic import ValidationError

    from engine.strategy.genome import Genome

    try:
        return Genome.from_json(path.read_bytes())
    except OSError as exc:
        raise UsageError(f"genome file {path}: {exc.strerror or exc}", path=str(path)) from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(
            f"genome file {path}: {place}: {first['msg']}", path=str(path), place=place
        ) from exc


def _stored_genome(session: Session, strategy: str) -> Genome | None:
    from engine.strategy.genome import Genome
    from engine.strategy.written import is_written

    if not session.has_database():
        return None
    document = asyncio.run(_read_document(session, strategy))
    if is_written(document):
        raise UsageError(
            f"strategy {strategy!r} is written in JavaScript, it has no genome", strategy=strategy
        )
    return Genome.from_json(document)


def _stored_document(session: Session, strategy: str) -> str | None:
    """Return what the store holds of a strategy, None when a name means none there."""
    from engine.strategy.library import LIBRARY

    if strategy in LIBRARY or not session.has_database():
        return None
    try:
        return asyncio.run(_read_document(session, strategy))
    except UsageError:
        return None


async def _read_document(session: Session, strategy: str) -> str:
    from engine.store.strategies import get_strategy

    store = await session.open_store(read_only=True)
    try:
        return (await get_strategy(store, strategy)).genome
    finally:
        await store.close()


def _load(request: Any, start: str | None, end: str | None, days: int) -> LoadedMarket:
    from engine.market.feed import load_history, load_market
    from engine.types import MS_PER_DAY

    if start is None and end is None:
        return load_market(request)
    end_at = _day_at("--to", end) if end is not None else None
    start_at = _day_at("--from", start) if start is not None else None
    if start_at is None and end_at is not None:
        start_at = end_at - days * MS_PER_DAY
    if end_at is None and start_at is not None:
        end_at = start_at + days * MS_PER_DAY
    if start_at is None or end_at is None or start_at >= end_at:
        raise UsageError("--from must be a day before --to")
    loaded = load_history(request, start_at, end_at)
    if loaded.start_at >= loaded.end_at:
        raise UsageError(f"there are no bars from {start or 'then'} to {end or 'then'}")
    return loaded


def _day_at(option: str, text: str) -> int:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{option} {text}: write a UTC day as 2025-01-31", option=option) from None
    return int(day.timestamp()) * 1000


def _run_all(subject: _Subject, loaded: LoadedMarket, settings: BacktestSettings) -> list[_Run]:
    from engine.backtest.run import Evaluator, prepare_series
    from engine.market.splits import segment_bounds, split_window

    fit, validation = split_window(loaded.start_at, loaded.end_at, loaded.timeframe)
    runs: list[_Run] = []
    for symbol, bars in loaded.series.items():
        prepared = prepare_series(
            symbol, loaded.exchange, loaded.timeframe, loaded.market_type, bars, (), subject.genomes
        )
        evaluator = Evaluator(prepared, settings)
        spans = {
            "fit": segment_bounds(bars.timestamp, fit),
            "validation": segment_bounds(bars.timestamp, validation),
            _WHOLE: (0, len(bars)),
        }
        results = subject.results(evaluator, bars, tuple(spans.values()))
        runs += [_Run(symbol, name, bars, r) for name, r in zip(spans, results, strict=True)]
    return runs


def _metric_rows(runs: Sequence[_Run]) -> Iterable[Sequence[object]]:
    for run in runs:
        yield (run.symbol, run.segment, *run.result.metrics.values())


def _trade_rows(runs: Sequence[_Run]) -> Iterable[Sequence[object]]:
    for run in runs:
        if run.segment != _WHOLE:
            continue
        stamps = run.bars.timestamp
        for trade in run.result.trades:
            yield (
                run.symbol,
                "long" if trade.side > 0 else "short",
                int(stamps[trade.entry_bar]),
                trade.entry,
                "" if trade.exit_bar is None else int(stamps[trade.exit_bar]),
                "" if trade.exit is None else trade.exit,
                trade.reason or "",
                trade.qty_base,
                trade.pnl_quote,
                trade.net_return,
                trade.equity_after_quote,
            )


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as output:
            writer = csv.writer(output)
            writer.writerow(header)
            writer.writerows(rows)
    except OSError as exc:
        raise StoreError(f"cannot write {path}: {exc.strerror or exc}", path=str(path)) from exc
    say(f"written: {path}")


def _as_json(subject: _Subject, loaded: LoadedMarket, runs: Sequence[_Run]) -> dict[str, Any]:
    return {
        "strategy": {
            "id": subject.id,
            "name": subject.name,
            "type": subject.type,
            "words": list(subject.words),
        },
        "market": {
            "label": str(loaded.label),
            "edge": loaded.edge,
            "exchange": loaded.exchange,
            "type": loaded.market_type,
            "timeframe": loaded.timeframe,
            "start_at": loaded.start_at,
            "end_at": loaded.end_at,
            "data_hash": loaded.data_hash,
            "n_gaps": {symbol: len(found) for symbol, found in loaded.gaps.items()},
        },
        "results": [
            {"symbol": run.symbol, "segment": run.segment, "metrics": run.result.metrics}
            for run in runs
        ],
    }


def _print(subject: _Subject, loaded: LoadedMarket, runs: Sequence[_Run]) -> None:
    from console.commands.strategies import metric_text
    from console.format import instant

    edge = f" ({loaded.edge})" if loaded.edge else ""
    market = f"{loaded.label}{edge} {loaded.exchange} {loaded.timeframe}"
    emit(f"{subject.name}  {subject.id[:8]}  {market}")
    emit(f"{instant(loaded.start_at)} to {instant(loaded.end_at)}")
    for sentence in subject.words:
        emit(f"  {sentence}")
    for symbol in loaded.series:
        mine = [run for run in runs if run.symbol == symbol]
        emit(f"\n  {symbol:<20}" + "".join(f"{run.segment:>14}" for run in mine))
        for metric in _SHOWN:
            values = "".join(f"{metric_text(metric, r.result.metrics[metric]):>14}" for r in mine)
            emit(f"  {metric:<20}{values}")
