"""`paddock report`: pages to read and to keep, written beside the data they are of."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.choices import JsonOption
from console.commands.strategies import with_store
from console.session import Session
from console.talk import emit, emit_json, say
from engine.errors import StoreError

if TYPE_CHECKING:
    from engine.report.facts import TearSheet
    from engine.report.stored_evidence import StoredEvidence

report_app = typer.Typer(
    name="report",
    help="Write reports as HTML and CSV.",
    no_args_is_help=False,
    add_completion=False,
)


@report_app.callback()
def report() -> None:
    """Write reports as HTML and CSV."""


@report_app.command()
def strategy(
    context: typer.Context,
    strategy_id: Annotated[str, typer.Argument(metavar="ID", help="Id, or the start of one.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; `reports` in the home if not given.")
    ] = None,
    symbol: Annotated[
        str | None, typer.Option(help="Symbol, such as BTC/USDT; its best one if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one strategy's tear sheet (HTML) and its trades (CSV)."""
    from engine.report.stored_evidence import read_evidence
    from engine.report.tear_sheet import tear_sheet_html
    from engine.report.trade_log import trades_csv

    session: Session = context.obj()
    wanted = symbol.strip().upper() if symbol else None
    evidence = asyncio.run(
        with_store(session, lambda store: read_evidence(store, strategy_id, wanted))
    )
    folder = (out or session.home / "reports").expanduser().absolute()
    stem = f"{evidence.stored.row.id[:8]}-{evidence.symbol.replace('/', '-').replace(':', '-')}"
    page, trades = folder / f"{stem}.html", folder / f"{stem}-trades.csv"
    sheet = _tear_sheet(session, evidence, trades.name)
    write_together({trades: trades_csv(sheet.symbol, sheet.trades), page: tear_sheet_html(sheet)})
    _tell(sheet, page, trades, as_json=as_json)


def write_together(texts: Mapping[Path, str]) -> None:
    """Write files that belong together, in one folder: all whole, or none.

    Each is written and synced under a passing name first and then renamed, so that a reader never
    meets half a file and an earlier one stays until the new one is there.

    Raises
    ------
    StoreError : the folder or a file cannot be written.
    """
    waiting: dict[Path, Path] = {}
    path = next(iter(texts))
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            waiting[path] = _written_aside(path, text)
        for path, aside in waiting.items():
            aside.replace(path)
    except OSError as exc:
        raise StoreError(
            f"cannot write {path}: {exc.strerror or exc}: name another folder with --out",
            path=str(path),
        ) from exc
    finally:
        for aside in waiting.values():
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)


def _written_aside(path: Path, text: str) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as output:
            output.write(text)
            output.flush()
            os.fsync(output.fileno())
        # What mkstemp makes is for its owner alone; a report is an ordinary file.
        aside.chmod(0o666 & ~_umask())
    except BaseException:
        # An interrupt leaves nothing behind either.
        aside.unlink(missing_ok=True)
        raise
    return aside


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def _tear_sheet(session: Session, evidence: StoredEvidence, trades_file: str) -> TearSheet:
    from console.wording import genome_sentences
    from engine.backtest.configured import backtest_settings
    from engine.report.facts import TearSheet
    from engine.report.rerun import run_again, stored_config

    config = stored_config(session.config, evidence.cycle)
    settings = backtest_settings(config)
    rerun = run_again(evidence, config)
    context = evidence.rows[0].context
    return TearSheet(
        strategy=evidence.stored.row,
        words=tuple(genome_sentences(evidence.stored.genome)),
        genome=evidence.stored.genome,
        cycle=evidence.cycle,
        symbol=evidence.symbol,
        exchange=context.exchange,
        market_type=rerun.market_type,
        series_hash=context.series_hash,
        engine_version=context.engine_version,
        segments=rerun.segments,
        n_compared=rerun.n_compared,
        differences=rerun.differences,
        warnings=rerun.warnings,
        verdicts=evidence.verdicts,
        lineage=evidence.lineage,
        history=evidence.history,
        capital_quote=settings.initial_capital_quote,
        commission_frac=settings.costs.commission_frac,
        slippage_frac=settings.costs.slippage_frac,
        trades_file=trades_file,
        written_at=session.clock.now_at(),
    )


def _tell(sheet: TearSheet, page: Path, trades: Path, *, as_json: bool) -> None:
    for warning in sheet.warnings:
        say(warning)
    if sheet.differences:
        say(
            f"{len(sheet.differences)} of {sheet.n_compared} numbers differ from the ledger's: "
            "the page lists them"
        )
    if not as_json:
        emit(str(page))
        emit(str(trades))
        return
    emit_json(
        {
            "strategy_id": sheet.strategy.id,
            "symbol": sheet.symbol,
            "market": {"label": sheet.cycle.market_label, "edge": sheet.cycle.edge},
            "segments": [item.name for item in sheet.segments],
            "n_trades": len(sheet.trades),
            "n_verdicts": len(sheet.verdicts),
            "check": {
                "compared": sheet.n_compared,
                "different": len(sheet.differences),
                "warnings": list(sheet.warnings),
            },
            "page": str(page),
            "trades": str(trades),
        }
    )
