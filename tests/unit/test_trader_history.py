from __future__ import annotations

from decimal import Decimal

import numpy as np

from engine.market.feed import MarketRequest
from engine.trade.exchange import Fill
from engine.trade.journal_line import JournalLine
from engine.trade.orders import Side
from engine.trade.paper_market import n_days, paper_market
from engine.trade.records import AdoptRecord, CashRecord, FillRecord, Record
from engine.trade.trader_history import fills_by_trader
from engine.types import MS_PER_DAY

D = Decimal
BTC, ETH = "BTC/USDT", "ETH/USDT"


def fill(number: str, symbol: str = BTC) -> Fill:
    return Fill(number, f"o-{number}", symbol, Side.BUY, D(1), D(100), D(0), "USDT", 5)


def lines(*records: Record) -> list[JournalLine]:
    return [JournalLine(seq, 1000 + seq, record, "") for seq, record in enumerate(records, 1)]


def test_fills_belong_to_strategy_and_symbol_in_order_each_once() -> None:
    found = fills_by_trader(
        lines(
            CashRecord("USDT", D(1000), "opening balance"),
            FillRecord(fill("1"), "a"),
            FillRecord(fill("2"), "b"),
            FillRecord(fill("3", ETH), "a"),
            FillRecord(fill("4"), "a"),
            FillRecord(fill("1"), "a"),
        )
    )
    assert {key: [one.id for one in fills] for key, fills in found.items()} == {
        ("a", BTC): ["1", "4"],
        ("b", BTC): ["2"],
        ("a", ETH): ["3"],
    }


def test_what_was_taken_over_counts_like_a_fill_without_order_and_fee() -> None:
    adopted = AdoptRecord("a", BTC, D("-0.5"), D(90), "ana", "it is ours")
    nothing = AdoptRecord("a", ETH, D(0), D(90), "ana", "it is ours")
    found = fills_by_trader(lines(FillRecord(fill("1"), "a"), adopted, nothing))
    (first, taken) = found["a", BTC]
    assert first.id == "1"
    assert (taken.side, taken.qty_base, taken.price, taken.fee) == (Side.SELL, D("0.5"), D(90), 0)
    assert (taken.client_id, taken.id, taken.at) == ("", "adopted-2", 1002)
    assert ("a", ETH) not in found


def test_a_paper_market_trades_its_window_and_knows_what_came_before() -> None:
    request = MarketRequest("generated", (BTC, ETH), "1h", days=5, generated_days=30)
    market = paper_market(request, 100)
    assert n_days(market) == 5.0
    for symbol, bars in market.series.items():
        start = market.starts[symbol]
        assert start == 100
        assert int(bars.timestamp[start]) == market.loaded.start_at
        assert len(market.traded(symbol)) == 5 * 24
        assert np.array_equal(market.traded(symbol).close, market.loaded.series[symbol].close)


def test_no_more_history_is_asked_for_than_there_is() -> None:
    request = MarketRequest("generated", (BTC,), "1h", days=5, generated_days=6)
    market = paper_market(request, 1_000)
    assert market.starts[BTC] == 24
    assert int(market.series[BTC].timestamp[0]) == market.loaded.start_at - MS_PER_DAY
