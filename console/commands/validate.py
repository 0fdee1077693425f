"""`paddock validate`: whether a strategy file is fit to run, and knows nothing of the future."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.choices import JsonOption
from console.commands.ground import Ground, find_ground
from console.session import Session
from console.talk import EXIT_FAILED, emit, emit_json, say
from engine.errors import UsageError

if TYPE_CHECKING:
    from engine.config import Config
    from engine.strategy.genome import Genome
    from engine.validate.findings import Finding
    from engine.validate.resources import Measures
    from engine.validate.script_check import ScriptReport

_NOT_JSON = "genome.json_invalid"


def validate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Genome JSON or JavaScript (.js) file.")],
    as_json: JsonOption = False,
) -> None:
    """Check a strategy file and print what was found; exit code 1 when any finding is an error."""
    from engine.validate.findings import has_errors

    path = file.expanduser()
    session: Session = context.obj()
    is_script = path.suffix == ".js"
    findings = (_script if is_script else _genome)(session.config, path, as_json)
    if has_errors(findings):
        raise typer.Exit(EXIT_FAILED)


def _genome(config: Config, path: Path, as_json: bool) -> Sequence[Finding]:
    from engine.validate.genome_check import read_genome

    genome, findings = read_genome(_content(path, "genome"))
    if any(finding.code == _NOT_JSON for finding in findings):
        raise UsageError(f"genome file {path}: {findings[0].message}", path=str(path))
    ground = None
    if genome is not None:
        ground = find_ground(config, genome.timeframe, genome.symbols)
        findings = _genome_findings(config, genome, ground)
    if as_json:
        strategy = None if genome is None else {"id": genome.id, "type": str(genome.type)}
        emit_json(_as_json(strategy, ground, findings))
    else:
        named = None if genome is None else f"{path.name}  {genome.id[:8]}"
        _print(named or f"{path.name}  is not a genome", ground, findings)
    return findings


def _genome_findings(config: Config, genome: Genome, ground: Ground) -> list[Finding]:
    from engine.market.splits import segment_bounds, split_window
    from engine.validate.genome_check import GenomeLimits, genome_findings
    from engine.validate.look_ahead import look_ahead_findings
    from engine.validate.writable import writable_findings

    market, bars = ground.market, ground.bars
    fit, _ = split_window(market.start_at, market.end_at, market.timeframe)
    start, stop = segment_bounds(bars.timestamp, fit)
    limits = GenomeLimits(
        timeframe=market.timeframe,
        market_type=market.market_type,
        n_bars=stop - start,
        leverage_max=config.limits.leverage_max,
        risk_per_trade_frac=config.limits.risk_per_trade_frac,
    )
    return [
        *genome_findings(genome, limits),
        *look_ahead_findings(genome, bars, genome.timeframe),
        *writable_findings(genome),
    ]


def _script(config: Config, path: Path, as_json: bool) -> Sequence[Finding]:
    from console.commands.script import check_file

    report, ground = check_file(config, path, _content(path, "strategy"))
    if as_json:
        emit_json(
            _as_json(_script_facts(report), ground, report.findings)
            | {"measures": None if report.measures is None else asdict(report.measures)}
        )
        return report.findings
    if report.source is None or report.meta is None:
        _print(f"{path.name}  cannot run", ground, report.findings)
    else:
        named = f"{path.name}  {report.meta.name}  {report.source.id[:8]}"
        _print(named, ground, report.findings, report.measures)
    return report.findings


def _script_facts(report: ScriptReport) -> dict[str, Any] | None:
    if report.source is None or report.meta is None:
        return None
    meta = report.meta
    return {"id": report.source.id, "name": meta.name, "lookback_bars": meta.lookback_bars}


def _content(path: Path, kind: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"{kind} file {path}: {exc.strerror or exc}", path=str(path)) from exc


def _as_json(
    strategy: dict[str, Any] | None, ground: Ground | None, findings: Sequence[Finding]
) -> dict[str, Any]:
    return {
        "strategy": strategy,
        "market": None if ground is None else ground.as_json(),
        "findings": [finding.as_dict() for finding in findings],
    }


def _print(
    named: str,
    ground: Ground | None,
    findings: Sequence[Finding],
    measures: Measures | None = None,
) -> None:
    if ground is not None and ground.instead_because:
        say(f"checked on generated bars, not the configured market: {ground.instead_because}")
    emit(named)
    if ground is not None:
        emit(ground.sentence())
    if measures is not None:
        emit(
            f"bundle {measures.bundle_bytes:,} bytes, {measures.cpu_us_mean:,.0f} us a bar "
            f"(most {measures.cpu_us_most:,.0f}), state up to {measures.state_bytes_most:,} bytes"
        )
    if not findings:
        emit("no findings")
        return
    rows = [(str(f.severity), f.code, _place(f)) for f in findings]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, finding in zip(rows, findings, strict=True):
        parts = [f"{text:<{width}}" for text, width in zip(row, widths, strict=True)]
        emit("  ".join([*parts, finding.message]))


def _place(finding: Finding) -> str:
    if finding.line is None:
        return finding.place
    return f"{finding.line}:{finding.column or 1}"
