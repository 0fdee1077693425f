"""Orders: what is asked for, and a state machine whose transitions are one table.

An order is written down as INTENT before it is sent, under an id that follows from what it is for,
so that asking twice is asking once. UNKNOWN is a state like any other: it is resolved by asking the
exchange, never by sending again. Fills always count, whatever the state says.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from engine.errors import InvariantError, UsageError
from engine.trade.instrument import ZERO

CLIENT_ID_LENGTH = 32
"""Every venue that Paddock was tried on takes 32 characters of [0-9a-z-]."""


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """Return 1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """Return the other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How an order is matched."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    """A market order once the price has reached `stop_price` against the position."""
    TARGET = "target"
    """A market order once the price has reached `stop_price` in favour of the position."""


class Purpose(StrEnum):
    """What an order is for; part of its id."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"
    RISK = "risk"
    """Closed by a monitor or the risk officer."""
    FLATTEN = "flatten"

    @property
    def adds_exposure(self) -> bool:
        """Return whether the order may open or enlarge a position."""
        return self is Purpose.ENTRY

    @property
    def is_protective(self) -> bool:
        """Return whether the order rests at the exchange to protect a position."""
        return self in (Purpose.STOP, Purpose.TARGET)


class OrderState(StrEnum):
    """Where an order stands."""

    INTENT = "intent"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELING = "canceling"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Return whether nothing more is expected; a late fill still counts."""
        return self in FINAL_STATES


S = OrderState
FINAL_STATES = frozenset({S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED})

TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    # Before it is sent it may be refused (latch, risk) without having existed anywhere.
    S.INTENT: frozenset({S.SUBMITTED, S.REJECTED}),
    S.SUBMITTED: frozenset(
        {S.ACCEPTED, S.PARTIAL, S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED, S.UNKNOWN}
    ),
    S.ACCEPTED: frozenset(
        {S.PARTIAL, S.FILLED, S.CANCELING, S.CANCELED, S.EXPIRED, S.REJECTED, S.UNKNOWN}
    ),
    S.PARTIAL: frozenset({S.FILLED, S.CANCELING, S.CANCELED, S.EXPIRED, S.UNKNOWN}),
    S.CANCELING: frozenset(
        {S.ACCEPTED, S.PARTIAL, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.UNKNOWN}
    ),
    S.UNKNOWN: frozenset(
        {S.ACCEPTED, S.PARTIAL, S.FILLED, S.CANCELING, S.CANCELED, S.REJECTED, S.EXPIRED}
    ),
    # Late news: a fill may cross a cancel, an expiry or a lost order on its way.
    S.CANCELED: frozenset({S.PARTIAL, S.FILLED}),
    S.EXPIRED: frozenset({S.PARTIAL, S.FILLED}),
    S.REJECTED: frozenset({S.ACCEPTED, S.PARTIAL, S.FILLED, S.CANCELED}),
    S.FILLED: frozenset(),
}
"""Every change that is allowed; staying is allowed everywhere and changes nothing."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What is asked of an exchange.

    Attributes
    ----------
    client_id : from `client_id_of`, unique for ever in its account
    account : whose
    strategy_id : which strategy owns the position it changes
    symbol : BASE/QUOTE
    qty_base : unsigned, base currency; None when `notional_quote` says how much
    notional_quote : market orders only: fill as much as this buys or sells for, commission apart
    price : limit price, None for other types
    stop_price : trigger of stop and target, None for other types
    reduce_only : may only make the position smaller
    bar_at : open of the bar whose close decided it, UTC ms
    created_at : UTC ms, the account's clock
    reference_price : where the market stood when it was made; slippage is measured from here
    """

    client_id: str
    account: str
    strategy_id: str
    symbol: str
    side: Side
    type: OrderType
    purpose: Purpose
    qty_base: Decimal | None
    reduce_only: bool
    bar_at: int
    created_at: int
    reference_price: Decimal
    notional_quote: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None

    def __post_init__(self) -> None:
        problem = _why_malformed(self)
        if problem:
            raise UsageError(f"order {self.client_id} for {self.symbol}: {problem}")

    @property
    def adds_exposure(self) -> bool:
        """Return whether it may open or enlarge a position."""
        return not self.reduce_only


@dataclass(frozen=True, slots=True)
class Order:
    """A request and everything known of its fate.

    Attributes
    ----------
    venue_id : the exchange's own number, empty before it is known
    filled_base : sum of the fills that were counted, base currency
    filled_quote : sum of price x quantity over them, quote currency
    reason : why it was refused, expired or cancelled, in words
    updated_at : UTC ms of the last change
    """

    request: OrderRequest
    state: OrderState = OrderState.INTENT
    venue_id: str = ""
    filled_base: Decimal = ZERO
    filled_quote: Decimal = ZERO
    reason: str = ""
    updated_at: int = 0

    @property
    def client_id(self) -> str:
        """Return its id."""
        return self.request.client_id

    @property
    def average_price(self) -> Decimal | None:
        """Return the mean price of its fills, None without any."""
        return self.filled_quote / self.filled_base if self.filled_base else None

    @property
    def left_base(self) -> Decimal | None:
        """Return what is not filled yet, None while the quantity follows from the fill."""
        wanted = self.request.qty_base
        return None if wanted is None else max(ZERO, wanted - self.filled_base)

    def moved(
        self, state: OrderState, now_at: int, *, reason: str = "", venue_id: str = ""
    ) -> Order:
        """Return the order in `state`; the same order when nothing would change.

        Raises
        ------
        InvariantError : the table does not allow the change.
        """
        if state is not self.state and state not in TRANSITIONS[self.state]:
            raise InvariantError(
                f"order {self.client_id}: {self.state} cannot become {state}",
                client_id=self.client_id,
            )
        if state is self.state and not (venue_id and venue_id != self.venue_id):
            return self
        return replace(
            self,
            state=state,
            venue_id=venue_id or self.venue_id,
            reason=reason or self.reason,
            updated_at=now_at,
        )

    def filled(self, qty_base: Decimal, price: Decimal, now_at: int) -> Order:
        """Return the order with one more fill counted, whatever its state; the state stays.

        Notes
        -----
        News of a fill may come after the news of the end that followed it. The last change stays
        the last one: how long an ended order still counts as exposure is reckoned from there.
        """
        return replace(
            self,
            filled_base=self.filled_base + qty_base,
            filled_quote=self.filled_quote + qty_base * price,
            updated_at=max(self.updated_at, now_at),
        )


def client_id_of(
    account: str, strategy_id: str, symbol: str, bar_at: int, purpose: Purpose, sequence: int
) -> str:
    """Return the id of an order: a hash of what it is for, equal whenever that is equal.

    Parameters
    ----------
    sequence : int, >= 0, tells apart several orders of one purpose at one bar (a trailing stop that
        was replaced, a second attempt at what a partial fill left)
    """
    text = "\n".join((account, strategy_id, symbol, str(bar_at), purpose.value, str(sequence)))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"pk-{digest}"[:CLIENT_ID_LENGTH]


def _why_malformed(request: OrderRequest) -> str:
    for name in ("qty_base", "notional_quote", "price", "stop_price"):
        value: Decimal | None = getattr(request, name)
        if value is not None and not (value.is_finite() and value > 0):
            return f"{name} {value} is not a positive number"
    if (request.qty_base is None) == (request.notional_quote is None):
        return "it needs qty_base or notional_quote, and not both"
    if request.notional_quote is not None and request.type is not OrderType.MARKET:
        return "only a market order can be sized by notional_quote"
    if (request.price is not None) != (request.type is OrderType.LIMIT):
        return "a limit order has a price, and no other has"
    needs_stop = request.type in (OrderType.STOP, OrderType.TARGET)
    if (request.stop_price is not None) != needs_stop:
        return "stop and target orders have a stop_price, and no other has"
    if request.purpose.adds_exposure == request.reduce_only:
        return (
            f"an order for {request.purpose} is {'' if request.reduce_only else 'not '}reduce-only"
        )
    return ""
