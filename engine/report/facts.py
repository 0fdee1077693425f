"""What a tear sheet tells, as frozen values: nothing here reads, computes or draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.types import FloatArray, IntArray

if TYPE_CHECKING:
    from engine.store.cycles import CycleRow
    from engine.store.events import EventRow
    from engine.store.strategies import LineageRow, StrategyRow
    from engine.store.verdicts import VerdictRow


@dataclass(frozen=True, slots=True)
class TradeFacts:
    """One round trip, flat to flat, costs included.

    Attributes
    ----------
    segment : the segment it belongs to
    side : long or short
    entry_at, exit_at : UTC ms, the open of the bar of each fill
    entry_quote, exit_quote : fill prices, slippage included
    reason : what closed it
    net_return_frac : profit over the equity committed
    """

    segment: str
    side: str
    entry_at: int
    entry_quote: float
    exit_at: int
    exit_quote: float
    reason: str
    qty_base: float
    pnl_quote: float
    net_return_frac: float
    equity_after_quote: float


@dataclass(frozen=True, slots=True, eq=False)
class CurveFacts:
    """What a rerun adds to the ledger's numbers on one segment.

    Attributes
    ----------
    point_at : ndarray of shape (n_bars + 1,), int64, UTC ms: the first bar's open, then each close
    equity_quote : ndarray of shape (n_bars + 1,), float64; the first point is the capital
    months : UTC month, such as 2025-03, to the return inside it, fraction
    trades : closed trades in order
    is_open_at_end : whether a position stood at the last close, marked to market
    """

    point_at: IntArray
    equity_quote: FloatArray
    months: Mapping[str, float]
    trades: tuple[TradeFacts, ...]
    is_open_at_end: bool


@dataclass(frozen=True, slots=True, eq=False)
class SegmentFacts:
    """One strategy on one symbol and segment.

    Attributes
    ----------
    name : fit, validation or holdout
    window_start_at, window_end_at : UTC ms, end exclusive
    metrics : the ledger's numbers by name, nan is undefined; empty when the evaluation failed
    error : why the evaluation failed, empty when it did not
    curve : of the rerun, None when it could not be made
    """

    name: str
    window_start_at: int
    window_end_at: int
    metrics: Mapping[str, float]
    error: str
    curve: CurveFacts | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A number that came out otherwise when the backtest was run again."""

    segment: str
    metric: str
    in_ledger: float
    in_rerun: float


@dataclass(frozen=True, slots=True, eq=False)
class TearSheet:
    """Everything one page says about one strategy on one symbol.

    Attributes
    ----------
    words : the genome in sentences
    genome : canonical JSON
    cycle : the cycle whose evaluations these are
    market_type : spot or perp
    series_hash : content hash of the bars of fit and validation, as the ledger names them
    engine_version : of the ledger's rows
    segments : fit, validation, holdout; those that were never scored are not among them
    n_compared : numbers of the ledger that the rerun was compared with
    differences, warnings : how the rerun differs from the ledger, and why it may
    verdicts : of every gate, this symbol's and others', newest first
    lineage : the strategy itself, then its ancestors, nearest first
    history : changes of its status, oldest first
    capital_quote, commission_frac, slippage_frac : of every backtest here
    trades_file : name of the CSV beside the page
    written_at : UTC ms
    """

    strategy: StrategyRow
    words: tuple[str, ...]
    genome: str
    cycle: CycleRow
    symbol: str
    exchange: str
    market_type: str
    series_hash: str
    engine_version: str
    segments: tuple[SegmentFacts, ...]
    n_compared: int
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]
    verdicts: tuple[VerdictRow, ...]
    lineage: tuple[LineageRow, ...]
    history: tuple[EventRow, ...]
    capital_quote: float
    commission_frac: float
    slippage_frac: float
    trades_file: str
    written_at: int

    def segment(self, name: str) -> SegmentFacts | None:
        """Return one segment, None when the strategy was never scored on it."""
        return next((item for item in self.segments if item.name == name), None)

    @property
    def trades(self) -> tuple[TradeFacts, ...]:
        """Return the closed trades of every segment, oldest entry first."""
        found = [trade for item in self.segments if item.curve for trade in item.curve.trades]
        return tuple(sorted(found, key=lambda trade: trade.entry_at))
