"""Findings on genomes: text, market, risk and warm-up."""

from __future__ import annotations

from engine.strategy.genome import BarOperand, Condition, Exits, Genome, IndicatorOperand, Risk
from engine.validate.findings import Severity, has_errors
from engine.validate.genome_check import (
    GenomeLimits,
    genome_findings,
    genome_warmup_bars,
    read_genome,
)

PERP = GenomeLimits(timeframe="5m", market_type="perp", n_bars=1_000)
SPOT = GenomeLimits(timeframe="5m", market_type="spot", n_bars=1_000)


def strategy(direction: str = "long", length: float = 20, **changes: object) -> Genome:
    above = Condition(
        left=BarOperand(field="close"),
        op=">",
        right=IndicatorOperand(name="sma", params={"length": length}),
    )
    fields: dict[str, object] = {
        "type": "momentum",
        "timeframe": "5m",
        "direction": direction,
        "long_entry": (above,) if direction != "short" else (),
        "short_entry": (above,) if direction != "long" else (),
        "exits": Exits(stop_frac=0.02),
    }
    return Genome.model_validate({**fields, **changes})


def codes(genome: Genome, limits: GenomeLimits) -> set[str]:
    findings = genome_findings(genome, limits)
    assert has_errors(findings) == bool(findings)
    return {finding.code for finding in findings}


def test_an_honest_genome_has_no_findings() -> None:
    assert codes(strategy(), SPOT) == set()
    assert codes(strategy("both"), PERP) == set()


def test_a_spot_market_is_long_only_without_leverage() -> None:
    assert codes(strategy("short"), SPOT) == {"market.short"}
    assert codes(strategy(risk=Risk(leverage=2.0)), SPOT) == {"market.leverage"}
    assert codes(strategy("short", risk=Risk(leverage=2.0)), PERP) == set()


def test_risk_genes_stay_inside_the_limits() -> None:
    tight = GenomeLimits("5m", "perp", 1_000, leverage_max=1.5, risk_per_trade_frac=0.01)
    assert codes(strategy(risk=Risk(leverage=2.0)), tight) == {"risk.leverage", "risk.per_trade"}


def test_another_timeframe_is_a_finding() -> None:
    assert codes(strategy(timeframe="1h"), PERP) == {"market.timeframe"}


def test_warm_up_counts_higher_timeframes_in_own_bars() -> None:
    hourly = IndicatorOperand(name="sma", params={"length": 20}, timeframe="1h")
    slow = strategy(long_entry=(Condition(left=BarOperand(field="close"), op=">", right=hourly),))
    assert genome_warmup_bars(slow) == 20 * 12 - 1 + 1
    assert codes(slow, PERP) == set()
    short_series = GenomeLimits("5m", "perp", 400)
    assert codes(slow, short_series) == {"resources.warmup"}


def test_bad_text_gives_findings_that_name_the_place() -> None:
    genome, findings = read_genome('{"type": "momentum", "timeframe": "5m", "direction": "up"}')
    assert genome is None
    assert {finding.place for finding in findings} >= {"direction", "exits"}
    assert all(finding.severity is Severity.ERROR for finding in findings)
    assert read_genome("not json")[1][0].code == "genome.json_invalid"
    assert read_genome(strategy().canonical_json()) == (strategy(), [])
