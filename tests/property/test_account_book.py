"""Laws of the account book: whatever the order and the repetitions, fills add up exactly."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.trade.account_book import AccountBook
from engine.trade.exchange import Fill
from engine.trade.orders import Side
from engine.trade.positions import Position
from engine.trade.records import CashRecord, FillRecord

SYMBOLS = ("BTC/USDT", "ETH/USDT", "PEPE/USDT", "ETH/BTC")
STRATEGIES = ("s1", "s2")
OPENING = Decimal("100000")

amounts = st.decimals(
    min_value=Decimal("1e-18"), max_value=Decimal("1e9"), allow_nan=False, allow_infinity=False
).filter(lambda value: value > 0)


@st.composite
def fill_records(draw: st.DrawFn) -> list[FillRecord]:
    records = []
    for n in range(draw(st.integers(1, 25))):
        symbol = draw(st.sampled_from(SYMBOLS))
        base, quote = symbol.split("/")
        fill = Fill(
            id=str(n),
            client_id="",
            symbol=symbol,
            side=draw(st.sampled_from(Side)),
            qty_base=draw(amounts),
            price=draw(amounts),
            fee=draw(st.one_of(st.just(Decimal(0)), amounts)),
            fee_asset=draw(st.sampled_from((base, quote, "BNB"))),
            at=1_000 + n,
        )
        records.append(FillRecord(fill, draw(st.sampled_from(STRATEGIES))))
    return records


def book_of(records: Sequence[FillRecord]) -> AccountBook:
    book = AccountBook("paper", "USDT")
    book.apply(CashRecord("USDT", OPENING, "opening balance"), 0)
    for record in records:
        book.apply(record, record.fill.at)
    return book


def exact(value: Decimal) -> Fraction:
    return Fraction(value)


def signed(fill: Fill) -> Fraction:
    return exact(fill.qty_base) * fill.side.sign


def value_of(fill: Fill) -> Fraction:
    return signed(fill) * exact(fill.price)


def fee_in(fill: Fill, asset: str) -> Fraction:
    return exact(fill.fee) if fill.fee_asset == asset else Fraction(0)


@given(records=fill_records(), data=st.data())
def test_any_order_with_repetitions_gives_the_sum_of_the_distinct_fills(
    records: list[FillRecord], data: st.DataObject
) -> None:
    doubled = data.draw(st.lists(st.sampled_from(records), max_size=20))
    book = book_of(data.draw(st.permutations(records + doubled)))
    held: dict[tuple[str, str], Fraction] = {}
    cash: dict[str, Fraction] = {"USDT": exact(OPENING)}
    for record in records:
        fill = record.fill
        base, quote = fill.symbol.split("/")
        key = (record.strategy_id, fill.symbol)
        held[key] = held.get(key, Fraction(0)) + signed(fill) - fee_in(fill, base)
        cash[quote] = cash.get(quote, Fraction(0)) - value_of(fill)
        if fill.fee and fill.fee_asset != base:
            cash[fill.fee_asset] = cash.get(fill.fee_asset, Fraction(0)) - exact(fill.fee)
    assert {key: exact(p.signed_base) for key, p in book.positions.items()} == held
    assert {asset: exact(amount) for asset, amount in book.cash.items()} == cash
    for symbol in SYMBOLS:
        ids = {record.fill.id for record in records if record.fill.symbol == symbol}
        assert book.fill_ids(symbol) == ids
        assert exact(book.net_base(symbol)) == sum(held.get((s, symbol), 0) for s in STRATEGIES)


@given(records=fill_records())
def test_cash_cost_gain_and_fees_are_conserved_exactly_after_every_fill(
    records: list[FillRecord],
) -> None:
    for n in range(1, len(records) + 1):
        seen = records[:n]
        for (strategy_id, symbol), position in book_of(seen).positions.items():
            mine = [r.fill for r in seen if (r.strategy_id, r.fill.symbol) == (strategy_id, symbol)]
            base, quote = symbol.split("/")
            paid = sum((value_of(f) + fee_in(f, quote) for f in mine), Fraction(0))
            fees = sum((fee_in(f, base) * exact(f.price) for f in mine), Fraction(0))
            fees += sum((fee_in(f, quote) for f in mine), Fraction(0))
            kept = exact(position.cost_quote) - exact(position.realized_quote)
            assert kept + exact(position.fees_quote) == paid
            assert exact(position.fees_quote) == fees
            if position.is_flat:
                assert position.cost_quote == 0
                assert position.opened_at is None


@given(records=fill_records(), prices=st.lists(amounts, min_size=4, max_size=4))
def test_equity_is_opening_cash_plus_gains_less_fees_at_any_prices(
    records: list[FillRecord], prices: list[Decimal]
) -> None:
    records = [r for r in records if r.fill.symbol != "ETH/BTC" and r.fill.fee_asset != "BNB"]
    book = book_of(records)
    at = dict(zip(SYMBOLS, prices, strict=True))
    gained = sum(
        (
            exact(p.realized_quote) + exact(p.unrealized_quote(at[symbol])) - exact(p.fees_quote)
            for (_, symbol), p in book.positions.items()
        ),
        Fraction(0),
    )
    assert exact(book.equity_quote(at)) == exact(OPENING) + gained


@given(
    trades=st.lists(
        st.tuples(st.integers(-5, 5).filter(bool), st.integers(1, 1_000)), min_size=1, max_size=30
    )
)
def test_position_equals_one_kept_unit_by_unit_at_average_cost(
    trades: list[tuple[int, int]],
) -> None:
    position = Position("s", "X/USDT")
    held, average, gain, opened_at = 0, Fraction(0), Fraction(0), None
    for n, (qty, price) in enumerate(trades):
        position = position.traded(Decimal(qty), Decimal(price), n)
        for _ in range(abs(qty)):
            step = 1 if qty > 0 else -1
            if held * step >= 0:
                average = (average * abs(held) + price) / (abs(held) + 1)
                opened_at = n if not held else opened_at
            else:
                gain += (price - average) * -step
            held += step
            opened_at = opened_at if held else None
        assert position.signed_base == held
        assert position.opened_at == opened_at
        assert abs(exact(position.realized_quote) - gain) < Fraction(1, 10**30)
        if held:
            assert position.entry_price is not None
            assert abs(exact(position.entry_price) - average) < Fraction(1, 10**30)
        else:
            assert position.entry_price is None
