"""Prices between the bars: each bar walked as open, nearer extreme, other extreme, close, in time.

Pure functions of the bars, so that a walk that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from engine.trade.simulated.exact import decimal_of
from engine.types import Bars


@dataclass(frozen=True, slots=True)
class PriceStep:
    """The price of one symbol at one instant.

    Attributes
    ----------
    at : UTC ms
    is_jump : nothing lies between this price and the one before, as at a bar's open
    bid, ask : quotes, None where only a price is known
    """

    symbol: str
    at: int
    price: Decimal
    is_jump: bool = False
    bid: Decimal | None = None
    ask: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FormingBar:
    """The bar that has not closed yet, as far as it has been walked."""

    open_at: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: float


class SymbolWalk:
    """The walk through one symbol's bars.

    Parameters
    ----------
    bars : Bars; a gap stands still at the last close
    step_ms : length of a bar
    tick : prices between the corners of the walk are rounded to it
    """

    def __init__(self, symbol: str, bars: Bars, step_ms: int, tick: Decimal) -> None:
        self.symbol = symbol
        self.bars = bars
        self._step_ms = step_ms
        self._tick = tick

    @property
    def ends_at(self) -> int:
        """Return when the last bar closes; from then on the price stands still."""
        return int(self.bars.timestamp[-1]) + self._step_ms

    def steps(self, after_at: int, to_at: int) -> Iterator[PriceStep]:
        """Yield the corners of the walk after one instant and up to another, and where it stands.

        The last step is the price at `to_at`, unless a corner is there already.
        """
        first = max(0, int(np.searchsorted(self.bars.timestamp, after_at, side="right")) - 1)
        last_at = after_at
        for i in range(first, len(self.bars)):
            open_at = int(self.bars.timestamp[i])
            if open_at > to_at:
                break
            for k, (at, price) in enumerate(self._corners(i)):
                if after_at < at <= to_at:
                    yield PriceStep(self.symbol, at, price, is_jump=k == 0)
                    last_at = at
        if last_at < to_at <= self.ends_at:
            yield PriceStep(self.symbol, to_at, self.price_at(to_at))

    def price_at(self, at: int) -> Decimal:
        """Return the price at an instant; before the first bar its open."""
        i = int(np.searchsorted(self.bars.timestamp, at, side="right")) - 1
        if i < 0:
            return decimal_of(self.bars.open[0])
        corners = self._corners(i)
        k = bisect_right(corners, at, key=lambda corner: corner[0]) - 1
        at_k, price = corners[k]
        if k == len(corners) - 1 or at == at_k:
            return price
        next_at, next_price = corners[k + 1]
        between = price + (next_price - price) * (at - at_k) / (next_at - at_k)
        steps = (between / self._tick).to_integral_value(ROUND_HALF_EVEN)
        return max(steps * self._tick, self._tick)

    def forming(self, at: int) -> FormingBar | None:
        """Return the bar that is open at an instant, None when none is."""
        i = int(np.searchsorted(self.bars.timestamp, at, side="right")) - 1
        if i < 0 or at >= int(self.bars.timestamp[i]) + self._step_ms:
            return None
        open_at = int(self.bars.timestamp[i])
        seen = [price for corner_at, price in self._corners(i) if corner_at <= at]
        seen.append(self.price_at(at))
        part = (at - open_at) / self._step_ms
        return FormingBar(
            open_at, seen[0], max(seen), min(seen), seen[-1], float(self.bars.volume[i]) * part
        )

    def _corners(self, i: int) -> list[tuple[int, Decimal]]:
        bars, step_ms = self.bars, self._step_ms
        open_at = int(bars.timestamp[i])
        open_, high = decimal_of(bars.open[i]), decimal_of(bars.high[i])
        low, close = decimal_of(bars.low[i]), decimal_of(bars.close[i])
        first, second = (high, low) if high - open_ <= open_ - low else (low, high)
        return [
            (open_at, open_),
            (open_at + step_ms // 3, first),
            (open_at + 2 * step_ms // 3, second),
            # Just before the close, so that a bar that has closed has been walked whole.
            (open_at + step_ms - 1, close),
        ]
