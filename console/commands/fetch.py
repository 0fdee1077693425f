"""`paddock fetch`: bars from an exchange into the market store."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.choices import (
    JsonOption,
    MarketOption,
    at_least,
    check_symbols,
    check_timeframe,
)
from console.session import Session
from console.talk import emit, emit_json

if TYPE_CHECKING:
    from pathlib import Path

    from engine.market.ccxt_source import FetchReport


def fetch(
    context: typer.Context,
    exchange: Annotated[str, typer.Argument(metavar="EXCHANGE", help="Such as binance.")],
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL...", help="Such as BTC/USDT.")],
    timeframe: Annotated[str | None, typer.Option(help="Bars to fetch.")] = None,
    days: Annotated[int | None, typer.Option(help="How far back, days.")] = None,
    market: MarketOption = None,
    api_url: Annotated[
        str | None, typer.Option(help="Scheme, host and port in place of the exchange's own.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch bars; what is stored already is not asked for again."""
    session: Session = context.obj()
    config = session.config
    chosen = check_symbols([symbol.upper() for symbol in symbols])
    bars = check_timeframe(timeframe or config.cycle.timeframe)
    wanted_days = config.market.days + config.market.holdout_days
    span_days = wanted_days if days is None else at_least(days, 1, "--days")
    root = (market or config.paths.store).expanduser().absolute()
    reports = asyncio.run(_fetch_all(session, exchange, chosen, bars, span_days, root, api_url))
    if as_json:
        emit_json({"market": str(root), "series": [_report_json(report) for report in reports]})
        return
    for report in reports:
        missing = sum(gap.n_missing for gap in report.gaps)
        emit(
            f"{report.key.exchange} {report.key.symbol} {report.key.timeframe}: "
            f"{report.n_new_bars:,} new, {report.n_stored_bars:,} stored, {missing:,} missing "
            f"({report.path})"
        )


async def _fetch_all(
    session: Session,
    exchange: str,
    symbols: tuple[str, ...],
    timeframe: str,
    days: int,
    root: Path,
    api_url: str | None,
) -> list[FetchReport]:
    from engine.market.ccxt_source import fetch_bars, make_client
    from engine.market.store import MarketStore

    settings = session.config.fetch
    client = make_client(exchange, api_url, settings.timeout_s, settings.rate_limit_ms)
    try:
        reports = []
        with _Bars() as shown:
            for symbol in symbols:
                reports.append(
                    await fetch_bars(
                        exchange,
                        symbol,
                        timeframe,
                        days,
                        MarketStore(root),
                        client=client,
                        now_at=session.clock.now_at(),
                        page_bars=settings.page_bars,
                        retries=settings.retries,
                        timeout_s=settings.timeout_s,
                        progress=shown.of(symbol),
                    )
                )
        return reports
    finally:
        await client.close()


class _Bars:
    """One progress bar a symbol on a terminal's stderr, nothing elsewhere."""

    def __init__(self) -> None:
        self._progress: Any = None

    def __enter__(self) -> _Bars:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._progress = Progress(console=Console(stderr=True))
            self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def of(self, symbol: str) -> Any:
        """Return the function that moves a symbol's bar."""
        if self._progress is None:
            return None
        task = self._progress.add_task(symbol, total=None)

        def show(n_done: int, n_total: int) -> None:
            self._progress.update(task, completed=n_done, total=n_total)

        return show


def _report_json(report: FetchReport) -> dict[str, Any]:
    values = asdict(report)
    values["path"] = str(report.path)
    return values
