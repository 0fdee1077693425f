"""A home whose accounts trade: positions, orders, fills, limits, alerts, at one frozen instant."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from engine.store.account_detail import AccountDetail, BreakerState, LimitUse
from engine.store.accounts import MARK_MS, AccountRow, save_accounts
from engine.store.alerts import raise_alert
from engine.store.database import Store, sqlite_url
from engine.store.events import Event, add_events
from engine.store.fills import FillRow
from engine.store.positions import PositionRow
from engine.store.trading import save_trading
from engine.trade.accounts import account_folder, account_latch
from engine.trade.exchange import Fill
from engine.trade.journal import Journal
from engine.trade.orders import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from engine.trade.records import CashRecord
from tests.console.filled_store import DAY_MS, NOW_AT, fill, write_runtime_file

STRATEGY = "ema7f00000000000"
LIMITS = (
    LimitUse("leverage_max", 0.55, 3.0, "notional / equity"),
    LimitUse("position_frac", 0.0753, 0.10, "fraction of equity", words="BTC/USDT"),
    LimitUse("strategy_frac", 0.0475, 0.05, "fraction of equity", words="ema7f"),
    LimitUse("daily_loss_frac", 0.0, 0.05, "fraction of equity"),
    LimitUse("drawdown_reduce_frac", 0.018, 0.10, "fraction of peak"),
    LimitUse("value_at_risk_frac", 0.004, 0.02, "fraction of equity"),
    LimitUse("correlation_max", None, 0.7, "correlation", is_hard=False),
    LimitUse("rate_per_minute", 4.0, 60.0, "orders a minute"),
    LimitUse("sharpe_min", 0.8, 1.0, "annual Sharpe", is_hard=False),
)
BREAKERS = (
    BreakerState("daily_loss", False, "0.0 % of 5.0 %"),
    BreakerState("weekly_loss", False, "0.2 % of 15.0 %"),
    BreakerState("drawdown_reduce", False, "1.8 % of 10.0 %"),
)


def account(
    name: str = "paper",
    *,
    equity: str = "100310.22",
    at: int = NOW_AT - 400,
    reconcile_words: str = "",
    n_unknown: int = 0,
) -> AccountRow:
    """Return an account as its gateway would tell it."""
    detail = AccountDetail(
        limits=LIMITS,
        breakers=BREAKERS,
        has_dead_man=name == "live",
        dead_man_s=60.0 if name == "live" else None,
        dead_man_at=NOW_AT - 11_000 if name == "live" else None,
        lease_s=30.0,
        reconciled_at=NOW_AT - 2_000,
        n_unknown=n_unknown,
    )
    return AccountRow(
        name=name,
        mode=name,
        venue="bybit" if name == "live" else "simulated",
        market_label="LIVE" if name == "live" else "GENERATED",
        quote_asset="USDT",
        equity_quote=Decimal(equity),
        balance_quote=Decimal(equity),
        day_start_quote=Decimal("99890.00"),
        week_start_quote=Decimal("99200.00"),
        month_start_quote=Decimal("98000.00"),
        peak_quote=Decimal("102148.90"),
        drawdown_frac=0.018,
        unprotected_quote=Decimal("172.79"),
        gross_quote=Decimal("549.49"),
        net_quote=Decimal("203.91"),
        latch_state="ACTIVE",
        latch_cause="armed",
        lease_age_s=14.6,
        reconcile_state="differs" if reconcile_words else "clean",
        reconcile_words=reconcile_words,
        clock_skew_ms=-3,
        last_bar_at=NOW_AT - 360_000,
        updated_at=at,
        detail=detail,
    )


def order(
    client_id: str,
    symbol: str = "SOL/USDT",
    *,
    side: Side = Side.BUY,
    kind: OrderType = OrderType.LIMIT,
    purpose: Purpose = Purpose.ENTRY,
    size: str = "40.0",
    level: str = "142.180",
    state: OrderState = OrderState.ACCEPTED,
    filled: str = "0",
    age_s: int = 31,
    account_name: str = "paper",
) -> Order:
    """Return an order of the strategy."""
    request = OrderRequest(
        client_id=client_id,
        account=account_name,
        strategy_id=STRATEGY,
        symbol=symbol,
        side=side,
        type=kind,
        purpose=purpose,
        qty_base=Decimal(size),
        reduce_only=not purpose.adds_exposure,
        bar_at=NOW_AT - 300_000,
        created_at=NOW_AT - age_s * 1000,
        reference_price=Decimal(level) - Decimal("0.039"),
        price=Decimal(level) if kind is OrderType.LIMIT else None,
        stop_price=Decimal(level) if kind in (OrderType.STOP, OrderType.TARGET) else None,
    )
    done = Decimal(filled)
    return Order(
        request,
        state=state,
        venue_id=f"88{client_id[-4:]}",
        filled_base=done,
        filled_quote=done * Decimal(level),
        updated_at=NOW_AT - 2_000,
    )


ENTRY = order("pk-5510200000", state=OrderState.PARTIAL, filled="12.0")
STOP = order(
    "pk-5501000000",
    "BTC/USDT",
    side=Side.SELL,
    kind=OrderType.STOP,
    purpose=Purpose.STOP,
    size="0.0041",
    level="89400.0",
    age_s=2_580,
)
FLYING = order("pk-5510300000", state=OrderState.UNKNOWN, size="8.0", age_s=3)
DONE = order("pk-5490000000", state=OrderState.FILLED, filled="12.0", size="12.0", age_s=9_000)


def position(symbol: str, signed: str, entry: str, mark: str, stop: str | None) -> PositionRow:
    """Return a position of the strategy."""
    base, price = Decimal(signed), Decimal(mark)
    return PositionRow(
        account="paper",
        strategy_id=STRATEGY,
        symbol=symbol,
        signed_base=base,
        entry_price=Decimal(entry),
        mark_price=price,
        notional_quote=abs(base * price),
        unrealized_quote=base * (price - Decimal(entry)),
        realized_quote=Decimal(0),
        fees_quote=Decimal("0.37"),
        updated_at=NOW_AT - 400,
        stop_price=None if stop is None else Decimal(stop),
        stop_place="" if stop is None else "exchange",
        opened_at=NOW_AT - 2_600_000,
        reconciled_at=NOW_AT - 2_000,
    )


POSITIONS = (
    position("BTC/USDT", "0.0041", "91204.1", "91877.0", "89400.0"),
    position("ETH/USDT", "-0.052", "3310.4", "3322.8", None),
)


def fill_row(number: int, price: str = "142.180") -> FillRow:
    """Return a fill of the entry."""
    made = Fill(
        id=f"f{number}",
        client_id=ENTRY.client_id,
        symbol="SOL/USDT",
        side=Side.BUY,
        qty_base=Decimal("6.0"),
        price=Decimal(price),
        fee=Decimal("0.34"),
        fee_asset="USDT",
        at=NOW_AT - number * 1_000,
    )
    return FillRow("paper", STRATEGY, made)


async def fill_trading(home: Path, *, is_armed: bool = True, at: int = NOW_AT - 400) -> None:
    """Fill a home with cycles, strategies, and a paper account that trades."""
    await fill(home)
    write_runtime_file(home)
    if is_armed:
        account_latch(home, "paper").arm("ana", "reconciled", now_at=NOW_AT - 3 * DAY_MS)
    await asyncio.to_thread(_open_journal, home)
    store = await Store.open(sqlite_url(home))
    try:
        for i in range(60):
            equity = f"{98_000 + 40 * i + (i * 37 % 11) * 60}.00"
            mark_at = NOW_AT - (60 - i) * 100 * MARK_MS
            await save_accounts(store, [account(equity=equity, at=mark_at)])
        await save_trading(
            store,
            account(at=at),
            orders=[ENTRY, STOP, DONE],
            fills=[fill_row(2), fill_row(3, "142.210")],
            positions=POSITIONS,
        )
        await raise_alert(
            store,
            key=f"strategy.drawdown:{STRATEGY}",
            level="warn",
            title="strategy drawdown",
            message="ema7f lost 11.2 % of its peak on paper, 10.0 % warns",
            subject=f"strategy:{STRATEGY}",
            at=NOW_AT - 170_000,
        )
        await raise_alert(
            store,
            key="order.unknown:paper",
            level="error",
            title="order is unknown",
            message="pk-55103 SOL/USDT was sent and not answered for 12 s",
            subject="account:paper",
            at=NOW_AT - 90_000,
        )
        await add_events(store, _AUDIT)
    finally:
        await store.close()


def _open_journal(home: Path) -> None:
    journal = Journal.open(account_folder(home, "paper"), "paper", reserve_bytes=4_096)
    opening = CashRecord("USDT", Decimal("98000"), "opening balance")
    journal.append([opening], NOW_AT - 30 * DAY_MS)
    journal.close()


_AUDIT = (
    Event(
        NOW_AT - 3 * DAY_MS,
        "info",
        "latch.armed",
        "account paper ACTIVE by ana: reconciled after venue maintenance, checks 7/7",
        "paper",
    ),
    Event(
        NOW_AT - 3 * DAY_MS - 5_400_000,
        "error",
        "latch.halt",
        "account paper HALTED automatically: data stale 62 s > 60 s, cancelled 2/2 in 1.1 s",
        "paper",
    ),
    Event(
        NOW_AT - 40_000,
        "warn",
        "risk.refused",
        "SOL/USDT buy 80: position_frac 11.4 % > 10.0 % of equity, refused",
        "SOL/USDT",
    ),
    Event(NOW_AT - 31_000, "info", "order.accepted", "accepted by the venue", ENTRY.client_id),
)
