"""The account book: what each record does to orders, positions and cash."""

from __future__ import annotations

from decimal import Decimal as D
from pathlib import Path

import pytest

from engine.errors import DataError, InvariantError
from engine.risk.latch import TradingState
from engine.risk.verdict import RiskVerdict
from engine.trade.account_book import AccountBook
from engine.trade.journal import Journal
from engine.trade.orders import OrderState, Side
from engine.trade.records import (
    AdoptRecord,
    CashRecord,
    DisownRecord,
    FillRecord,
    GenesisRecord,
    IntentRecord,
    LatchRecord,
    MarkRecord,
    NoteRecord,
    OrderRecord,
    Record,
    VerdictRecord,
)
from tests.journal_records import fill, one_of_each, request


def book_of(*records: Record) -> AccountBook:
    book = AccountBook("paper", "USDT")
    for n, record in enumerate(records):
        book.apply(record, 1_000 + n)
    return book


def test_intent_makes_an_order_once() -> None:
    book = book_of(IntentRecord(request()), IntentRecord(request(qty="9")))
    assert list(book.orders) == ["pk-1"]
    order = book.orders["pk-1"]
    assert (order.state, order.request.qty_base, order.updated_at) == (
        OrderState.INTENT,
        D("0.5"),
        1_000,
    )
    assert book.active_orders() == (order,)


def test_states_move_an_order_and_an_ended_one_is_no_longer_active() -> None:
    book = book_of(
        IntentRecord(request()),
        OrderRecord("pk-1", OrderState.SUBMITTED),
        OrderRecord("pk-1", OrderState.UNKNOWN, reason="no answer"),
    )
    assert [order.client_id for order in book.unknown_orders()] == ["pk-1"]
    book.apply(OrderRecord("pk-1", OrderState.CANCELED, venue_id="81"), 2_000)
    order = book.orders["pk-1"]
    assert (order.venue_id, order.reason, order.updated_at) == ("81", "no answer", 2_000)
    assert book.active_orders() == book.unknown_orders() == ()


def test_late_fill_counts_and_its_order_can_come_back() -> None:
    book = book_of(
        IntentRecord(request()),
        OrderRecord("pk-1", OrderState.SUBMITTED),
        OrderRecord("pk-1", OrderState.CANCELED),
        FillRecord(fill(qty="0.2"), "a3f1"),
    )
    assert book.orders["pk-1"].filled_base == D("0.2")
    assert book.orders["pk-1"].average_price == D("29999.9")
    assert book.net_base("BTC/USDT") == D("0.1995")
    book.apply(OrderRecord("pk-1", OrderState.PARTIAL), 2_000)
    assert len(book.active_orders()) == 1


def test_state_that_the_table_forbids_is_our_bug() -> None:
    book = book_of(IntentRecord(request()))
    with pytest.raises(InvariantError, match="intent cannot become filled"):
        book.apply(OrderRecord("pk-1", OrderState.FILLED), 2_000)
    with pytest.raises(InvariantError, match="order pk-9 is filled and was never written down"):
        book.apply(OrderRecord("pk-9", OrderState.FILLED), 2_000)


def test_fill_is_counted_once_by_symbol_and_number() -> None:
    once, twice = (
        FillRecord(fill(), "a3f1"),
        FillRecord(fill(symbol="ETH/USDT", fee_asset="ETH"), "a3f1"),
    )
    book = book_of(once, once, twice, once)
    assert book.fill_ids("BTC/USDT") == book.fill_ids("ETH/USDT") == {"1"}
    assert book.has_fill("BTC/USDT", "1")
    assert not book.has_fill("BTC/USDT", "2")
    assert not book.has_fill("SOL/USDT", "1")
    assert book.net_base("BTC/USDT") == book.net_base("ETH/USDT") == D("0.4995")


def test_fee_in_base_lowers_the_position_and_not_the_cash() -> None:
    book = book_of(FillRecord(fill(qty="1", price="100", fee="0.001"), "s"))
    position = book.position("s", "BTC/USDT")
    assert (position.signed_base, position.cost_quote) == (D("0.999"), D("99.9"))
    assert (position.entry_price, position.fees_quote) == (D(100), D("0.1"))
    assert book.cash == {"USDT": D(-100)}
    assert book.balance_of("BTC") == D("0.999")


def test_fee_in_quote_lowers_the_cash_and_not_the_position() -> None:
    book = book_of(FillRecord(fill(qty="1", price="100", fee="0.1", fee_asset="USDT"), "s"))
    position = book.position("s", "BTC/USDT")
    assert (position.signed_base, position.cost_quote, position.fees_quote) == (1, 100, D("0.1"))
    assert book.cash == {"USDT": D("-100.1")}


def test_fee_in_a_third_currency_is_cash_of_that_currency() -> None:
    book = book_of(
        CashRecord("BNB", D("2"), "deposit"),
        FillRecord(fill(qty="1", price="100", fee="0.1", fee_asset="BNB"), "s"),
    )
    assert book.cash == {"BNB": D("1.9"), "USDT": D(-100)}
    assert book.position("s", "BTC/USDT").fees_quote == 0
    assert book.equity_quote({"BTC/USDT": D(100), "BNB/USDT": D(300)}) == D(570)
    with pytest.raises(DataError, match="BNB/USDT has no price"):
        book.equity_quote({"BTC/USDT": D(100)})


def test_position_flips_through_zero_into_a_new_one() -> None:
    book = book_of(
        FillRecord(fill("1", qty="1", price="100", fee="0", at=10), "s"),
        FillRecord(fill("2", side=Side.SELL, qty="3", price="110", fee="0", at=20), "s"),
    )
    position = book.position("s", "BTC/USDT")
    assert (position.signed_base, position.entry_price, position.opened_at) == (-2, 110, 20)
    assert (position.realized_quote, position.cost_quote) == (10, -220)
    assert position.unrealized_quote(D(100)) == 20
    assert book.wallet_quote() == 10


def test_partial_close_keeps_the_entry_price_and_the_opening_instant() -> None:
    book = book_of(
        FillRecord(fill("1", qty="1", price="100", fee="0", at=10), "s"),
        FillRecord(fill("2", qty="2", price="103", fee="0", at=20), "s"),
        FillRecord(fill("3", side=Side.SELL, qty="1.5", price="110", fee="0", at=30), "s"),
    )
    position = book.position("s", "BTC/USDT")
    assert (position.signed_base, position.entry_price, position.opened_at) == (D("1.5"), 102, 10)
    assert position.realized_quote == 12
    book.apply(FillRecord(fill("4", side=Side.SELL, qty="1.5", price="90", fee="0", at=40), "s"), 5)
    flat = book.position("s", "BTC/USDT")
    assert flat.is_flat
    assert (flat.cost_quote, flat.realized_quote, flat.opened_at, flat.entry_price) == (
        0,
        -6,
        None,
        None,
    )
    assert book.open_positions() == ()
    assert book.cash["USDT"] == -6


def test_strategies_hold_positions_of_their_own_in_one_symbol() -> None:
    book = book_of(
        FillRecord(fill("1", qty="1", fee="0"), "long"),
        FillRecord(fill("2", side=Side.SELL, qty="3", fee="0"), "short"),
    )
    assert book.net_base("BTC/USDT") == -2
    assert [p.signed_base for p in book.open_positions()] == [1, -3]
    assert book.position("nobody", "BTC/USDT").is_flat


def test_adopted_difference_is_a_position_at_its_price_and_leaves_equity_as_it_was() -> None:
    book = book_of(
        CashRecord("USDT", D(1000), "opening balance"),
        AdoptRecord("s", "BTC/USDT", D("-0.5"), D(200), "ana", "found at start"),
    )
    position = book.position("s", "BTC/USDT")
    assert (position.signed_base, position.entry_price, position.opened_at) == (
        D("-0.5"),
        200,
        1_001,
    )
    assert book.equity_quote({"BTC/USDT": D(200)}) == book.wallet_quote() == 1000


def test_disowned_differences_add_up_and_change_nothing_else() -> None:
    book = book_of(DisownRecord("BTC", D(2), "ana", ""), DisownRecord("BTC", D("-0.5"), "ana", ""))
    assert book.disowned == {"BTC": D("1.5")}
    assert (book.cash, book.positions) == ({}, {})


def test_marks_and_the_latch_are_kept_and_notes_and_refusals_change_nothing() -> None:
    mark, latch = MarkRecord(5, D(10), "day"), LatchRecord(TradingState.HALTED, "ana", "F9")
    refusal = VerdictRecord(request(), RiskVerdict(False, reason="no stop"))
    book = book_of(GenesisRecord("paper", 1, 1), mark, latch, NoteRecord("t", "m"), refusal)
    assert (book.marks, book.latch, book.orders) == ([mark], latch, {})


def test_price_that_is_missing_is_named_and_a_flat_symbol_needs_none() -> None:
    book = book_of(FillRecord(fill("1", qty="1", price="100", fee="0"), "s"))
    with pytest.raises(DataError, match="BTC/USDT has no price"):
        book.equity_quote({})
    book.apply(FillRecord(fill("2", side=Side.SELL, qty="1", price="101", fee="0"), "s"), 2)
    assert book.equity_quote({}) == 1


def test_symbol_in_another_quote_currency_is_valued_through_it() -> None:
    book = book_of(FillRecord(fill(qty="2", price="0.05", fee="0", symbol="ETH/BTC"), "s"))
    prices = {"ETH/BTC": D("0.06"), "BTC/USDT": D(30000)}
    assert book.cash == {"BTC": D("-0.10")}
    assert book.equity_quote(prices) == D("0.02") * 30000


def test_book_of_a_journal_is_the_fold_of_its_lines(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "paper", now_at=1)
    journal.append(one_of_each(), 2_000)
    book = AccountBook.of(journal.read(-1), "paper", "USDT")
    assert book.orders["pk-1"].state is OrderState.FILLED
    assert book.cash["USDT"] == D("100000.00") - D("0.5") * D("29999.9") + D(3000)
    assert book.net_base("ETH/USDT") == D("-1.5")
    with pytest.raises(DataError, match="is of account paper, not of live"):
        AccountBook.of(journal.read(-1), "live", "USDT")
    journal.close()
