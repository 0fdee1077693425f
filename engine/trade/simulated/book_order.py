"""Orders inside the simulated venue, and the events it tells of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from engine.trade.exchange import Fill, VenueOrder
from engine.trade.instrument import ZERO
from engine.trade.orders import OrderRequest, OrderState, OrderType, Side


class TimeInForce(StrEnum):
    """How long a limit order may wait."""

    UNTIL_CANCELED = "GTC"
    IMMEDIATE = "IOC"
    ALL_OR_NOTHING = "FOK"
    POST_ONLY = "GTX"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a venue is told of an order; the rest of an `OrderRequest` is none of its business.

    Attributes
    ----------
    qty_base : unsigned, base currency; None when `notional_quote` says how much
    notional_quote : market orders only, commission apart
    price : of a limit order
    stop_price : trigger of a stop or target order
    """

    client_id: str
    symbol: str
    side: Side
    type: OrderType
    qty_base: Decimal | None
    notional_quote: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    reduce_only: bool = False
    time_in_force: TimeInForce = TimeInForce.UNTIL_CANCELED

    @classmethod
    def of(cls, request: OrderRequest) -> NewOrder:
        """Return what the venue is told of a request."""
        return cls(
            client_id=request.client_id,
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            qty_base=request.qty_base,
            notional_quote=request.notional_quote,
            price=request.price,
            stop_price=request.stop_price,
            reduce_only=request.reduce_only,
        )


@dataclass(slots=True)
class BookOrder:
    """An order of the venue's book; changed by the engine alone.

    Attributes
    ----------
    number : the venue's own number, counting from 1
    accepted_at, updated_at : UTC ms, the venue's clock
    is_resting : a limit order that was looked at once and did not cross; from then on it is filled
        at its own price
    locked : what it holds back of `locked_asset`, spot only
    """

    new: NewOrder
    number: int
    accepted_at: int
    updated_at: int
    state: OrderState = OrderState.ACCEPTED
    filled_base: Decimal = ZERO
    filled_quote: Decimal = ZERO
    fills: list[Fill] = field(default_factory=list)
    reason: str = ""
    is_resting: bool = False
    locked: Decimal = ZERO
    locked_asset: str = ""

    @property
    def is_open(self) -> bool:
        """Return whether it may still fill."""
        return not self.state.is_final

    @property
    def left_base(self) -> Decimal | None:
        """Return what is not filled yet, None while a notional says how much."""
        return None if self.new.qty_base is None else self.new.qty_base - self.filled_base

    def told(self) -> VenueOrder:
        """Return the order as the port tells it, with all of its fills."""
        new = self.new
        return VenueOrder(
            client_id=new.client_id,
            venue_id=str(self.number),
            symbol=new.symbol,
            side=new.side,
            state=self.state,
            qty_base=self.filled_base if new.qty_base is None else new.qty_base,
            filled_base=self.filled_base,
            reduce_only=new.reduce_only,
            price=new.price,
            stop_price=new.stop_price,
            at=self.updated_at,
            fills=tuple(self.fills),
            reason=self.reason,
        )


@dataclass(frozen=True, slots=True)
class VenueEvent:
    """One thing that happened to one order.

    Attributes
    ----------
    order : as it stands after the event
    fill : the execution, None for a mere change of state
    """

    order: VenueOrder
    fill: Fill | None = None
