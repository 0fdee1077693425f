"""The engine's state as JSON text and back, Decimals as text: what a restart begins with."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from engine.errors import InvariantError
from engine.trade.exchange import Fill
from engine.trade.orders import OrderState, OrderType, Side
from engine.trade.simulated.accounts import SpotAccount
from engine.trade.simulated.book_order import BookOrder, NewOrder, TimeInForce
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.perp_account import PerpAccount, PerpPosition
from engine.trade.simulated.symbol_market import Phase


def order_text(order: BookOrder) -> str:
    """Return an order, its fills apart."""
    new = order.new
    return _text(
        {
            "client_id": new.client_id,
            "symbol": new.symbol,
            "side": new.side,
            "type": new.type,
            "qty_base": _number(new.qty_base),
            "notional_quote": _number(new.notional_quote),
            "price": _number(new.price),
            "stop_price": _number(new.stop_price),
            "reduce_only": new.reduce_only,
            "time_in_force": new.time_in_force,
            "number": order.number,
            "accepted_at": order.accepted_at,
            "updated_at": order.updated_at,
            "state": order.state,
            "filled_base": str(order.filled_base),
            "filled_quote": str(order.filled_quote),
            "reason": order.reason,
            "is_resting": order.is_resting,
            "locked": str(order.locked),
            "locked_asset": order.locked_asset,
        }
    )


def order_from(text: str, fills: list[Fill]) -> BookOrder:
    """Return the order that `order_text` wrote, with its fills."""
    told = json.loads(text)
    new = NewOrder(
        client_id=told["client_id"],
        symbol=told["symbol"],
        side=Side(told["side"]),
        type=OrderType(told["type"]),
        qty_base=_decimal(told["qty_base"]),
        notional_quote=_decimal(told["notional_quote"]),
        price=_decimal(told["price"]),
        stop_price=_decimal(told["stop_price"]),
        reduce_only=told["reduce_only"],
        time_in_force=TimeInForce(told["time_in_force"]),
    )
    return BookOrder(
        new=new,
        number=told["number"],
        accepted_at=told["accepted_at"],
        updated_at=told["updated_at"],
        state=OrderState(told["state"]),
        filled_base=Decimal(told["filled_base"]),
        filled_quote=Decimal(told["filled_quote"]),
        fills=fills,
        reason=told["reason"],
        is_resting=told["is_resting"],
        locked=Decimal(told["locked"]),
        locked_asset=told["locked_asset"],
    )


def fill_text(fill: Fill) -> str:
    """Return a fill."""
    return _text(
        {
            "id": fill.id,
            "client_id": fill.client_id,
            "symbol": fill.symbol,
            "side": fill.side,
            "qty_base": str(fill.qty_base),
            "price": str(fill.price),
            "fee": str(fill.fee),
            "fee_asset": fill.fee_asset,
            "at": fill.at,
        }
    )


def fill_from(text: str) -> Fill:
    """Return the fill that `fill_text` wrote."""
    told = json.loads(text)
    return Fill(
        id=told["id"],
        client_id=told["client_id"],
        symbol=told["symbol"],
        side=Side(told["side"]),
        qty_base=Decimal(told["qty_base"]),
        price=Decimal(told["price"]),
        fee=Decimal(told["fee"]),
        fee_asset=told["fee_asset"],
        at=told["at"],
    )


def state_text(engine: MatchingEngine) -> str:
    """Return everything but orders and fills: account, counters, last prices."""
    account = engine.account
    told: dict[str, Any] = {
        "n_orders": engine.book.n_orders,
        "n_trades": engine.book.n_trades,
        "markets": {
            symbol: [market.phase.name, str(market.price), market.at]
            for symbol, market in engine.markets.items()
        },
    }
    if isinstance(account, PerpAccount):
        told["perp"] = {
            "wallet": str(account.wallet),
            "insured_quote": str(account.insured_quote),
            "leverage": {symbol: str(value) for symbol, value in account.leverage.items()},
            "held": {
                symbol: [str(held.signed_base), str(held.cost_quote)]
                for symbol, held in account.held.items()
            },
        }
    else:
        told["spot"] = {
            "total": {asset: str(value) for asset, value in account.total.items()},
            "locked": {asset: str(value) for asset, value in account.locked.items()},
        }
    return _text(told)


def restore_state(engine: MatchingEngine, text: str) -> None:
    """Put back what `state_text` wrote.

    Raises
    ------
    InvariantError : it is of the other market type.
    """
    told = json.loads(text)
    engine.book.n_orders = told["n_orders"]
    engine.book.n_trades = told["n_trades"]
    for symbol, (phase, price, at) in told["markets"].items():
        if symbol in engine.markets and phase != Phase.SILENT.name:
            engine.markets[symbol].show(Phase[phase], Decimal(price), at)
    account = engine.account
    kind = "perp" if isinstance(account, PerpAccount) else "spot"
    if kind not in told:
        raise InvariantError(f"the saved account is not a {kind} account")
    if isinstance(account, SpotAccount):
        account.total = {a: Decimal(v) for a, v in told["spot"]["total"].items()}
        account.locked = {a: Decimal(v) for a, v in told["spot"]["locked"].items()}
        return
    perp = told["perp"]
    account.wallet = Decimal(perp["wallet"])
    account.insured_quote = Decimal(perp["insured_quote"])
    account.leverage = {s: Decimal(v) for s, v in perp["leverage"].items()}
    account.held = {
        symbol: PerpPosition(Decimal(signed), Decimal(cost))
        for symbol, (signed, cost) in perp["held"].items()
    }


def restore_order(engine: MatchingEngine, order: BookOrder) -> None:
    """Put back an order that may still fill."""
    engine.book.orders[order.new.client_id] = order
    engine.book.open[order.new.symbol][order.number] = order


def _text(told: dict[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"))


def _number(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
