"""What a due order becomes: its fills at the price that is known, and its end."""

from __future__ import annotations

import hashlib
from decimal import ROUND_FLOOR, Decimal

from engine.trade.instrument import ZERO, Instrument, round_price
from engine.trade.orders import OrderState, OrderType, Side
from engine.trade.simulated.book_order import BookOrder, TimeInForce, VenueEvent
from engine.trade.simulated.order_book import OrderBook
from engine.trade.simulated.rules import VenueRules
from engine.trade.simulated.symbol_market import Due, SymbolMarket


class Executor:
    """Work due orders on one account's books.

    Parameters
    ----------
    book : OrderBook
    rules : VenueRules
    seed : int, >= 0; with an order's number it decides on partial fills
    """

    def __init__(self, book: OrderBook, rules: VenueRules, seed: int) -> None:
        self._book = book
        self._rules = rules
        self._seed = seed

    def work(self, due: Due, market: SymbolMarket, instrument: Instrument) -> list[VenueEvent]:
        """Fill or end the order, or leave it alone until the next price."""
        order = due.order
        if order.new.type is not OrderType.LIMIT:
            return self._take(order, due.price, market, instrument, None)
        limit = order.new.price
        if due.is_maker:
            return self._make(order, due.price, market, instrument)
        order.is_resting = True
        kind = order.new.time_in_force
        events = []
        if kind is not TimeInForce.POST_ONLY:
            if kind is not TimeInForce.ALL_OR_NOTHING or self._fits(order, due, market, instrument):
                events = self._take(order, due.price, market, instrument, limit)
        market.leave_alone(order)
        if order.is_open and kind in (TimeInForce.IMMEDIATE, TimeInForce.ALL_OR_NOTHING):
            reason = f"{kind} order found nothing more at its price"
            events.append(self._book.end(order, OrderState.EXPIRED, reason, market.at))
        return events

    def slipped(self, price: Decimal, side: Side, instrument: Instrument) -> Decimal:
        """Return `price` moved against the trader and rounded to a tick the same way."""
        moved = price * (1 + side.sign * self._rules.slippage_frac)
        if moved < instrument.tick:
            return instrument.tick
        return round_price(moved, instrument, "up" if side is Side.BUY else "down")

    def _take(
        self,
        order: BookOrder,
        price: Decimal,
        market: SymbolMarket,
        instrument: Instrument,
        limit: Decimal | None,
    ) -> list[VenueEvent]:
        # Meet what is offered, best first. A limit order may rest afterwards, another one ends.
        events: list[VenueEvent] = []
        offers = market.depth.offers(order.new.side)
        steps = offers or [(self.slipped(price, order.new.side, instrument), None)]
        if offers and offers[-1][1] is not None:
            # Beyond what is known of the depth somebody sells, at a worse price.
            steps = [*steps, (self.slipped(offers[-1][0], order.new.side, instrument), None)]
        for offered, there in steps:
            if limit is not None and (offered - limit) * order.new.side.sign > 0:
                break
            qty, why_less = self._fillable(order, offered, instrument)
            is_last = there is None or qty <= there
            if there is not None and not is_last:
                qty = _lots(there, instrument)
            if qty > 0:
                events.append(self._book.fill(order, qty, offered, market.at))
                if offers:
                    market.depth.take(order.new.side, offered, qty)
            if is_last:
                if limit is None or why_less:
                    events.extend(self._finish(order, why_less, market.at))
                return events
        return events

    def _make(
        self, order: BookOrder, limit: Decimal, market: SymbolMarket, instrument: Instrument
    ) -> list[VenueEvent]:
        market.leave_alone(order)
        qty, why_less = self._fillable(order, limit, instrument)
        part = _lots(qty * self._share(order), instrument)
        if 0 < part < qty:
            return [self._book.fill(order, part, limit, market.at)]
        events = [self._book.fill(order, qty, limit, market.at)] if qty > 0 else []
        return [*events, *(self._finish(order, why_less, market.at) if why_less else [])]

    def _fillable(
        self, order: BookOrder, price: Decimal, instrument: Instrument
    ) -> tuple[Decimal, str]:
        # How much may fill at `price`, and why that is less than what is left.
        left = order.left_base
        if left is None:
            notional = (order.new.notional_quote or ZERO) - order.filled_quote
            left = _lots(max(ZERO, notional) / price, instrument)
        why_less = ""
        account = self._book.account
        if order.new.reduce_only:
            most = _lots(account.reducible(order.new.symbol, order.new.side, order), instrument)
            if most < left:
                left, why_less = most, "nothing is left to reduce"
        most_paid = account.affordable(order, price)
        if most_paid is not None and most_paid < left:
            left, why_less = _lots(most_paid, instrument), "the balance pays for no more"
        return left, why_less

    def _finish(self, order: BookOrder, why_less: str, at: int) -> list[VenueEvent]:
        if not order.is_open:
            return []
        if order.new.qty_base is None and order.filled_base > 0 and not why_less:
            return [self._book.end(order, OrderState.FILLED, "", at)]
        if order.new.qty_base is None and not why_less:
            why_less = "the notional buys less than one lot"
        return [self._book.end(order, OrderState.EXPIRED, why_less, at)]

    def _fits(
        self, order: BookOrder, due: Due, market: SymbolMarket, instrument: Instrument
    ) -> bool:
        # Whether all of an all-or-nothing order can be had at its limit or better.
        side, limit = order.new.side, order.new.price or ZERO
        offers = market.depth.offers(side)
        if not offers:
            return (self.slipped(due.price, side, instrument) - limit) * side.sign <= 0
        there = ZERO
        for price, qty in offers:
            if (price - limit) * side.sign > 0:
                break
            if qty is None:
                return True
            there += qty
        return there >= (order.left_base or ZERO)

    def _share(self, order: BookOrder) -> Decimal:
        # The share of what is left that fills now: 1, or a part of it by the seed's decision.
        if self._rules.partial_fill_chance <= 0.0:
            return Decimal(1)
        text = f"{self._seed} {order.number} {len(order.fills)}"
        word = hashlib.sha256(text.encode()).digest()
        if int.from_bytes(word[:6]) / 2**48 >= self._rules.partial_fill_chance:
            return Decimal(1)
        return Decimal(10 + word[6] % 80) / 100


def _lots(qty_base: Decimal, instrument: Instrument) -> Decimal:
    return (qty_base / instrument.lot).to_integral_value(ROUND_FLOOR) * instrument.lot
