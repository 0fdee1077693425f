"""Wild bars, random decisions, and the plain loop's trades of them, for tests of paper trading."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.backtest import layout
from engine.backtest.plain import simulate_plain_nb
from engine.backtest.rules import N_RULES, ExitReason, Rules
from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.strategy.genome import Genome
from engine.trade.decision import ClosedBar, Decision
from engine.trade.differences import LoggedTrade
from engine.trade.replay_terms import Entrant, ReplayTerms
from engine.types import Bars, BoolArray, FloatArray

SYMBOL = "BTC/USDT"
BAR_MS = 300_000
START_AT = 1_700_000_100_000 // BAR_MS * BAR_MS


def quick_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder in memory where there is one: journals sync thousands of times."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


def wild_bars(rng: np.random.Generator, n_bars: int, volatility: float) -> Bars:
    """Bars with fat tails, whose opens jump away from the close before."""
    close = 100.0 * np.exp(np.cumsum(rng.standard_t(3, n_bars) * volatility))
    gap = np.exp(rng.standard_t(3, n_bars) * volatility)
    open_ = np.concatenate(([100.0], close[:-1])) * gap
    spread = 1.0 + np.abs(rng.standard_normal((2, n_bars))) * volatility
    high = np.maximum(open_, close) * spread[0]
    low = np.minimum(open_, close) / spread[1]
    volume = rng.exponential(10.0, n_bars)
    stamp = START_AT + np.arange(n_bars, dtype=np.int64) * BAR_MS
    return Bars(stamp, open_, high, low, close, volume)


def random_entrant(seed: int, number: int, symbol: str = SYMBOL) -> Entrant:
    genome = draw_genome(Draws.keyed(seed, number), Universe("5m", "perp"))
    return Entrant(genome.id, f"random-{number}", genome, symbol)


class Marks:
    """Decisions drawn at random; a `DecisionSource`."""

    def __init__(
        self, rng: np.random.Generator, bars: Bars, density: float, entrants: list[Entrant]
    ) -> None:
        self.bars = bars
        self.of: dict[str, dict[str, BoolArray]] = {}
        self.size: dict[str, FloatArray] = {}
        for entrant in entrants:
            drawn = {
                name: rng.random(len(bars)) < share
                for name, share in (
                    ("long", density),
                    ("short", density),
                    ("leave_long", density / 4),
                    ("leave_short", density / 4),
                )
            }
            both = drawn["long"] & drawn["short"]
            drawn["long"] &= ~both
            drawn["short"] &= ~both
            self.of[entrant.strategy_id] = drawn
            size = np.empty(0)
            if entrant.genome.risk.volatility_target is not None:
                size = rng.random(len(bars)) * entrant.genome.notional_frac()
                size[rng.random(len(bars)) < 0.3] = np.nan
            self.size[entrant.strategy_id] = size

    async def decide(self, bar: ClosedBar) -> Mapping[str, Decision]:
        t = int(np.searchsorted(self.bars.timestamp, bar.at))
        return {name: self.at(name, t) for name in self.of}

    def at(self, name: str, t: int) -> Decision:
        marks, size = self.of[name], self.size[name]
        return Decision(
            int(self.bars.timestamp[t]),
            int(marks["long"][t]) - int(marks["short"][t]),
            bool(marks["leave_long"][t]),
            bool(marks["leave_short"][t]),
            float(size[t]) if len(size) else None,
        )


def plain_trades(
    genome: Genome,
    bars: Bars,
    marks: Mapping[str, BoolArray],
    size: FloatArray,
    start: int = 0,
    exit_rules: FloatArray | None = None,
) -> tuple[list[LoggedTrade], FloatArray]:
    """What the plain loop makes of the decisions: its trades (the open one last) and equity."""
    terms = ReplayTerms()
    rules = np.empty(N_RULES)
    Rules.of(genome).write(rules, terms.costs, float(terms.capital_quote))
    n_bars = len(bars)
    log = np.full((n_bars - start + 1, layout.N_TRADE), np.nan)
    equity = np.empty(n_bars - start + 1)
    closed, is_open = simulate_plain_nb(
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        marks["long"],
        marks["short"],
        marks["leave_long"],
        marks["leave_short"],
        size,
        np.empty((0, 4)) if exit_rules is None else exit_rules,
        start,
        n_bars,
        rules,
        log,
        equity,
    )
    return [_logged(row, bars) for row in log[: closed + is_open]], equity


def _logged(row: FloatArray, bars: Bars) -> LoggedTrade:
    is_open = row[layout.T_REASON] < 0
    entry_bar, exit_bar = int(row[layout.T_ENTRY_BAR]), int(row[layout.T_EXIT_BAR])
    reason = "" if is_open else ExitReason(int(row[layout.T_REASON])).name.lower()
    # The plain loop leaves out the quantity: it follows from what was risked and returned.
    net = float(row[layout.T_RETURN])
    pnl = float(row[layout.T_PNL])
    commission = ReplayTerms().costs.commission_frac
    entry = float(row[layout.T_ENTRY])
    return LoggedTrade(
        decided_at=int(bars.timestamp[entry_bar - 1]),
        side=int(row[layout.T_SIDE]),
        entry_at=int(bars.timestamp[entry_bar]),
        entry=entry,
        exit_at=None if is_open else int(bars.timestamp[exit_bar]),
        exit=0.0 if is_open else float(row[layout.T_EXIT]),
        reason=reason,
        qty_base=np.nan if is_open else pnl / net / (entry * (1.0 + commission)),
        pnl_quote=pnl,
        net_return=net,
    )
