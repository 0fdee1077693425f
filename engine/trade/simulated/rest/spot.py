"""The account's own endpoints on spot, `/api/v3`."""

from __future__ import annotations

from typing import Any

from engine.trade.exchange import Fill
from engine.trade.orders import OrderState, OrderType, Side
from engine.trade.simulated.accounts import SpotAccount
from engine.trade.simulated.book_order import BookOrder, TimeInForce
from engine.trade.simulated.rest.api_error import absent, unknown
from engine.trade.simulated.rest.call import (
    STATUS,
    Call,
    Route,
    cancel_resting,
    history_of_fills,
    history_of_orders,
    name_of,
    order_ids,
    plain,
    venue_now_at,
)

SPOT_TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP: "STOP_LOSS",
    OrderType.TARGET: "TAKE_PROFIT",
}


async def new_order(call: Call) -> dict[str, Any]:
    """Take an order."""
    read = call.parameters
    wanted = read.text("newOrderRespType", "FULL")
    order = call.venue.place(read.spot_order(call.generated_id))
    told: dict[str, Any] = {
        "symbol": name_of(order.new.symbol),
        "orderId": order.number,
        "orderListId": -1,
        "clientOrderId": order.new.client_id,
        "transactTime": order.updated_at,
    }
    if wanted == "ACK":
        return told
    told |= _fate(order) | {"workingTime": order.accepted_at}
    if wanted == "FULL":
        told["fills"] = [_own_fill(fill) for fill in order.fills]
    return told


async def get_order(call: Call) -> dict[str, Any]:
    """Tell an order."""
    venue_now_at(call)
    order = _found(call, call.parameters.symbol())
    if order is None:
        raise absent()
    return _order(order)


async def cancel_order(call: Call) -> dict[str, Any]:
    """Cancel an order."""
    symbol = call.parameters.symbol()
    venue_now_at(call)
    order = cancel_resting(call, symbol, _found(call, symbol))
    return _cancelled(order, call)


async def cancel_all(call: Call) -> list[dict[str, Any]]:
    """Cancel every order of a symbol."""
    symbol = call.parameters.symbol()
    venue_now_at(call)
    resting = [order.new.client_id for order in call.venue.engine.book.open[symbol].values()]
    if not resting:
        raise unknown()
    return [_cancelled(order, call) for order in call.venue.cancel(symbol, resting)]


async def open_orders(call: Call) -> list[dict[str, Any]]:
    """Tell the orders that rest."""
    symbol = call.parameters.symbol_or_all()
    venue_now_at(call)
    book = call.venue.engine.book
    found = [
        o for name, orders in book.open.items() if symbol in (None, name) for o in orders.values()
    ]
    return [_order(order) for order in sorted(found, key=lambda order: order.number)]


async def all_orders(call: Call) -> list[dict[str, Any]]:
    """Tell orders of the past and of now."""
    venue_now_at(call)
    return [_order(order) for order in history_of_orders(call, call.parameters.symbol())]


async def my_trades(call: Call) -> list[dict[str, Any]]:
    """Tell fills."""
    symbol = call.parameters.symbol()
    return [_trade(number, fill) for number, fill in history_of_fills(call, symbol)]


async def account(call: Call) -> dict[str, Any]:
    """Tell balances."""
    now_at = venue_now_at(call)
    held = call.venue.engine.account
    rules = call.venue.engine.rules
    fee = plain(rules.commission_frac)
    balances = []
    if isinstance(held, SpotAccount):
        for asset in sorted(held.total):
            locked = held.locked.get(asset)
            balances.append(
                {"asset": asset, "free": plain(held.free(asset)), "locked": plain(locked)}
            )
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": fee, "taker": fee, "buyer": "0", "seller": "0"},
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": now_at,
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": 1,
    }


def _found(call: Call, symbol: str) -> BookOrder | None:
    number, client_id = order_ids(call, "orderId", "origClientOrderId")
    return call.venue.find(symbol, client_id=client_id, number=number)


def _fate(order: BookOrder) -> dict[str, Any]:
    new = order.new
    is_sized = new.qty_base is not None
    told = {
        "price": plain(new.price),
        "origQty": plain(new.qty_base if is_sized else order.filled_base),
        "executedQty": plain(order.filled_base),
        "origQuoteOrderQty": plain(new.notional_quote),
        "cummulativeQuoteQty": plain(order.filled_quote),
        "status": STATUS[order.state],
        "timeInForce": "GTC" if _is_maker_only(order) else new.time_in_force.value,
        "type": "LIMIT_MAKER" if _is_maker_only(order) else SPOT_TYPES[new.type],
        "side": new.side.upper(),
        "selfTradePreventionMode": "NONE",
    }
    if new.stop_price is not None:
        told["stopPrice"] = plain(new.stop_price)
    return told


def _is_maker_only(order: BookOrder) -> bool:
    return order.new.time_in_force is TimeInForce.POST_ONLY


def _order(order: BookOrder) -> dict[str, Any]:
    return {
        "symbol": name_of(order.new.symbol),
        "orderId": order.number,
        "orderListId": -1,
        "clientOrderId": order.new.client_id,
        **_fate(order),
        "stopPrice": plain(order.new.stop_price),
        "icebergQty": plain(None),
        "time": order.accepted_at,
        "updateTime": order.updated_at,
        "isWorking": order.new.stop_price is None or order.state is not OrderState.ACCEPTED,
        "workingTime": order.accepted_at,
    }


def _cancelled(order: BookOrder, call: Call) -> dict[str, Any]:
    return {
        "symbol": name_of(order.new.symbol),
        "origClientOrderId": order.new.client_id,
        "orderId": order.number,
        "orderListId": -1,
        "clientOrderId": call.generated_id,
        "transactTime": order.updated_at,
        **_fate(order),
    }


def _own_fill(fill: Fill) -> dict[str, Any]:
    return {
        "price": plain(fill.price),
        "qty": plain(fill.qty_base),
        "commission": plain(fill.fee),
        "commissionAsset": fill.fee_asset,
        "tradeId": int(fill.id),
    }


def _trade(number: int, fill: Fill) -> dict[str, Any]:
    return {
        "symbol": name_of(fill.symbol),
        "id": int(fill.id),
        "orderId": number,
        "orderListId": -1,
        "price": plain(fill.price),
        "qty": plain(fill.qty_base),
        "quoteQty": plain(fill.qty_base * fill.price),
        "commission": plain(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.at,
        "isBuyer": fill.side is Side.BUY,
        "isMaker": False,
        "isBestMatch": True,
    }


ROUTES = (
    Route("POST", "/api/v3/order", new_order, is_signed=True, is_new_order=True),
    Route("GET", "/api/v3/order", get_order, weight=4, is_signed=True),
    Route("DELETE", "/api/v3/order", cancel_order, is_signed=True),
    Route("GET", "/api/v3/openOrders", open_orders, weight=6, weight_all=80, is_signed=True),
    Route("DELETE", "/api/v3/openOrders", cancel_all, is_signed=True),
    Route("GET", "/api/v3/allOrders", all_orders, weight=20, is_signed=True),
    Route("GET", "/api/v3/myTrades", my_trades, weight=20, is_signed=True),
    Route("GET", "/api/v3/account", account, weight=20, is_signed=True),
)
