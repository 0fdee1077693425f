"""The order monitor's rules, each from both sides of its limit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.trade.order_watch import AskWish, CancelWish, watch_orders
from engine.trade.orders import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from engine.trading_settings import Orders

D = Decimal
S = OrderState
SETTINGS = Orders()
SENT_AT = 1_000_000


def order(state: OrderState = S.ACCEPTED, updated_at: int = SENT_AT, **changes: Any) -> Order:
    values: dict[str, Any] = {
        "client_id": "pk-1",
        "account": "paper",
        "strategy_id": "s1",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "price": D(100),
        "purpose": Purpose.ENTRY,
        "qty_base": D(1),
        "reduce_only": False,
        "bar_at": 0,
        "created_at": SENT_AT,
        "reference_price": D(100),
    }
    return Order(OrderRequest(**{**values, **changes}), state=state, updated_at=updated_at)


def leaving(state: OrderState = S.ACCEPTED, **changes: Any) -> Order:
    values = {"type": OrderType.MARKET, "price": None, "purpose": Purpose.EXIT}
    return order(state, side=Side.SELL, reduce_only=True, **{**values, **changes})


def wishes(one: Order, age_s: float, price: str | None = "100") -> list[Any]:
    prices = {} if price is None else {"BTC/USDT": D(price)}
    return list(watch_orders([one], prices, SENT_AT + round(age_s * 1000), SETTINGS))


@pytest.mark.parametrize(("age_s", "n"), [(29.999, 0), (30.0, 1), (59.9, 1), (60.0, 1), (1e5, 1)])
def test_an_entry_is_cancelled_after_thirty_seconds(age_s: float, n: int) -> None:
    found = wishes(order(), age_s)
    assert len(found) == n
    assert all(isinstance(wish, CancelWish) for wish in found)


@pytest.mark.parametrize(
    ("price", "n"),
    [("100.199", 0), ("100.2", 1), ("99.801", 0), ("99.8", 1), ("NaN", 0), ("0", 0), (None, 0)],
)
def test_an_entry_is_cancelled_once_the_market_moved(price: str | None, n: int) -> None:
    assert len(wishes(order(), 1.0, price)) == n


@pytest.mark.parametrize("state", [S.ACCEPTED, S.PARTIAL, S.UNKNOWN, S.SUBMITTED])
def test_whatever_state_it_is_in_no_entry_lingers(state: OrderState) -> None:
    assert isinstance(wishes(order(state), 60.0)[0], CancelWish)


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED, S.INTENT])
def test_what_has_ended_or_is_on_its_way_is_left_alone(state: OrderState) -> None:
    assert wishes(order(state), 1e5, "500") == []


@pytest.mark.parametrize("purpose", [Purpose.EXIT, Purpose.RISK, Purpose.FLATTEN])
@pytest.mark.parametrize("state", [S.ACCEPTED, S.PARTIAL, S.UNKNOWN])
def test_an_exit_is_never_cancelled_only_asked_for(purpose: Purpose, state: OrderState) -> None:
    found = wishes(leaving(state, purpose=purpose), 1e5, "500")
    assert [type(wish) for wish in found] == [AskWish]


def test_a_stop_may_rest_for_ever() -> None:
    stop = leaving(type=OrderType.STOP, purpose=Purpose.STOP, stop_price=D(90))
    assert wishes(stop, 1e6, "91") == []


@pytest.mark.parametrize(("age_s", "n"), [(0.999, 0), (1.0, 1)])
def test_a_cancel_that_takes_too_long_is_asked_for(age_s: float, n: int) -> None:
    found = wishes(order(S.CANCELING), age_s)
    assert [type(wish) for wish in found] == [AskWish] * n


def test_an_unknown_order_is_asked_for_at_once() -> None:
    assert [type(wish) for wish in wishes(order(S.UNKNOWN), 0.0)] == [AskWish]


@pytest.mark.parametrize(("age_s", "n"), [(0.9, 0), (1.0, 1)])
def test_a_market_order_that_does_not_fill_is_asked_for(age_s: float, n: int) -> None:
    assert len(wishes(leaving(S.PARTIAL), age_s)) == n
