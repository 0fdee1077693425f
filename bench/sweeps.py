"""W1, W2 and W3 on one pinned core, beside vectorbt and raptorbt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.bars import SYMBOLS, load
from bench.bollinger import MANY_VARIANTS, bollinger_sweep
from bench.crossover import MANY_PAIRS, ONE_PAIR, crossover_sweep
from bench.peers import Peer, RaptorBT, VectorBT
from bench.report import say
from bench.sweep import Effort, Sweep, run_sweep
from bench.timing import pin_to_one_core

_SMALL_STEP = 10
_SHORT_RUNS = 41


def run_sweeps(names: Sequence[str], store: Path, *, n_rounds: int, is_small: bool) -> int:
    """Print a line for each workload; return 1 when results that must agree do not, else 0."""
    core = pin_to_one_core()
    say(f"pinned to core {core}; loading vectorbt and raptorbt")
    peers: tuple[Peer, ...] = (VectorBT(), RaptorBT())
    worst = 0
    for name in names:
        sweep, n_symbols, effort = _workload(name, n_rounds, is_small)
        text, holds = run_sweep(sweep, load(store, n_symbols), peers, effort)
        print(text, flush=True)
        if not holds:
            say(f"{name}: trade counts or returns differ from a peer's")
            worst = 1
    return worst


def _workload(name: str, n_rounds: int, is_small: bool) -> tuple[Sweep, int, Effort]:
    step = _SMALL_STEP if is_small else 1
    if name == "W1":
        # One run takes about a millisecond: many of them stand for a round.
        effort = Effort(n_rounds=max(n_rounds, 7), n_inner=_SHORT_RUNS)
        return crossover_sweep(name, ONE_PAIR), 1, effort
    effort = Effort(n_rounds=n_rounds)
    if name == "W2":
        return crossover_sweep(name, MANY_PAIRS[::step]), len(SYMBOLS), effort
    return bollinger_sweep(name, MANY_VARIANTS[::step]), len(SYMBOLS), effort
