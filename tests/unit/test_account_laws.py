"""The laws that hold after each kill of a campaign: whole accounts keep them, others do not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.errors import DataError
from engine.market.feed import MarketType
from engine.trade.account_book import AccountBook
from engine.trade.instrument import Instrument
from engine.trade.journal import JOURNAL_FILE, Journal
from engine.trade.orders import OrderRequest, OrderState
from engine.trade.records import CashRecord, FillRecord, IntentRecord, OrderRecord, Record
from engine.trade.simulated.book_order import NewOrder
from engine.trade.simulated.endpoint import exchange_folder
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.perp_account import PerpAccount
from engine.trade.simulated.rules import VenueRules
from engine.trade.simulated.snapshot import state_text
from engine.trade.simulated.venue import ENGINE_STATE
from engine.trade.simulated.venue_store import VenueStore
from tests.chaos import trade_kills
from tests.chaos.account_laws import book_over, misheld
from tests.chaos.exchange_file import read_exchange
from tests.chaos.harness import Home
from tests.chaos.trade_kills import Killing
from tests.unit.gateway_desk import entry, leaving, stop

D = Decimal
AT = 1_700_000_000_000
SYMBOL = "BTC/USDT"


class Account:
    """An exchange's file and a journal, made by hand: a long position, and a stop that rests."""

    def __init__(self, folder: Path, market_type: MarketType) -> None:
        self.killing = Killing(Home(folder, trading=True), seed=1)
        self.home = self.killing.home.home
        listed = Instrument(SYMBOL, market_type, D("0.01"), D("0.001"), D("0.001"), D(10))
        self.engine = MatchingEngine({SYMBOL: listed}, VenueRules(), {"USDT": D(100_000)})
        self.store = VenueStore(exchange_folder(self.home))
        self.journal = Journal.open(self.killing.folder, "paper", now_at=AT)
        self.write(CashRecord("USDT", D(100_000), "opening balance"))
        self.engine.on_trade(SYMBOL, D(50_000), AT)
        self.trade(entry("pk-entry"))
        self.trade(stop("pk-stop", qty_base=D("0.1")))

    def trade(self, request: OrderRequest) -> None:
        """Trade at the exchange, and write it all down here."""
        self.write(IntentRecord(request), OrderRecord(request.client_id, OrderState.SUBMITTED))
        self.engine.place(NewOrder.of(request), AT)
        self.engine.settle(SYMBOL)
        self.save()
        order = self.engine.order(request.client_id)
        assert order is not None
        self.write(
            OrderRecord(request.client_id, OrderState.ACCEPTED, order.venue_id),
            *(FillRecord(fill, request.strategy_id) for fill in order.fills),
        )
        if order.state is not OrderState.ACCEPTED:
            self.write(OrderRecord(request.client_id, order.state))

    def save(self) -> None:
        """Put the exchange's state of now into its file."""
        book = self.engine.book
        unsaved = [(book.orders[fill.client_id].number, fill) for fill in book.trades[SYMBOL]]
        state = (ENGINE_STATE, state_text(self.engine))
        self.store.save(book.orders.values(), unsaved, (state,))
        book.forget_ended([])

    def write(self, *records: Record) -> None:
        """Add lines to the journal."""
        self.journal.append(records, AT)

    def close(self) -> None:
        """Let go of both files."""
        self.journal.close()
        self.store.close()

    def change(self, query: str, *values: Any) -> None:
        """Change the exchange's file behind its back."""
        with closing(sqlite3.connect(exchange_folder(self.home) / "venue.db")) as connection:
            connection.execute(query, values)
            connection.commit()


@pytest.fixture(params=["spot", "perp"])
def account(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    # Nothing is on its way: what does not agree at once never will.
    monkeypatch.setattr(trade_kills, "AGREES_S", 0.0)
    with closing(Account(tmp_path, request.param)) as made:
        yield made


async def test_an_account_that_is_as_its_exchange_has_it_breaks_nothing(account: Account) -> None:
    assert await account.killing.broken() == []
    account.trade(leaving("pk-exit", qty_base=D("0.04")))
    assert await account.killing.broken() == []


def _lose_coins(account: Account) -> None:
    held = account.engine.account
    if isinstance(held, PerpAccount):
        held.held[SYMBOL].signed_base -= D("0.02")
    else:
        held.total["BTC"] -= D("0.02")
    account.save()


def _lose_money(account: Account) -> None:
    held = account.engine.account
    if isinstance(held, PerpAccount):
        held.wallet -= 1
    else:
        held.total["USDT"] -= 1
    account.save()


def _miscount_a_fill(account: Account) -> None:
    request = leaving("pk-exit", qty_base=D("0.04"))
    account.write(IntentRecord(request), OrderRecord("pk-exit", OrderState.SUBMITTED))
    account.engine.place(NewOrder.of(request), AT)
    account.engine.settle(SYMBOL)
    account.save()
    order = account.engine.order("pk-exit")
    assert order is not None
    (fill,) = order.fills
    account.write(FillRecord(replace(fill, qty_base=D("0.03")), request.strategy_id))


def _stand_twice(account: Account) -> None:
    account.change(
        "INSERT INTO orders SELECT 7, 'pk-other', symbol, is_open, accepted_at, body"
        " FROM orders WHERE client_id = 'pk-stop'"
    )


def _forget_an_open_order(account: Account) -> None:
    account.change("DELETE FROM orders WHERE client_id = 'pk-stop'")


def _forget_an_ended_order(account: Account) -> None:
    account.change("DELETE FROM orders WHERE client_id = 'pk-entry'")


def _renumber(account: Account) -> None:
    account.change("UPDATE orders SET number = 9 WHERE client_id = 'pk-stop'")


def _send_unwritten(account: Account) -> None:
    account.engine.place(NewOrder.of(stop("pk-unwritten", qty_base=D("0.05"))), AT)
    account.save()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_lose_coins, "0.1 here, 0.08 at the venue"),
        (_lose_money, "USDT: "),
        (_miscount_a_fill, "0.07 here, 0.06 at the venue"),
        (_stand_twice, "order pk-stop stands 2 times at the venue"),
        (_forget_an_open_order, "order pk-stop was accepted, and is not at the venue"),
        (_forget_an_ended_order, "order pk-entry was accepted, and is not at the venue"),
        (_renumber, "order pk-stop is 2 here, 9 at the venue"),
        (_send_unwritten, "order pk-unwritten is at the venue, and was never written down"),
    ],
)
async def test_each_law_breaks(
    account: Account, spoil: Callable[[Account], None], words: str
) -> None:
    spoil(account)
    broken = await account.killing.broken()
    assert [words in told for told in broken].count(True) == 1, broken


async def test_an_order_that_the_exchange_refused_need_not_be_there(account: Account) -> None:
    account.write(
        IntentRecord(entry("pk-refused")),
        OrderRecord("pk-refused", OrderState.SUBMITTED),
        OrderRecord("pk-refused", OrderState.REJECTED, "", "too small"),
    )
    assert await account.killing.broken() == []


def test_fills_since_the_look_at_the_exchange_do_not_count(account: Account) -> None:
    looked = read_exchange(account.home)
    account.trade(leaving("pk-exit", qty_base=D("0.04")))
    lines = account.killing.journal.read()
    whole = AccountBook.of(lines, "paper", "USDT")
    same = book_over(lines, looked.fills, "paper", "USDT")
    assert same.net_base(SYMBOL) == D("0.1")
    assert misheld(same, looked.view, is_perp=looked.is_perp) == []
    assert misheld(whole, looked.view, is_perp=looked.is_perp) != []


def test_a_fill_counts_with_every_part_that_strategies_have_in_it(account: Account) -> None:
    looked = read_exchange(account.home)
    (fill,) = looked.fills
    parts = [replace(fill, id=f"{fill.id}/{n}", qty_base=D("0.01")) for n in (2, 3)]
    account.write(*(FillRecord(part, "s2") for part in parts))
    same = book_over(account.killing.journal.read(), looked.fills, "paper", "USDT")
    assert same.net_base(SYMBOL) == D("0.12")


def test_what_is_open_is_counted_at_the_exchange_and_on_its_way(account: Account) -> None:
    assert account.killing._struck([]) == {"open_orders": 1, "on_way": 0}
    account.write(IntentRecord(entry("pk-next")))
    account.write(OrderRecord("pk-stop", OrderState.CANCELING))
    assert account.killing._struck([]) == {"open_orders": 1, "on_way": 2}
    account.engine.cancel(SYMBOL, "pk-stop", AT)
    account.save()
    assert account.killing._struck([]) == {"open_orders": 0, "on_way": 2}


def test_a_line_of_the_journal_that_is_gone_after_it_was_read_is_noticed(account: Account) -> None:
    tail = account.killing.journal
    assert len(tail.read()) == account.journal.last_seq + 1
    account.journal.close()
    path = account.killing.folder / JOURNAL_FILE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with closing(Journal.open(account.killing.folder, "paper", now_at=AT)) as again:
        again.append([OrderRecord("pk-stop", OrderState.CANCELED)] * 2, AT)
    with pytest.raises(DataError, match="does not"):
        tail.read()
