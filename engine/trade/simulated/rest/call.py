"""One request to the venue's REST face, and what its handlers share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.errors import VenueRejected
from engine.trade.exchange import Fill, Ticker
from engine.trade.orders import OrderState, OrderType
from engine.trade.simulated.book_order import BookOrder
from engine.trade.simulated.faults import Faults
from engine.trade.simulated.refusals import Refusal
from engine.trade.simulated.rest.api_error import missing, unknown
from engine.trade.simulated.rest.parameters import Parameters
from engine.trade.simulated.venue import Venue

STATUS = {
    OrderState.ACCEPTED: "NEW",
    OrderState.PARTIAL: "PARTIALLY_FILLED",
    OrderState.FILLED: "FILLED",
    OrderState.CANCELED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
    OrderState.REJECTED: "REJECTED",
}
FOR_EVER_AT = 1 << 60


class Quotes:
    """Tickers as they are told, absurd ones when a bad tick is planned.

    Parameters
    ----------
    venue : Venue
    faults : decides which quote is absurd
    """

    def __init__(self, venue: Venue, faults: Faults) -> None:
        self._venue = venue
        self._faults = faults
        self._n = 0

    def ticker(self, symbol: str) -> Ticker:
        """Return the quotes of now."""
        self._venue.catch_up()
        told = self._venue.engine.ticker(symbol)
        self._n += 1
        factor = self._faults.price_factor(self._n)
        return Ticker(symbol, told.bid * factor, told.ask * factor, told.last * factor, told.at)


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose sender and freshness were checked.

    Attributes
    ----------
    generated_id : client id of an order that names none
    """

    venue: Venue
    quotes: Quotes
    parameters: Parameters
    generated_id: str


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a method and path.

    Attributes
    ----------
    weight : what a request counts for; `weight_all` when it names no symbol
    is_signed : needs a key and a signature
    is_keyed : needs the key alone
    is_new_order : counts towards the limit of new orders
    """

    method: str
    path: str
    handler: Handler
    weight: int = 1
    weight_all: int = 0
    is_signed: bool = False
    is_keyed: bool = False
    is_new_order: bool = False


def name_of(symbol: str) -> str:
    """Return `BTCUSDT` of `BTC/USDT`."""
    return symbol.replace("/", "")


def plain(value: Decimal | None, digits: int = 8) -> str:
    """Return a number in plain notation with at least `digits` decimals; None is 0."""
    number = Decimal(0) if value is None else value
    text = f"{number:f}"
    n_decimals = len(text.partition(".")[2])
    return text if n_decimals >= digits else f"{number:.{digits}f}"


def short(value: Decimal | None) -> str:
    """Return a number in plain notation without trailing zeros; None is 0."""
    text = f"{Decimal(0) if value is None else value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def is_algo(order: BookOrder) -> bool:
    """Return whether a perpetual's order waits for a trigger."""
    return order.new.type in (OrderType.STOP, OrderType.TARGET)


def average_price(order: BookOrder) -> Decimal:
    """Return the mean price of an order's fills, 0 without any."""
    return order.filled_quote / order.filled_base if order.filled_base else Decimal(0)


def cancel_resting(call: Call, symbol: str, order: BookOrder | None) -> BookOrder:
    """Cancel an order that rests.

    Raises
    ------
    ApiError : -2011 when it does not.
    """
    if order is None:
        raise unknown()
    try:
        return call.venue.cancel(symbol, [order.new.client_id])[0]
    except VenueRejected as exc:
        if exc.fields.get("refusal") is Refusal.UNKNOWN_ORDER:
            raise unknown() from exc
        raise


def order_ids(call: Call, number_name: str, client_id_name: str) -> tuple[int, str]:
    """Return the number and client id that name an order, one of them at least.

    Raises
    ------
    ApiError : -1102 without any.
    """
    read = call.parameters
    number, client_id = read.whole(number_name, 0), read.text(client_id_name, "")
    if not number and not client_id:
        raise missing(number_name)
    return number, client_id


def history_of_orders(call: Call, symbol: str) -> list[BookOrder]:
    """Return the orders that an allOrders request asks for, oldest first."""
    read = call.parameters
    limit = read.limit(500, 1000)
    from_number = read.whole("orderId", 0)
    start_at, end_at = read.whole("startTime", 0), read.whole("endTime", FOR_EVER_AT)
    store = call.venue.store
    if not from_number and not start_at:
        return store.newest_orders(symbol, limit)
    return store.orders(symbol, from_number, start_at, end_at, limit)


def history_of_fills(call: Call, symbol: str) -> list[tuple[int, Fill]]:
    """Return the fills that a trades request asks for, oldest first, with their order's number."""
    read = call.parameters
    limit = read.limit(500, 1000)
    from_id = read.whole("fromId", 0)
    start_at, end_at = read.whole("startTime", 0), read.whole("endTime", FOR_EVER_AT)
    number = read.whole("orderId", 0)
    store = call.venue.store
    call.venue.catch_up()
    if number:
        return [(number, fill) for fill in store.order_fills(number)][-limit:]
    if not from_id and not start_at:
        return store.newest_fills(symbol, limit)
    return store.fills(symbol, from_id, start_at, end_at, limit)


def venue_now_at(call: Call) -> int:
    """Return the venue's clock, prices walked up to it."""
    call.venue.catch_up()
    return call.venue.now_at()
