"""What a strategy trader wishes for, and why a position is closed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from engine.trade.orders import Order, OrderRequest, Purpose, client_id_of

N_CAUSES = 16
"""The sequence of an exit is attempt x N_CAUSES + cause: its id says why it was sent."""


class Cause(IntEnum):
    """Why a position is closed by an order of its own."""

    SIGNAL = 0
    TIME = 1
    TARGET = 2
    """Watched here, because the venue cannot hold it."""
    STOP = 3
    TRAILING = 4
    UNEXPECTED = 5
    """A late fill, or a second entry: nobody planned this position."""
    UNPROTECTED = 6
    """No stop can be placed."""
    RUIN = 7
    """The capital is lost."""

    @property
    def word(self) -> str:
        """Return its name in a trade log."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Submit:
    """The wish for an order."""

    request: OrderRequest


@dataclass(frozen=True, slots=True)
class Cancel:
    """The wish for an order's end."""

    client_id: str
    reason: str


Wish = Submit | Cancel


def cause_of(order: Order, n_attempts: int) -> Cause:
    """Return why an exit was sent; one that its strategy did not make counts as a signal.

    Parameters
    ----------
    n_attempts : exits that were made at its bar
    """
    request = order.request
    names = (request.account, request.strategy_id, request.symbol, request.bar_at)
    for attempt in range(n_attempts):
        for cause in Cause:
            sequence = attempt * N_CAUSES + cause
            if client_id_of(*names, Purpose.EXIT, sequence) == request.client_id:
                return cause
    return Cause.SIGNAL
