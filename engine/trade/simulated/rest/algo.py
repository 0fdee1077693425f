"""Conditional orders on USD-M perpetuals: `/fapi/v1/algoOrder` and its lists."""

from __future__ import annotations

from typing import Any

from engine.trade.orders import OrderState, OrderType
from engine.trade.simulated.book_order import BookOrder
from engine.trade.simulated.rest.api_error import absent
from engine.trade.simulated.rest.call import (
    Call,
    Route,
    average_price,
    cancel_resting,
    history_of_orders,
    is_algo,
    name_of,
    order_ids,
    short,
    venue_now_at,
)
from engine.trade.simulated.rest.perp import TRIGGERED, cancel_every, resting

_STATUS = {
    OrderState.ACCEPTED: "NEW",
    OrderState.PARTIAL: "TRIGGERED",
    OrderState.FILLED: "FINISHED",
    OrderState.CANCELED: "CANCELED",
    OrderState.EXPIRED: "EXPIRED",
    OrderState.REJECTED: "REJECTED",
}
_TYPES = {OrderType.STOP: "STOP_MARKET", OrderType.TARGET: "TAKE_PROFIT_MARKET"}


async def new_order(call: Call) -> dict[str, Any]:
    """Take a conditional order."""
    return _told(call.venue.place(call.parameters.algo_order(call.generated_id)))


async def get_order(call: Call) -> dict[str, Any]:
    """Tell a conditional order, and what it became."""
    venue_now_at(call)
    order = _found(call)
    if order is None:
        raise absent()
    return _told(order)


async def cancel_order(call: Call) -> dict[str, Any]:
    """Cancel a conditional order."""
    venue_now_at(call)
    found = _found(call)
    order = cancel_resting(call, found.new.symbol if found is not None else "", found)
    return {
        "algoId": order.number,
        "clientAlgoId": order.new.client_id,
        "code": "200",
        "msg": "success",
    }


async def cancel_all(call: Call) -> dict[str, Any]:
    """Cancel every conditional order of a symbol."""
    cancel_every(call, algo=True)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


async def open_orders(call: Call) -> list[dict[str, Any]]:
    """Tell the conditional orders that rest."""
    return [_told(order) for order in resting(call, algo=True)]


async def all_orders(call: Call) -> list[dict[str, Any]]:
    """Tell conditional orders of the past and of now."""
    venue_now_at(call)
    found = history_of_orders(call, call.parameters.symbol())
    return [_told(order) for order in found if is_algo(order)]


def _found(call: Call) -> BookOrder | None:
    number, client_id = order_ids(call, "algoId", "clientAlgoId")
    for symbol in call.venue.instruments:
        order = call.venue.find(symbol, client_id=client_id, number=number)
        if order is not None and is_algo(order):
            return order
    return None


def algo_status(state: OrderState, *, has_become: bool) -> str:
    """Return the status of a conditional order; `has_become` once its child has traded."""
    return "FINISHED" if has_become and state.is_final else _STATUS[state]


def algo_type(order: BookOrder) -> str:
    """Return the type of a conditional order."""
    return _TYPES[order.new.type]


def _told(order: BookOrder) -> dict[str, Any]:
    new = order.new
    has_become = bool(order.fills)
    return {
        "algoId": order.number,
        "clientAlgoId": new.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo_type(order),
        "symbol": name_of(new.symbol),
        "side": new.side.upper(),
        "positionSide": "BOTH",
        "timeInForce": "GTC",
        "quantity": short(new.qty_base),
        "algoStatus": algo_status(order.state, has_become=has_become),
        "actualOrderId": str(order.number + TRIGGERED) if has_become else "",
        "actualPrice": short(average_price(order)),
        "triggerPrice": short(new.stop_price),
        "price": "0",
        "icebergQuantity": None,
        "selfTradePreventionMode": "NONE",
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": new.reduce_only,
        "createTime": order.accepted_at,
        "updateTime": order.updated_at,
        "triggerTime": order.fills[0].at if has_become else 0,
        "goodTillDate": 0,
    }


ROUTES = (
    Route("POST", "/fapi/v1/algoOrder", new_order, is_signed=True, is_new_order=True),
    Route("GET", "/fapi/v1/algoOrder", get_order, is_signed=True),
    Route("DELETE", "/fapi/v1/algoOrder", cancel_order, is_signed=True),
    Route("GET", "/fapi/v1/openAlgoOrders", open_orders, weight=1, weight_all=40, is_signed=True),
    Route("DELETE", "/fapi/v1/algoOpenOrders", cancel_all, is_signed=True),
    Route("GET", "/fapi/v1/allAlgoOrders", all_orders, weight=5, is_signed=True),
)
