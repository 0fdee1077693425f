"""Kill parts of a runtime at random moments of a cycle, and compare with an undisturbed run.

`python -m tests.chaos.kill_runs --runs 20 --count 20000` prints a JSON line a run and exits 1 when
any run differs. Victims and moments are drawn from the seed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.chaos.harness import Home, moments, told

VICTIMS = ("backtester-1", "conductor", "recorder", "runtime")
COMPARED = ("digest", "candidates", "evaluated", "strategies", "rows", "pairs", "all_strategies")


async def undisturbed(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what a run leaves that nobody disturbs."""
    return await _run(folder, arguments, None, ("backtest", 0.0))


async def disturbed(
    folder: Path, arguments: argparse.Namespace, victim: str, moment: tuple[str, float]
) -> dict[str, Any]:
    """Return what a run leaves in which `victim` is killed at `moment` (stage, share done)."""
    return await _run(folder, arguments, victim, moment)


async def _run(
    folder: Path, arguments: argparse.Namespace, victim: str | None, moment: tuple[str, float]
) -> dict[str, Any]:
    home = Home(folder, workers=arguments.workers, days=arguments.days)
    began_s = time.monotonic()
    home.up()
    try:
        cycle_id = await home.start_cycle(seed=arguments.seed, count=arguments.count)
        if victim is not None:
            await home.wait_progress(cycle_id, *moment)
            if victim == "runtime":
                home.kill_all()
                home.up()
            else:
                await home.kill(victim)
        row = await home.finished(cycle_id, arguments.timeout_s)
        counts = await home.counts(cycle_id)
        poisoned = len(await home.events("candidate.poison"))
        home.down()
        left = home.living()
    finally:
        home.discard()
    return {
        "status": row.status,
        "error": row.error,
        "digest": row.results_digest,
        "poisoned": poisoned,
        "left_running": left,
        "seconds": round(time.monotonic() - began_s, 1),
        **counts,
    }


async def _all(arguments: argparse.Namespace) -> int:
    root = Path(tempfile.mkdtemp(prefix="chaos-"))
    n_wrong = 0
    try:
        expected = await undisturbed(_folder(root, "undisturbed"), arguments)
        print(told({"run": 0, "victim": None, **expected}), flush=True)
        for i, moment in enumerate(moments(arguments.seed, arguments.runs)):
            victim = VICTIMS[i % len(VICTIMS)]
            found = await disturbed(_folder(root, f"run-{i + 1}"), arguments, victim, moment)
            wrong = [name for name in COMPARED if found[name] != expected[name]]
            is_equal = found["status"] == "done" and not wrong and not found["left_running"]
            n_wrong += not is_equal
            line = {"run": i + 1, "victim": victim, "stage": moment[0], "at": round(moment[1], 3)}
            print(told({**line, "equal": is_equal, "differs": wrong, **found}), flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(told({"runs": arguments.runs, "wrong": n_wrong}), flush=True)
    return 1 if n_wrong else 0


def _folder(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    return folder


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--days", type=int, default=30, help="of the generated market")
    parser.add_argument("--timeout-s", type=float, default=900.0, dest="timeout_s")
    return asyncio.run(_all(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
