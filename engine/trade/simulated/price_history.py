"""The closed bars of a simulated venue, at any timeframe its own bars add up to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.errors import VenueRejected
from engine.market.resampling import resample
from engine.trade.simulated.refusals import Refusal, refused
from engine.types import Bars, timeframe_ms


class PriceHistory:
    """Bars by symbol, of which only the closed ones are told.

    Parameters
    ----------
    series : by symbol; may reach into the future
    timeframe : of the bars
    """

    def __init__(self, series: Mapping[str, Bars], timeframe: str) -> None:
        self.timeframe = timeframe
        self._series = dict(series)
        self._step_ms = timeframe_ms(timeframe)

    def closed(self, symbol: str, timeframe: str, since_at: int, now_at: int) -> Bars:
        """Return the bars that open at or after `since_at` and have closed by `now_at`.

        Raises
        ------
        VenueRejected : no such symbol, or a timeframe that cannot be built.
        """
        bars = self._series.get(symbol)
        if bars is None:
            raise refused(Refusal.UNKNOWN_SYMBOL, f"{symbol!r} has no bars here", id=symbol)
        wanted_ms = timeframe_ms(timeframe)
        if wanted_ms % self._step_ms:
            raise VenueRejected(f"{timeframe} bars cannot be built from {self.timeframe} bars")
        from_at = -(-since_at // wanted_ms) * wanted_ms
        start = int(np.searchsorted(bars.timestamp, from_at))
        stop = int(np.searchsorted(bars.timestamp, now_at - self._step_ms, side="right"))
        return resample(bars.slice(start, max(start, stop)), self.timeframe, timeframe)
