"""Why a simulated venue says no: one reason each, which its faces translate."""

from __future__ import annotations

from enum import StrEnum

from engine.errors import VenueRejected


class Refusal(StrEnum):
    """The reason of a `VenueRejected`, in its field `refusal`."""

    DUPLICATE_ID = "duplicate_id"
    UNKNOWN_SYMBOL = "unknown_symbol"
    UNKNOWN_ORDER = "unknown_order"
    PRICE_STEP = "price_step"
    QTY_STEP = "qty_step"
    QTY_MIN = "qty_min"
    QTY_MAX = "qty_max"
    NOTIONAL_MIN = "notional_min"
    BALANCE = "balance"
    MARGIN = "margin"
    NOTHING_TO_REDUCE = "nothing_to_reduce"
    IMMEDIATE_TRIGGER = "immediate_trigger"
    IMMEDIATE_MATCH = "immediate_match"
    TOO_MANY_ORDERS = "too_many_orders"
    NO_PRICE = "no_price"
    LEVERAGE = "leverage"
    PLANNED = "planned"
    """A fault of the fault plan."""


def refused(reason: Refusal, message: str, **fields: object) -> VenueRejected:
    """Return the error of a refusal."""
    return VenueRejected(message, refusal=reason, **fields)
