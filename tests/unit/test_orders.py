"""The table of order states: every change that is allowed, and every one that is not."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest

from engine.errors import InvariantError, UsageError
from engine.trade.orders import (
    CLIENT_ID_LENGTH,
    FINAL_STATES,
    TRANSITIONS,
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
    client_id_of,
)

S = OrderState
PAIRS = list(product(S, S))
ALLOWED = {
    ("intent", "submitted"),
    ("intent", "rejected"),
    *(
        ("submitted", s)
        for s in "accepted partial filled canceled rejected expired unknown".split()
    ),
    *(
        ("accepted", s)
        for s in "partial filled canceling canceled expired rejected unknown".split()
    ),
    *(("partial", s) for s in "filled canceling canceled expired unknown".split()),
    *(
        ("canceling", s)
        for s in "accepted partial filled canceled expired rejected unknown".split()
    ),
    *(
        ("unknown", s)
        for s in "accepted partial filled canceling canceled rejected expired".split()
    ),
    ("canceled", "partial"),
    ("canceled", "filled"),
    ("expired", "partial"),
    ("expired", "filled"),
    *(("rejected", s) for s in "accepted partial filled canceled".split()),
}


def request(**changes: object) -> OrderRequest:
    values: dict[str, object] = {
        "client_id": "pk-1",
        "account": "paper",
        "strategy_id": "s",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "purpose": Purpose.ENTRY,
        "qty_base": Decimal(1),
        "reduce_only": False,
        "bar_at": 0,
        "created_at": 0,
        "reference_price": Decimal(100),
    }
    return OrderRequest(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("was", "becomes"), [pair for pair in PAIRS if pair[0] is not pair[1]])
def test_table_decides_every_change_of_state(was: OrderState, becomes: OrderState) -> None:
    order = Order(request(), state=was)
    if (was.value, becomes.value) in ALLOWED:
        moved = order.moved(becomes, 7, reason="why", venue_id="v")
        assert (moved.state, moved.reason, moved.venue_id, moved.updated_at) == (
            becomes,
            "why",
            "v",
            7,
        )
    else:
        with pytest.raises(InvariantError, match=f"{was} cannot become {becomes}"):
            order.moved(becomes, 7)


@pytest.mark.parametrize("state", list(S))
def test_staying_in_a_state_changes_nothing(state: OrderState) -> None:
    order = Order(request(), state=state, venue_id="v")
    assert order.moved(state, 9, reason="again") is order


def test_every_state_has_a_row_and_every_row_is_checked() -> None:
    assert set(TRANSITIONS) == set(S)
    assert {(a.value, b.value) for a, row in TRANSITIONS.items() for b in row} == ALLOWED


def test_a_filled_order_never_changes_and_open_states_can_always_end() -> None:
    assert TRANSITIONS[S.FILLED] == frozenset()
    for state in set(S) - FINAL_STATES:
        assert TRANSITIONS[state] & FINAL_STATES


@pytest.mark.parametrize("state", list(S))
def test_a_fill_counts_in_every_state_and_leaves_it(state: OrderState) -> None:
    order = Order(request(), state=state).filled(Decimal("0.4"), Decimal(100), 3)
    order = order.filled(Decimal("0.6"), Decimal(110), 4)
    assert order.state is state
    assert order.filled_base == 1
    assert order.average_price == Decimal(106)
    assert order.left_base == 0


def test_client_id_follows_from_what_the_order_is_for() -> None:
    first = client_id_of("paper", "s", "BTC/USDT", 5, Purpose.ENTRY, 0)
    assert first == client_id_of("paper", "s", "BTC/USDT", 5, Purpose.ENTRY, 0)
    assert len(first) == CLIENT_ID_LENGTH
    others = {
        client_id_of("live", "s", "BTC/USDT", 5, Purpose.ENTRY, 0),
        client_id_of("paper", "t", "BTC/USDT", 5, Purpose.ENTRY, 0),
        client_id_of("paper", "s", "ETH/USDT", 5, Purpose.ENTRY, 0),
        client_id_of("paper", "s", "BTC/USDT", 6, Purpose.ENTRY, 0),
        client_id_of("paper", "s", "BTC/USDT", 5, Purpose.EXIT, 0),
        client_id_of("paper", "s", "BTC/USDT", 5, Purpose.ENTRY, 1),
    }
    assert len(others | {first}) == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"qty_base": Decimal(-1)},
        {"qty_base": Decimal(0)},
        {"qty_base": Decimal("NaN")},
        {"qty_base": None},
        {"notional_quote": Decimal(5)},
        {"price": Decimal(1)},
        {"type": OrderType.LIMIT},
        {"type": OrderType.STOP},
        {"stop_price": Decimal(1)},
        {"reduce_only": True},
        {"purpose": Purpose.EXIT},
        {
            "type": OrderType.LIMIT,
            "price": Decimal(1),
            "qty_base": None,
            "notional_quote": Decimal(1),
        },
    ],
)
def test_a_malformed_request_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="order pk-1"):
        request(**changes)
