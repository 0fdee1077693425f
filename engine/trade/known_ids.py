"""What was learned about the ids of orders: ours, the exchange's, and which list holds the order.

An exchange's number is unique for one symbol and one list of orders only.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.trade.exchange import VenueOrder

IDS_MAX = 100_000
"""Older ones are forgotten, and asked for again when needed."""


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """Where an order is to be found.

    Attributes
    ----------
    venue_id : empty before the exchange has told it
    is_apart : it is in the list of conditional orders, where an exchange has one of its own
    """

    venue_id: str
    is_apart: bool


class KnownIds:
    """A memory of ids, of bounded size."""

    def __init__(self) -> None:
        self._orders: dict[str, KnownOrder] = {}
        self._owners: dict[tuple[str, str, bool], str] = {}

    def of(self, client_id: str) -> KnownOrder | None:
        """Return where an order of ours is to be found, None when nothing is known."""
        return self._orders.get(client_id)

    def owner(self, symbol: str, venue_id: str, *, is_apart: bool = False) -> str | None:
        """Return our id of an order, empty for somebody else's, None when nothing is known."""
        return self._owners.get((symbol, venue_id, is_apart))

    def expect(self, client_id: str, *, is_apart: bool) -> None:
        """Note which list an order that is about to be sent will be in."""
        self._orders.setdefault(client_id, KnownOrder("", is_apart))
        _bound(self._orders)

    def learn(self, order: VenueOrder, *, is_apart: bool) -> None:
        """Note what the exchange told of an order."""
        if order.client_id:
            self._orders[order.client_id] = KnownOrder(order.venue_id, is_apart)
            _bound(self._orders)
        self.note_owner(order.symbol, order.venue_id, order.client_id, is_apart=is_apart)

    def note_owner(
        self, symbol: str, venue_id: str, client_id: str, *, is_apart: bool = False
    ) -> None:
        """Note whose an order is; empty for somebody else's."""
        self._owners[symbol, venue_id, is_apart] = client_id
        _bound(self._owners)


def _bound(memory: dict[str, KnownOrder] | dict[tuple[str, str, bool], str]) -> None:
    while len(memory) > IDS_MAX:
        del memory[next(iter(memory))]  # type: ignore[arg-type]
