"""vectorbt and raptorbt behind one face: bars and signals in, the six metrics out.

Both get the same signals, made from Paddock's own indicator arrays inside the measured time: that
is faster than computing each library's own, so every ratio errs in the peer's favour. Orders are
decided at a close and filled at the next open.

vectorbt runs in chunks of columns, because all at once needs seven times the memory; it does not
look at stops in the entry bar. raptorbt runs once a strategy: on one core its batch call is no
faster. It does not enter again after a stop.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engine.types import Bars, BoolArray, FloatArray

CAPITAL_QUOTE = 10_000.0
COMMISSION_FRAC = 0.001
SLIPPAGE_FRAC = 0.0005
CHUNK_COLUMNS = 50
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class PeerRules:
    """What a run needs besides signals.

    Attributes
    ----------
    stop_frac, target_frac : fraction of the entry price, None for none
    size_frac : of equity a position; 1.0 is everything
    """

    stop_frac: float | None = None
    target_frac: float | None = None
    size_frac: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """Decisions at closes, shape (n_bars, n_runs) each; no exits leaves them to the rules.

    With short entries an opposite entry reverses the position, which of the two vectorbt alone
    does.
    """

    entries: BoolArray
    exits: BoolArray | None = None
    short_entries: BoolArray | None = None


class Peer(Protocol):
    """One library."""

    name: str

    def run(self, bars: Bars, chunks: Iterable[Signals], rules: PeerRules) -> FloatArray:
        """Return the six metrics of every run, shape (n_runs, 6), columns as `COMPARED`."""
        ...


class VectorBT:
    """vectorbt through `Portfolio.from_signals`, numba engine."""

    name = "vectorbt"

    def __init__(self) -> None:
        config: Any = import_module("numba.core.config")
        # Its compiled functions outlive changes of Paddock's kernels, whose cache is keyed by them.
        ours = config.CACHE_DIR
        config.CACHE_DIR = str(Path(sys.prefix) / "numba-peers")
        self._portfolio: Any = import_module("vectorbt").Portfolio
        config.CACHE_DIR = ours

    def run(self, bars: Bars, chunks: Iterable[Signals], rules: PeerRules) -> FloatArray:
        """Return the six metrics of every run."""
        return np.concatenate([self._chunk(bars, signals, rules) for signals in chunks])

    def _chunk(self, bars: Bars, signals: Signals, rules: PeerRules) -> FloatArray:
        entries = _a_bar_later(signals.entries)
        exits = False if signals.exits is None else _a_bar_later(signals.exits)
        options: dict[str, Any] = {}
        if rules.stop_frac is not None or rules.target_frac is not None:
            options = {
                "sl_stop": rules.stop_frac,
                "tp_stop": rules.target_frac,
                "stop_entry_price": "fillprice",
                "stop_exit_price": "stopmarket",
                "open": bars.open[:, None],
                "high": bars.high[:, None],
                "low": bars.low[:, None],
            }
        if rules.size_frac != 1.0:
            options |= {"size": rules.size_frac, "size_type": "percent"}
        if signals.short_entries is not None:
            options |= {
                "short_entries": _a_bar_later(signals.short_entries),
                "upon_opposite_entry": "reverse",
            }
        folio = self._portfolio.from_signals(
            np.broadcast_to(bars.close[:, None], entries.shape),
            entries,
            exits,
            price=bars.open[:, None],
            fees=COMMISSION_FRAC,
            slippage=SLIPPAGE_FRAC,
            init_cash=CAPITAL_QUOTE,
            freq="5min",
            engine="numba",
            **options,
        )
        trades = folio.trades.closed
        columns = (
            folio.total_return(),
            folio.sharpe_ratio(),
            -folio.max_drawdown(),
            trades.win_rate(),
            trades.profit_factor(),
            trades.count(),
        )
        return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])


class RaptorBT:
    """raptorbt through `run_single_backtest`."""

    name = "raptorbt"

    def __init__(self) -> None:
        # Set before the import, which would otherwise ask the internet for a newer version.
        os.environ["RAPTORBT_NO_VERSION_CHECK"] = "1"
        self._module: Any = import_module("raptorbt")

    def run(self, bars: Bars, chunks: Iterable[Signals], rules: PeerRules) -> FloatArray:
        """Return the six metrics of every run."""
        return np.array(list(self._runs(bars, chunks, rules)))

    def _runs(
        self, bars: Bars, chunks: Iterable[Signals], rules: PeerRules
    ) -> Iterator[tuple[float, ...]]:
        config = self._module.BacktestConfig(
            initial_capital=CAPITAL_QUOTE,
            fees=COMMISSION_FRAC,
            slippage=SLIPPAGE_FRAC,
            fill_timing="next_bar_open",
            session_minutes=self._module.SESSION_CONTINUOUS,
        )
        if rules.stop_frac is not None:
            config.set_fixed_stop(rules.stop_frac)
        if rules.target_frac is not None:
            config.set_fixed_target(rules.target_frac)
        stamps_ns = bars.timestamp * _NS_PER_MS
        sizes = None if rules.size_frac == 1.0 else np.full(len(bars), rules.size_frac)
        never = np.zeros(len(bars), dtype=np.bool_)
        for signals in chunks:
            for run in range(signals.entries.shape[1]):
                exits = never if signals.exits is None else signals.exits[:, run]
                found = self._module.run_single_backtest(
                    stamps_ns,
                    bars.open,
                    bars.high,
                    bars.low,
                    bars.close,
                    bars.volume,
                    np.ascontiguousarray(signals.entries[:, run]),
                    np.ascontiguousarray(exits),
                    config=config,
                    position_sizes=sizes,
                )
                yield _six(found.metrics)


def _six(metrics: Any) -> tuple[float, ...]:
    factor = metrics.profit_factor
    return (
        metrics.total_return_pct / 100.0,
        metrics.sharpe_ratio,
        metrics.max_drawdown_pct / 100.0,
        metrics.win_rate_pct / 100.0,
        np.nan if factor is None else factor,
        metrics.total_closed_trades,
    )


def _a_bar_later(signals: BoolArray) -> BoolArray:
    later = np.zeros_like(signals)
    later[1:] = signals[:-1]
    return later
