"""Is this genome allowed to run, here? Its text, its risk genes, its market and its warm-up."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from engine.strategy.genome import BarOperand, Direction, Genome, IndicatorOperand
from engine.strategy.indicators import warmup_bars
from engine.types import timeframe_ms
from engine.validate.findings import Finding, Severity

MAX_WARMUP_SHARE = 0.5
"""Of the first segment: a strategy that is blind for longer is not being tested."""


@dataclass(frozen=True, slots=True)
class GenomeLimits:
    """Where a genome is to run.

    Attributes
    ----------
    timeframe : of the series
    market_type : "spot" (long only, no leverage) or "perp"
    n_bars : bars of the first segment
    leverage_max : >= 1
    risk_per_trade_frac : equity lost at the stop
    """

    timeframe: str
    market_type: str
    n_bars: int
    leverage_max: float = 3.0
    risk_per_trade_frac: float = 0.02


def read_genome(text: str | bytes) -> tuple[Genome | None, list[Finding]]:
    """Return the genome that `text` (JSON) holds, or the findings that say why it holds none."""
    try:
        return Genome.from_json(text), []
    except ValidationError as exc:
        return None, [
            Finding(
                code=f"genome.{error['type']}",
                severity=Severity.ERROR,
                message=error["msg"],
                place=".".join(str(part) for part in error["loc"]),
            )
            for error in exc.errors()
        ]


def genome_findings(genome: Genome, limits: GenomeLimits) -> list[Finding]:
    """Return all that speaks against running `genome` within `limits`; empty if nothing does."""
    return [
        *_market_findings(genome, limits),
        *_risk_findings(genome, limits),
        *_warmup_findings(genome, limits),
    ]


def genome_warmup_bars(genome: Genome) -> int:
    """Return how many bars of the genome's own timeframe pass before every operand is defined."""
    own_ms = timeframe_ms(genome.timeframe)
    longest = 0
    for condition in genome.conditions():
        for operand in condition.operands():
            ratio = timeframe_ms(operand.timeframe) // own_ms if operand.timeframe else 1
            bars = _operand_warmup(operand)
            longest = max(longest, (bars + 1) * ratio - 1 + (condition.bars or 1))
    return longest


def _operand_warmup(operand: BarOperand | IndicatorOperand) -> int:
    if isinstance(operand, BarOperand):
        return 0
    return warmup_bars(operand.name, operand.params)


def _error(code: str, message: str, place: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, message=message, place=place)


def _market_findings(genome: Genome, limits: GenomeLimits) -> list[Finding]:
    found = []
    if genome.timeframe != limits.timeframe:
        found.append(
            _error(
                "market.timeframe",
                f"the strategy is for {genome.timeframe} bars, the market has {limits.timeframe}",
                "timeframe",
            )
        )
    if limits.market_type == "spot":
        if genome.direction is not Direction.LONG:
            found.append(
                _error("market.short", "a spot market is long only: use a perpetual", "direction")
            )
        if genome.risk.leverage > 1.0:
            found.append(
                _error("market.leverage", "a spot market has no leverage: set 1", "risk.leverage")
            )
    return found


def _risk_findings(genome: Genome, limits: GenomeLimits) -> list[Finding]:
    found = []
    if genome.risk.leverage > limits.leverage_max:
        found.append(
            _error(
                "risk.leverage",
                f"leverage {genome.risk.leverage:g} is above the limit {limits.leverage_max:g}",
                "risk.leverage",
            )
        )
    if genome.risk.risk_per_trade_frac > limits.risk_per_trade_frac:
        found.append(
            _error(
                "risk.per_trade",
                f"risk per trade {genome.risk.risk_per_trade_frac:g} of equity is above the limit "
                f"{limits.risk_per_trade_frac:g}",
                "risk.risk_per_trade_frac",
            )
        )
    return found


def _warmup_findings(genome: Genome, limits: GenomeLimits) -> list[Finding]:
    allowed = int(limits.n_bars * MAX_WARMUP_SHARE)
    if genome.timeframe != limits.timeframe:
        return []
    needed = genome_warmup_bars(genome)
    if needed <= allowed:
        return []
    return [
        _error(
            "resources.warmup",
            f"its slowest operand needs {needed} bars of warm-up, at most {allowed} of the "
            f"{limits.n_bars} there are may go to it: use shorter lengths or more days",
            "conditions",
        )
    ]
