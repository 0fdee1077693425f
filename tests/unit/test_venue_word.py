"""What an exchange's word about an order changes, whatever it says and whenever it comes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest

from engine.trade.exchange import Fill, VenueOrder
from engine.trade.instrument import ZERO
from engine.trade.orders import (
    TRANSITIONS,
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from engine.trade.records import OrderRecord
from engine.trade.venue_word import changes_of, states_towards

D = Decimal
S = OrderState
REQUEST = OrderRequest(
    "pk-1", "paper", "s1", "BTC/USDT", Side.BUY, OrderType.MARKET, Purpose.ENTRY,
    D(1), False, 0, 0, D(100),
)  # fmt: skip
SAID = (S.ACCEPTED, S.PARTIAL, S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED)


def word(state: OrderState, filled: str = "0") -> VenueOrder:
    return VenueOrder(
        "pk-1", "v1", "BTC/USDT", Side.BUY, state, D(1), D(filled), False, None, None, 0
    )


def trade(i: int, qty: str) -> Fill:
    return Fill(str(i), "pk-1", "BTC/USDT", Side.BUY, D(qty), D(100), ZERO, "USDT", 0)


def after(order: Order, seen: VenueOrder, fills: list[Fill]) -> Order:
    records = changes_of(order, seen, fills)
    for fill in fills:
        order = order.filled(fill.qty_base, fill.price, 1)
    for record in records:
        assert isinstance(record, OrderRecord)
        order = order.moved(record.state, 1, reason=record.reason, venue_id=record.venue_id)
    return order


@pytest.mark.parametrize(("was", "said"), list(product(S, SAID)))
@pytest.mark.parametrize("filled", ["0", "0.4", "1"])
@pytest.mark.parametrize("has_fills", [True, False])
def test_no_word_breaks_the_table_and_none_ends_an_order_short_of_fills(
    was: OrderState, said: OrderState, filled: str, has_fills: bool
) -> None:
    fills = [trade(1, filled)] if has_fills and D(filled) else []
    order = after(Order(REQUEST, state=was), word(said, filled), fills)
    is_short = order.filled_base < D(filled)
    if is_short and not was.is_final:
        assert not order.state.is_final
    opened = {S.ACCEPTED, S.PARTIAL}
    if said in opened:
        assert order.state in (was, *opened)
        assert order.state.is_final == was.is_final
    elif not is_short and said in TRANSITIONS[was]:
        assert order.state is said
    assert order.filled_base == sum((f.qty_base for f in fills), ZERO)


def test_any_word_proves_that_an_intent_was_sent() -> None:
    assert states_towards(S.INTENT, S.FILLED) == (S.SUBMITTED, S.FILLED)
    assert states_towards(S.INTENT, S.SUBMITTED) == (S.SUBMITTED,)
    assert states_towards(S.FILLED, S.CANCELED) == ()


def test_a_cancel_under_way_stays_so_while_the_order_is_open() -> None:
    order = Order(REQUEST, state=S.CANCELING, venue_id="v1")
    assert after(order, word(S.ACCEPTED), []) == order
    assert after(order, word(S.PARTIAL, "0.4"), [trade(1, "0.4")]).state is S.CANCELING
    assert after(order, word(S.CANCELED), []).state is S.CANCELED


def test_the_same_word_twice_changes_nothing() -> None:
    order = after(Order(REQUEST), word(S.PARTIAL, "0.4"), [trade(1, "0.4")])
    assert changes_of(order, word(S.PARTIAL, "0.4"), []) == []


def test_the_venues_number_is_learnt_late_too() -> None:
    order = replace(Order(REQUEST, state=S.ACCEPTED), venue_id="")
    assert after(order, word(S.ACCEPTED), []).venue_id == "v1"
