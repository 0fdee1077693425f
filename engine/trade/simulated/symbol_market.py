"""The price of one symbol as the engine sees it, and which order is due at it.

Three ways to learn of prices, one set of rules:

- bars: an open (a jump), then the inside known by its extremes only, then the close;
- moves: the price walks from where it was to where it is, and touches everything between;
- ticks: quotes and trades; a trade is a jump, and market orders meet the quotes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, auto

from engine.trade.instrument import ZERO
from engine.trade.orders import OrderType, Side
from engine.trade.simulated.book_order import BookOrder
from engine.trade.simulated.depth import Depth


class Phase(Enum):
    """What is known of the price right now."""

    SILENT = auto()
    """Nothing yet."""
    AT_PRICE = auto()
    """One price at which everything trades: a bar's open, a moving price, the newest tick."""
    INSIDE = auto()
    """Inside a bar: low and high are known, their order is not."""
    CLOSED = auto()
    """A bar has closed; nothing trades before the next open."""


@dataclass(frozen=True, slots=True)
class Due:
    """An order that must be worked now.

    Attributes
    ----------
    price : where it triggers or matches, before slippage
    is_maker : a resting limit order, filled at its own price
    """

    order: BookOrder
    price: Decimal
    is_maker: bool = False


@dataclass(slots=True)
class SymbolMarket:
    """What is known of one symbol's price.

    Attributes
    ----------
    price : where the price is now, 0 while silent; in a move, how far the walk has come
    start, goal : where the walk began and where it ends; equal for a jump
    low, high : extremes of the bar, in phase INSIDE
    at : UTC ms of the newest price
    depth : quotes, empty but for ticks
    """

    phase: Phase = Phase.SILENT
    price: Decimal = ZERO
    start: Decimal = ZERO
    goal: Decimal = ZERO
    low: Decimal = ZERO
    high: Decimal = ZERO
    at: int = 0
    depth: Depth = field(default_factory=Depth)
    _left_alone: set[int] = field(default_factory=set)

    def show(self, phase: Phase, price: Decimal, at: int) -> None:
        """Jump to a price."""
        self.phase = phase
        self.price = self.start = self.goal = price
        self.at = max(self.at, at)
        self._left_alone.clear()

    def walk_to(self, price: Decimal, at: int) -> None:
        """Begin a walk from the price of now."""
        self.show(Phase.AT_PRICE, self.price or price, at)
        self.goal = price

    def enter_bar(self, low: Decimal, high: Decimal, at: int) -> None:
        """Learn the extremes of the bar that has opened."""
        self.show(Phase.INSIDE, self.price, at)
        self.low, self.high = low, high

    def went_through(self, level: Decimal) -> bool:
        """Return whether the price was at `level` since it was last shown, not jumped over it."""
        if self.phase is Phase.INSIDE:
            return self.low <= level <= self.high
        return min(self.start, self.price) <= level <= max(self.start, self.price)

    def next_due(self, orders: Iterable[BookOrder], fills_on_touch: bool) -> Due | None:
        """Return the order to work next, None when nothing is due at this price.

        Parameters
        ----------
        orders : open orders of the symbol, in order of arrival
        """
        if self.phase is Phase.AT_PRICE:
            return self._due_here(orders, fills_on_touch)
        if self.phase is Phase.INSIDE:
            return self._due_inside(orders, fills_on_touch)
        return None

    def leave_alone(self, order: BookOrder) -> None:
        """Leave an order alone until the next price."""
        self._left_alone.add(order.number)

    def _waiting(self, orders: Iterable[BookOrder]) -> list[BookOrder]:
        return [order for order in orders if order.number not in self._left_alone]

    def _due_here(self, orders: Iterable[BookOrder], on_touch: bool) -> Due | None:
        waiting = self._waiting(orders)
        while True:
            here = self._due_at(waiting, self.price, on_touch)
            if here is not None:
                return here
            if self.price == self.goal:
                return None
            self.price = self._next_level(waiting) or self.goal

    def _due_at(self, waiting: list[BookOrder], price: Decimal, on_touch: bool) -> Due | None:
        # Stops first, then what wants to trade anyway, then targets: the backtest's order.
        for order in waiting:
            if order.new.type is OrderType.STOP and is_through(order, price):
                return Due(order, price)
        for order in waiting:
            if order.new.type is OrderType.MARKET:
                return Due(order, price)
        for order in waiting:
            if order.new.type is OrderType.TARGET and is_through(order, price):
                return Due(order, price)
        for order in waiting:
            if order.new.type is OrderType.LIMIT:
                if not order.is_resting:
                    return Due(order, price)
                limit = order.new.price or ZERO
                if self._crosses(order, limit, price, on_touch):
                    return Due(order, limit, is_maker=True)
        return None

    def _crosses(self, order: BookOrder, limit: Decimal, price: Decimal, on_touch: bool) -> bool:
        side = order.new.side
        offer = self.depth.ask if side is Side.BUY else self.depth.bid
        if offer is not None and (limit - offer) * side.sign >= 0:
            return True
        beyond = (limit - price) * side.sign
        if beyond == 0:
            # A walk that goes on through the limit has traded through it the next moment.
            return on_touch or (limit - self.goal) * side.sign > 0
        return beyond > 0

    def _next_level(self, waiting: list[BookOrder]) -> Decimal | None:
        # The nearest trigger or limit strictly between here and the goal.
        up = self.goal > self.price
        low, high = min(self.price, self.goal), max(self.price, self.goal)
        levels = [
            level
            for order in waiting
            if (level := order.new.stop_price or order.new.price) is not None and low < level < high
        ]
        if not levels:
            return None
        return min(levels) if up else max(levels)

    def _due_inside(self, orders: Iterable[BookOrder], on_touch: bool) -> Due | None:
        waiting = self._waiting(orders)
        for kind in (OrderType.STOP, OrderType.TARGET):
            for order in waiting:
                level = order.new.stop_price
                if order.new.type is not kind or level is None:
                    continue
                worst = self.low if _falls_to(order) else self.high
                if is_through(order, worst):
                    return Due(order, min(max(level, self.low), self.high))
        for order in waiting:
            limit = order.new.price
            if order.new.type is not OrderType.LIMIT or limit is None or not order.is_resting:
                continue
            best = self.low if order.new.side is Side.BUY else self.high
            beyond = (limit - best) * order.new.side.sign
            if beyond > 0 or (on_touch and beyond == 0):
                return Due(order, limit, is_maker=True)
        return None


def is_through(order: BookOrder, price: Decimal) -> bool:
    """Return whether `price` has reached the trigger of a stop or target."""
    level = order.new.stop_price
    if level is None:
        return False
    return price <= level if _falls_to(order) else price >= level


def _falls_to(order: BookOrder) -> bool:
    # A stop that sells and a target that buys wait for lower prices.
    return (order.new.type is OrderType.STOP) == (order.new.side is Side.SELL)
