"""The orders of one strategy on one symbol, as far as it needs to remember them."""

from __future__ import annotations

from engine.trade.orders import Order, OrderState, Purpose
from engine.trade.round_trips import OpenTrade

OWN_WISH = "own wish: "
"""How the reason of a cancellation begins that the strategy itself asked for."""

_S = OrderState
_CONFIRMED = frozenset({_S.ACCEPTED, _S.PARTIAL})


class OwnOrders:
    """Every order by id, and quick answers about those that still matter."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._place: dict[str, int] = {}
        self._made: dict[Purpose, list[str]] = {purpose: [] for purpose in Purpose}
        self._active: dict[Purpose, dict[str, None]] = {purpose: {} for purpose in Purpose}
        self._n_at: dict[tuple[int, Purpose], int] = {}
        self._wished_at: dict[str, int] = {}

    def put(self, order: Order) -> None:
        """Take an order, or news of one."""
        client_id, purpose = order.client_id, order.request.purpose
        if client_id not in self._orders:
            self._place[client_id] = len(self._place)
            self._made[purpose].append(client_id)
            key = (order.request.bar_at, purpose)
            self._n_at[key] = self._n_at.get(key, 0) + 1
        self._orders[client_id] = order
        if order.state.is_final:
            self._active[purpose].pop(client_id, None)
        else:
            self._active[purpose].setdefault(client_id)

    def get(self, client_id: str) -> Order | None:
        """Return an order by its id."""
        return self._orders.get(client_id)

    def active(self, *purposes: Purpose) -> list[Order]:
        """Return the orders of these purposes that may still fill, oldest first."""
        return [self._orders[name] for purpose in purposes for name in self._active[purpose]]

    def n_at(self, bar_at: int, purpose: Purpose) -> int:
        """Return how many orders of a purpose were made at a bar."""
        return self._n_at.get((bar_at, purpose), 0)

    def last(self, purpose: Purpose) -> Order | None:
        """Return the newest order of a purpose, None when there was never one."""
        made = self._made[purpose]
        return self._orders[made[-1]] if made else None

    def newest(self, purpose: Purpose, trade: OpenTrade) -> Order | None:
        """Return the newest order of a purpose that was made for a trade."""
        newest = self.last(purpose)
        return newest if newest is not None and self._is_for(newest, trade) else None

    def failures(self, purpose: Purpose, trade: OpenTrade) -> tuple[int, int]:
        """Return how often in a row, newest first, a purpose has failed for a trade.

        An order fails that ends without a fill, unless the strategy itself had it cancelled.

        Returns
        -------
        (int, int) : count, and UTC ms of the newest failure, 0 without any.
        """
        count = failed_at = 0
        for client_id in reversed(self._made[purpose]):
            order = self._orders[client_id]
            if not self._is_for(order, trade) or not self._has_failed(order):
                break
            count += 1
            failed_at = failed_at or order.updated_at
        return count, failed_at

    def wish_cancelled(self, client_id: str, now_at: int, again_ms: int) -> bool:
        """Note the wish to cancel an order; False when it was noted within `again_ms`."""
        asked_at = self._wished_at.get(client_id)
        if asked_at is not None and now_at - asked_at < again_ms:
            return False
        self._wished_at[client_id] = now_at
        return True

    def _has_failed(self, order: Order) -> bool:
        if not order.state.is_final or order.filled_base:
            return False
        is_own_wish = order.client_id in self._wished_at or order.reason.startswith(OWN_WISH)
        return not (order.state is _S.CANCELED and is_own_wish)

    def _is_for(self, order: Order, trade: OpenTrade) -> bool:
        entry = self._place.get(trade.entry_ids[0])
        if entry is None:
            # Taken over, or opened by an order that is not ours.
            return order.request.created_at >= trade.entry_at
        return self._place[order.client_id] > entry


def is_confirmed(order: Order) -> bool:
    """Return whether the venue is known to hold the order."""
    return order.state in _CONFIRMED
