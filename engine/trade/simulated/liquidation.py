"""Closing what an account can no longer carry, as the venue does it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from engine.trade.orders import OrderState, OrderType, Side
from engine.trade.simulated.book_order import NewOrder, VenueEvent
from engine.trade.simulated.order_book import OrderBook
from engine.trade.simulated.perp_account import PerpAccount
from engine.trade.simulated.rules import VenueRules
from engine.trade.simulated.symbol_market import Phase, SymbolMarket

PREFIX = "autoclose-"
"""Of the client id of an order that the venue made to liquidate."""


def liquidate(
    book: OrderBook,
    account: PerpAccount,
    markets: Mapping[str, SymbolMarket],
    symbol: str,
    rules: VenueRules,
) -> list[VenueEvent]:
    """Close every position when equity has fallen to maintenance, then cancel what rests.

    Parameters
    ----------
    symbol : whose price was just shown; its position is closed where equity met maintenance, if the
        price went through there, the others at their last prices

    Notes
    -----
    Without a maintenance fraction that is asked at a bar's close only, as in the backtest. What the
    wallet lacks afterwards the venue bears.
    """
    market = markets[symbol]
    if not rules.maintenance_frac and market.phase is not Phase.CLOSED:
        return []
    prices = {name: known.price for name, known in markets.items()}
    if any(not prices[name] for name in account.held):
        return []
    prices[symbol] = worst_price(market, account, symbol)
    if account.equity(prices) > account.maintenance(prices):
        return []
    limit = account.liquidation_price(symbol, prices)
    if limit is not None and market.went_through(limit):
        prices[symbol] = limit
    events = []
    for name in sorted(account.held):
        events.extend(_close(book, account, name, prices[name], market.at))
    account.cover_ruin()
    resting = [order for orders in book.open.values() for order in orders.values()]
    for order in resting:
        events.append(book.end(order, OrderState.CANCELED, "liquidated", market.at))
    return events


def worst_price(market: SymbolMarket, account: PerpAccount, symbol: str) -> Decimal:
    """Return the worst price for a position that is known of now: inside a bar its extreme."""
    held = account.held.get(symbol)
    if market.phase is not Phase.INSIDE or held is None:
        return market.price
    return market.low if held.signed_base > 0 else market.high


def _close(
    book: OrderBook, account: PerpAccount, symbol: str, price: Decimal, at: int
) -> list[VenueEvent]:
    held = account.held[symbol].signed_base
    new = NewOrder(
        client_id=f"{PREFIX}{book.n_orders + 1}",
        symbol=symbol,
        side=Side.SELL if held > 0 else Side.BUY,
        type=OrderType.MARKET,
        qty_base=abs(held),
        reduce_only=True,
    )
    order = book.add(new, at)
    accepted = VenueEvent(order.told())
    filled = book.fill(order, abs(held), price, at)
    order.reason = "liquidated"
    if order.state is not OrderState.FILLED:
        book.end(order, OrderState.FILLED, "liquidated", at)
    return [accepted, VenueEvent(order.told(), filled.fill)]
