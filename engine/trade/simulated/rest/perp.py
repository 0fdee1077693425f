"""The account's own endpoints on USD-M perpetuals, `/fapi`, conditional orders apart."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.errors import InvariantError
from engine.trade.exchange import Fill
from engine.trade.instrument import ZERO
from engine.trade.orders import Side
from engine.trade.simulated.book_order import BookOrder
from engine.trade.simulated.exact import exact
from engine.trade.simulated.perp_account import PerpAccount
from engine.trade.simulated.rest.api_error import ApiError, absent
from engine.trade.simulated.rest.call import (
    STATUS,
    Call,
    Route,
    average_price,
    cancel_resting,
    history_of_fills,
    history_of_orders,
    is_algo,
    name_of,
    order_ids,
    short,
    venue_now_at,
)

TRIGGERED = 1_000_000_000
"""Added to a conditional order's number, gives the number of the order that it became."""

_DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}
_LEVERAGE_MAX = 125
_NOTIONAL_MAX = "50000000"


async def new_order(call: Call) -> dict[str, Any]:
    """Take an order."""
    return plain_order(call.venue.place(call.parameters.perp_order(call.generated_id)))


async def get_order(call: Call) -> dict[str, Any]:
    """Tell an order."""
    venue_now_at(call)
    order = _found(call, call.parameters.symbol())
    if order is None:
        raise absent()
    return plain_order(order)


async def cancel_order(call: Call) -> dict[str, Any]:
    """Cancel an order."""
    symbol = call.parameters.symbol()
    venue_now_at(call)
    return plain_order(cancel_resting(call, symbol, _found(call, symbol)))


async def cancel_all(call: Call) -> dict[str, Any]:
    """Cancel every plain order of a symbol; conditional ones stay."""
    cancel_every(call, algo=False)
    return _DONE


async def open_orders(call: Call) -> list[dict[str, Any]]:
    """Tell the plain orders that rest."""
    return [plain_order(order) for order in resting(call, algo=False)]


async def all_orders(call: Call) -> list[dict[str, Any]]:
    """Tell plain orders of the past and of now."""
    venue_now_at(call)
    found = history_of_orders(call, call.parameters.symbol())
    return [plain_order(order) for order in found if not is_algo(order) or order.fills]


async def user_trades(call: Call) -> list[dict[str, Any]]:
    """Tell fills."""
    symbol = call.parameters.symbol()
    told = []
    for number, fill in history_of_fills(call, symbol):
        order = call.venue.find(symbol, number=number)
        shift = TRIGGERED if order is not None and is_algo(order) else 0
        told.append(_trade(number + shift, fill))
    return told


async def account(call: Call) -> dict[str, Any]:
    """Tell wallet, margin and positions."""
    now_at = venue_now_at(call)
    sums = _sums(call)
    positions = [_account_position(call, symbol) for symbol in _held(call)]
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": False,
        "canWithdraw": False,
        "multiAssetsMargin": False,
        "updateTime": now_at,
        "totalInitialMargin": sums["initialMargin"],
        "totalMaintMargin": sums["maintMargin"],
        "totalWalletBalance": sums["walletBalance"],
        "totalUnrealizedProfit": sums["unrealizedProfit"],
        "totalMarginBalance": sums["marginBalance"],
        "totalPositionInitialMargin": sums["initialMargin"],
        "totalOpenOrderInitialMargin": "0",
        "totalCrossWalletBalance": sums["walletBalance"],
        "totalCrossUnPnl": sums["unrealizedProfit"],
        "availableBalance": sums["availableBalance"],
        "maxWithdrawAmount": sums["availableBalance"],
        "assets": [{"asset": _account(call).asset, **sums, "updateTime": now_at}],
        "positions": positions,
    }


async def balance(call: Call) -> list[dict[str, Any]]:
    """Tell the wallet."""
    now_at = venue_now_at(call)
    sums = _sums(call)
    return [
        {
            "accountAlias": "paper",
            "asset": _account(call).asset,
            "balance": sums["walletBalance"],
            "crossWalletBalance": sums["walletBalance"],
            "crossUnPnl": sums["unrealizedProfit"],
            "availableBalance": sums["availableBalance"],
            "maxWithdrawAmount": sums["availableBalance"],
            "marginAvailable": True,
            "updateTime": now_at,
        }
    ]


async def position_risk(call: Call) -> list[dict[str, Any]]:
    """Tell positions with their liquidation prices; of v3, only what is held."""
    symbol = call.parameters.symbol_or_all()
    now_at = venue_now_at(call)
    return [_position(call, each, now_at) for each in _held(call) if symbol in (None, each)]


async def position_risk_all(call: Call) -> list[dict[str, Any]]:
    """Tell positions as v2 does, also where nothing is held."""
    symbol = call.parameters.symbol_or_all()
    now_at = venue_now_at(call)
    return [
        _position(call, each, now_at) for each in call.venue.instruments if symbol in (None, each)
    ]


async def set_leverage(call: Call) -> dict[str, Any]:
    """Set a symbol's leverage."""
    symbol, leverage = call.parameters.symbol(), call.parameters.whole("leverage")
    call.venue.set_leverage(symbol, leverage)
    return {
        "leverage": leverage,
        "maxNotionalValue": _NOTIONAL_MAX,
        "symbol": name_of(symbol),
    }


async def leverage_bracket(call: Call) -> list[dict[str, Any]]:
    """Tell the one bracket of each symbol."""
    symbol = call.parameters.symbol_or_all()
    bracket = {
        "bracket": 1,
        "initialLeverage": _LEVERAGE_MAX,
        "notionalCap": int(_NOTIONAL_MAX),
        "notionalFloor": 0,
        "maintMarginRatio": float(call.venue.engine.rules.maintenance_frac),
        "cum": 0.0,
    }
    return [
        {"symbol": name_of(each), "brackets": [bracket]}
        for each in call.venue.instruments
        if symbol in (None, each)
    ]


async def position_mode(call: Call) -> dict[str, Any]:
    """Tell that positions net."""
    return {"dualSidePosition": False}


async def margin_type(call: Call) -> dict[str, Any]:
    """Take cross margin, which it is; there is no other."""
    call.parameters.symbol()
    if call.parameters.text("marginType") == "CROSSED":
        raise ApiError(-4046, "No need to change margin type.")
    raise ApiError(-4047, "Margin type cannot be changed: this venue has cross margin only.")


def resting(call: Call, *, algo: bool) -> list[BookOrder]:
    """Return the plain or the conditional orders that rest, oldest first."""
    symbol = call.parameters.symbol_or_all()
    venue_now_at(call)
    found = [
        order
        for name, orders in call.venue.engine.book.open.items()
        if symbol in (None, name)
        for order in orders.values()
        if is_algo(order) is algo
    ]
    return sorted(found, key=lambda order: order.number)


def cancel_every(call: Call, *, algo: bool) -> None:
    """Cancel the plain or the conditional orders of the symbol that was named."""
    symbol = call.parameters.symbol()
    ids = [order.new.client_id for order in resting(call, algo=algo)]
    if ids:
        call.venue.cancel(symbol, ids)


def plain_order(order: BookOrder) -> dict[str, Any]:
    """Return an order; a conditional one as the market order that it became."""
    new = order.new
    became = is_algo(order)
    name = "MARKET" if became else new.type.upper()
    return {
        "orderId": order.number + (TRIGGERED if became else 0),
        "symbol": name_of(new.symbol),
        "status": STATUS[order.state],
        "clientOrderId": new.client_id,
        "price": short(new.price),
        "avgPrice": short(average_price(order)),
        "origQty": short(new.qty_base),
        "executedQty": short(order.filled_base),
        "cumQty": short(order.filled_base),
        "cumQuote": short(order.filled_quote),
        "timeInForce": new.time_in_force.value,
        "type": name,
        "reduceOnly": new.reduce_only,
        "closePosition": False,
        "side": new.side.upper(),
        "positionSide": "BOTH",
        "stopPrice": short(None if became else new.stop_price),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": name,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "time": order.accepted_at,
        "updateTime": order.updated_at,
    }


def _found(call: Call, symbol: str) -> BookOrder | None:
    number, client_id = order_ids(call, "orderId", "origClientOrderId")
    order = call.venue.find(symbol, client_id=client_id, number=number % TRIGGERED)
    if order is None:
        return None
    # A conditional order is here only as what it became, under that number.
    if is_algo(order) and not order.fills:
        return None
    return None if number and is_algo(order) is not (number > TRIGGERED) else order


def _trade(number: int, fill: Fill) -> dict[str, Any]:
    return {
        "symbol": name_of(fill.symbol),
        "id": int(fill.id),
        "orderId": number,
        "side": fill.side.upper(),
        "price": short(fill.price),
        "qty": short(fill.qty_base),
        "quoteQty": short(fill.qty_base * fill.price),
        "commission": short(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.at,
        "positionSide": "BOTH",
        "buyer": fill.side is Side.BUY,
        "maker": False,
    }


def _account(call: Call) -> PerpAccount:
    account = call.venue.engine.account
    if not isinstance(account, PerpAccount):
        raise InvariantError("a perpetuals endpoint on a spot venue")
    return account


def _held(call: Call) -> list[str]:
    return sorted(_account(call).held)


@exact
def _sums(call: Call) -> dict[str, str]:
    account, prices = _account(call), call.venue.engine.prices()
    orders = [order for orders in call.venue.engine.book.open.values() for order in orders.values()]
    equity, initial = account.equity(prices), account.initial_margin(orders, prices)
    return {
        "walletBalance": short(account.wallet),
        "unrealizedProfit": short(equity - account.wallet),
        "marginBalance": short(equity),
        "maintMargin": short(account.maintenance(prices)),
        "initialMargin": _rounded(initial),
        "positionInitialMargin": _rounded(account.initial_margin([], prices)),
        "openOrderInitialMargin": _rounded(initial - account.initial_margin([], prices)),
        "crossWalletBalance": short(account.wallet),
        "crossUnPnl": short(equity - account.wallet),
        "availableBalance": _rounded(max(ZERO, equity - initial)),
        "maxWithdrawAmount": _rounded(max(ZERO, equity - initial)),
    }


@exact
def _position(call: Call, symbol: str, now_at: int) -> dict[str, Any]:
    account, prices = _account(call), call.venue.engine.prices()
    held = account.held.get(symbol)
    signed = held.signed_base if held is not None else ZERO
    notional = signed * prices[symbol]
    frac = call.venue.engine.rules.maintenance_frac
    leverage = account.leverage_of(symbol)
    margin = _rounded(abs(notional) / leverage)
    entry = held.entry_price if held is not None else None
    return {
        "symbol": name_of(symbol),
        "positionSide": "BOTH",
        "positionAmt": short(signed),
        "entryPrice": _rounded(entry or ZERO),
        "breakEvenPrice": _rounded(entry or ZERO),
        "markPrice": short(prices[symbol]),
        "unRealizedProfit": short(held.unrealized(prices[symbol]) if held else ZERO),
        "liquidationPrice": _rounded(account.liquidation_price(symbol, prices) or ZERO),
        "isolatedMargin": "0",
        "notional": short(notional),
        "marginAsset": account.asset,
        "isolatedWallet": "0",
        "initialMargin": margin,
        "maintMargin": _rounded(abs(notional) * frac),
        "positionInitialMargin": margin,
        "openOrderInitialMargin": "0",
        "leverage": short(leverage),
        "maxNotionalValue": _NOTIONAL_MAX,
        "marginType": "cross",
        "isAutoAddMargin": "false",
        "isolated": False,
        "adl": 1,
        "adlQuantile": 1,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": now_at,
    }


@exact
def _account_position(call: Call, symbol: str) -> dict[str, Any]:
    told = _position(call, symbol, call.venue.now_at())
    names = ("symbol", "positionSide", "positionAmt", "initialMargin", "maintMargin", "notional")
    return {name: told[name] for name in names} | {
        "unrealizedProfit": told["unRealizedProfit"],
        "isolatedMargin": "0",
        "isolatedWallet": "0",
        "entryPrice": told["entryPrice"],
        "leverage": told["leverage"],
        "isolated": False,
        "updateTime": told["updateTime"],
    }


def _rounded(value: Decimal) -> str:
    return short(value.quantize(Decimal("1e-8")))


ROUTES = (
    Route("POST", "/fapi/v1/order", new_order, is_signed=True, is_new_order=True),
    Route("GET", "/fapi/v1/order", get_order, is_signed=True),
    Route("DELETE", "/fapi/v1/order", cancel_order, is_signed=True),
    Route("GET", "/fapi/v1/openOrders", open_orders, weight=1, weight_all=40, is_signed=True),
    Route("DELETE", "/fapi/v1/allOpenOrders", cancel_all, is_signed=True),
    Route("GET", "/fapi/v1/allOrders", all_orders, weight=5, is_signed=True),
    Route("GET", "/fapi/v1/userTrades", user_trades, weight=5, is_signed=True),
    Route("GET", "/fapi/v2/account", account, weight=5, is_signed=True),
    Route("GET", "/fapi/v3/account", account, weight=5, is_signed=True),
    Route("GET", "/fapi/v2/balance", balance, weight=5, is_signed=True),
    Route("GET", "/fapi/v3/balance", balance, weight=5, is_signed=True),
    Route("GET", "/fapi/v2/positionRisk", position_risk_all, weight=5, is_signed=True),
    Route("GET", "/fapi/v3/positionRisk", position_risk, weight=5, is_signed=True),
    Route("POST", "/fapi/v1/leverage", set_leverage, is_signed=True),
    Route("GET", "/fapi/v1/leverageBracket", leverage_bracket, is_signed=True),
    Route("GET", "/fapi/v1/positionSide/dual", position_mode, weight=30, is_signed=True),
    Route("POST", "/fapi/v1/marginType", margin_type, is_signed=True),
)
