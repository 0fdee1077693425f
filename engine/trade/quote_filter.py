"""Quotes that nobody should act on: absurd ones, until a second look confirms them."""

from __future__ import annotations

from decimal import Decimal

from engine.clock import Clock
from engine.trade.exchange import Ticker

JUMP_FRAC = Decimal("0.1")
"""A price that jumps by more between two looks is believed only when it is seen again."""
LIFE_S = 5.0
"""A doubt that is older confirms nothing."""


class QuoteFilter:
    """Let quotes pass, and hold back what looks like an error of the venue.

    A crash is confirmed by the next look, and so is the first price of all; a bad tick costs one
    look, and no position.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._believed: dict[str, Ticker] = {}
        self._doubted: dict[str, tuple[Ticker, float]] = {}

    def take(self, ticker: Ticker) -> Ticker | None:
        """Return the quotes when they may be believed, None otherwise."""
        if not _is_sane(ticker):
            return None
        now_s = self._clock.monotonic_s()
        believed = self._believed.get(ticker.symbol)
        doubted, doubted_s = self._doubted.get(ticker.symbol, (None, 0.0))
        is_confirmed = doubted is not None and now_s - doubted_s <= LIFE_S
        if _is_near(ticker, believed) or (is_confirmed and _is_near(ticker, doubted)):
            self._believed[ticker.symbol] = ticker
            self._doubted.pop(ticker.symbol, None)
            return ticker
        self._doubted[ticker.symbol] = (ticker, now_s)
        return None


def _is_sane(ticker: Ticker) -> bool:
    prices = (ticker.bid, ticker.ask, ticker.last)
    return all(p.is_finite() and p > 0 for p in prices) and ticker.bid <= ticker.ask


def _is_near(ticker: Ticker, other: Ticker | None) -> bool:
    return other is not None and abs(ticker.last - other.last) <= JUMP_FRAC * other.last
