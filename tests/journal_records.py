"""One record of every kind, for tests of the journal."""

from __future__ import annotations

from decimal import Decimal

from engine.risk.latch import TradingState
from engine.risk.verdict import RiskVerdict, RuleResult
from engine.trade.exchange import Fill
from engine.trade.orders import OrderRequest, OrderState, OrderType, Purpose, Side
from engine.trade.records import (
    AdoptRecord,
    CashRecord,
    DisownRecord,
    FillRecord,
    IntentRecord,
    LatchRecord,
    MarkRecord,
    NoteRecord,
    OrderRecord,
    Record,
    VerdictRecord,
)

RULES = (
    RuleResult("leverage_max", 1.25, 3.0, True, "leverage 1.25 of at most 3"),
    RuleResult("value_at_risk_frac", float("inf"), 0.02, False, "no history of DOGE/USDT"),
)


def request(client_id: str = "pk-1", qty: str = "0.5", symbol: str = "BTC/USDT") -> OrderRequest:
    return OrderRequest(
        client_id=client_id,
        account="paper",
        strategy_id="a3f1",
        symbol=symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        purpose=Purpose.ENTRY,
        qty_base=Decimal(qty),
        reduce_only=False,
        bar_at=1_700_000_000_000,
        created_at=1_700_000_300_001,
        reference_price=Decimal("30000.10"),
        price=Decimal("29999.9"),
    )


def fill(
    fill_id: str = "1",
    client_id: str = "pk-1",
    *,
    side: Side = Side.BUY,
    qty: str = "0.5",
    price: str = "29999.9",
    fee: str = "0.0005",
    fee_asset: str = "BTC",
    symbol: str = "BTC/USDT",
    at: int = 1_700_000_300_055,
) -> Fill:
    return Fill(
        fill_id, client_id, symbol, side, Decimal(qty), Decimal(price), Decimal(fee), fee_asset, at
    )


def one_of_each() -> list[Record]:
    return [
        CashRecord("USDT", Decimal("100000.00"), "opening balance"),
        IntentRecord(request(), RiskVerdict(True, Decimal("0.5"), None, RULES, "sized down")),
        IntentRecord(request("pk-2")),
        OrderRecord("pk-1", OrderState.SUBMITTED),
        OrderRecord("pk-1", OrderState.ACCEPTED, venue_id="81"),
        FillRecord(fill(), "a3f1"),
        OrderRecord("pk-1", OrderState.FILLED),
        VerdictRecord(request("pk-3"), RiskVerdict(False, rules=RULES, reason="no stop")),
        AdoptRecord("a3f1", "ETH/USDT", Decimal("-1.5"), Decimal("2000"), "ana", "found at start"),
        DisownRecord("BNB", Decimal("3.25"), "ana", "mine, not Paddock's"),
        MarkRecord(1_700_006_400_000, Decimal("99985.00005"), "day"),
        LatchRecord(TradingState.HALTED, "ana", "F9 «now»\n\u2028\ud800"),
        NoteRecord("reconcile.report", "clean", {"orders": 2, "cash": Decimal("1.10"), "x": None}),
    ]
