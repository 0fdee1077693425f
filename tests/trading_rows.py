"""Rows of trading for the tests of the store, with more digits than a float can hold."""

from __future__ import annotations

from decimal import Decimal

from engine.store.account_detail import AccountDetail, BreakerState, LimitUse
from engine.store.accounts import AccountRow
from engine.store.fills import FillRow
from engine.store.paper_trades import PaperTrade
from engine.store.positions import PositionRow
from engine.trade.exchange import Fill
from engine.trade.orders import Order, OrderRequest, OrderState, OrderType, Purpose, Side

LONG = Decimal("0.1234567890123456789012345678901234567890")


def an_account(name: str = "paper", at: int = 1_000, equity: str = "100000.10") -> AccountRow:
    money = Decimal(equity)
    detail = AccountDetail(
        limits=(LimitUse("leverage_max", 0.5, 3.0, "notional / equity"),),
        breakers=(BreakerState("daily_loss", False, "0 % of 5 %"),),
        lease_s=30.0,
    )
    return AccountRow(
        name=name,
        mode="live" if name == "live" else "paper",
        venue="simulated",
        market_label="GENERATED",
        quote_asset="USDT",
        equity_quote=money,
        balance_quote=money,
        day_start_quote=money,
        week_start_quote=money,
        month_start_quote=money,
        peak_quote=money,
        drawdown_frac=0.01,
        unprotected_quote=Decimal(0),
        gross_quote=LONG,
        net_quote=-LONG,
        latch_state="ACTIVE",
        latch_cause="armed",
        lease_age_s=1.5,
        reconcile_state="clean",
        reconcile_words="",
        clock_skew_ms=-3,
        last_bar_at=None,
        updated_at=at,
        detail=detail,
    )


def an_order(
    client_id: str = "pk-1",
    *,
    account: str = "paper",
    state: OrderState = OrderState.ACCEPTED,
    at: int = 10,
    symbol: str = "BTC/USDT",
) -> Order:
    request = OrderRequest(
        client_id=client_id,
        account=account,
        strategy_id="s1",
        symbol=symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        purpose=Purpose.ENTRY,
        qty_base=LONG,
        reduce_only=False,
        bar_at=5,
        created_at=at,
        reference_price=Decimal("100"),
        price=Decimal("99.90"),
    )
    return Order(request, state=state, venue_id="7", filled_base=LONG / 2, updated_at=at)


def a_fill(number: str = "1", *, client_id: str = "pk-1", at: int = 11) -> FillRow:
    fill = Fill(
        number, client_id, "BTC/USDT", Side.BUY, LONG, Decimal("101"), Decimal("0"), "USDT", at
    )
    return FillRow("paper", "s1", fill)


def a_position(symbol: str = "BTC/USDT", signed: Decimal = LONG) -> PositionRow:
    return PositionRow(
        account="paper",
        strategy_id="s1",
        symbol=symbol,
        signed_base=signed,
        entry_price=Decimal("100.0"),
        mark_price=None,
        notional_quote=Decimal("12.30"),
        unrealized_quote=Decimal("-1"),
        realized_quote=Decimal("0"),
        fees_quote=Decimal("0.01"),
        updated_at=3,
        stop_price=Decimal("98"),
        stop_place="exchange",
    )


def a_trade(exit_at: int = 20) -> PaperTrade:
    return PaperTrade(
        account="paper",
        strategy_id="s1",
        symbol="BTC/USDT",
        side=Side.SELL,
        entry_at=10,
        entry=Decimal("100.10"),
        exit_at=exit_at,
        exit=Decimal("99"),
        reason="target",
        qty_base=LONG,
        pnl_quote=Decimal("0.1358024679135802467913580246791358024679000"),
        net_return=0.01,
    )
