"""The order monitor's rules: what has rested for too long, and what must be asked for. Pure.

They cancel what adds exposure and never what leaves: an exit that hangs is asked for, and a stop
may rest for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from engine.trade.orders import Order, OrderState, OrderType
from engine.trading_settings import Orders

ASK_AFTER_MS = 1_000
"""A cancel, or an order that should fill at once, is asked for after so long."""

_RESTS = (OrderState.ACCEPTED, OrderState.PARTIAL)


@dataclass(frozen=True, slots=True)
class CancelWish:
    """Cancel an order, and why."""

    client_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AskWish:
    """Ask the exchange how an order stands, and why."""

    client_id: str
    reason: str


OrderWish = CancelWish | AskWish


def watch_orders(
    orders: Iterable[Order], prices: Mapping[str, Decimal], now_at: int, settings: Orders
) -> tuple[OrderWish, ...]:
    """Return what is to be done about orders that are open.

    Parameters
    ----------
    prices : newest by symbol; a symbol that has none is not judged by its move
    now_at : UTC ms, the account's clock, as `created_at` of the requests
    """
    wishes: list[OrderWish] = []
    for order in orders:
        reason = _why_cancel(order, prices.get(order.request.symbol), now_at, settings)
        if reason:
            wishes.append(CancelWish(order.client_id, reason))
            continue
        reason = _why_ask(order, now_at)
        if reason:
            wishes.append(AskWish(order.client_id, reason))
    return tuple(wishes)


def _why_cancel(order: Order, price: Decimal | None, now_at: int, settings: Orders) -> str:
    request = order.request
    if not request.adds_exposure or order.state.is_final:
        return ""
    if order.state in (OrderState.INTENT, OrderState.CANCELING):
        return ""
    age_s = (now_at - request.created_at) / 1000
    if age_s >= settings.linger_s:
        return f"no order that adds exposure may linger {settings.linger_s:g} s"
    if age_s >= settings.entry_timeout_s:
        return f"not filled within {settings.entry_timeout_s:g} s"
    if price is None or not (price.is_finite() and price > 0):
        return ""
    moved_frac = abs(float(price / request.reference_price) - 1.0)
    # A price is told with finite steps: exactly the limit counts as having reached it.
    if moved_frac >= settings.entry_move_frac - 1e-12:
        return (
            f"the market moved {moved_frac:.2%} since it was sent, from {request.reference_price}"
            f" to {price}"
        )
    return ""


def _why_ask(order: Order, now_at: int) -> str:
    waited_ms = now_at - order.updated_at
    if order.state is OrderState.UNKNOWN:
        return "its fate is unknown"
    if waited_ms < ASK_AFTER_MS:
        return ""
    if order.state is OrderState.CANCELING:
        return f"its cancel is pending for {waited_ms / 1000:.1f} s"
    if order.state in _RESTS and order.request.type is OrderType.MARKET:
        return f"a market order is not filled after {waited_ms / 1000:.1f} s"
    return ""
