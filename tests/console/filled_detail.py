"""A strategy that traded, was deployed and has parents, for its own screen."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from engine.store.accounts import AccountRow, save_accounts
from engine.store.database import Store, sqlite_url
from engine.store.deployments import save_deployments
from engine.store.events import Event, add_events
from engine.store.paper_trades import PaperTrade, save_paper_trades
from engine.store.strategies import leaderboard
from engine.trade.orders import Side
from tests.console.filled_pages import VERSION
from tests.console.filled_store import DAY_MS, NOW_AT

HOUR_MS = 3_600_000
N_TRADES = 12


async def fill_detail(home: Path) -> str:
    """Add trades, versions and what was told of them to the best strategy; return its id."""
    store = await Store.open(sqlite_url(home))
    try:
        rows, _ = await leaderboard(store, limit=1)
        row = rows[0]
        await save_accounts(store, [_account()])
        trades = [_trade(row.id, str(row.best_symbol), n) for n in range(N_TRADES)]
        await save_paper_trades(store, trades)
        first = replace(
            VERSION,
            strategy_id=row.id,
            version=1,
            state="ended",
            outcome="replaced",
            share_frac=0.0,
            reason="version 2 has taken over",
        )
        await save_deployments(store, [first, replace(VERSION, strategy_id=row.id, version=2)])
        told = Event(
            NOW_AT - 120_000,
            "info",
            "deploy.step",
            "version 2: 25% of the capital: 12 decisions agreed",
            f"strategy:{row.id}",
        )
        await add_events(store, [told])
        return row.id
    finally:
        await store.close()


def _account() -> AccountRow:
    zero = Decimal(0)
    equity = Decimal(100_000)
    return AccountRow(
        name="paper",
        mode="paper",
        venue="simulated",
        market_label="GENERATED",
        quote_asset="USDT",
        equity_quote=equity,
        balance_quote=equity,
        day_start_quote=equity,
        week_start_quote=equity,
        month_start_quote=equity,
        peak_quote=equity,
        drawdown_frac=0.0,
        unprotected_quote=zero,
        gross_quote=zero,
        net_quote=zero,
        latch_state="ACTIVE",
        latch_cause="armed",
        lease_age_s=1.0,
        reconcile_state="clean",
        reconcile_words="",
        clock_skew_ms=0,
        last_bar_at=NOW_AT,
        updated_at=NOW_AT,
    )


def _trade(strategy_id: str, symbol: str, n: int) -> PaperTrade:
    entry_at = NOW_AT - 6 * DAY_MS + n * 11 * HOUR_MS
    pnl = Decimal(f"{(-1) ** n * 7 + n}.25")
    return PaperTrade(
        account="paper",
        strategy_id=strategy_id,
        symbol=symbol,
        side=Side.BUY if n % 3 else Side.SELL,
        entry_at=entry_at,
        entry=Decimal("3312.4") + n,
        exit_at=entry_at + (2 + n % 4) * HOUR_MS,
        exit=Decimal("3320.1") + n,
        reason="target" if pnl > 0 else "stop",
        qty_base=Decimal("0.31"),
        pnl_quote=pnl,
        net_return=float(pnl) / 1_030.0,
    )
