"""Whether a genome can be written as JavaScript, and so be deployed as a Worker."""

from __future__ import annotations

from engine.strategy.genome import Genome
from engine.strategy.javascript.contract import LOOKBACK_MAX_BARS, STATE_MAX_BYTES
from engine.strategy.javascript.writer import lookback_bars, state_bytes
from engine.validate.findings import Finding, Severity


def writable_findings(genome: Genome) -> list[Finding]:
    """Return what keeps a genome from becoming a Worker; warnings, for it still backtests."""
    found = []
    needed = state_bytes(genome)
    if needed > STATE_MAX_BYTES:
        message = (
            f"it cannot be deployed: as a Worker it may remember {needed:,} bytes of "
            f"{STATE_MAX_BYTES:,}; use shorter lengths on longer timeframes"
        )
        found.append(Finding("javascript.state", Severity.WARNING, message, "conditions"))
    lookback = lookback_bars(genome)
    if lookback > LOOKBACK_MAX_BARS:
        message = (
            f"it cannot be deployed: as a Worker it looks back {lookback:,} bars of "
            f"{LOOKBACK_MAX_BARS:,}; use timeframes closer to its own"
        )
        found.append(Finding("javascript.lookback", Severity.WARNING, message, "conditions"))
    return found
