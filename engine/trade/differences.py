"""Values of a comparison: trades of a backtest, what is on record of paper, and how they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from engine.backtest.run import BacktestResult, Trade
from engine.risk.verdict import RiskVerdict
from engine.trade.instrument import Instrument
from engine.trade.orders import Order
from engine.trade.round_trips import OpenTrade, RoundTrip
from engine.types import IntArray


class DifferenceCause(StrEnum):
    """Why a paper trade is not the backtest's."""

    NONE = "none"
    """Nothing on record explains it: a bug."""
    EARLIER = "earlier difference"
    """It follows from an earlier difference: another position, or another capital."""
    LIMIT = "limit"
    """The risk officer refused the entry, or made it smaller."""
    HALTED = "halted"
    """The account did not take orders that add exposure."""
    NETTING = "netting"
    """Another strategy of the account held the other side, and the venue keeps one position."""
    VENUE_RULE = "venue rule"
    """The venue refused the order: minimum size, margin."""
    LATENCY = "latency"
    PARTIAL_FILL = "partial fill"
    FAULT = "fault"
    """A lost or refused message, an outage."""
    ROUNDING = "rounding"
    """Ticks, lots, and what fees are rounded to."""
    MISSED_BAR = "missed bar"
    """No decision was made at that bar, or it did not follow the one before."""
    FEE_ASSET = "fee asset"
    """The fee was not taken in quote currency."""
    RUIN = "ruin"
    """The backtest loses its capital and no more; on paper a gap may cost more than that."""
    MONITOR = "monitor"
    """Closed by the position monitor, the kill switch or the operator."""


@dataclass(frozen=True, slots=True)
class LoggedTrade:
    """A trade of the backtest, in time instead of bars.

    Attributes
    ----------
    decided_at : UTC ms, open of the bar whose close decided the entry
    entry_at, exit_at : UTC ms, open of the bar of the fill; exit_at None while open
    """

    decided_at: int
    side: int
    entry_at: int
    entry: float
    exit_at: int | None
    exit: float
    reason: str
    qty_base: float
    pnl_quote: float
    net_return: float


@dataclass(frozen=True, slots=True)
class PaperRecord:
    """Everything on record of a strategy's paper trading on one symbol.

    Attributes
    ----------
    orders : its own, oldest first
    verdicts : of the risk officer, by client id
    missed_bars : opens (UTC ms) of bars that were not decided on in time, or did not follow
    latency_ms, has_faults : how the venue was set up
    fee_in_base : commissions were taken in what a fill brought
    """

    trips: Sequence[RoundTrip]
    open_trade: OpenTrade | None
    orders: Sequence[Order]
    instrument: Instrument
    bar_ms: int
    verdicts: Mapping[str, RiskVerdict] = field(default_factory=dict)
    missed_bars: Collection[int] = ()
    latency_ms: int = 0
    has_faults: bool = False
    fee_in_base: bool = False


@dataclass(frozen=True, slots=True)
class TradeDifference:
    """One thing in which two trades differ.

    Attributes
    ----------
    what : entry, trade, exit bar, reason, side, entry price, exit price, quantity, pnl, return
    backtest, paper : either side's, in words
    """

    what: str
    backtest: str
    paper: str
    cause: DifferenceCause
    words: str


@dataclass(frozen=True, slots=True)
class TradePair:
    """A trade of the backtest and its paper trade; one of them may be missing."""

    decided_at: int
    backtest: LoggedTrade | None
    paper: RoundTrip | OpenTrade | None
    differences: tuple[TradeDifference, ...]

    @property
    def cause(self) -> DifferenceCause | None:
        """Return the cause of its first difference, `NONE` when any has none; None when equal."""
        if not self.differences:
            return None
        causes = [difference.cause for difference in self.differences]
        return DifferenceCause.NONE if DifferenceCause.NONE in causes else causes[0]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All trades of one strategy on one symbol, paired.

    Attributes
    ----------
    pairs : in the order of decisions
    backtest_pnl_quote, paper_pnl_quote : over closed trades
    """

    pairs: tuple[TradePair, ...]
    backtest_pnl_quote: float
    paper_pnl_quote: float

    @property
    def n_equal(self) -> int:
        """Return how many trades are the same."""
        return sum(not pair.differences for pair in self.pairs)

    @property
    def by_cause(self) -> dict[DifferenceCause, int]:
        """Return how many trades differ, by cause."""
        counts = Counter(pair.cause for pair in self.pairs if pair.cause is not None)
        return {cause: counts[cause] for cause in DifferenceCause if counts[cause]}

    @property
    def n_unexplained(self) -> int:
        """Return how many trades differ and nothing says why."""
        return self.by_cause.get(DifferenceCause.NONE, 0)


def logged_trades(result: BacktestResult, timestamp: IntArray) -> tuple[LoggedTrade, ...]:
    """Return a backtest's trades, the open one last.

    Parameters
    ----------
    timestamp : ndarray of shape (n_bars,), int64, UTC ms, of the whole series that its bar numbers
        count in
    """
    trades: Iterable[Trade] = result.trades
    if result.open_trade is not None:
        trades = (*result.trades, result.open_trade)
    return tuple(_logged(trade, timestamp) for trade in trades)


def _logged(trade: Trade, timestamp: IntArray) -> LoggedTrade:
    is_open = trade.exit_bar is None or trade.exit is None
    return LoggedTrade(
        decided_at=int(timestamp[trade.entry_bar - 1]),
        side=trade.side,
        entry_at=int(timestamp[trade.entry_bar]),
        entry=trade.entry,
        exit_at=None if trade.exit_bar is None else int(timestamp[trade.exit_bar]),
        exit=0.0 if trade.exit is None else trade.exit,
        reason="" if is_open else trade.reason or "",
        qty_base=trade.qty_base,
        pnl_quote=trade.pnl_quote,
        net_return=trade.net_return,
    )
