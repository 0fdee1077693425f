"""Run workloads of PERFORMANCE.md; one JSON line each on stdout, exit code 1 when one fails.

`scripts` is written strategies (JavaScript): backtest rate, times to bundle, validate and start.
`deployed` is fifty of them as Workers on this machine: times to bundle, validate and deploy,
memory, signal latency. `equal` and `metrics` are checks rather than workloads: results against
vectorbt's and raptorbt's, definitions against empyrical's and quantstats'. `order_latency` is the
money path, bar close to order sent; `stops` a price that reaches a watched stop to its order;
`halt` the latch and a hundred cancels.

W1 and W2 share a process, every other workload has one of its own: memory and imports of one must
not weigh on the next.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.bars import DEFAULT_STORE
from bench.report import say
from engine.errors import PaddockError

# These need what the product needs, and nothing of the peers.
_IN_PRODUCT = ("deployed", "order_latency", "stops", "halt")
WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "scripts", "equal", "metrics", *_IN_PRODUCT)
_QUICK = ("W1", "W2", "W3", "W4", "scripts", "deployed")
_TOGETHER = (("W1", "W2"), *((name,) for name in WORKLOADS[2:]))
_ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the workloads asked for."""
    options, rest = _parser().parse_known_args(arguments)
    if options.inside:
        try:
            return _inside(options)
        except PaddockError as error:
            say(error.message)
            return 1
    if rest:
        _parser().error(f"unknown argument {rest[0]}")
    if options.market and not options.market.is_dir():
        _parser().error(f"--market {options.market}: no such folder")
    if options.rounds < 1 or (options.count is not None and options.count < 1):
        _parser().error("--rounds and --count must be 1 or more")
    wanted = options.workloads or list(_QUICK)
    passed_on = [
        f"--market={options.market.resolve() if options.market else _ROOT / DEFAULT_STORE}",
        f"--rounds={options.rounds}",
        *(["--small"] if options.small else []),
        *([f"--count={options.count}"] if options.count else []),
        *(["--workers-ratio"] if options.workers_ratio else []),
    ]
    worst = 0
    for group in _TOGETHER:
        chosen = [name for name in group if name in wanted]
        if chosen:
            command = _command(group, passed_on, chosen)
            worst = max(worst, subprocess.run(command, cwd=_ROOT, check=False).returncode)  # noqa: S603 - ourselves
    return 1 if worst else 0


def _command(group: Sequence[str], passed_on: list[str], chosen: list[str]) -> list[str]:
    if group == ("deployed",):
        # Its own script sees to the workerd that it needs.
        os.environ.pop("NUMBA_CACHE_DIR", None)
        return [str(_ROOT / "scripts" / "deployed")]
    python = _product_python() if group[0] in _IN_PRODUCT else sys.executable
    return [python, "-m", "bench.main", "--inside", *passed_on, *chosen]


def _product_python() -> str:
    """Return the interpreter of the product's own environment, which its launcher makes."""
    python = _ROOT / ".venv" / "bin" / "python"
    if not python.exists():
        launcher = [str(_ROOT / "scripts" / "paddock"), "--help"]
        subprocess.run(launcher, cwd=_ROOT, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves
    # Kernels that the other environment compiled are not this one's.
    os.environ.pop("NUMBA_CACHE_DIR", None)
    return str(python)


def _inside(options: argparse.Namespace) -> int:
    if options.workloads == ["W4"]:
        from bench.genomes import run_genomes

        return run_genomes(options.market, options.count or (5_000 if options.small else 100_000))
    if options.workloads == ["W5"]:
        from bench.cycle import run_cycle, run_ratio

        if options.workers_ratio:
            return run_ratio(options.market, options.count or 20_000)
        return run_cycle(options.market, options.count or 500, options.rounds)
    if options.workloads == ["scripts"]:
        from bench.scripts import run_scripts

        return run_scripts(options.market)
    if options.workloads == ["equal"]:
        from bench.equality import run_equality

        return run_equality(options.market, is_small=options.small)
    if options.workloads == ["order_latency"]:
        from bench.order_latency import run_order_latency

        return run_order_latency(options.market, is_small=options.small)
    if options.workloads == ["stops"]:
        from bench.stops import run_stops

        return run_stops(options.market, is_small=options.small)
    if options.workloads == ["halt"]:
        from bench.halt import run_halt

        return run_halt(options.market, is_small=options.small)
    if options.workloads == ["metrics"]:
        from bench.metrics import run_metrics

        return run_metrics(options.market)
    from bench.sweeps import run_sweeps

    return run_sweeps(
        options.workloads, options.market, n_rounds=options.rounds, is_small=options.small
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "workloads",
        nargs="*",
        choices=WORKLOADS,
        metavar="W1..W5|" + "|".join(WORKLOADS[5:]),
        help=f"which to run; without any {' '.join(_QUICK)}",
    )
    parser.add_argument("--small", action="store_true", help="a tenth of the strategies or fewer")
    parser.add_argument(
        "--market", type=Path, help=f"market store; default {DEFAULT_STORE}, else generated bars"
    )
    parser.add_argument("--rounds", type=int, default=3, help="times each contender runs")
    parser.add_argument("--count", type=int, help="genomes of W4, candidates of W5")
    parser.add_argument(
        "--workers-ratio",
        action="store_true",
        help="W5 with 20,000 candidates by one worker and by two (slow)",
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
