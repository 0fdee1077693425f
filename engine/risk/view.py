"""What the risk officer looks at: one account at one instant, as values.

Built from the account book right before each verdict, so that every order that was written down
already counts. What is unknown stays unknown here (None, or absent); the rules refuse on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from engine.errors import DataError
from engine.risk.breakers import BreakerState
from engine.risk.groups import Groups
from engine.risk.risk_model import RiskModel
from engine.trade.account_book import AccountBook
from engine.trade.instrument import ZERO
from engine.trade.orders import Order, OrderState, Purpose, Side

LATE_FILL_MS = 5_000
"""An order that ended without all its fills counts as open for so long: a fill may be on its way.

As long as a venue takes to forget a request (`Capabilities.forgets_after_ms`).
"""

RECENT_MS = 120_000
"""Twice what an order that adds exposure may live (SPEC 8): older ones have no late fills."""

_RESTS = frozenset({OrderState.ACCEPTED, OrderState.PARTIAL, OrderState.CANCELING})


@dataclass(frozen=True, slots=True)
class TradePlan:
    """What a strategy declares about every trade it makes, defaults filled in already.

    Attributes
    ----------
    stop_frac : distance of the stop, fraction of the entry's fill price, in (0, 1); None for none
    target_frac : distance of the target, fraction of the entry's fill price, > 0; None for none
    holding_s : longest time it means to hold, its own time stop; None when it has none
    """

    stop_frac: float | None
    target_frac: float | None = None
    holding_s: float | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """What one strategy holds of one symbol.

    Attributes
    ----------
    signed_base : base currency, negative for a short, never 0
    entry_price : quote currency, average; None when unknown
    opened_at : UTC ms, None when unknown
    stop_base : base currency, unsigned: how much of it a stop resting at the venue protects
    stop_price : quote currency, trigger of the worst of those stops; None without any
    """

    strategy_id: str
    symbol: str
    signed_base: Decimal
    entry_price: Decimal | None = None
    opened_at: int | None = None
    stop_base: Decimal = ZERO
    stop_price: Decimal | None = None

    @property
    def unprotected_base(self) -> Decimal:
        """Return how much no resting stop protects, base currency, unsigned."""
        return max(ZERO, abs(self.signed_base) - self.stop_base)


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """What may still fill of an order that adds exposure.

    Attributes
    ----------
    left_base : base currency, None when `left_quote` says how much
    left_quote : quote currency, of an order sized by notional
    own_price : limit or trigger price, quote currency; None for a market order
    """

    strategy_id: str
    symbol: str
    side: Side
    left_base: Decimal | None
    left_quote: Decimal | None = None
    own_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RiskView:
    """One account at one instant.

    Attributes
    ----------
    at : UTC ms
    equity_quote : marked to market, quote currency; None when it cannot be valued
    holdings : what is held, per strategy and symbol
    pending : orders that add exposure and may still fill
    prices : by symbol, quote currency; absent, not finite or not positive = unknown
    plans : by strategy
    model : how prices move together; None when nothing is known
    breakers : losses and drawdown, and what they tripped
    groups : which symbols count as one
    """

    account: str
    quote_asset: str
    at: int
    equity_quote: Decimal | None
    holdings: tuple[Holding, ...] = ()
    pending: tuple[PendingOrder, ...] = ()
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    plans: Mapping[str, TradePlan] = field(default_factory=dict)
    model: RiskModel | None = None
    breakers: BreakerState = field(default_factory=BreakerState)
    groups: Groups = field(default_factory=Groups)

    def price_of(self, symbol: str) -> Decimal | None:
        """Return the price of a symbol, None when it is unknown."""
        price = self.prices.get(symbol)
        return price if price is not None and price.is_finite() and price > 0 else None

    def known_equity(self) -> Decimal | None:
        """Return the equity, None when it is unknown, not finite or not positive."""
        equity = self.equity_quote
        return equity if equity is not None and equity.is_finite() and equity > 0 else None


def view_of(
    book: AccountBook,
    *,
    at: int,
    prices: Mapping[str, Decimal],
    plans: Mapping[str, TradePlan],
    breakers: BreakerState,
    model: RiskModel | None,
    groups: Groups,
    equity_quote: Decimal | None = None,
    late_fill_ms: int = LATE_FILL_MS,
) -> RiskView:
    """Return what the officer sees of an account.

    Parameters
    ----------
    at : UTC ms, the account's clock
    prices : by symbol, of every symbol held, ordered or about to be ordered, and of every currency
        that cash is held in (as CURRENCY/QUOTE)
    equity_quote : what the account is worth, when the caller knows it; None values the book
    late_fill_ms : how long an order that ended without all its fills still counts

    Notes
    -----
    Never raises for a missing price: what cannot be valued is None, and refused by the rules.
    """
    return RiskView(
        account=book.account,
        quote_asset=book.quote_asset,
        at=at,
        equity_quote=equity_of(book, prices) if equity_quote is None else equity_quote,
        holdings=tuple(_holdings(book)),
        pending=tuple(_pending(book, at, late_fill_ms)),
        prices=prices,
        plans=plans,
        model=model,
        breakers=breakers,
        groups=groups,
    )


def equity_of(book: AccountBook, prices: Mapping[str, Decimal]) -> Decimal | None:
    """Return what an account is worth, None when a price it needs is missing or not a number."""
    known = {s: price for s, price in prices.items() if price.is_finite() and price > 0}
    try:
        return book.equity_quote(known)
    except DataError:
        return None


def _holdings(book: AccountBook) -> Iterator[Holding]:
    stops: dict[tuple[str, str], list[Order]] = {}
    for order in book.active_orders():
        request = order.request
        if request.purpose is Purpose.STOP and order.state in _RESTS:
            stops.setdefault((request.strategy_id, request.symbol), []).append(order)
    for position in book.open_positions():
        key = (position.strategy_id, position.symbol)
        protects = Side.SELL if position.signed_base > 0 else Side.BUY
        resting = [o for o in stops.get(key, ()) if o.request.side is protects]
        yield Holding(
            *key,
            signed_base=position.signed_base,
            entry_price=position.entry_price,
            opened_at=position.opened_at,
            stop_base=sum((order.left_base or ZERO for order in resting), ZERO),
            stop_price=_worst_stop(resting, protects),
        )


def _worst_stop(resting: Iterable[Order], side: Side) -> Decimal | None:
    prices = [o.request.stop_price for o in resting if o.request.stop_price is not None]
    if not prices:
        return None
    return min(prices) if side is Side.SELL else max(prices)


def _pending(book: AccountBook, at: int, late_fill_ms: int) -> Iterator[PendingOrder]:
    for order in book.active_orders():
        if order.request.adds_exposure:
            yield from _left_of(order)
    # Newest first, so that an account's history costs nothing.
    for order in reversed(book.orders.values()):
        if order.request.created_at < at - RECENT_MS:
            break
        if order.request.adds_exposure and _may_fill_late(order, at, late_fill_ms):
            yield from _left_of(order)


def _may_fill_late(order: Order, at: int, late_fill_ms: int) -> bool:
    # What the venue calls filled is, even when the news of its fills is still on its way.
    if order.state is OrderState.FILLED:
        return True
    return order.state.is_final and at - order.updated_at <= late_fill_ms


def _left_of(order: Order) -> Iterator[PendingOrder]:
    request = order.request
    left_base, left_quote = order.left_base, None
    if request.notional_quote is not None:
        left_quote = max(ZERO, request.notional_quote - order.filled_quote)
    if left_base or left_quote:
        yield PendingOrder(
            request.strategy_id,
            request.symbol,
            request.side,
            left_base,
            left_quote,
            request.price if request.price is not None else request.stop_price,
        )
