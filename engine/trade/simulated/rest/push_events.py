"""What the venue pushes of one event of one order: Binance's fields, by market type. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from engine.trade.orders import OrderState, OrderType
from engine.trade.simulated.book_order import BookOrder, VenueEvent
from engine.trade.simulated.rest.algo import algo_status, algo_type
from engine.trade.simulated.rest.call import STATUS, is_algo, name_of, plain, short
from engine.trade.simulated.rest.perp import TRIGGERED, plain_order
from engine.trade.simulated.rest.spot import SPOT_TYPES

_EXECUTION = {
    OrderState.CANCELED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
    OrderState.REJECTED: "REJECTED",
}


def spot_events(order: BookOrder, event: VenueEvent) -> Iterator[dict[str, Any]]:
    """Return what is pushed on spot: one `executionReport`.

    Parameters
    ----------
    order : the order, perhaps further on by now; only what never changes is read from it
    event : what happened to it, and how it stood then
    """
    told, new, fill = event.order, order.new, event.fill
    is_cancel = fill is None and told.state is OrderState.CANCELED
    quote = sum((one.qty_base * one.price for one in told.fills), Decimal(0))
    yield {
        "e": "executionReport",
        "E": told.at,
        "s": name_of(new.symbol),
        # A cancel has an id of its own; the order's then stands under C.
        "c": f"cancel-{order.number}" if is_cancel else new.client_id,
        "S": new.side.upper(),
        "o": SPOT_TYPES[new.type],
        "f": new.time_in_force.value,
        "q": plain(told.qty_base),
        "p": plain(new.price),
        "P": plain(new.stop_price),
        "F": plain(None),
        "g": -1,
        "C": new.client_id if is_cancel else "",
        "x": "TRADE" if fill is not None else _EXECUTION.get(told.state, "NEW"),
        "X": STATUS[told.state],
        "r": "NONE",
        "i": order.number,
        "l": plain(None if fill is None else fill.qty_base),
        "z": plain(told.filled_base),
        "L": plain(None if fill is None else fill.price),
        "n": plain(None if fill is None else fill.fee),
        "N": None if fill is None else fill.fee_asset,
        "T": told.at,
        "t": -1 if fill is None else int(fill.id),
        "w": not told.state.is_final,
        "m": False,
        "O": order.accepted_at,
        "Z": plain(quote),
        "Y": plain(None if fill is None else fill.qty_base * fill.price),
        "Q": plain(new.notional_quote),
    }


def perp_events(order: BookOrder, event: VenueEvent) -> Iterator[dict[str, Any]]:
    """Return what is pushed on perpetuals: a conditional order tells of itself and its child."""
    if is_algo(order):
        yield _algo_update(order, event)
        if event.fill is None:
            return
    yield _order_trade_update(order, event)


def _order_trade_update(order: BookOrder, event: VenueEvent) -> dict[str, Any]:
    told, fill = event.order, event.fill
    named = plain_order(order)
    mean = Decimal(0)
    if told.filled_base:
        mean = sum((one.qty_base * one.price for one in told.fills), Decimal(0)) / told.filled_base
    paid = {} if fill is None else {"N": fill.fee_asset, "n": short(fill.fee)}
    return {
        "e": "ORDER_TRADE_UPDATE",
        "E": told.at,
        "T": told.at,
        "o": {
            "s": named["symbol"],
            "c": named["clientOrderId"],
            "S": named["side"],
            "o": named["type"],
            "f": named["timeInForce"],
            "q": short(told.qty_base),
            "p": named["price"],
            "ap": short(mean),
            "sp": named["stopPrice"],
            "x": "TRADE" if fill is not None else _EXECUTION.get(told.state, "NEW"),
            "X": STATUS[told.state],
            "i": named["orderId"],
            "l": short(None if fill is None else fill.qty_base),
            "z": short(told.filled_base),
            "L": short(None if fill is None else fill.price),
            **paid,
            "T": told.at,
            "t": 0 if fill is None else int(fill.id),
            "b": "0",
            "a": "0",
            "m": False,
            "R": order.new.reduce_only,
            "wt": named["workingType"],
            "ot": named["origType"],
            "ps": "BOTH",
            "cp": False,
            "rp": "0",
        },
    }


def _algo_update(order: BookOrder, event: VenueEvent) -> dict[str, Any]:
    told, new = event.order, order.new
    has_become = event.fill is not None
    return {
        "e": "ALGO_UPDATE",
        "E": told.at,
        "T": told.at,
        "o": {
            "caid": new.client_id,
            "aid": order.number,
            "at": "CONDITIONAL",
            "o": algo_type(order),
            "s": name_of(new.symbol),
            "S": new.side.upper(),
            "ps": "BOTH",
            "f": "GTC",
            "q": short(new.qty_base),
            "X": algo_status(told.state, has_become=has_become),
            "ai": str(order.number + TRIGGERED) if has_become else "",
            "ap": short(None if event.fill is None else event.fill.price),
            "aq": short(told.filled_base),
            "act": OrderType.MARKET.upper() if has_become else "",
            "tp": short(new.stop_price),
            "p": "0",
            "V": "NONE",
            "wt": "CONTRACT_PRICE",
            "pm": "NONE",
            "cp": False,
            "pP": False,
            "R": new.reduce_only,
        },
    }
