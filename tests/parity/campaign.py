"""Compare JavaScript with the engine on every bar: library, families and random genomes.

`python -m tests.parity.campaign --count 500` prints one JSON object: how many strategies, bars and
decisions were compared and how many differed; how many indicator values had the same bits and how
far the others were off; and what 200 honest sources were told by the validator. With `--served 20`
so many genomes go through a real workerd as well, one question a bar. Exit code 1 when a decision
differs, an indicator is off by more than 1e-9, or an honest source has a finding.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.bars import DEFAULT_STORE, SYMBOLS, load
from engine.deploy.parity import genome_differences
from engine.errors import StrategyError
from engine.market.store import MarketStore
from engine.strategy.columns import compute_columns
from engine.strategy.decisions import ConditionBank
from engine.strategy.genome import Genome
from engine.strategy.javascript.run import run_script
from engine.strategy.javascript.source import parse_source
from engine.strategy.javascript.writer import javascript_of, state_bytes
from engine.types import Bars, SeriesKey
from engine.validate.risk_rules import RiskLimits
from engine.validate.sandbox import Sandbox
from engine.validate.script_check import check_script
from tests.parity.genomes import TIMEFRAME, library_genomes, random_genome
from tests.parity.indicators import indicator_cases, indicator_errors
from tests.parity.over_http import served_differences
from tests.parity.traces import LIMITS

SEED = 2026
N_HONEST = 200
HONEST = Path(__file__).with_name("honest")


def compared(name: str, genome: Genome, bars: Bars, bank: ConditionBank) -> dict[str, Any]:
    """Return how a genome's module did on `bars`."""
    try:
        source = javascript_of(genome, name)
    except StrategyError as exc:
        return {"name": name, "refused": exc.message}
    meta, run = run_script(parse_source(source), bars)
    differences = genome_differences(genome, bank, meta, run.answers)
    return {
        "name": name,
        "n_bars": len(bars),
        "differences": [asdict(difference) for difference in differences],
        "n_entries": int(run.answers.enters.sum()),
        "cpu_s": run.cpu_s,
        "state_bytes": int(run.answers.state_bytes.max()),
        "state_bytes_allowed": state_bytes(genome),
    }


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--market", type=Path, default=DEFAULT_STORE)
    parser.add_argument("--count", type=int, default=500, help="random genomes")
    parser.add_argument("--served", type=int, default=0, help="genomes through workerd as well")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    began_s = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        parts = list(pool.imap_unordered(_part, _parts(given)))
    told = _summary(parts) | {"wall_s": round(time.monotonic() - began_s, 1)}
    print(json.dumps(told, indent=1))
    is_fine = not (
        told["strategies_that_differ"]
        or told["served_that_differ"]
        or told["honest_with_findings"]
        or told["indicator_error_max"] > 1e-9
        or told["compared"] == 0
    )
    return 0 if is_fine else 1


def _parts(given: argparse.Namespace) -> Iterator[tuple[str, str, Path, int, int]]:
    n_library = len(library_genomes())
    for symbol in SYMBOLS:
        yield "indicators", symbol, given.market, 0, 0
    for i, first in enumerate(range(0, n_library, 10)):
        yield "library", SYMBOLS[i % 3], given.market, first, min(first + 10, n_library)
    for i, first in enumerate(range(0, given.count, 10)):
        yield "random", SYMBOLS[i % 3], given.market, first, min(first + 10, given.count)
    for number in range(given.served):
        yield "served", SYMBOLS[number % 3], given.market, number, number + 1
    for first in range(0, N_HONEST, 20):
        yield "honest", SYMBOLS[first // 20 % 3], given.market, first, first + 20


def _part(part: tuple[str, str, Path, int, int]) -> dict[str, Any]:
    kind, symbol, store, first, stop = part
    bars = load(store).series[symbol]
    if kind == "indicators":
        return {"kind": kind, "errors": list(_indicators(bars))}
    if kind == "served":
        return {"kind": kind, "served": [_served(first, symbol, bars)]}
    if kind == "honest":
        return {"kind": kind, "checks": [_honest(n, bars) for n in range(first, stop)]}
    bank = ConditionBank(bars, TIMEFRAME, compute_columns(bars, TIMEFRAME, []))
    named = list(library_genomes().items())
    done = []
    for number in range(first, stop):
        name, genome = (
            named[number] if kind == "library" else (f"r{number}", random_genome(SEED, number))
        )
        done.append(compared(name, genome, bars, bank) | {"symbol": symbol})
    print(f"{kind} {first} to {stop} on {symbol}", file=sys.stderr, flush=True)
    return {"kind": kind, "strategies": done}


def _indicators(bars: Bars) -> Iterator[dict[str, Any]]:
    with Sandbox(LIMITS) as sandbox:
        for case in indicator_cases():
            yield from indicator_errors(sandbox, case, bars, TIMEFRAME)


def _served(number: int, symbol: str, bars: Bars) -> dict[str, Any]:
    named = list(library_genomes().items())
    name, genome = named[number] if number < 4 else (f"r{number}", random_genome(SEED + 2, number))
    began_s = time.monotonic()
    differences = [asdict(d) for d in served_differences(genome, bars, TIMEFRAME)]
    wall_s = time.monotonic() - began_s
    print(f"served {name} on {symbol}", file=sys.stderr, flush=True)
    return {"name": name, "n_bars": len(bars), "differences": differences, "wall_s": wall_s}


def honest_source(number: int) -> tuple[str, bytes]:
    """Return one of the honest sources: first those by hand, then those from genomes."""
    by_hand = sorted(HONEST.glob("*.js"))
    if number < len(by_hand):
        return by_hand[number].name, by_hand[number].read_bytes()
    named = list(library_genomes().items())
    number -= len(by_hand)
    name, genome = (
        named[number] if number < len(named) else (f"r{number}", random_genome(SEED + 1, number))
    )
    return name, javascript_of(genome, name).encode()


def _honest(number: int, bars: Bars) -> dict[str, Any]:
    name, content = honest_source(number)
    began_s = time.monotonic()
    limits = RiskLimits(TIMEFRAME, "perp")
    report = check_script(content, lambda _meta: (bars, limits))
    found = [finding.as_dict() for finding in report.findings]
    return {"name": name, "findings": found, "wall_s": time.monotonic() - began_s}


def _summary(parts: list[dict[str, Any]]) -> dict[str, Any]:
    strategies = [s for part in parts for s in part.get("strategies", ())]
    errors = [e for part in parts for e in part.get("errors", ())]
    checks = [c for part in parts for c in part.get("checks", ())]
    served = [s for part in parts for s in part.get("served", ())]
    done = [s for s in strategies if "refused" not in s]
    n_bars = sum(s["n_bars"] for s in done)
    cpu_s = sum(s["cpu_s"] for s in done)
    return {
        "compared": len(done),
        "refused": [s for s in strategies if "refused" in s],
        "bars": n_bars,
        "decisions": 4 * n_bars,
        "entries": sum(s["n_entries"] for s in done),
        "strategies_that_differ": [s for s in done if s["differences"]],
        "bars_per_cpu_second": round(n_bars / cpu_s) if cpu_s else 0,
        "state_bytes_max": max((s["state_bytes"] for s in done), default=0),
        "state_bytes_allowed_max": max((s["state_bytes_allowed"] for s in done), default=0),
        "states_beyond_their_estimate": [
            s["name"] for s in done if s["state_bytes"] > s["state_bytes_allowed"]
        ],
        "indicator_values": sum(e["n_values"] for e in errors),
        "indicator_values_same_bits": sum(e["n_same"] for e in errors),
        "indicator_error_max": max((e["error"] for e in errors), default=0.0),
        "indicators_not_same_bits": [e for e in errors if e["n_same"] < e["n_values"]],
        "served": len(served),
        "served_bars": sum(s["n_bars"] for s in served),
        "served_that_differ": [s for s in served if s["differences"]],
        "served_ms_a_bar": round(
            1e3 * sum(s["wall_s"] for s in served) / max(1, sum(s["n_bars"] for s in served)), 2
        ),
        "honest_checked": len(checks),
        "honest_with_findings": [c for c in checks if c["findings"]],
        "validation_s_median": round(float(np.median([c["wall_s"] for c in checks])), 3),
    }


def read_bars(store: Path, symbol: str, n_bars: int) -> Bars:
    """Return the last real bars of a symbol."""
    bars = MarketStore(store).read(SeriesKey("binance", symbol, TIMEFRAME))
    return bars.slice(len(bars) - n_bars, len(bars))


if __name__ == "__main__":
    sys.exit(main())
