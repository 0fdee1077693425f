"""Where the prices of a simulated venue come from: stored, generated or real, behind one port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.errors import DataError
from engine.market.resampling import resample
from engine.trade.instrument import Instrument
from engine.trade.simulated.walk import PriceStep, SymbolWalk
from engine.types import Bars, timeframe_ms


@dataclass(frozen=True, slots=True)
class Kline:
    """One bar, closed or still forming; prices as a venue writes them.

    Attributes
    ----------
    open_at, close_at : UTC ms; the close is that of the whole bar, also while it forms
    """

    open_at: int
    close_at: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class PriceFeed(Protocol):
    """The prices of one market.

    Attributes
    ----------
    refresh_s : real time between two calls of `refresh`
    """

    refresh_s: float

    @property
    def symbols(self) -> Sequence[str]:
        """Return what has prices."""
        ...

    def steps(self, after_at: int, to_at: int) -> list[PriceStep]:
        """Return what happened to the prices after one instant and up to another, oldest first."""
        ...

    async def klines(
        self, symbol: str, timeframe: str, start_at: int | None, end_at: int, limit: int
    ) -> list[Kline]:
        """Return bars, oldest first: from `start_at`, or the newest `limit` when that is None.

        Parameters
        ----------
        end_at : UTC ms, now or earlier; what opens after it is not told

        Raises
        ------
        DataError : a timeframe that is not to be had.
        VenueError : a real exchange does not answer, or refuses.
        """
        ...

    async def refresh(self, now_at: int) -> None:
        """See to it that there are prices for a while after `now_at`."""
        ...

    def is_at_end(self, now_at: int) -> bool:
        """Return whether the prices stand still for ever from now on."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


More = Callable[[int], Mapping[str, Bars] | None]


class BarFeed:
    """Prices walked through bars.

    Parameters
    ----------
    series : bars by symbol
    timeframe : of the bars
    instruments : by symbol, for the tick
    more : given an instant, returns longer series that begin with the same bars, or None when there
        are none; None when it will never have more
    ahead_ms : how far ahead of the clock there must be bars, before more are asked for
    """

    def __init__(
        self,
        series: Mapping[str, Bars],
        timeframe: str,
        instruments: Mapping[str, Instrument],
        more: More | None = None,
        ahead_ms: int = 0,
    ) -> None:
        self.timeframe = timeframe
        self.refresh_s = 10.0
        self._step_ms = timeframe_ms(timeframe)
        self._ticks = {symbol: instruments[symbol].tick for symbol in series}
        self._more = more
        self._ahead_ms = ahead_ms
        self._walks: dict[str, SymbolWalk] = {}
        self._take(series)

    @property
    def symbols(self) -> Sequence[str]:
        """Return what has prices."""
        return tuple(self._walks)

    @property
    def ends_at(self) -> int:
        """Return when the last bar of all closes."""
        return max(walk.ends_at for walk in self._walks.values())

    def steps(self, after_at: int, to_at: int) -> list[PriceStep]:
        """Return what happened to the prices after one instant and up to another, oldest first."""
        found = [step for walk in self._walks.values() for step in walk.steps(after_at, to_at)]
        return sorted(found, key=lambda step: step.at)

    async def klines(
        self, symbol: str, timeframe: str, start_at: int | None, end_at: int, limit: int
    ) -> list[Kline]:
        """Return bars, oldest first: from `start_at`, or the newest `limit` when that is None."""
        wanted_ms = timeframe_ms(timeframe)
        if wanted_ms % self._step_ms:
            raise DataError(f"{timeframe} bars cannot be built from {self.timeframe} bars")
        walk = self._walks[symbol]
        if start_at is None:
            start_at = end_at - limit * wanted_ms
        bars = walk.bars
        if len(bars):
            # As real venues: a question from before the beginning is answered from there.
            start_at = max(start_at, int(bars.timestamp[0]) // wanted_ms * wanted_ms)
        first_at = -(-start_at // wanted_ms) * wanted_ms
        last_at = min(end_at, first_at + limit * wanted_ms)
        start = int(np.searchsorted(bars.timestamp, first_at))
        stop = int(np.searchsorted(bars.timestamp, last_at - self._step_ms, side="right"))
        closed = resample(bars.slice(start, max(start, stop)), self.timeframe, timeframe)
        rows = [_kline(closed, i, wanted_ms) for i in range(len(closed))][:limit]
        if len(rows) < limit:
            rows.extend(self._forming(walk, wanted_ms, first_at, end_at))
        return rows

    async def refresh(self, now_at: int) -> None:
        """Ask for more bars when the clock comes near the last one."""
        if self._more is None or now_at + self._ahead_ms <= self.ends_at:
            return
        longer = await asyncio.to_thread(self._more, now_at + self._ahead_ms)
        if longer is not None:
            self._take(longer)

    def is_at_end(self, now_at: int) -> bool:
        """Return whether every bar has been walked."""
        return now_at >= self.ends_at

    async def close(self) -> None:
        """Let go of nothing."""

    def _take(self, series: Mapping[str, Bars]) -> None:
        for symbol, bars in series.items():
            self._walks[symbol] = SymbolWalk(symbol, bars, self._step_ms, self._ticks[symbol])

    def _forming(self, walk: SymbolWalk, wanted_ms: int, first_at: int, now_at: int) -> list[Kline]:
        open_at = now_at // wanted_ms * wanted_ms
        forming = walk.forming(now_at)
        if open_at < first_at or forming is None:
            return []
        bars = walk.bars
        start = int(np.searchsorted(bars.timestamp, open_at))
        stop = int(np.searchsorted(bars.timestamp, forming.open_at))
        opens = [float(x) for x in bars.open[start:stop]] + [float(forming.open)]
        return [
            Kline(
                open_at=open_at,
                close_at=open_at + wanted_ms - 1,
                open=opens[0],
                high=max([*bars.high[start:stop].tolist(), float(forming.high)]),
                low=min([*bars.low[start:stop].tolist(), float(forming.low)]),
                close=float(forming.close),
                volume=float(bars.volume[start:stop].sum()) + forming.volume,
            )
        ]


def _kline(bars: Bars, i: int, step_ms: int) -> Kline:
    at = int(bars.timestamp[i])
    return Kline(
        open_at=at,
        close_at=at + step_ms - 1,
        open=float(bars.open[i]),
        high=float(bars.high[i]),
        low=float(bars.low[i]),
        close=float(bars.close[i]),
        volume=float(bars.volume[i]),
    )
