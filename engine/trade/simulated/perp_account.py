"""A perpetuals account: one wallet in the quote currency, one netting position per symbol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from engine.errors import UsageError
from engine.trade.exchange import VenuePosition
from engine.trade.instrument import ZERO, Instrument
from engine.trade.orders import Side
from engine.trade.simulated.accounts import Charge, Prices, commission
from engine.trade.simulated.book_order import BookOrder, NewOrder
from engine.trade.simulated.rules import VenueRules

_COST_STEP = Decimal("1e-18")


@dataclass(slots=True)
class PerpPosition:
    """A netting position.

    Attributes
    ----------
    signed_base : base currency, negative for a short
    cost_quote : signed sum of price x quantity of what is open; over `signed_base` it is the mean
        entry price
    """

    signed_base: Decimal = ZERO
    cost_quote: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal | None:
        """Return the mean entry price, None when flat."""
        return self.cost_quote / self.signed_base if self.signed_base else None

    def unrealized(self, price: Decimal) -> Decimal:
        """Return the profit of closing at `price`, costs apart."""
        return self.signed_base * price - self.cost_quote


class PerpAccount:
    """The wallet and positions of a cross-margined perpetuals account.

    Parameters
    ----------
    instruments : by symbol, all of one quote currency
    rules : VenueRules
    balances : opening balance of the quote currency; no other counts

    Attributes
    ----------
    insured_quote : losses beyond the wallet that the venue bore when it liquidated

    Raises
    ------
    UsageError : instruments of several quote currencies.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        rules: VenueRules,
        balances: Mapping[str, Decimal],
    ) -> None:
        quotes = sorted({instrument.quote for instrument in instruments.values()})
        if len(quotes) != 1:
            raise UsageError(
                f"a perpetuals account settles in one currency, not in {' and '.join(quotes)}: "
                "choose symbols of one quote currency"
            )
        self.asset = quotes[0]
        self.wallet = balances.get(self.asset, ZERO)
        self.insured_quote = ZERO
        self.held: dict[str, PerpPosition] = {}
        self.leverage: dict[str, Decimal] = {}
        self._rules = rules

    def why_not(
        self, new: NewOrder, price: Decimal, resting: list[BookOrder], prices: Prices
    ) -> str:
        """Return why an order lacks margin, empty when it has enough."""
        if new.reduce_only:
            return ""
        before = self.initial_margin(resting, prices)
        after = self.initial_margin(resting, prices, (new, price))
        equity = self.equity(prices)
        if after > before and after > equity:
            return f"{after:.12g} {self.asset} of margin needed, equity is {equity:.12g}"
        return ""

    def lock(self, order: BookOrder) -> None:
        """Hold back nothing: margin is computed from what rests."""

    def release(self, order: BookOrder) -> None:
        """Give back nothing."""

    def affordable(self, order: BookOrder, price: Decimal) -> Decimal | None:
        """Return no bound: margin was checked when the order came."""
        return None

    def reducible(self, symbol: str, side: Side, order: BookOrder | None = None) -> Decimal:
        """Return how much an order of `side` may reduce, base currency, >= 0."""
        position = self.held.get(symbol)
        if position is None or position.signed_base * side.sign >= 0:
            return ZERO
        return abs(position.signed_base)

    def fill(self, order: BookOrder, qty_base: Decimal, price: Decimal) -> Charge:
        """Book an execution and return its commission."""
        fee = commission(qty_base * price, self._rules)
        self.wallet += self._realize(order.new.symbol, order.new.side.sign * qty_base, price) - fee
        return Charge(fee, self.asset)

    def cover_ruin(self) -> Decimal:
        """Let the venue bear a wallet below zero once nothing is held; return what it bore."""
        if self.held or self.wallet >= 0:
            return ZERO
        missing = -self.wallet
        self.insured_quote += missing
        self.wallet = ZERO
        return missing

    def equity(self, prices: Prices) -> Decimal:
        """Return the wallet and what is not realized, at `prices` by symbol."""
        return self.wallet + sum(
            (held.unrealized(prices[symbol]) for symbol, held in self.held.items()), ZERO
        )

    def maintenance(self, prices: Prices) -> Decimal:
        """Return the equity below which everything is liquidated."""
        notional = sum((abs(p.signed_base) * prices[s] for s, p in self.held.items()), ZERO)
        return notional * self._rules.maintenance_frac

    def initial_margin(
        self,
        resting: list[BookOrder],
        prices: Prices,
        more: tuple[NewOrder, Decimal] | None = None,
    ) -> Decimal:
        """Return the margin of all positions and of the orders that may enlarge them.

        Parameters
        ----------
        more : an order that does not rest yet, and its price
        """
        buys: dict[str, Decimal] = {}
        sells: dict[str, Decimal] = {}
        wanted = [
            (order.new, _wanted_base(order.new, prices[order.new.symbol]) - order.filled_base)
            for order in resting
        ]
        if more is not None:
            wanted.append((more[0], _wanted_base(*more)))
        for new, qty in wanted:
            if not new.reduce_only:
                side = buys if new.side is Side.BUY else sells
                side[new.symbol] = side.get(new.symbol, ZERO) + qty
        total = ZERO
        for symbol in {*self.held, *buys, *sells}:
            held = self.held[symbol].signed_base if symbol in self.held else ZERO
            up, down = held + buys.get(symbol, ZERO), held - sells.get(symbol, ZERO)
            total += max(abs(up), abs(down)) * prices[symbol] / self.leverage_of(symbol)
        return total

    def leverage_of(self, symbol: str) -> Decimal:
        """Return notional / margin of a symbol."""
        return self.leverage.get(symbol, self._rules.leverage)

    def liquidation_price(self, symbol: str, prices: Prices) -> Decimal | None:
        """Return the price of one symbol at which equity meets maintenance, others standing still.

        None when flat or when no positive price does.
        """
        position = self.held.get(symbol)
        if position is None:
            return None
        frac = self._rules.maintenance_frac
        others = self.wallet
        for other, held in self.held.items():
            if other != symbol:
                others += held.unrealized(prices[other])
                others -= abs(held.signed_base) * prices[other] * frac
        slope = position.signed_base - abs(position.signed_base) * frac
        price = (position.cost_quote - others) / slope
        return price if price > 0 else None

    def balances(self) -> dict[str, Decimal]:
        """Return the wallet."""
        return {self.asset: self.wallet}

    def positions(self, prices: Prices) -> dict[str, VenuePosition]:
        """Return what is held, by symbol."""
        return {
            symbol: VenuePosition(
                symbol,
                held.signed_base,
                held.entry_price,
                self.liquidation_price(symbol, prices),
            )
            for symbol, held in self.held.items()
        }

    def _realize(self, symbol: str, signed: Decimal, price: Decimal) -> Decimal:
        position = self.held.setdefault(symbol, PerpPosition())
        profit = ZERO
        held = position.signed_base
        if held * signed < 0:
            closed = min(abs(held), abs(signed))
            released = position.cost_quote
            if closed < abs(held):
                share = position.cost_quote * closed / abs(held)
                released = share.quantize(_COST_STEP, ROUND_HALF_EVEN)
            signed_closed = closed if held > 0 else -closed
            profit = signed_closed * price - released
            position.signed_base -= signed_closed
            position.cost_quote -= released
            signed += signed_closed
        position.signed_base += signed
        position.cost_quote += signed * price
        if not position.signed_base:
            del self.held[symbol]
        return profit


def _wanted_base(new: NewOrder, price: Decimal) -> Decimal:
    if new.qty_base is not None:
        return new.qty_base
    return (new.notional_quote or ZERO) / price if price else ZERO
