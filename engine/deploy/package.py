"""From a strategy to a bundle that is fit to run, and the proof that it decides as the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.deploy.bundle import Bundle, worker_bundle
from engine.deploy.instrument import Instrumented
from engine.deploy.parity import genome_differences
from engine.deploy.worker_client import WorkerClient
from engine.errors import DataError, StrategyError
from engine.strategy.columns import compute_columns
from engine.strategy.decisions import ConditionBank
from engine.strategy.genome import Genome
from engine.strategy.javascript.answers import Answers
from engine.strategy.javascript.contract import INTENTS, LEAVES, ScriptMeta
from engine.strategy.javascript.writer import javascript_of
from engine.trading_settings import Limits
from engine.types import Bars

LEAST_BARS = 50
_NUMBERS = ("stop", "target", "trailing", "max_bars", "size", "confidence")

Writer = Callable[[Genome], str]


@dataclass(frozen=True, slots=True)
class Package:
    """A version that the validator has nothing against."""

    bundle: Bundle
    meta: ScriptMeta


def packaged(
    genome: Genome,
    version: str,
    bars: Bars,
    limits: Limits,
    market_type: str,
    write: Writer = javascript_of,
) -> Package:
    """Return a genome as a validated bundle; takes seconds, and a child process.

    Parameters
    ----------
    bars : recent ones, that it is tried on

    Raises
    ------
    StrategyError : the validator refuses it; the message names the first error.
    """
    from engine.validate.findings import Severity
    from engine.validate.risk_rules import RiskLimits
    from engine.validate.script_check import check_script

    within = RiskLimits(
        timeframe=genome.timeframe,
        market_type=market_type,
        leverage_max=limits.leverage_max,
        risk_per_trade_frac=limits.risk_per_trade_frac,
    )
    report = check_script(write(genome).encode(), lambda _: (bars, within))
    errors = [one for one in report.findings if one.severity is Severity.ERROR]
    if errors or report.source is None or report.meta is None:
        why = errors[0].message if errors else "it cannot be read"
        raise StrategyError(f"the validator refuses it: {why}", strategy=genome.id)
    return Package(worker_bundle(report.source, version), report.meta)


async def engine_difference(
    genome: Genome, meta: ScriptMeta, bars: Bars, client: WorkerClient
) -> str:
    """Return in words where a Worker decides otherwise than the engine; empty if nowhere.

    It is asked once a bar, from the first one on, its state handed back each time.

    Raises
    ------
    DataError : too few bars say nothing.
    PaddockError : what the client raises.
    """
    if len(bars) < LEAST_BARS:
        raise DataError(f"{len(bars)} bars are too few to compare it with the engine: wait")
    results, state = np.zeros((len(bars), 11)), "null"
    for t in range(len(bars)):
        window = bars.slice(max(0, t + 1 - meta.lookback_bars), t + 1)
        signal = await client.signal(window, state)
        state = signal.state
        results[t] = _row(signal.answer, state)
    columns = compute_columns(bars, genome.timeframe, [])
    bank = ConditionBank(bars, genome.timeframe, columns)
    found = genome_differences(genome, bank, meta, Answers.of(results))
    if not found:
        return ""
    first = min(found, key=lambda one: one.first_bar)
    at = int(bars.timestamp[first.first_bar])
    return (
        f"{first.name} differs from the engine's on {first.n_bars} of {len(bars)} bars, first at "
        f"bar {at}"
    )


def save_bundle(folder: Path, bundle: Bundle) -> Path:
    """Write a bundle under its hash, at once or not at all, and return its path."""
    path = folder / f"{bundle.sha256}.js"
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(bundle.text, encoding="utf-8")
    part.replace(path)
    return path


def load_bundle(folder: Path, sha256: str) -> Bundle:
    """Return the bundle that has a hash.

    Raises
    ------
    DataError : it is not there, or no longer what was packaged.
    """
    path = folder / f"{sha256}.js"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise DataError(f"{path} cannot be read: deploy the strategy again") from exc
    bundle = Bundle(text, 1, Instrumented(text, ()))
    if bundle.sha256 != sha256:
        raise DataError(f"{path} is not what was packaged: deploy the strategy again")
    return bundle


def _row(told: Mapping[str, Any], state: str) -> list[float]:
    numbers = [np.nan if told[name] is None else float(told[name]) for name in _NUMBERS]
    intent, leave = INTENTS.index(told["intent"]), LEAVES.index(told["leave"])
    return [float(intent), float(leave), *numbers, 0.0, 0.0, float(len(state))]
