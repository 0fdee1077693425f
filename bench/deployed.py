"""Deployed strategies on one machine: times to bundle, validate and deploy, memory, latency.

`scripts/deployed [--count 50] [--rate 200] [--seconds 10]` and `scripts/bench deployed` print one
JSON line. `deploy_one_ms` is what one more strategy takes until it answers, with the others going
on; `start_s` what all of them take. A signal is timed from the instant it was due.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.report import line
from engine.deploy.bundle import Bundle, worker_bundle
from engine.deploy.fleet import Fleet
from engine.deploy.package import engine_difference, packaged
from engine.deploy.replica import Replica
from engine.deploy.worker_client import WorkerClient
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.strategy.genome import Genome
from engine.strategy.javascript.source import parse_source
from engine.strategy.javascript.writer import javascript_of, lookback_bars
from engine.trading_settings import Limits
from engine.types import MS_PER_DAY, Bars
from tests.parity.genomes import library_genomes, random_genome

TOKEN = "a token for measuring only, long"  # noqa: S105
PARITY_BARS = 400
WARM_BARS = 300
TARGET_MS = 5.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    sys.exit(run_deployed(options(arguments)))


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what is to be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="deployed strategies")
    parser.add_argument("--rate", type=float, default=200.0, help="signals a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--per-process", type=int, default=5)
    return parser.parse_args(arguments)


def run_deployed(given: argparse.Namespace) -> int:
    """Measure and print; 1 when signals were late or Worker and engine differ."""
    genomes = _genomes(given.count)
    bars = generate_bars("ETH/USDT", 4, end_at=GENERATED_START_AT + 8 * MS_PER_DAY)
    found: dict[str, Any] = {"strategies": given.count, "load_average": os.getloadavg()[0]}
    found |= _packaging(genomes, bars)
    found |= asyncio.run(_served(genomes, bars, given))
    print(line("deployed", **found), flush=True)
    is_equal, is_prompt = found["parity"] == "equal", found["p99_ms"] < TARGET_MS
    return 0 if is_equal and is_prompt else 1


def _genomes(count: int) -> list[Genome]:
    known = list(library_genomes().values())[: count // 2]
    return known + [random_genome(5, i) for i in range(count - len(known))]


def _packaging(genomes: Sequence[Genome], bars: Bars) -> dict[str, Any]:
    """Measure on the first genomes: bundling alone, and validation with everything it runs."""
    bundled, validated = [], []
    for genome in genomes[:10]:
        source = javascript_of(genome)
        began_s = time.perf_counter()
        worker_bundle(parse_source(source), "v1")
        bundled.append((time.perf_counter() - began_s) * 1000)
    for genome in genomes[:5]:
        began_s = time.perf_counter()
        packaged(genome, "v1", bars.slice(0, 1_000), Limits(), "perp")
        validated.append(time.perf_counter() - began_s)
    return {
        "bundle_ms": float(np.median(bundled)),
        "validate_s": float(np.median(validated)),
    }


async def _served(
    genomes: Sequence[Genome], bars: Bars, given: argparse.Namespace
) -> dict[str, Any]:
    bundles = {
        f"s{i}": worker_bundle(parse_source(javascript_of(genome)), "v1")
        for i, genome in enumerate(genomes)
    }
    with tempfile.TemporaryDirectory(prefix="paddock-") as folder:
        fleet = Fleet(
            Path(folder), TOKEN, given.per_process, time.monotonic, lambda _: None, grace_s=0.0
        )
        try:
            return await _measured(fleet, bundles, genomes, bars, given)
        finally:
            await fleet.stop()


async def _measured(
    fleet: Fleet,
    bundles: dict[str, Bundle],
    genomes: Sequence[Genome],
    bars: Bars,
    given: argparse.Namespace,
) -> dict[str, Any]:
    *others, newest = bundles
    began_s = time.perf_counter()
    await fleet.serve({name: bundles[name] for name in others})
    started_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    await fleet.serve(bundles)
    async with WorkerClient(fleet.url(newest), TOKEN) as client:
        await client.health()
    deployed_s = time.perf_counter() - began_s
    clients = [await WorkerClient(fleet.url(name), TOKEN, 30.0).__aenter__() for name in bundles]
    meta = packaged(genomes[0], "v1", bars.slice(0, 1_000), Limits(), "perp").meta
    began_s = time.perf_counter()
    words = await engine_difference(genomes[0], meta, bars.slice(0, PARITY_BARS), clients[0])
    parity_s = time.perf_counter() - began_s
    building = asyncio.Semaphore(1)
    replicas = [Replica(lookback_bars(genome), building) for genome in genomes]
    for replica, client in zip(replicas, clients, strict=True):
        await replica.build(bars, len(bars) - WARM_BARS, client)
    latencies = await _asked(replicas, clients, bars, given)
    memory = sum(psutil.Process(pid).memory_info().rss for pid in fleet.pids)
    for client in clients:
        await client.__aexit__(None, None, None)
    return {
        "processes": len(fleet.pids),
        "start_s": started_s,
        "deploy_one_ms": deployed_s * 1e3,
        "parity_s": parity_s,
        "parity_bars": PARITY_BARS,
        "parity": words or "equal",
        "memory_mb": round(memory / 1e6),
        "memory_mb_each": memory / 1e6 / len(bundles),
        "signals": len(latencies),
        "signals_a_second": given.rate,
        "target_p99_ms": TARGET_MS,
        "p50_ms": float(np.quantile(latencies, 0.5)),
        "p99_ms": float(np.quantile(latencies, 0.99)),
        "max_ms": max(latencies),
    }


async def _asked(
    replicas: Sequence[Replica],
    clients: Sequence[WorkerClient],
    bars: Bars,
    given: argparse.Namespace,
) -> list[float]:
    """Ask one after the other for the last bar, at an even pace, and time each answer."""
    latencies: list[float] = []

    async def ask(i: int, due_s: float) -> None:
        await replicas[i].step(bars, len(bars) - 1, clients[i])
        latencies.append((time.perf_counter() - due_s) * 1000)

    tasks, began_s = [], time.perf_counter()
    for n in range(round(given.rate * given.seconds)):
        due_s = began_s + n / given.rate
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(n % len(replicas), due_s)))
    await asyncio.gather(*tasks)
    return latencies


if __name__ == "__main__":
    main()
