"""The simulated venue's engine: orders and prices in, events out; pure and deterministic.

It knows no clock, no network and no random state: the time comes with each call, and whether a
limit order is filled in parts follows from the seed and the order's number.

Bars follow the backtest's rules (SPEC section 4). At the open: stops that it gapped through fill
there; then market orders in order of arrival; then targets it gapped through. Inside: stops at
their level, then targets at theirs, then resting limit orders the price went through. After the
close market orders wait for the next open. Every fill but a limit order's is moved by slippage.

One thing happens at a time: `advance` works the next order that is due and returns what happened,
so that whoever trades may answer each fill at the very price it happened at. The `show_...` methods
only set the price; the `on_...` methods also advance until nothing is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from engine.errors import UsageError
from engine.trade.exchange import AccountView, Fill, Ticker, VenueOrder
from engine.trade.instrument import Instrument
from engine.trade.orders import OrderState, OrderType, Side
from engine.trade.simulated.accounts import SpotAccount
from engine.trade.simulated.book_order import NewOrder, VenueEvent
from engine.trade.simulated.exact import exact
from engine.trade.simulated.execution import Executor
from engine.trade.simulated.liquidation import liquidate
from engine.trade.simulated.order_book import OrderBook
from engine.trade.simulated.order_checks import check_new_order
from engine.trade.simulated.perp_account import PerpAccount
from engine.trade.simulated.refusals import Refusal, refused
from engine.trade.simulated.rules import VenueRules
from engine.trade.simulated.symbol_market import Phase, SymbolMarket


class MatchingEngine:
    """Match the orders of one account on the prices it is shown.

    Parameters
    ----------
    instruments : what is listed, by symbol; all of one market type
    rules : VenueRules
    balances : opening balances by currency
    seed : int, >= 0, of partial fills

    Attributes
    ----------
    book : its orders and fills
    account : its balances and positions
    markets : the prices it was shown, by symbol

    Raises
    ------
    UsageError : no instruments, or spot and perpetuals at once.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        rules: VenueRules,
        balances: Mapping[str, Decimal],
        seed: int = 0,
    ) -> None:
        types = {instrument.market_type for instrument in instruments.values()}
        if len(types) != 1:
            raise UsageError("a simulated exchange lists spot or perpetuals: one of them, not both")
        self.instruments = dict(instruments)
        self.rules = rules
        self.is_perp = types == {"perp"}
        self.account: SpotAccount | PerpAccount = (PerpAccount if self.is_perp else SpotAccount)(
            self.instruments, rules, balances
        )
        self.book = OrderBook(self.instruments, self.account)
        self.markets = {symbol: SymbolMarket() for symbol in self.instruments}
        self._executor = Executor(self.book, rules, seed)

    # Orders

    @exact
    def place(self, new: NewOrder, now_at: int) -> list[VenueEvent]:
        """Take an order; what can be filled at the price of now is filled by `advance`.

        Raises
        ------
        VenueRejected : its field `refusal` names the reason.
        """
        market = self._market(new.symbol)
        instrument = self.instruments[new.symbol]
        check_new_order(new, instrument, market, self.book, self.rules, self.prices())
        market.at = max(market.at, now_at)
        order = self.book.add(new, now_at)
        if market.phase is Phase.CLOSED and new.type is OrderType.LIMIT:
            order.is_resting = (new.price or 0) * new.side.sign < market.price * new.side.sign
        if market.phase is Phase.INSIDE and new.type is not OrderType.STOP:
            # Whether the bar's extremes came before or after it is unknown: the worse is taken.
            market.leave_alone(order)
        return [VenueEvent(order.told())]

    @exact
    def cancel(
        self, symbol: str, client_id: str, now_at: int, reason: str = "cancelled"
    ) -> list[VenueEvent]:
        """Cancel an order; one that ended already is left as it ended, without an event.

        Raises
        ------
        VenueRejected : no such order.
        """
        order = self.book.find(client_id)
        if order is None or order.new.symbol != symbol:
            raise refused(Refusal.UNKNOWN_ORDER, f"{symbol}: no order {client_id}", id=client_id)
        if not order.is_open:
            return []
        return [self.book.end(order, OrderState.CANCELED, reason, now_at)]

    def order(self, client_id: str) -> VenueOrder | None:
        """Return an order by its client id."""
        order = self.book.find(client_id)
        return None if order is None else order.told()

    def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """Return the orders that may still fill, oldest first."""
        found = [
            order
            for name, orders in self.book.open.items()
            if symbol in (None, name)
            for order in orders.values()
        ]
        return [order.told() for order in sorted(found, key=lambda order: order.number)]

    def fills(self, symbol: str, since_at: int = 0) -> list[Fill]:
        """Return the fills of a symbol at or after an instant, oldest first."""
        self._market(symbol)
        return [fill for fill in self.book.trades[symbol] if fill.at >= since_at]

    # What the account sees

    @exact
    def view(self, now_at: int) -> AccountView:
        """Return balances and positions."""
        return AccountView(now_at, self.account.balances(), self.account.positions(self.prices()))

    @exact
    def ticker(self, symbol: str) -> Ticker:
        """Return quotes: those of the ticks, else the last price and slippage around it.

        Raises
        ------
        VenueRejected : no such symbol, or no price yet.
        """
        market = self._market(symbol)
        if market.phase is Phase.SILENT:
            raise refused(Refusal.NO_PRICE, f"{symbol} has no price yet")
        bid, ask = market.depth.bid, market.depth.ask
        if bid is None or ask is None:
            instrument = self.instruments[symbol]
            bid = self._executor.slipped(market.price, Side.SELL, instrument)
            ask = self._executor.slipped(market.price, Side.BUY, instrument)
        return Ticker(symbol, bid, ask, market.price, market.at)

    def prices(self) -> dict[str, Decimal]:
        """Return the last price of each symbol, 0 where none is known."""
        return {symbol: market.price for symbol, market in self.markets.items()}

    # Prices

    @exact
    def advance(self, symbol: str) -> list[VenueEvent]:
        """Work the next order that is due; nothing when none is."""
        market = self.markets[symbol]
        while True:
            due = market.next_due(self.book.open[symbol].values(), self.rules.fills_on_touch)
            if due is None:
                return self._liquidations(symbol)
            events = self._executor.work(due, market, self.instruments[symbol])
            if events:
                if isinstance(self.account, PerpAccount):
                    self.account.cover_ruin()
                return events

    def settle(self, symbol: str) -> list[VenueEvent]:
        """Advance until nothing is due, and return all that happened."""
        happened: list[VenueEvent] = []
        while events := self.advance(symbol):
            happened.extend(events)
        return happened

    def show_open(self, symbol: str, open_: Decimal, at: int) -> None:
        """Show the open of a bar: a jump from wherever the price was."""
        self._market(symbol).show(Phase.AT_PRICE, open_, at)

    def show_inside(self, symbol: str, low: Decimal, high: Decimal, at: int) -> None:
        """Show the extremes of the bar whose open was shown."""
        self._market(symbol).enter_bar(low, high, at)

    def show_close(self, symbol: str, close: Decimal, at: int) -> None:
        """Show the close of the bar; what comes now waits for the next open."""
        self._market(symbol).show(Phase.CLOSED, close, at)

    def show_jump(self, symbol: str, price: Decimal, at: int) -> None:
        """Show a price that nothing lies between and the one before."""
        self._market(symbol).show(Phase.AT_PRICE, price, at)

    def show_move(self, symbol: str, price: Decimal, at: int) -> None:
        """Show a price that was reached through everything between it and the one before."""
        self._market(symbol).walk_to(price, at)

    def show_quote(
        self,
        symbol: str,
        bid: Decimal,
        ask: Decimal,
        at: int,
        bid_qty: Decimal | None = None,
        ask_qty: Decimal | None = None,
    ) -> None:
        """Show best quotes; quantities in base currency, None for unlimited."""
        market = self._market(symbol)
        market.depth.quote(bid, ask, bid_qty, ask_qty)
        # Quotes trigger nothing: the price stays that of the last trade.
        price = market.price if market.phase is not Phase.SILENT else (bid + ask) / 2
        market.show(Phase.AT_PRICE, price, at)

    def on_bar_open(self, symbol: str, open_: Decimal, at: int) -> list[VenueEvent]:
        """Show a bar's open and do all that is due at it."""
        self.show_open(symbol, open_, at)
        return self.settle(symbol)

    def on_bar_inside(self, symbol: str, low: Decimal, high: Decimal, at: int) -> list[VenueEvent]:
        """Show a bar's extremes and do all that is due inside it."""
        self.show_inside(symbol, low, high, at)
        return self.settle(symbol)

    def on_bar_close(self, symbol: str, close: Decimal, at: int) -> list[VenueEvent]:
        """Show a bar's close."""
        self.show_close(symbol, close, at)
        return self.settle(symbol)

    def on_move(self, symbol: str, price: Decimal, at: int) -> list[VenueEvent]:
        """Walk to a price and do all that is due on the way."""
        self.show_move(symbol, price, at)
        return self.settle(symbol)

    def on_quote(
        self,
        symbol: str,
        bid: Decimal,
        ask: Decimal,
        at: int,
        bid_qty: Decimal | None = None,
        ask_qty: Decimal | None = None,
    ) -> list[VenueEvent]:
        """Show best quotes and do all that is due at them."""
        self.show_quote(symbol, bid, ask, at, bid_qty, ask_qty)
        return self.settle(symbol)

    def on_trade(self, symbol: str, price: Decimal, at: int) -> list[VenueEvent]:
        """Show a trade of others and do all that it triggers."""
        self.show_jump(symbol, price, at)
        return self.settle(symbol)

    def on_depth(self, symbol: str, side: Side, price: Decimal, qty_base: Decimal) -> None:
        """Show one level of depth (side BUY for bids); 0 removes it. It triggers nothing."""
        self._market(symbol).depth.level(side, price, qty_base)

    def _market(self, symbol: str) -> SymbolMarket:
        market = self.markets.get(symbol)
        if market is None:
            listed = " ".join(sorted(self.markets))
            raise refused(
                Refusal.UNKNOWN_SYMBOL, f"{symbol!r} is not listed here: {listed} are", id=symbol
            )
        return market

    def _liquidations(self, symbol: str) -> list[VenueEvent]:
        if isinstance(self.account, PerpAccount) and self.account.held:
            return liquidate(self.book, self.account, self.markets, symbol, self.rules)
        return []
