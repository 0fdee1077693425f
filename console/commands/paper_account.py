"""The runtime's paper account, as the store shows it: what it is worth, what trades in it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from console.commands.strategies import with_store
from console.format import age, duration, percent, short_id
from console.money import price, qty, quote, signed_quote
from console.session import Session
from console.talk import emit, emit_json
from engine.trade.accounts import PAPER
from engine.trade.orders import Side
from engine.types import Status

if TYPE_CHECKING:
    from engine.store.accounts import AccountRow
    from engine.store.database import Store
    from engine.store.paper_trades import PaperTrade
    from engine.store.positions import PositionRow
    from engine.store.strategies import StrategyRow
    from engine.trade.orders import Order

_MOST = 500


@dataclass(frozen=True, slots=True)
class PaperView:
    """What the store holds of paper trading.

    Attributes
    ----------
    account : None before its gateway has told of it
    strategies : of status paper, best first
    trades : closed ones, by strategy
    beat_at : UTC ms of the runtime's last beat, None without one
    """

    account: AccountRow | None
    strategies: tuple[StrategyRow, ...]
    positions: tuple[PositionRow, ...]
    orders: tuple[Order, ...]
    trades: dict[str, list[PaperTrade]]
    beat_at: int | None = None

    def clock_at(self, now_at: int) -> int:
        """Return the account's own clock: a replayed market is in another year."""
        if self.account is None:
            return now_at
        told = self.account.detail.clock_at
        return now_at + (self.account.clock_skew_ms or 0) if told is None else told


def show_paper_account(session: Session, *, as_json: bool) -> None:
    """Print what the paper account holds and what each strategy made in it."""
    from console.runtime_process import view_runtime

    view: PaperView = asyncio.run(with_store(session, read_paper))
    now_at = session.clock.now_at()
    runtime = view_runtime(session.home, view.beat_at, now_at).word
    if as_json:
        emit_json(_as_json(view, runtime))
        return
    for line in paper_lines(view, runtime, now_at):
        emit(line)


async def read_paper(store: Store) -> PaperView:
    """Return what the store holds of paper trading."""
    from console.feed import conductor_beat_at
    from engine.store.accounts import accounts
    from engine.store.heartbeats import heartbeats
    from engine.store.orders import open_orders
    from engine.store.paper_trades import paper_trades_of
    from engine.store.positions import positions
    from engine.store.strategies import leaderboard

    rows, _ = await leaderboard(store, statuses=[Status.PAPER], limit=_MOST)
    trades: dict[str, list[PaperTrade]] = defaultdict(list)
    held = [row for row in await positions(store, limit=_MOST) if row.account == PAPER]
    for strategy_id in dict.fromkeys([*(r.id for r in rows), *(r.strategy_id for r in held)]):
        trades[strategy_id] = await paper_trades_of(store, strategy_id, account=PAPER)
    return PaperView(
        beat_at=conductor_beat_at(tuple(await heartbeats(store))),
        account=next((row for row in await accounts(store) if row.name == PAPER), None),
        strategies=tuple(rows),
        positions=tuple(held),
        orders=tuple(
            order
            for order in await open_orders(store, limit=_MOST)
            if order.request.account == PAPER
        ),
        trades=dict(trades),
    )


def paper_lines(view: PaperView, runtime: str, now_at: int) -> list[str]:
    """Return paper trading as lines of text."""
    lines = [_account_line(view.account, now_at), f"runtime   {runtime}", ""]
    lines += _strategy_lines(view)
    lines += _position_lines(view, view.clock_at(now_at))
    if view.orders:
        lines += ["", f"{len(view.orders)} orders rest at the exchange"]
    return lines


def _account_line(account: AccountRow | None, now_at: int) -> str:
    if account is None:
        return "paper     no account yet: `paddock up` opens it and trades what is on paper"
    return (
        f"paper     {account.venue} {account.market_label}  equity {quote(account.equity_quote)}"
        f" {account.quote_asset}  drawdown {percent(account.drawdown_frac)}"
        f"  {account.latch_state}  {account.reconcile_state}"
        f"  unprotected {quote(account.unprotected_quote)}  told {age(account.updated_at, now_at)}"
    )


def _strategy_lines(view: PaperView) -> list[str]:
    if not view.strategies:
        return ["no strategy is on paper: `paddock cycle` promotes those that pass the paper gate"]
    lines = [f"{'strategy':<10}{'type':<17}{'symbol':<12}{'trades':>7}{'won':>7}{'profit':>12}"]
    for row in view.strategies:
        trades = view.trades.get(row.id, [])
        won = sum(trade.pnl_quote > 0 for trade in trades)
        share = percent(won / len(trades)) if trades else "–"
        earned = sum((trade.pnl_quote for trade in trades), Decimal(0))
        lines.append(
            f"{short_id(row.id):<10}{row.type:<17}{row.best_symbol or '':<12}{len(trades):>7,}"
            f"{share:>7}{signed_quote(earned):>12}"
        )
    return lines


def _position_lines(view: PaperView, now_at: int) -> list[str]:
    if not view.positions:
        return ["", "no open position"]
    lines = ["", f"{'position':<12}{'side':<6}{'qty':>12}{'entry':>12}{'stop':>12}{'held':>9}"]
    for row in view.positions:
        side = "long" if row.signed_base > 0 else "short"
        held = "–" if row.opened_at is None else duration(max(0, now_at - row.opened_at))
        lines.append(
            f"{row.symbol:<12}{side:<6}{qty(row.signed_base):>12}{price(row.entry_price):>12}"
            f"{price(row.stop_price):>12}{held:>9}  {short_id(row.strategy_id)}"
        )
    return lines


def _as_json(view: PaperView, runtime: str) -> dict[str, Any]:
    account = view.account
    return {
        "runtime": runtime,
        "account": None
        if account is None
        else {
            "venue": account.venue,
            "market": account.market_label,
            "equity_quote": float(account.equity_quote),
            "quote_asset": account.quote_asset,
            "drawdown_frac": account.drawdown_frac,
            "latch": account.latch_state,
            "reconciled": account.reconcile_state,
            "unprotected_quote": float(account.unprotected_quote),
            "updated_at": account.updated_at,
        },
        "strategies": [
            {
                "strategy_id": row.id,
                "type": row.type,
                "symbol": row.best_symbol,
                "trades": len(view.trades.get(row.id, [])),
                "pnl_quote": float(sum(t.pnl_quote for t in view.trades.get(row.id, []))),
            }
            for row in view.strategies
        ],
        "positions": [
            {
                "strategy_id": row.strategy_id,
                "symbol": row.symbol,
                "signed_base": float(row.signed_base),
                "entry_quote": None if row.entry_price is None else float(row.entry_price),
                "stop_quote": None if row.stop_price is None else float(row.stop_price),
                "opened_at": row.opened_at,
            }
            for row in view.positions
        ],
        "open_orders": [
            {
                "client_id": order.client_id,
                "symbol": order.request.symbol,
                "side": "buy" if order.request.side is Side.BUY else "sell",
                "purpose": order.request.purpose.value,
                "state": order.state.value,
            }
            for order in view.orders
        ],
    }
