"""The bars of a paper run: a window that is traded, and what came before it as history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from engine.errors import DataError
from engine.market.feed import LoadedMarket, MarketRequest, load_history, load_market
from engine.types import MS_PER_DAY, Bars, timeframe_ms


@dataclass(frozen=True, slots=True, eq=False)
class PaperMarket:
    """Bars by symbol, and where trading begins in each.

    Attributes
    ----------
    loaded : the traded window, with its labels and gaps
    series : history and window
    starts : by symbol, index of the first traded bar
    """

    loaded: LoadedMarket
    series: Mapping[str, Bars]
    starts: Mapping[str, int]

    def traded(self, symbol: str) -> Bars:
        """Return the bars of a symbol that are traded."""
        return self.series[symbol].slice(self.starts[symbol], len(self.series[symbol]))


def paper_market(request: MarketRequest, history_bars: int) -> PaperMarket:
    """Load the window that a request asks for, and up to `history_bars` bars before it.

    Raises
    ------
    UsageError, DataError, NonFiniteError, VenueError : as `load_market`.
    DataError : nothing is left to trade.
    """
    window = load_market(request)
    history_ms = history_bars * timeframe_ms(request.timeframe)
    # Looking back fetches nothing: history is what is there.
    whole = load_history(
        replace(request, source="store" if request.source == "ccxt" else request.source),
        window.start_at - history_ms,
        window.end_at,
    )
    starts = {
        symbol: int(np.searchsorted(bars.timestamp, window.start_at))
        for symbol, bars in whole.series.items()
    }
    for symbol, bars in whole.series.items():
        if starts[symbol] >= len(bars):
            raise DataError(
                f"{symbol}: no {request.timeframe} bars in the last {request.days} days",
                symbol=symbol,
            )
    return PaperMarket(window, whole.series, starts)


def n_days(market: PaperMarket) -> float:
    """Return the length of the traded window, days."""
    return (market.loaded.end_at - market.loaded.start_at) / MS_PER_DAY
