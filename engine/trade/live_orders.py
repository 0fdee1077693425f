"""Orders and fills between us and ccxt: what is asked, and what the answer says. Pure.

ccxt counts a perpetual in contracts; everything here that leaves is base currency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from engine.errors import VenueRejected
from engine.trade.exchange import Fill, VenueOrder
from engine.trade.instrument import ZERO, Instrument
from engine.trade.listing import Listing, exact
from engine.trade.live_errors import Refusal
from engine.trade.orders import OrderRequest, OrderState, OrderType, Side

_FINAL = {
    "closed": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "cancelled": OrderState.CANCELED,
    "expired": OrderState.EXPIRED,
    "rejected": OrderState.REJECTED,
}
# What an exchange calls the order that a triggered stop became, where that is another one.
_SUCCESSORS = ("actualOrderId",)
_STOP_PRICES = ("triggerPrice", "stopPrice", "stopLossPrice", "takeProfitPrice")


@dataclass(frozen=True, slots=True)
class OrderCall:
    """The arguments of one ccxt call.

    Attributes
    ----------
    cost : quote currency, market orders sized by it only
    amount : in ccxt's unit, None when sized by cost
    """

    symbol: str
    type: str
    side: str
    amount: float | None
    price: float | None
    cost: float | None
    params: dict[str, Any] = field(default_factory=dict)


def why_imprecise(request: OrderRequest, instrument: Instrument) -> tuple[str, Refusal] | None:
    """Say which number of an order is not on the instrument's steps, None when all are.

    ccxt would cut it off silently; rounding is done in one place, and that is not here.
    """
    for name in ("price", "stop_price"):
        price: Decimal | None = getattr(request, name)
        if price is not None and price % instrument.tick:
            return f"{name} {price} is not a multiple of {instrument.tick}", Refusal.PRICE_STEP
    qty = request.qty_base
    if qty is not None and qty % instrument.lot:
        return f"qty_base {qty} is not a multiple of {instrument.lot}", Refusal.QTY_STEP
    if qty is not None and qty < instrument.min_qty_base:
        least = instrument.min_qty_base
        return f"qty_base {qty} is under the minimum of {least}", Refusal.QTY_MIN
    return None


def why_too_cheap(request: OrderRequest, instrument: Instrument) -> str:
    """Say why an order that opens is under the exchange's minimum value, empty when it is not."""
    if request.reduce_only:
        return ""
    price = request.price or request.stop_price or request.reference_price
    notional = request.notional_quote or (request.qty_base or ZERO) * price
    least = instrument.min_notional_quote
    return f"notional {notional:.8g} is under the minimum of {least}" if notional < least else ""


def order_call(request: OrderRequest, listing: Listing, features: Mapping[str, Any]) -> OrderCall:
    """Return how an order is asked for.

    Parameters
    ----------
    features : ccxt's features of createOrder for this market type

    Raises
    ------
    VenueRejected : a number that ccxt cannot carry exactly, or a kind of order that the exchange
        does not have.
    """
    is_perp = listing.instrument.market_type == "perp"
    params: dict[str, Any] = {"clientOrderId": request.client_id}
    if is_perp and request.reduce_only:
        params["reduceOnly"] = True
    if request.stop_price is not None:
        params |= _trigger(request, listing, features)
    amount = None
    if request.qty_base is not None:
        amount = _number(request.qty_base / listing.contract_base, request)
    return OrderCall(
        symbol=listing.venue_symbol,
        type="limit" if request.type is OrderType.LIMIT else "market",
        side=request.side.value,
        amount=amount,
        price=None if request.price is None else _number(request.price, request),
        cost=None if request.notional_quote is None else float(request.notional_quote),
        params=params,
    )


def venue_order(
    answer: Mapping[str, Any], listing: Listing, now_at: int, request: OrderRequest | None = None
) -> VenueOrder:
    """Return what ccxt's order structure says.

    Parameters
    ----------
    now_at : UTC ms, where the exchange gives no time
    request : fills in what a short answer leaves out

    Raises
    ------
    ValueError : it does not say which order, which side or how much.
    """
    venue_id, client_id = _text(answer, "id"), _text(answer, "clientOrderId")
    if request is not None:
        client_id = request.client_id
    side_text = _text(answer, "side") or (request.side.value if request else "")
    side = Side(side_text)
    filled_base = (exact(answer.get("filled")) or ZERO) * listing.contract_base
    asked = exact(answer.get("amount"))
    qty_base = (asked or ZERO) * listing.contract_base
    if not qty_base and request is not None:
        qty_base = request.qty_base or filled_base
    if not venue_id or not (qty_base or filled_base):
        raise ValueError(f"an order without a number or a quantity: {sorted(answer)}")
    state = _state(_text(answer, "status"), filled_base, qty_base, answer)
    return VenueOrder(
        client_id=client_id,
        venue_id=venue_id,
        symbol=listing.instrument.symbol,
        side=side,
        state=state,
        qty_base=qty_base or filled_base,
        filled_base=filled_base,
        reduce_only=_reduces(answer, side, listing, request),
        price=None if _text(answer, "type") == "market" else exact(answer.get("price")) or None,
        stop_price=_stop_price(answer, request),
        at=int(answer.get("lastUpdateTimestamp") or answer.get("timestamp") or now_at),
        fills=_own_fills(answer, listing, client_id),
        reason=_reason(answer),
    )


def successor_of(answer: Mapping[str, Any]) -> str:
    """Return the number of the order that a triggered stop became, empty when it is the same."""
    raw = answer.get("info")
    if not isinstance(raw, Mapping):
        return ""
    numbers = (str(raw.get(name) or "") for name in _SUCCESSORS)
    return next((number for number in numbers if number.strip("0")), "")


def with_successor(order: VenueOrder, became: VenueOrder) -> VenueOrder:
    """Return a triggered stop as it stands: its own ids, the fate of the order it became."""
    return replace(
        order,
        state=became.state,
        filled_base=became.filled_base,
        at=became.at,
        fills=tuple(replace(fill, client_id=order.client_id) for fill in became.fills),
        reason=became.reason,
    )


def fill_of(trade: Mapping[str, Any], listing: Listing, client_id: str) -> Fill:
    """Return one execution from ccxt's trade structure.

    Raises
    ------
    ValueError : it lacks its number, side, quantity, price or time.
    """
    qty, price = exact(trade.get("amount")), exact(trade.get("price"))
    number, at = _text(trade, "id"), trade.get("timestamp")
    if not number or qty is None or price is None or qty <= 0 or price <= 0 or at is None:
        raise ValueError(f"a fill without number, quantity, price or time: {sorted(trade)}")
    fee = _fee(trade)
    cost = exact(fee.get("cost"))
    return Fill(
        id=number,
        client_id=client_id,
        symbol=listing.instrument.symbol,
        side=Side(_text(trade, "side")),
        qty_base=qty * listing.contract_base,
        price=price,
        fee=ZERO if cost is None else cost,
        fee_asset=_text(fee, "currency") or listing.instrument.quote,
        at=int(at),
    )


def _trigger(
    request: OrderRequest, listing: Listing, features: Mapping[str, Any]
) -> dict[str, Any]:
    name = "stopLossPrice" if request.type is OrderType.STOP else "takeProfitPrice"
    price = _number(request.stop_price or ZERO, request)
    if features.get(name):
        return {name: price}
    if not features.get("triggerPrice"):
        raise VenueRejected(
            f"{listing.venue_symbol}: this exchange holds no {request.type} orders: Paddock has to "
            "watch the price itself",
            refusal=Refusal.UNSUPPORTED,
            client_id=request.client_id,
        )
    # Towards the trigger, the price of a stop falls for a sell and rises for a buy.
    rises = (request.side is Side.BUY) == (request.type is OrderType.STOP)
    return {"triggerPrice": price, "triggerDirection": "ascending" if rises else "descending"}


def _number(value: Decimal, request: OrderRequest) -> float:
    number = float(value)
    if Decimal(repr(number)) != value:
        raise VenueRejected(
            f"order {request.client_id} for {request.symbol}: {value} has more digits than can be "
            "sent exactly",
            refusal=Refusal.QTY_STEP,
            client_id=request.client_id,
        )
    return number


def _state(
    status: str, filled_base: Decimal, qty_base: Decimal, answer: Mapping[str, Any]
) -> OrderState:
    final = _FINAL.get(status)
    if final is None:
        return OrderState.PARTIAL if 0 < filled_base < qty_base else OrderState.ACCEPTED
    if final is not OrderState.FILLED or (filled_base and filled_base >= qty_base):
        return final
    if not filled_base and _stop_price(answer, None) is not None:
        # Triggered: it works as another order now, whose fate decides.
        return OrderState.ACCEPTED
    # An exchange that closes what it did not fill has taken the rest back.
    return OrderState.CANCELED


def _reduces(
    answer: Mapping[str, Any], side: Side, listing: Listing, request: OrderRequest | None
) -> bool:
    if listing.instrument.market_type == "spot":
        # Nothing can be sold short there.
        return side is Side.SELL
    if request is not None:
        return request.reduce_only
    raw = answer.get("info")
    closes = raw.get("closePosition") if isinstance(raw, Mapping) else None
    return answer.get("reduceOnly") is True or str(closes).lower() == "true"


def _stop_price(answer: Mapping[str, Any], request: OrderRequest | None) -> Decimal | None:
    if request is not None:
        return request.stop_price
    return next((price for name in _STOP_PRICES if (price := exact(answer.get(name)))), None)


def _own_fills(answer: Mapping[str, Any], listing: Listing, client_id: str) -> tuple[Fill, ...]:
    trades = answer.get("trades")
    if not isinstance(trades, Sequence):
        return ()
    fills = []
    for trade in trades:
        stamped = {
            **trade,
            "timestamp": trade.get("timestamp") or answer.get("timestamp"),
            "side": trade.get("side") or answer.get("side"),
        }
        try:
            made = fill_of(stamped, listing, client_id)
        except ValueError:
            # Asked for by `fills`, which has all of it.
            return ()
        if _fee(trade).get("cost") is None:
            return ()
        fills.append(made)
    return tuple(fills)


def _fee(trade: Mapping[str, Any]) -> Mapping[str, Any]:
    fee: Mapping[str, Any] = trade.get("fee") or next(iter(trade.get("fees") or ()), {})
    return fee


def _reason(answer: Mapping[str, Any]) -> str:
    raw = answer.get("info")
    if not isinstance(raw, Mapping):
        return ""
    return str(raw.get("rejectReason") or raw.get("cancelReason") or "")


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return "" if value is None else str(value)
