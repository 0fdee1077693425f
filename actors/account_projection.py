"""An account as the store shows it: rows made of the book, the officer and the runner.

The journal is the truth; what is written here may be thrown away and is written again at the next
start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from actors.strategy_seats import StrategySeats
from engine.clock import Clock
from engine.risk.account_state import Period
from engine.risk.breakers import Breaker
from engine.risk.summary import limit_lines
from engine.risk.view import Holding, RiskView
from engine.store.account_detail import AccountDetail, BreakerState, LimitUse
from engine.store.accounts import AccountRow
from engine.store.fills import FillRow
from engine.store.paper_trades import PaperTrade
from engine.store.positions import PositionRow
from engine.trade.account_clock import AccountClock
from engine.trade.assembly import Assembly
from engine.trade.gateway import OrderNews
from engine.trade.instrument import ZERO
from engine.trade.orders import Order
from engine.trade.round_trips import RoundTrip
from engine.trading_settings import Limits, Orders

MOST_ROWS = 5_000
"""Orders and fills that are written in one go; older ones are in the store already."""

_ALERT_ONLY = ("position_age_close_s",)


@dataclass(slots=True)
class Changes:
    """What happened since the store was told last."""

    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[FillRow] = field(default_factory=list)
    trades: list[PaperTrade] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.orders or self.fills or self.trades)


class AccountProjection:
    """Collect what changes in an account, and make rows of it.

    Parameters
    ----------
    account : paper or live
    venue : where its orders go, for people
    market_label : where its prices come from
    wall : this machine's clock: ages of rows are counted by it
    """

    def __init__(
        self, account: str, venue: str, market_label: str, wall: Clock, orders: Orders
    ) -> None:
        self.changes = Changes()
        self._account = account
        self._venue = venue
        self._market_label = market_label
        self._wall = wall
        self._orders = orders
        self._n_told: dict[tuple[str, str], int] = {}

    def hear(self, news: OrderNews) -> None:
        """Take news of an order."""
        request = news.order.request
        # A share in another strategy's order is a fill here, and no order of its own.
        if "/" not in news.order.client_id:
            self.changes.orders[news.order.client_id] = news.order
        self.changes.fills += [
            FillRow(self._account, request.strategy_id, fill) for fill in news.fills
        ]

    def take_all(self, assembly: Assembly) -> bool:
        """Take the whole book for changed; False when it is too large for one write."""
        book = assembly.gateway.book
        orders = list(book.orders.values())
        fills = [
            FillRow(self._account, strategy_id, fill)
            for strategy_id, symbol in book.positions
            for fill in assembly.gateway.fills_of(strategy_id, symbol)
        ]
        fills.sort(key=lambda row: row.fill.at)
        self.changes.orders = {order.client_id: order for order in orders[-MOST_ROWS:]}
        self.changes.fills = fills[-MOST_ROWS:]
        return len(orders) <= MOST_ROWS and len(fills) <= MOST_ROWS

    def take_trades(self, seats: StrategySeats, assembly: Assembly) -> None:
        """Take the trades that ended since."""
        for key in seats.hosted:
            trader = assembly.desk.traders.get(key)
            if trader is None:
                continue
            closed = trader.trips.closed
            told = min(self._n_told.get(key, 0), len(closed))
            self.changes.trades += [_paper_trade(trip) for trip in closed[told:]]
            self._n_told[key] = len(closed)

    def take_changes(self) -> Changes:
        """Return what changed, and begin to collect anew."""
        changes, self.changes = self.changes, Changes()
        return changes

    def give_back(self, changes: Changes) -> None:
        """Take back what could not be written; what is newer stays."""
        self.changes.orders = {**changes.orders, **self.changes.orders}
        self.changes.fills = [*changes.fills, *self.changes.fills][-MOST_ROWS:]
        self.changes.trades = [*changes.trades, *self.changes.trades][-MOST_ROWS:]

    def account_row(
        self, assembly: Assembly, clock: AccountClock, last_bar_at: int | None
    ) -> AccountRow:
        """Return the account as it is now."""
        view = assembly.risk.view()
        book, gate = assembly.gateway.book, assembly.gateway.gate
        reading = gate.latch.read()
        state = view.breakers.account
        equity = view.equity_quote if view.equity_quote is not None else state.last_quote or ZERO
        lease_s = gate.lease.age_s()
        report = assembly.gateway.report
        is_clean = report is not None and report.is_clean
        starts = {period: state.start_of(period) for period in Period}
        drawdown = state.drawdown_frac(equity)
        now_at = self._wall.now_at()
        return AccountRow(
            name=self._account,
            mode=self._account,
            venue=self._venue,
            market_label=self._market_label,
            quote_asset=book.quote_asset,
            equity_quote=equity,
            balance_quote=book.wallet_quote(),
            day_start_quote=_start(starts[Period.DAY], equity),
            week_start_quote=_start(starts[Period.WEEK], equity),
            month_start_quote=_start(starts[Period.MONTH], equity),
            peak_quote=state.peak_quote if state.peak_quote is not None else equity,
            drawdown_frac=0.0 if math.isnan(drawdown) else min(1.0, drawdown),
            unprotected_quote=_worth(view, lambda held: held.unprotected_base),
            gross_quote=_worth(view, lambda held: abs(held.signed_base)),
            net_quote=_worth(view, lambda held: held.signed_base),
            latch_state=reading.state.value,
            latch_cause=reading.cause.value,
            lease_age_s=None if math.isinf(lease_s) else lease_s,
            reconcile_state="pending" if report is None else ("clean" if is_clean else "differs"),
            reconcile_words="" if report is None or is_clean else report.words,
            clock_skew_ms=clock.now_at() - now_at if clock.rate == 1.0 else None,
            last_bar_at=last_bar_at,
            updated_at=now_at,
            detail=self._detail(assembly, view, clock),
        )

    def position_rows(self, assembly: Assembly) -> list[PositionRow]:
        """Return what is held."""
        view = assembly.risk.view()
        now_at = self._wall.now_at()
        report = assembly.gateway.report
        wrong = {d.symbol for d in report.differences} if report is not None else set()
        rows = []
        for holding in view.holdings:
            position = assembly.gateway.book.position(holding.strategy_id, holding.symbol)
            mark = view.price_of(holding.symbol)
            trader = assembly.desk.traders.get((holding.strategy_id, holding.symbol))
            levels = None if trader is None else trader.levels()
            wanted = None if levels is None else Decimal(repr(levels.stop))
            target = None if levels is None or levels.target is None else levels.target
            rows.append(
                PositionRow(
                    account=self._account,
                    strategy_id=holding.strategy_id,
                    symbol=holding.symbol,
                    signed_base=holding.signed_base,
                    entry_price=holding.entry_price,
                    mark_price=mark,
                    notional_quote=None if mark is None else abs(holding.signed_base) * mark,
                    unrealized_quote=None if mark is None else position.unrealized_quote(mark),
                    realized_quote=position.realized_quote,
                    fees_quote=position.fees_quote,
                    updated_at=now_at,
                    stop_price=wanted if holding.stop_price is None else holding.stop_price,
                    target_price=None if target is None else Decimal(repr(target)),
                    stop_place=_stop_place(holding, wanted),
                    opened_at=holding.opened_at,
                    reconciled_at=assembly.runner.reconciled_at,
                    is_reconciled=report is not None and holding.symbol not in wrong,
                )
            )
        return rows

    def _detail(self, assembly: Assembly, view: RiskView, clock: AccountClock) -> AccountDetail:
        can = assembly.gateway.exchange.capabilities
        return AccountDetail(
            limits=_limits(view, assembly.risk.limits),
            breakers=_breakers(view, assembly.risk.limits),
            has_dead_man=can.dead_man,
            dead_man_s=self._orders.dead_man_s if can.dead_man else None,
            dead_man_at=assembly.runner.dead_man_at,
            lease_s=self._orders.lease_s,
            reconciled_at=assembly.runner.reconciled_at,
            n_unknown=len(assembly.gateway.book.unknown_orders()),
            clock_at=None if clock.rate == 1.0 else clock.now_at(),
        )


def columns_of(changes: Changes, positions: Sequence[PositionRow]) -> Mapping[str, Any]:
    """Return the columns of the recorder's `save_trading`, the account apart."""
    return {
        "orders": list(changes.orders.values()),
        "fills": changes.fills,
        "positions": list(positions),
        "trades": changes.trades,
    }


def _limits(view: RiskView, limits: Limits) -> tuple[LimitUse, ...]:
    return tuple(
        LimitUse(
            rule=line.name,
            value=None if math.isnan(line.value) else line.value,
            limit=line.limit,
            unit=line.unit,
            is_hard=line.name not in _ALERT_ONLY,
            words=line.detail,
        )
        for line in limit_lines(view, limits)
        if math.isfinite(line.limit)
    )


def _breakers(view: RiskView, limits: Limits) -> tuple[BreakerState, ...]:
    tripped = {trip.breaker: trip for trip in view.breakers.tripped(view.at)}
    readings = view.breakers.readings(view.equity_quote, view.at, limits)
    found = []
    for reading in readings:
        trip = tripped.get(Breaker(reading.rule))
        found.append(
            BreakerState(
                name=reading.rule.removesuffix("_frac"),
                is_tripped=trip is not None,
                words=reading.message,
                at=None if trip is None else trip.at,
            )
        )
    return tuple(found)


def _start(start: Any, equity: Decimal) -> Decimal:
    return equity if start is None else start.equity_quote


def _worth(view: RiskView, base: Callable[[Holding], Decimal]) -> Decimal:
    """Return a sum over what is held, at the price of now or, while that is unknown, of entry."""
    total = ZERO
    for holding in view.holdings:
        price = view.price_of(holding.symbol) or holding.entry_price or ZERO
        total += base(holding) * price
    return total


def _stop_place(holding: Holding, wanted: Decimal | None) -> str:
    if holding.unprotected_base == 0:
        return "exchange"
    return "" if wanted is None else "paddock"


def _paper_trade(trip: RoundTrip) -> PaperTrade:
    return PaperTrade(
        account=trip.account,
        strategy_id=trip.strategy_id,
        symbol=trip.symbol,
        side=trip.side,
        entry_at=trip.entry_at,
        entry=trip.entry,
        exit_at=trip.exit_at,
        exit=trip.exit,
        reason=trip.reason,
        qty_base=trip.qty_base,
        pnl_quote=trip.pnl_quote,
        net_return=trip.net_return,
    )
