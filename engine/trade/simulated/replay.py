"""Play stored prices on a simulated exchange in this process: bars, or recorded ticks."""

from __future__ import annotations

from collections.abc import Mapping

from engine.clock import FakeClock
from engine.trade.simulated.exact import decimal_of
from engine.trade.simulated.exchange import SimulatedExchange
from engine.types import Bars, timeframe_ms


class BarReplay:
    """Play the bars of several symbols side by side, one step a bar.

    Parameters
    ----------
    exchange : SimulatedExchange
    clock : the exchange's; moved by the replay, never backwards
    series : bars by symbol, gaps allowed
    timeframe : of the bars

    Notes
    -----
    A step opens every bar of one instant (the clock at the open), goes inside all of them (1 ms
    before the close) and closes them (the clock at the close). What is submitted after a step fills
    at the next open.
    """

    def __init__(
        self,
        exchange: SimulatedExchange,
        clock: FakeClock,
        series: Mapping[str, Bars],
        timeframe: str,
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._series = dict(series)
        self._step_ms = timeframe_ms(timeframe)
        self._next = dict.fromkeys(series, 0)

    async def step(self) -> int | None:
        """Play the next bar of every symbol that has one, and return when it closed (UTC ms).

        None when all bars have been played.
        """
        opens = {
            symbol: int(bars.timestamp[self._next[symbol]])
            for symbol, bars in self._series.items()
            if self._next[symbol] < len(bars)
        }
        if not opens:
            return None
        open_at = min(opens.values())
        playing = [symbol for symbol, at in opens.items() if at == open_at]
        self._move_clock(open_at)
        for symbol in playing:
            bars, i = self._series[symbol], self._next[symbol]
            await self._exchange.bar_open(symbol, decimal_of(bars.open[i]), open_at)
        close_at = open_at + self._step_ms
        self._move_clock(close_at - 1)
        for symbol in playing:
            bars, i = self._series[symbol], self._next[symbol]
            low, high = decimal_of(bars.low[i]), decimal_of(bars.high[i])
            await self._exchange.bar_inside(symbol, low, high, close_at - 1)
        self._move_clock(close_at)
        for symbol in playing:
            bars, i = self._series[symbol], self._next[symbol]
            await self._exchange.bar_close(symbol, decimal_of(bars.close[i]), close_at)
            self._next[symbol] += 1
        return close_at

    def _move_clock(self, at: int) -> None:
        behind_ms = at - self._clock.now_at()
        if behind_ms > 0:
            self._clock.advance(behind_ms / 1000)
