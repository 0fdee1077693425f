"""What the console knows of trading at one instant: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.trade.accounts import PAPER

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.store.accounts import AccountRow
    from engine.store.alerts import AlertRow
    from engine.store.events import EventRow
    from engine.store.fills import FillRow
    from engine.store.positions import PositionRow
    from engine.trade.orders import Order


@dataclass(frozen=True, slots=True)
class TradingWatch:
    """What the visible screen wants to know of trading beside what everyone sees.

    Attributes
    ----------
    account : whose orders and positions
    fills : whether to read its fills
    audit : whether to read what was done about risk
    equity : whether to read how its equity went
    order_id : client id of the order whose history to read, None for nobody's
    """

    account: str = PAPER
    fills: bool = False
    audit: bool = False
    equity: bool = False
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """One order, what was told of it, and what else was asked for on its symbol.

    Attributes
    ----------
    order : None when the store has not heard of it
    events : what was told of it, oldest first
    fills : its own, newest first
    others : orders on its symbol, ended or not, newest first
    """

    client_id: str
    order: Order | None
    events: tuple[EventRow, ...] = ()
    fills: tuple[FillRow, ...] = ()
    others: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class TradingView:
    """What the store held of trading when it was last read.

    Attributes
    ----------
    watch : what was asked for
    accounts : all of them, paper first
    every_position, every_order : that is open, of all accounts
    n_positions, n_orders : how many the watched account has, were they more than those read
    fills : newest first, empty unless watched
    audit : events about risk, oldest first, empty unless watched
    equity : (UTC ms, equity in quote currency), oldest first, empty unless watched
    alerts : those that are not over, unseen first
    """

    watch: TradingWatch
    accounts: tuple[AccountRow, ...] = ()
    every_position: tuple[PositionRow, ...] = ()
    every_order: tuple[Order, ...] = ()
    n_positions: int = 0
    n_orders: int = 0
    fills: tuple[FillRow, ...] = ()
    audit: tuple[EventRow, ...] = ()
    equity: tuple[tuple[int, Decimal], ...] = ()
    alerts: tuple[AlertRow, ...] = ()
    history: OrderHistory | None = None

    @property
    def account(self) -> AccountRow | None:
        """Return the watched account, None when its gateway has not told of it."""
        return next((row for row in self.accounts if row.name == self.watch.account), None)

    @property
    def positions(self) -> tuple[PositionRow, ...]:
        """Return the watched account's open positions, by symbol."""
        return tuple(row for row in self.every_position if row.account == self.watch.account)

    @property
    def orders(self) -> tuple[Order, ...]:
        """Return the watched account's open orders, newest first."""
        name = self.watch.account
        return tuple(row for row in self.every_order if row.request.account == name)

    def account_at(self, now_at: int) -> int:
        """Return the account's own clock at `now_at`: a replayed market is in another year."""
        row = self.account
        if row is None:
            return now_at
        if row.detail.clock_at is not None:
            return row.detail.clock_at
        return now_at + (row.clock_skew_ms or 0)

    @property
    def n_unseen(self) -> int:
        """Return how many alerts nobody has acknowledged."""
        return sum(1 for row in self.alerts if row.acknowledged_at is None)
