"""The officer's view of an account, from the account book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.risk.groups import Groups
from engine.risk.officer import RiskOfficer
from engine.risk.view import LATE_FILL_MS, RECENT_MS, RiskView, view_of
from engine.trade.account_book import AccountBook
from engine.trade.exchange import Fill
from engine.trade.orders import OrderRequest, OrderState, Purpose, Side
from engine.trade.records import CashRecord, FillRecord, IntentRecord, OrderRecord
from tests.risk_values import (
    LIMITS,
    NOW_AT,
    PLAN,
    PRICES,
    entry_of,
    exit_of,
    marked,
    quiet_model,
)

S = OrderState


def funded(amount: int = 10_000) -> AccountBook:
    book = AccountBook("paper", "USDT")
    book.apply(CashRecord("USDT", Decimal(amount), "opening balance"), NOW_AT)
    return book


def ordered(
    book: AccountBook, request: OrderRequest, *states: OrderState, at: int = NOW_AT
) -> OrderRequest:
    book.apply(IntentRecord(request), at)
    for state in states:
        book.apply(OrderRecord(request.client_id, state), at)
    return request


def filled(
    book: AccountBook, request: OrderRequest, qty: str, price: str = "100", at: int = NOW_AT
) -> None:
    number = str(len(book.fill_ids(request.symbol)) + 1)
    fill = Fill(
        number,
        request.client_id,
        request.symbol,
        request.side,
        Decimal(qty),
        Decimal(price),
        Decimal(0),
        "USDT",
        at,
    )
    book.apply(FillRecord(fill, request.strategy_id), at)


def seen(book: AccountBook, at: int = NOW_AT, prices: dict[str, Decimal] | None = None) -> RiskView:
    return view_of(
        book,
        at=at,
        prices=PRICES if prices is None else prices,
        plans={"a": PLAN, "b": PLAN},
        breakers=marked(),
        model=quiet_model(),
        groups=Groups(),
    )


def left(view: RiskView) -> Sequence[tuple[str, Side, Decimal | None, Decimal | None]]:
    return [(o.symbol, o.side, o.left_base, o.left_quote) for o in view.pending]


def test_an_empty_book_is_worth_its_cash_and_holds_nothing() -> None:
    view = seen(funded())
    assert (view.equity_quote, view.holdings, view.pending) == (10_000, (), ())


@pytest.mark.parametrize(
    "states",
    [
        (),
        (S.SUBMITTED,),
        (S.SUBMITTED, S.ACCEPTED),
        (S.SUBMITTED, S.UNKNOWN),
        (S.SUBMITTED, S.ACCEPTED, S.CANCELING),
    ],
)
def test_an_entry_counts_from_the_moment_it_is_written_down(states: tuple[OrderState, ...]) -> None:
    book = funded()
    ordered(book, entry_of(500), *states)
    assert left(seen(book)) == [("BTC/USDT", Side.BUY, Decimal(5), None)]


def test_an_entry_that_waits_for_long_still_counts() -> None:
    book = funded()
    ordered(book, entry_of(500), S.SUBMITTED, S.UNKNOWN)
    assert left(seen(book, NOW_AT + 10 * RECENT_MS))


def test_what_filled_is_held_and_the_rest_still_waits() -> None:
    book = funded()
    request = ordered(book, entry_of(500), S.SUBMITTED, S.PARTIAL)
    filled(book, request, "2", "98")
    view = seen(book)
    assert left(view) == [("BTC/USDT", Side.BUY, Decimal(3), None)]
    [holding] = view.holdings
    assert (holding.strategy_id, holding.symbol) == ("a", "BTC/USDT")
    assert (holding.signed_base, holding.entry_price, holding.opened_at) == (2, 98, NOW_AT)
    assert view.equity_quote == 10_004


def test_an_order_sized_by_notional_waits_for_what_is_not_spent() -> None:
    book = funded()
    request = ordered(book, entry_of(500, by_notional=True), S.SUBMITTED, S.PARTIAL)
    filled(book, request, "2")
    assert left(seen(book)) == [("BTC/USDT", Side.BUY, None, Decimal(300))]


def test_a_reduce_only_order_is_no_exposure() -> None:
    book = funded()
    filled(book, ordered(book, entry_of(500), S.SUBMITTED, S.FILLED), "5")
    ordered(book, exit_of(500), S.SUBMITTED, S.ACCEPTED)
    assert left(seen(book)) == []


@pytest.mark.parametrize("end", [S.CANCELED, S.EXPIRED, S.REJECTED])
def test_an_order_that_ended_counts_until_no_fill_can_be_late(end: OrderState) -> None:
    book = funded()
    ordered(book, entry_of(500), S.SUBMITTED, end)
    assert left(seen(book, NOW_AT + LATE_FILL_MS))
    assert not left(seen(book, NOW_AT + LATE_FILL_MS + 1))


def test_news_of_an_earlier_fill_does_not_make_the_end_any_older() -> None:
    book = funded()
    request = ordered(book, entry_of(500), S.SUBMITTED)
    ended_at = NOW_AT + 10 * LATE_FILL_MS
    book.apply(OrderRecord(request.client_id, S.CANCELED), ended_at)
    filled(book, request, "1", at=NOW_AT)
    assert left(seen(book, ended_at)) == [("BTC/USDT", Side.BUY, Decimal(4), None)]


def test_an_order_said_to_be_filled_counts_until_its_fills_are_told() -> None:
    book = funded()
    request = ordered(book, entry_of(500), S.SUBMITTED, S.FILLED)
    assert left(seen(book, NOW_AT + RECENT_MS))
    assert not left(seen(book, NOW_AT + RECENT_MS + 1))
    filled(book, request, "5")
    assert not left(seen(book))


def test_orders_of_long_ago_are_not_looked_through() -> None:
    book = funded()
    old = replace(entry_of(500), created_at=NOW_AT - RECENT_MS - 1)
    ordered(book, old, S.SUBMITTED, S.CANCELED)
    ordered(book, entry_of(300, sequence=1), S.SUBMITTED, S.CANCELED)
    assert left(seen(book)) == [("BTC/USDT", Side.BUY, Decimal(3), None)]


# Stops


def test_only_a_stop_that_rests_at_the_venue_protects() -> None:
    book = funded()
    filled(book, ordered(book, entry_of(500), S.SUBMITTED, S.FILLED), "5")
    assert seen(book).holdings[0].unprotected_base == 5
    stop = ordered(book, exit_of(300, purpose=Purpose.STOP), S.SUBMITTED)
    assert seen(book).holdings[0].stop_base == 0
    book.apply(OrderRecord(stop.client_id, S.ACCEPTED), NOW_AT)
    holding = seen(book).holdings[0]
    assert (holding.stop_base, holding.unprotected_base, holding.stop_price) == (3, 2, 98)
    book.apply(OrderRecord(stop.client_id, S.UNKNOWN), NOW_AT)
    assert seen(book).holdings[0].stop_base == 0


def test_a_stop_of_another_strategy_or_side_protects_nothing() -> None:
    book = funded()
    filled(book, ordered(book, entry_of(500), S.SUBMITTED, S.FILLED), "5")
    ordered(book, exit_of(500, strategy_id="b", purpose=Purpose.STOP), S.SUBMITTED, S.ACCEPTED)
    ordered(book, exit_of(500, side=Side.BUY, purpose=Purpose.STOP), S.SUBMITTED, S.ACCEPTED)
    assert seen(book).holdings[0].stop_base == 0


# Equity


@pytest.mark.parametrize("price", [None, Decimal("NaN"), Decimal(0), Decimal(-3)])
def test_a_holding_without_a_price_makes_the_account_worth_nobody_knows_what(
    price: Decimal | None,
) -> None:
    book = funded()
    filled(book, ordered(book, entry_of(500), S.SUBMITTED, S.FILLED), "5")
    view = seen(book, prices={} if price is None else {"BTC/USDT": price})
    assert view.equity_quote is None
    assert not RiskOfficer(LIMITS).judge(entry_of(1, sequence=1), view).allowed


def test_a_worth_that_the_caller_knows_is_believed() -> None:
    view = view_of(
        funded(),
        at=NOW_AT,
        prices={},
        plans={},
        breakers=marked(),
        model=None,
        groups=Groups(),
        equity_quote=Decimal(7),
    )
    assert view.equity_quote == 7


def test_of_two_orders_at_once_the_second_sees_the_first() -> None:
    book, officer = funded(), RiskOfficer(LIMITS)
    first, second = entry_of(300), entry_of(300, sequence=1)
    assert officer.judge(first, seen(book)).allowed
    ordered(book, first)
    verdict = officer.judge(second, seen(book))
    assert [r.rule for r in verdict.rules if not r.passed] == ["strategy_frac"]
