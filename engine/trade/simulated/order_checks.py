"""What a venue refuses before it takes an order, with the reason it would name."""

from __future__ import annotations

from decimal import Decimal

from engine.trade.instrument import ZERO, Instrument
from engine.trade.orders import OrderType, Side
from engine.trade.simulated.book_order import BookOrder, NewOrder, TimeInForce
from engine.trade.simulated.order_book import OrderBook
from engine.trade.simulated.refusals import Refusal, refused
from engine.trade.simulated.rules import VenueRules
from engine.trade.simulated.symbol_market import Phase, SymbolMarket, is_through


def check_new_order(
    new: NewOrder,
    instrument: Instrument,
    market: SymbolMarket,
    book: OrderBook,
    rules: VenueRules,
    prices: dict[str, Decimal],
) -> None:
    """Refuse what a venue refuses.

    Raises
    ------
    VenueRejected : its field `refusal` names the reason.
    """
    if book.find(new.client_id) is not None:
        raise refused(
            Refusal.DUPLICATE_ID, f"order id {new.client_id} was used before", id=new.client_id
        )
    if len(book.open[new.symbol]) >= rules.orders_max:
        raise refused(
            Refusal.TOO_MANY_ORDERS, f"{new.symbol}: {rules.orders_max} orders rest already"
        )
    _check_steps(new, instrument)
    _check_minimum(new, instrument, market)
    _check_triggers(new, market, rules)
    if new.reduce_only and new.stop_price is None:
        if not book.account.reducible(new.symbol, new.side):
            raise refused(
                Refusal.NOTHING_TO_REDUCE,
                f"{new.symbol}: no position that a {new.side} would make smaller",
            )
    _check_means(new, market, book, prices)


def _check_steps(new: NewOrder, instrument: Instrument) -> None:
    for name, value in (("price", new.price), ("stop price", new.stop_price)):
        if value is not None and (value <= 0 or value % instrument.tick):
            raise refused(
                Refusal.PRICE_STEP,
                f"{new.symbol}: {name} {value} is not on the tick of {instrument.tick}",
            )
    if new.qty_base is not None and (new.qty_base <= 0 or new.qty_base % instrument.lot):
        raise refused(
            Refusal.QTY_STEP,
            f"{new.symbol}: quantity {new.qty_base} is not on the lot of {instrument.lot}",
        )
    if new.notional_quote is not None and new.notional_quote <= 0:
        raise refused(
            Refusal.QTY_STEP, f"{new.symbol}: notional {new.notional_quote} is not positive"
        )


def _check_minimum(new: NewOrder, instrument: Instrument, market: SymbolMarket) -> None:
    if new.qty_base is not None and new.qty_base < instrument.min_qty_base:
        raise refused(
            Refusal.QTY_MIN,
            f"{new.symbol}: quantity {new.qty_base} is under the minimum of "
            f"{instrument.min_qty_base}",
        )
    most = instrument.max_market_base
    if new.type is not OrderType.LIMIT and most is not None and (new.qty_base or ZERO) > most:
        raise refused(
            Refusal.QTY_MAX,
            f"{new.symbol}: quantity {new.qty_base} is over the largest market order of {most}",
        )
    if new.reduce_only:
        return
    price = new.price or new.stop_price or market.price
    notional = new.notional_quote if new.qty_base is None else new.qty_base * price
    if price and notional is not None and notional < instrument.min_notional_quote:
        raise refused(
            Refusal.NOTIONAL_MIN,
            f"{new.symbol}: notional {notional:.8g} {instrument.quote} is under the minimum of "
            f"{instrument.min_notional_quote}",
        )


def _check_triggers(new: NewOrder, market: SymbolMarket, rules: VenueRules) -> None:
    if market.phase is Phase.SILENT:
        return
    if new.stop_price is not None and rules.refuses_immediate_triggers:
        if is_through(BookOrder(new, 0, 0, 0), market.price):
            raise refused(
                Refusal.IMMEDIATE_TRIGGER,
                f"{new.symbol}: at {market.price} a {new.type} at {new.stop_price} would trigger "
                "at once",
            )
    if new.time_in_force is TimeInForce.POST_ONLY and new.price is not None:
        offer = market.depth.ask if new.side is Side.BUY else market.depth.bid
        if (new.price - (offer or market.price)) * new.side.sign >= 0:
            raise refused(
                Refusal.IMMEDIATE_MATCH, f"{new.symbol}: a post-only order would match at once"
            )


def _check_means(
    new: NewOrder, market: SymbolMarket, book: OrderBook, prices: dict[str, Decimal]
) -> None:
    price = new.price or (new.stop_price if new.type is OrderType.STOP else None) or market.price
    if price == ZERO:
        return
    resting = [order for orders in book.open.values() for order in orders.values()]
    why_not = book.account.why_not(new, price, resting, prices)
    if why_not:
        is_spot = not hasattr(book.account, "leverage")
        reason = Refusal.BALANCE if is_spot else Refusal.MARGIN
        raise refused(reason, f"{new.symbol}: {why_not}")
