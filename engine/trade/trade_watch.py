"""What is watched of one open trade: bars since its entry, its levels, whether one was touched."""

from __future__ import annotations

import math

from engine.backtest.rules import Rules
from engine.trade.decision import ClosedBar
from engine.trade.exchange import Capabilities
from engine.trade.exit_levels import ExitLevels, exit_levels
from engine.trade.round_trips import OpenTrade
from engine.trade.wishes import Cause


class TradeWatch:
    """Follow one trade from its first fill to its end.

    Parameters
    ----------
    trade : as its first fill opened it
    decided_at : UTC ms of the bar whose close decided the entry, None for a trade nobody here
        decided
    bar_ms : length of a bar

    Attributes
    ----------
    rules : its exits
    decided_at : UTC ms; of a trade nobody decided, the bar before its first fill
    n_bars : closed since the entry, the entry's own bar included
    touched : why it is to be closed at once, None while nothing happened
    """

    def __init__(self, trade: OpenTrade, rules: Rules, decided_at: int | None, bar_ms: int) -> None:
        own_bar_at = trade.entry_at // bar_ms * bar_ms
        self.rules = rules
        self.decided_at = own_bar_at - bar_ms if decided_at is None else decided_at
        self.n_bars = 0
        self.touched: Cause | None = None
        # The venue's clock may be behind: no fill is before the bar after the decision.
        self._entry_bar_at = max(own_bar_at, self.decided_at + bar_ms)
        self._best = -trade.side * math.inf

    def take_bar(self, bar: ClosedBar, trade: OpenTrade, can: Capabilities) -> bool:
        """Take a closed bar; one from before the entry changes nothing and is not taken."""
        if bar.at < self._entry_bar_at:
            return False
        self.take_prices(trade, bar.low, bar.high, can)
        self.n_bars += 1
        self._best = max(self._best, bar.high) if trade.side > 0 else min(self._best, bar.low)
        return True

    def take_prices(self, trade: OpenTrade, low: float, high: float, can: Capabilities) -> None:
        """Notice a level that the venue does not hold for us; the stop comes first."""
        if self.touched is not None or (can.holds_stops and can.rests_both):
            return
        levels = self.levels(trade)
        side = trade.side
        worst, best = (low, high) if side > 0 else (high, low)
        if not can.holds_stops and side * worst <= side * levels.stop:
            self.touched = Cause.STOP if levels.stop == levels.fixed else Cause.TRAILING
        elif levels.target is not None and side * best >= side * levels.target:
            self.touched = Cause.TARGET

    def levels(self, trade: OpenTrade) -> ExitLevels:
        """Return where it ends, by the extremes of the bars taken so far."""
        entry = float(trade.entry)
        extreme = max(entry, self._best) if trade.side > 0 else min(entry, self._best)
        return exit_levels(self.rules, trade.side, entry, extreme)

    def fixed(self, trade: OpenTrade) -> float:
        """Return its stop without trailing."""
        entry = float(trade.entry)
        return exit_levels(self.rules, trade.side, entry, entry).fixed
