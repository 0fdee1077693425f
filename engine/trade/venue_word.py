"""What an exchange's word about an order changes in ours: pure, total, never an error.

A final state is only believed once every fill that it speaks of is counted. A word that the table
of transitions does not allow is a stale one (a read that crossed a cancel on its way) and changes
nothing; what is really wrong shows in reconciliation.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from engine.trade.exchange import Fill, VenueOrder
from engine.trade.instrument import ZERO
from engine.trade.orders import TRANSITIONS, Order, OrderState
from engine.trade.records import OrderRecord, Record

S = OrderState
_OPEN = (S.ACCEPTED, S.PARTIAL)


def changes_of(order: Order, seen: VenueOrder, new_fills: Sequence[Fill]) -> list[Record]:
    """Return what to write down after the fills: each change of state.

    Parameters
    ----------
    order : ours, as it stands before
    seen : the venue's word
    new_fills : of this order, none of them counted before
    """
    records: list[Record] = []
    counted_base = order.filled_base + sum((fill.qty_base for fill in new_fills), ZERO)
    states = states_towards(order.state, _believed(order, seen, counted_base))
    is_numbered = bool(seen.venue_id) and seen.venue_id != order.venue_id
    if not states and is_numbered and order.state is not S.INTENT:
        states = (order.state,)
    for state in states:
        reason = seen.reason if state is states[-1] else ""
        records.append(OrderRecord(order.client_id, state, seen.venue_id, reason))
    return records


def is_short_of_fills(order: Order, seen: VenueOrder, new_fills: Sequence[Fill] = ()) -> bool:
    """Return whether the venue filled more than is known."""
    known_base = order.filled_base + sum((fill.qty_base for fill in new_fills), ZERO)
    return seen.filled_base > known_base


def states_towards(state: OrderState, target: OrderState) -> tuple[OrderState, ...]:
    """Return the states from `state` (not included) to `target`; none when it is out of reach."""
    if state is target:
        return ()
    if state is S.INTENT and target is not S.SUBMITTED:
        # Any word of the venue proves that it was sent.
        return (S.SUBMITTED, target)
    return (target,) if target in TRANSITIONS[state] else ()


def _believed(order: Order, seen: VenueOrder, counted_base: Decimal) -> OrderState:
    is_short = seen.filled_base > counted_base
    state = seen.state
    if order.state.is_final and state in _OPEN:
        # Nobody asks for an ended order any more: a slow copy answers. Should it live on indeed,
        # reconciliation sees it rest and has it cancelled.
        return order.state
    if state in _OPEN or (state.is_final and is_short):
        # A cancel that is under way stays so until the venue says how it ended.
        if order.state is S.CANCELING:
            return S.CANCELING
        # Open, as far as is known.
        return S.PARTIAL if counted_base > 0 else S.ACCEPTED
    return state
