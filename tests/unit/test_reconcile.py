"""Journal against exchange: every difference, its words, and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.trade.account_book import AccountBook
from engine.trade.adoption import (
    ADOPTED,
    adopted,
    attributed,
    disowned,
    held_of,
    opening_records,
    shares,
)
from engine.trade.exchange import AccountView, Fill, VenueOrder, VenuePosition
from engine.trade.instrument import ZERO, Instrument
from engine.trade.orders import OrderRequest, OrderState, OrderType, Purpose, Side
from engine.trade.reconcile import DifferenceKind, chosen_of, funding_of, reconcile
from engine.trade.records import CashRecord, FillRecord, IntentRecord, OrderRecord

D = Decimal
SPOT = {"BTC/USDT": Instrument("BTC/USDT", "spot", D("0.01"), D("0.001"), D("0.001"), D(10))}
PERP = {"BTC/USDT": replace(SPOT["BTC/USDT"], market_type="perp")}


def fill(i: int, side: Side, qty: str, price: int = 100, **changes: Any) -> Fill:
    made = Fill(str(i), "pk-1", "BTC/USDT", side, D(qty), D(price), D("0.01"), "USDT", i)
    return replace(made, **changes)


def request(client_id: str = "pk-1") -> OrderRequest:
    return OrderRequest(
        client_id, "paper", "s1", "BTC/USDT", Side.BUY, OrderType.MARKET, Purpose.ENTRY,
        D(1), False, 0, 0, D(100),
    )  # fmt: skip


def book_of(*fills: tuple[Fill, str]) -> AccountBook:
    book = AccountBook("paper", "USDT")
    book.apply(CashRecord("USDT", D(1000), "opening balance"), 0)
    book.apply(IntentRecord(request()), 0)
    book.apply(OrderRecord("pk-1", OrderState.SUBMITTED), 0)
    book.apply(OrderRecord("pk-1", OrderState.FILLED), 0)
    for one, strategy_id in fills:
        book.apply(FillRecord(one, strategy_id), 0)
    return book


def spot_view(usdt: str, btc: str = "0", **others: str) -> AccountView:
    balances = {"USDT": D(usdt), "BTC": D(btc), **{a: D(v) for a, v in others.items()}}
    held = {"BTC/USDT": VenuePosition("BTC/USDT", D(btc))} if D(btc) else {}
    return AccountView(9, {a: v for a, v in balances.items() if v}, held)


def perp_view(wallet: str, btc: str = "0") -> AccountView:
    held = {"BTC/USDT": VenuePosition("BTC/USDT", D(btc), D(100))} if D(btc) else {}
    return AccountView(9, {"USDT": D(wallet)}, held)


def resting(client_id: str, venue_id: str = "7") -> VenueOrder:
    return VenueOrder(
        client_id, venue_id, "BTC/USDT", Side.SELL, OrderState.ACCEPTED, D(1), ZERO, True,
        None, D(90), 0,
    )  # fmt: skip


BOUGHT = book_of((fill(1, Side.BUY, "2"), "s1"))
"""2 BTC for 200 and 0.01 of fee: 799.99 USDT are left."""


def test_what_agrees_is_clean() -> None:
    report = reconcile(BOUGHT, [], spot_view("799.99", "2"), SPOT)
    assert report.is_clean
    assert report.words == "journal and exchange agree"
    assert reconcile(BOUGHT, [], perp_view("999.99", "2"), PERP).is_clean


@pytest.mark.parametrize(
    ("view", "instruments", "subject"),
    [
        (spot_view("799.99", "1.5"), SPOT, "BTC"),
        (spot_view("799.99", "2.5"), SPOT, "BTC"),
        (perp_view("999.99", "1.5"), PERP, "BTC/USDT"),
        (perp_view("999.99", "-2"), PERP, "BTC/USDT"),
        (perp_view("999.99"), PERP, "BTC/USDT"),
    ],
)
def test_a_quantity_that_differs_is_found(
    view: AccountView, instruments: dict[str, Instrument], subject: str
) -> None:
    report = reconcile(BOUGHT, [], view, instruments)
    first = report.differences[0]
    assert (first.kind, first.subject) == (DifferenceKind.QUANTITY, subject)
    assert "the journal holds 2, the exchange holds" in report.words


def test_a_lack_can_only_be_adopted_and_a_surplus_can_be_disowned() -> None:
    lack = reconcile(BOUGHT, [], spot_view("799.99", "1.5"), SPOT).differences[0]
    assert lack.disown == ""
    assert disowned(lack, "op", "why") == []
    surplus = reconcile(BOUGHT, [], spot_view("799.99", "2.5"), SPOT).differences[0]
    for record in disowned(surplus, "op", "my own coins"):
        book = book_of((fill(1, Side.BUY, "2"), "s1"))
        book.apply(record, 0)
        assert reconcile(book, [], spot_view("799.99", "2.5"), SPOT).is_clean
        assert not reconcile(book, [], spot_view("799.99", "2"), SPOT).is_clean


def test_a_balance_that_differs_is_found_adopted_and_disowned() -> None:
    report = reconcile(BOUGHT, [], spot_view("899.99", "2"), SPOT)
    found = report.differences[0]
    assert (found.kind, found.subject, found.beyond) == (DifferenceKind.BALANCE, "USDT", D(100))
    for records in (adopted(found, BOUGHT, None, "op", ""), disowned(found, "op", "")):
        book = book_of((fill(1, Side.BUY, "2"), "s1"))
        for record in records:
            book.apply(record, 0)
        assert reconcile(book, [], spot_view("899.99", "2"), SPOT).is_clean


def test_a_coin_nobody_traded_is_a_balance() -> None:
    report = reconcile(BOUGHT, [], spot_view("799.99", "2", DOGE="5"), SPOT)
    assert [(d.kind, d.subject) for d in report.differences] == [(DifferenceKind.BALANCE, "DOGE")]


def test_what_rounding_takes_is_no_difference() -> None:
    assert reconcile(BOUGHT, [], spot_view("799.990000009", "2"), SPOT).is_clean
    assert not reconcile(BOUGHT, [], spot_view("799.9901", "2"), SPOT).is_clean


@pytest.mark.parametrize("btc", ["1.9999", "2.05", "1.95"])
def test_dust_is_named_and_no_difference(btc: str) -> None:
    report = reconcile(BOUGHT, [], spot_view("799.99", btc), SPOT)
    assert report.is_clean
    assert "under the venue's minimum" in report.dust[0]


def test_dust_that_is_held_is_named() -> None:
    book = book_of((fill(1, Side.BUY, "0.05"), "s1"))
    report = reconcile(book, [], spot_view("994.99", "0.05"), SPOT)
    assert report.is_clean
    assert "is dust" in report.dust[0]


def test_a_foreign_order_is_found_and_may_be_left_alone() -> None:
    view = spot_view("799.99", "2")
    found = reconcile(BOUGHT, [resting("web-1")], view, SPOT).differences[0]
    assert (found.kind, found.subject, found.is_order) == (
        DifferenceKind.FOREIGN_ORDER,
        "web-1",
        True,
    )
    book = book_of((fill(1, Side.BUY, "2"), "s1"))
    for record in disowned(found, "op", "mine"):
        book.apply(record, 0)
    assert reconcile(book, [resting("web-1")], view, SPOT).is_clean
    assert not reconcile(book, [resting("web-2", "8")], view, SPOT).is_clean


def test_an_order_that_ended_here_and_rests_there_is_found() -> None:
    report = reconcile(BOUGHT, [resting("pk-1")], spot_view("799.99", "2"), SPOT)
    assert report.differences[0].kind is DifferenceKind.LIVING_ORDER
    assert report.differences[0].disown == ""


def test_an_unknown_order_is_a_difference_that_only_the_exchange_ends() -> None:
    book = book_of((fill(1, Side.BUY, "2"), "s1"))
    book.apply(IntentRecord(request("pk-2")), 0)
    book.apply(OrderRecord("pk-2", OrderState.SUBMITTED), 0)
    book.apply(OrderRecord("pk-2", OrderState.UNKNOWN, "", "the answer was lost"), 0)
    report = reconcile(book, [], spot_view("799.99", "2"), SPOT)
    assert report.differences[0].kind is DifferenceKind.UNKNOWN_STATE
    with pytest.raises(UsageError, match="nothing to decide"):
        chosen_of(report, None)
    assert reconcile(book, [], spot_view("799.99", "2"), SPOT, sending={"pk-2"}).is_clean


def test_what_an_order_on_its_way_may_explain_is_no_difference_yet() -> None:
    book = book_of((fill(1, Side.BUY, "2"), "s1"))
    book.apply(IntentRecord(request("pk-2")), 0)
    view = spot_view("699.98", "3")
    assert not reconcile(book, [], view, SPOT).is_clean
    assert reconcile(book, [], view, SPOT, sending={"pk-2"}).is_clean


def test_asking_for_a_difference_that_is_not_there_says_what_is() -> None:
    report = reconcile(BOUGHT, [], spot_view("799.99", "2"), SPOT)
    with pytest.raises(UsageError, match="no difference on BTC: journal and exchange agree"):
        chosen_of(report, "BTC")


@pytest.mark.parametrize(
    ("beyond", "expected"),
    [
        ("-1", [("s1", D(-1))]),
        ("-2.5", [("s1", D(-2)), ("s2", D("-0.5"))]),
        ("-4", [("s1", D(-2)), ("s2", D(-1)), (ADOPTED, D(-1))]),
        ("1", [(ADOPTED, D(1))]),
    ],
)
def test_a_change_closes_the_largest_position_first(
    beyond: str, expected: list[tuple[str, Decimal]]
) -> None:
    book = book_of((fill(1, Side.BUY, "1"), "s2"), (fill(2, Side.BUY, "2"), "s1"))
    assert shares(held_of(book, "BTC/USDT"), D(beyond)) == expected


@pytest.mark.parametrize(
    ("beyond", "expected"),
    [
        ("-1", [("s2", D(-1))]),
        ("-2", [("s2", D(-1)), ("s1", D(-1))]),
        ("-4", [("s2", D(-2)), ("s1", D(-2))]),
    ],
)
def test_what_an_order_closes_is_its_owners_first(
    beyond: str, expected: list[tuple[str, Decimal]]
) -> None:
    held = {"s1": D(2), "s2": D(1), "s3": D(-9)}
    assert shares(held, D(beyond), "s2") == expected


@given(
    held=st.lists(st.integers(-50, 50), min_size=1, max_size=5),
    qty=st.integers(1, 200),
    side=st.sampled_from(list(Side)),
    fee=st.decimals(0, 5, places=8),
)
def test_a_shared_fill_adds_up_to_the_whole(
    held: list[int], qty: int, side: Side, fee: Decimal
) -> None:
    book = AccountBook("paper", "USDT")
    for i, n in enumerate(held):
        if n:
            one = fill(i, Side.BUY if n > 0 else Side.SELL, str(abs(n)))
            book.apply(FillRecord(one, f"s{i}"), 0)
    whole = fill(99, side, str(qty), fee=fee)
    before, cash = book.net_base("BTC/USDT"), book.cash.get("USDT", ZERO)
    records = attributed(whole, held_of(book, whole.symbol))
    for record in records:
        book.apply(record, 0)
    assert book.net_base("BTC/USDT") - before == qty * side.sign
    assert book.cash["USDT"] - cash == -qty * side.sign * whole.price - fee
    assert book.has_fill("BTC/USDT", "99")
    assert len({record.fill.id for record in records}) == len(records)


@given(
    quote=st.decimals(0, 2000, places=4),
    base=st.decimals(0, 5, places=3),
    word=st.sampled_from([adopted, disowned]),
)
def test_whatever_differs_agrees_once_the_operator_has_spoken(
    quote: Decimal, base: Decimal, word: Callable[..., Any]
) -> None:
    book = book_of((fill(1, Side.BUY, "2"), "s1"))
    view = AccountView(9, {"USDT": quote, "BTC": base}, {})
    for _ in range(2):
        # Twice: what is taken into a position is paid for, and the money differs in its turn.
        for found in reconcile(book, [], view, SPOT).differences:
            records = adopted(found, book, D(100), "op", "") or disowned(found, "op", "")
            if word is disowned and found.disown:
                records = disowned(found, "op", "")
            for record in records:
                book.apply(record, 0)
    assert reconcile(book, [], view, SPOT).is_clean


@pytest.mark.parametrize(
    ("wallet", "btc", "expected"),
    [
        ("998.99", "2", D(-1)),
        ("1000.99", "2", D(1)),
        ("997.99", "2", D(-2)),
        ("997.98", "2", None),
        ("998.99", "1.5", None),
        ("999.99", "2", None),
    ],
)
def test_funding_is_what_alone_differs_and_is_small(
    wallet: str, btc: str, expected: Decimal | None
) -> None:
    view = perp_view(wallet, btc)
    report = reconcile(BOUGHT, [], view, PERP)
    assert funding_of(report, view, "USDT") == expected


def test_a_new_account_owns_its_money_and_leaves_other_coins_alone() -> None:
    view = spot_view("1000", "0.5", BNB="3")
    book = AccountBook("paper", "USDT")
    for record in opening_records(view, "USDT"):
        book.apply(record, 0)
    assert book.cash == {"USDT": D(1000)}
    assert reconcile(book, [], view, SPOT).is_clean
    assert book.equity_quote({}) == 1000
