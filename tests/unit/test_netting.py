"""Two sides of one perpetual in one account: refused before, crossed after."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.trade.account_book import AccountBook
from engine.trade.exchange import Fill
from engine.trade.instrument import ZERO, Instrument
from engine.trade.netting import crossings, why_netted
from engine.trade.orders import OrderRequest, OrderState, OrderType, Purpose, Side
from engine.trade.records import FillRecord, IntentRecord, OrderRecord

D = Decimal
SYMBOL = "BTC/USDT"
PERP = Instrument(SYMBOL, "perp", D("0.01"), D("0.001"))
SPOT = replace(PERP, market_type="spot")


def entry(strategy_id: str, side: Side, client_id: str = "pk-1") -> OrderRequest:
    return OrderRequest(
        client_id, "paper", strategy_id, SYMBOL, side, OrderType.MARKET, Purpose.ENTRY, D(1),
        False, 0, 0, D(100),
    )  # fmt: skip


def holding(**held: str) -> AccountBook:
    book = AccountBook("paper", "USDT")
    for i, (name, base) in enumerate(held.items()):
        side = Side.BUY if D(base) > 0 else Side.SELL
        fill = Fill(str(i), "", SYMBOL, side, abs(D(base)), D(100), ZERO, "USDT", i)
        book.apply(FillRecord(fill, name), i)
    return book


@pytest.mark.parametrize(
    ("side", "instrument", "is_refused"),
    [
        (Side.BUY, PERP, False),
        (Side.SELL, PERP, True),
        (Side.SELL, SPOT, False),
    ],
)
def test_an_entry_against_anothers_position_is_refused_on_a_perpetual(
    side: Side, instrument: Instrument, is_refused: bool
) -> None:
    words = why_netted(entry("s2", side), holding(s1="2"), instrument)
    assert bool(words) is is_refused


def test_an_entry_against_ones_own_position_is_the_strategys_affair() -> None:
    assert why_netted(entry("s1", Side.SELL), holding(s1="2"), PERP) == ""


def test_an_entry_against_anothers_open_entry_is_refused() -> None:
    book = holding()
    book.apply(IntentRecord(entry("s1", Side.BUY)), 0)
    assert "is entering the other side" in why_netted(entry("s2", Side.SELL, "pk-2"), book, PERP)
    book.apply(OrderRecord("pk-1", OrderState.REJECTED), 0)
    assert why_netted(entry("s2", Side.SELL, "pk-2"), book, PERP) == ""


def test_what_reduces_is_never_refused() -> None:
    leaving = replace(entry("s2", Side.SELL), purpose=Purpose.EXIT, reduce_only=True)
    assert why_netted(leaving, holding(s1="2"), PERP) == ""


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=6), st.integers(1, 1000))
def test_crossing_leaves_one_side_and_changes_no_total(held: list[int], price: int) -> None:
    book = holding(**{f"s{i}": str(base) for i, base in enumerate(held) if base})
    net, cash = book.net_base(SYMBOL), book.cash.get("USDT", ZERO)
    for record in crossings(book, SYMBOL, D(price)):
        book.apply(record, 0)
    left = [position.signed_base for position in book.open_positions()]
    assert len({base > 0 for base in left}) <= 1
    assert book.net_base(SYMBOL) == net == sum(left, ZERO)
    assert book.cash.get("USDT", ZERO) == cash
    assert crossings(book, SYMBOL, D(price)) == ()
