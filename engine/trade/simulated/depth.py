"""Best quotes and depth of one symbol, and what an order finds when it walks them."""

from __future__ import annotations

from decimal import Decimal

from engine.trade.instrument import ZERO
from engine.trade.orders import Side


class Depth:
    """Offers by price on both sides.

    What was taken stays taken until its level is told again, so that no offer is used twice.
    """

    def __init__(self) -> None:
        self._levels: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
        self._taken: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
        self._best: dict[Side, tuple[Decimal, Decimal | None]] = {}

    @property
    def bid(self) -> Decimal | None:
        """Return the best bid, None when unknown."""
        return self._best[Side.BUY][0] if Side.BUY in self._best else None

    @property
    def ask(self) -> Decimal | None:
        """Return the best ask, None when unknown."""
        return self._best[Side.SELL][0] if Side.SELL in self._best else None

    @property
    def has_quotes(self) -> bool:
        """Return whether both sides are quoted."""
        return len(self._best) == 2

    def quote(
        self, bid: Decimal, ask: Decimal, bid_qty: Decimal | None, ask_qty: Decimal | None
    ) -> None:
        """Take the best quotes; quantities in base currency, None for unlimited."""
        for side, price, qty in ((Side.BUY, bid, bid_qty), (Side.SELL, ask, ask_qty)):
            if self._best.get(side) != (price, qty):
                self._taken[side].pop(price, None)
            self._best[side] = (price, qty)

    def level(self, side: Side, price: Decimal, qty_base: Decimal) -> None:
        """Take one level of depth; 0 removes it."""
        self._taken[side].pop(price, None)
        if qty_base > 0:
            self._levels[side][price] = qty_base
        else:
            self._levels[side].pop(price, None)

    def clear(self) -> None:
        """Forget all levels, before a snapshot; the best quotes stay."""
        for side in Side:
            self._levels[side].clear()
            self._taken[side].clear()

    def offers(self, side: Side) -> list[tuple[Decimal, Decimal | None]]:
        """Return what an order of `side` meets, best first: (price, quantity or None)."""
        theirs = side.opposite
        best = self._best.get(theirs)
        if best is None:
            return []
        found: dict[Decimal, Decimal | None] = {best[0]: best[1]}
        # The best quotes are newer than the depth: levels better than them are gone.
        for price, qty in self._levels[theirs].items():
            if (price - best[0]) * side.sign > 0:
                found[price] = qty
        offers = []
        for price in sorted(found, reverse=theirs is Side.BUY):
            qty_there = found[price]
            if qty_there is not None:
                qty_there = max(ZERO, qty_there - self._taken[theirs].get(price, ZERO))
            offers.append((price, qty_there))
        return offers

    def take(self, side: Side, price: Decimal, qty_base: Decimal) -> None:
        """Remember that an order of `side` took a quantity at a price."""
        taken = self._taken[side.opposite]
        taken[price] = taken.get(price, ZERO) + qty_base

    def levels(self, side: Side, n: int) -> list[tuple[Decimal, Decimal | None]]:
        """Return the best `n` levels of a side of the book, best first."""
        return self.offers(side.opposite)[:n]
