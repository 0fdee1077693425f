"""What an account of the simulated venue may do, and what fills make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Protocol

from engine.trade.exchange import VenuePosition
from engine.trade.instrument import ZERO, Instrument
from engine.trade.orders import Side
from engine.trade.simulated.book_order import BookOrder, NewOrder
from engine.trade.simulated.rules import VenueRules

Prices = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Charge:
    """The commission of one fill: `amount` (>= 0) of `asset`."""

    amount: Decimal
    asset: str


class Account(Protocol):
    """What the engine asks of an account, whichever market it trades."""

    def why_not(
        self, new: NewOrder, price: Decimal, resting: list[BookOrder], prices: Prices
    ) -> str:
        """Return why an order cannot be paid for at `price`, empty when it can."""
        ...

    def lock(self, order: BookOrder) -> None:
        """Hold back what a resting order needs."""
        ...

    def release(self, order: BookOrder) -> None:
        """Give back what an order holds, wholly when it ended, else what it needs no more."""
        ...

    def affordable(self, order: BookOrder, price: Decimal) -> Decimal | None:
        """Return the largest quantity that can be paid for at `price`, None for no bound."""
        ...

    def reducible(self, symbol: str, side: Side, order: BookOrder | None = None) -> Decimal:
        """Return how much an order of `side` may reduce, base currency, >= 0."""
        ...

    def fill(self, order: BookOrder, qty_base: Decimal, price: Decimal) -> Charge:
        """Book an execution and return its commission."""
        ...

    def balances(self) -> dict[str, Decimal]:
        """Return what there is in all, by currency, without what is zero."""
        ...

    def positions(self, prices: Prices) -> dict[str, VenuePosition]:
        """Return what is held, by symbol."""
        ...


def commission(notional: Decimal, rules: VenueRules) -> Decimal:
    """Return the commission of a notional (or of a quantity), on the fee's step."""
    steps = (notional * rules.commission_frac / rules.fee_step).to_integral_value(ROUND_HALF_EVEN)
    return steps * rules.fee_step


class SpotAccount:
    """Balances of a spot account: long only, what rests is locked.

    Parameters
    ----------
    instruments : by symbol
    rules : VenueRules
    balances : opening balances by currency, >= 0
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        rules: VenueRules,
        balances: Mapping[str, Decimal],
    ) -> None:
        self._instruments = instruments
        self._rules = rules
        self.total: dict[str, Decimal] = dict(balances)
        self.locked: dict[str, Decimal] = {}

    def free(self, asset: str) -> Decimal:
        """Return what no order holds back."""
        return self.total.get(asset, ZERO) - self.locked.get(asset, ZERO)

    def why_not(
        self, new: NewOrder, price: Decimal, resting: list[BookOrder], prices: Prices
    ) -> str:
        """Return why an order cannot be paid for at `price`, empty when it can."""
        instrument = self._instruments[new.symbol]
        if new.side is Side.BUY:
            asset, needed = instrument.quote, self._cost(new, price)
        else:
            asset = instrument.base
            needed = (
                new.qty_base if new.qty_base is not None else (new.notional_quote or ZERO) / price
            )
        if new.reduce_only:
            return ""
        free = self.free(asset)
        # A notional that was computed in floating point may exceed the balance by its last digit.
        if needed > free * (1 + Decimal("1e-9")):
            return f"{needed:.12g} {asset} needed, {free:.12g} free"
        return ""

    def lock(self, order: BookOrder) -> None:
        """Hold back what a resting order needs."""
        new = order.new
        instrument = self._instruments[new.symbol]
        waits_for_trigger = new.stop_price is not None
        if waits_for_trigger and not self._rules.stops_lock:
            return
        if new.price is None and not waits_for_trigger:
            return
        if new.side is Side.BUY:
            if waits_for_trigger:
                return
            asset, needed = instrument.quote, self._cost(new, new.price or ZERO)
        else:
            asset, needed = instrument.base, new.qty_base or ZERO
        needed = min(needed, max(ZERO, self.free(asset)))
        order.locked, order.locked_asset = needed, asset
        self.locked[asset] = self.locked.get(asset, ZERO) + needed

    def release(self, order: BookOrder) -> None:
        """Give back what an order holds, wholly when it ended, else what it needs no more."""
        if not order.locked:
            return
        still = ZERO
        if order.is_open and order.left_base:
            left = order.left_base
            price = order.new.price or ZERO
            still = left if order.new.side is Side.SELL else self._with_fee(left * price)
            # A reduce-only order may ask for more than there was to lock.
            there = max(ZERO, self.free(order.locked_asset) + order.locked)
            still = min(still, order.locked, there)
        self.locked[order.locked_asset] -= order.locked - still
        order.locked = still

    def affordable(self, order: BookOrder, price: Decimal) -> Decimal | None:
        """Return the largest whole lots that can be paid for at `price`, commission included."""
        instrument = self._instruments[order.new.symbol]
        if order.new.side is Side.SELL:
            return _lots(max(ZERO, self.free(instrument.base) + order.locked), instrument)
        free = max(ZERO, self.free(instrument.quote) + order.locked)
        share = self._rules.commission_frac if self._rules.commission_in == "quote" else ZERO
        qty = _lots(free / (price * (1 + share)), instrument)
        # The commission is rounded to a step, and may be over its share by half of one.
        while qty > 0 and self._cost(replace(order.new, qty_base=qty), price) > free:
            qty -= instrument.lot
        return qty

    def reducible(self, symbol: str, side: Side, order: BookOrder | None = None) -> Decimal:
        """Return how much an order of `side` may reduce, base currency, >= 0."""
        if side is Side.BUY:
            return ZERO
        own = order.locked if order is not None else ZERO
        return max(ZERO, self.free(self._instruments[symbol].base) + own)

    def fill(self, order: BookOrder, qty_base: Decimal, price: Decimal) -> Charge:
        """Book an execution and return its commission."""
        instrument = self._instruments[order.new.symbol]
        base, quote = instrument.base, instrument.quote
        sign = order.new.side.sign
        notional = qty_base * price
        in_base = self._rules.commission_in == "received" and order.new.side is Side.BUY
        fee = commission(qty_base if in_base else notional, self._rules)
        fee_base, fee_quote = (fee, ZERO) if in_base else (ZERO, fee)
        self.total[base] = self.total.get(base, ZERO) + sign * qty_base - fee_base
        self.total[quote] = self.total.get(quote, ZERO) - sign * notional - fee_quote
        return Charge(fee, base if in_base else quote)

    def balances(self) -> dict[str, Decimal]:
        """Return what there is in all, by currency, without what is zero."""
        return {asset: total for asset, total in self.total.items() if total}

    def positions(self, prices: Prices) -> dict[str, VenuePosition]:
        """Return the base currencies that are held, by symbol."""
        held = {s: self.total.get(i.base, ZERO) for s, i in self._instruments.items()}
        return {symbol: VenuePosition(symbol, base) for symbol, base in held.items() if base}

    def _with_fee(self, notional: Decimal) -> Decimal:
        if self._rules.commission_in == "received":
            return notional
        return notional + commission(notional, self._rules) + self._rules.fee_step

    def _cost(self, new: NewOrder, price: Decimal) -> Decimal:
        if new.qty_base is None:
            return new.notional_quote or ZERO
        notional = new.qty_base * price
        if self._rules.commission_in == "received":
            return notional
        return notional + commission(notional, self._rules)


def _lots(qty_base: Decimal, instrument: Instrument) -> Decimal:
    return (qty_base / instrument.lot).to_integral_value(ROUND_FLOOR) * instrument.lot
