"""The exchange port: everything Paddock asks of a venue, and what the answers may mean.

Three implementations: the simulated exchange in this process (fake clock), and ccxt against either
a real venue or the simulated exchange's REST face. An answer that never came is never taken for a
refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from engine.trade.instrument import Instrument
from engine.trade.orders import OrderRequest, OrderState, Side
from engine.types import Bars


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution.

    Attributes
    ----------
    id : the venue's number of it, unique for one symbol; counting twice is recognised by it
    client_id : of the order; empty for a fill of somebody else's order in this account
    qty_base : unsigned, base currency, > 0
    price : quote currency, > 0
    fee : >= 0, in `fee_asset` (a rebate would be negative)
    at : UTC ms, the venue's clock
    """

    id: str
    client_id: str
    symbol: str
    side: Side
    qty_base: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    at: int


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue tells it.

    Attributes
    ----------
    state : ACCEPTED, PARTIAL, FILLED, CANCELED, REJECTED or EXPIRED
    fills : those the venue sent along; may be empty although `filled_base` is not
    stop_price : trigger, None for other types
    """

    client_id: str
    venue_id: str
    symbol: str
    side: Side
    state: OrderState
    qty_base: Decimal
    filled_base: Decimal
    reduce_only: bool
    price: Decimal | None
    stop_price: Decimal | None
    at: int
    fills: tuple[Fill, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """What the venue says is held of one symbol; on spot the free and locked base currency.

    Attributes
    ----------
    signed_base : base currency, negative for a short
    entry_price, liquidation_price : quote currency, None where the venue does not say
    """

    symbol: str
    signed_base: Decimal
    entry_price: Decimal | None = None
    liquidation_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AccountView:
    """Balances and positions at one instant of the venue's clock.

    Attributes
    ----------
    balances : total (free and locked) by currency; on perp the wallet balance
    positions : by symbol, only what is not zero
    """

    at: int
    balances: Mapping[str, Decimal]
    positions: Mapping[str, VenuePosition]


@dataclass(frozen=True, slots=True)
class Ticker:
    """Best quotes and last trade.

    Attributes
    ----------
    bid, ask, last : quote currency, > 0
    at : UTC ms, the venue's clock
    """

    symbol: str
    bid: Decimal
    ask: Decimal
    last: Decimal
    at: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a venue can do.

    Attributes
    ----------
    holds_stops : stop and target orders rest at the venue, position kept while we are dead
    rests_both : a stop and a target for the same quantity may rest together; where a stop locks the
        balance (spot without order pairs) only the stop rests, and the target is watched by us
    notional_orders : market orders can be sized in quote currency
    dead_man : it cancels all orders unless told within a time that we live
    pushes : it tells of changed orders by itself, see `Exchange.changed`
    forgets_after_ms : a request that has not arrived by then is refused on arrival, so an order
        that cannot be found later than this never existed
    """

    holds_stops: bool
    rests_both: bool
    notional_orders: bool
    dead_man: bool
    pushes: bool = False
    forgets_after_ms: int = 5_000


class Exchange(Protocol):
    """One account at one venue.

    Every method may raise `VenueUnavailable` (nothing has happened, reads may be repeated) and
    `VenueRejected` (the venue said no; never repeat). Only `submit` and `cancel` raise
    `OrderStateUnknown`: the request may have arrived.
    """

    @property
    def account(self) -> str:
        """Return the account's name."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """Return what the venue can do."""
        ...

    async def instruments(self) -> Mapping[str, Instrument]:
        """Return what is listed, by symbol."""
        ...

    async def now_at(self) -> int:
        """Return the venue's clock, UTC ms."""
        ...

    async def submit(self, request: OrderRequest) -> VenueOrder:
        """Send an order, once.

        Prices and quantities are rounded already; an id that was used before is refused.
        """
        ...

    async def cancel(self, symbol: str, client_id: str) -> VenueOrder:
        """Cancel an order and return it; one that ended already is returned as it ended."""
        ...

    async def find_order(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Return an order by our id, None when the venue has none by that id (yet)."""
        ...

    async def open_orders(self, symbol: str | None = None) -> Sequence[VenueOrder]:
        """Return the orders that rest, oldest first, ours and others'."""
        ...

    async def fills(self, symbol: str, since_at: int) -> Sequence[Fill]:
        """Return the fills of a symbol at or after an instant, oldest first."""
        ...

    async def account_view(self) -> AccountView:
        """Return balances and positions."""
        ...

    async def ticker(self, symbol: str) -> Ticker:
        """Return the quotes."""
        ...

    async def closed_bars(self, symbol: str, timeframe: str, since_at: int) -> Bars:
        """Return the closed bars that open at or after an instant, oldest first."""
        ...

    async def refresh_dead_man(self, timeout_ms: int) -> None:
        """Tell the venue that we live; it cancels all orders when not told again in time.

        Raises
        ------
        VenueRejected : it has no such timer.
        """
        ...

    @property
    def is_pushing(self) -> bool:
        """Return whether a channel is open by which the venue could tell of a change now."""
        ...

    async def changed(self) -> None:
        """Return when the venue has told that something about our orders changed: a reason to ask.

        Raises
        ------
        VenueUnavailable : the channel broke; the next call opens another.
        VenueRejected : it has none for us.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; orders and positions stay."""
        ...
