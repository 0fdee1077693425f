"""Put together what keeps one account: gateway, desk, watch, officer and runner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.clock import Clock
from engine.risk.groups import Groups
from engine.risk.latch import Latch
from engine.trade.account_runner import AccountRunner, Sleep, Tell
from engine.trade.concurrent_desk import ConcurrentDesk
from engine.trade.errands import Errands, OnFailure
from engine.trade.exchange import Exchange
from engine.trade.gateway import Gateway, OrderNews
from engine.trade.journal import Journal
from engine.trade.lease import Lease
from engine.trade.risk_keeper import RiskKeeper
from engine.trade.watch_post import WatchPost
from engine.trading_settings import Limits, Orders


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that an account is kept by.

    Attributes
    ----------
    default_stop_frac : of a position nobody named a stop for
    price_life_s : age after which a price counts as unknown
    quote_asset : the currency that the account is valued in
    """

    orders: Orders
    limits: Limits
    default_stop_frac: float
    price_life_s: float
    quote_asset: str


@dataclass(frozen=True, slots=True)
class Assembly:
    """One life of an account's keepers; not started yet."""

    gateway: Gateway
    lease: Lease
    desk: ConcurrentDesk
    post: WatchPost
    risk: RiskKeeper
    runner: AccountRunner
    errands: Errands


def assemble(
    exchange: Exchange,
    journal: Journal,
    latch: Latch,
    terms: Terms,
    *,
    clock: Clock,
    wall: Clock,
    sleep: Sleep,
    tell: Tell,
    on_failure: OnFailure,
    on_news: Callable[[OrderNews], None] | None = None,
) -> Assembly:
    """Return the keepers of the exchange's account, wired to each other.

    Parameters
    ----------
    clock : the account's: its instants are the venue's
    wall : this machine's
    sleep : coroutine function of seconds, for the runner's loops
    tell : tells the operator a kind, a subject and words
    on_failure : told what broke; must end the process
    on_news : told of every change of an order, before the desk is
    """
    account = exchange.account
    lease = Lease(clock, terms.orders.lease_s)
    errands = Errands(on_failure)
    gateway = Gateway(
        account, exchange, journal, latch, clock, lease, None, terms.orders, terms.quote_asset
    )
    groups = Groups.of(terms.limits.groups)
    risk = RiskKeeper(gateway.book, terms.limits, groups, clock, terms.price_life_s)
    gateway.judge = risk.judge
    gateway.on_record = risk.take_record
    gateway.on_trouble = lambda kind, words: tell(kind, f"account:{account}", words)
    gateway.on_news = on_news
    desk = ConcurrentDesk(gateway, clock, errands)
    post = WatchPost(desk, risk.view, clock, terms.orders, terms.default_stop_frac, errands, tell)
    runner = AccountRunner(
        desk, post, risk, clock, wall, terms.orders, terms.limits, errands, sleep, tell
    )
    return Assembly(gateway, lease, desk, post, risk, runner, errands)
