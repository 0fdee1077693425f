"""A backtest's trade log against what was traded on paper, trade by trade, a cause per difference.

Trades belong together that were decided at the close of the same bar. A cause is only named that
something on record shows: an order, a verdict, a bar that was missed, how the venue was set up.
What nothing shows is `NONE`, and that is a bug.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from engine.trade.differences import (
    Comparison,
    DifferenceCause,
    LoggedTrade,
    PaperRecord,
    TradeDifference,
    TradePair,
)
from engine.trade.orders import Order, OrderState, Purpose
from engine.trade.own_orders import OWN_WISH
from engine.trade.round_trips import OpenTrade, RoundTrip

TOLERANCE_FRAC = 1e-9
_NEAR_ZERO_FRAC = 1e-6
_UNPLANNED = {"risk": "monitor", "flatten": "flatten", "adopted": "operator", "unknown": "operator"}
_S = OrderState


def compare(backtest: Sequence[LoggedTrade], paper: PaperRecord) -> Comparison:
    """Pair two trade logs and say why they differ where they do."""
    return _Comparer(paper).compare(backtest)


class _Comparer:
    """Walk both logs in time; what differed before explains what follows from it."""

    def __init__(self, paper: PaperRecord) -> None:
        self._paper = paper
        self._orders = {order.client_id: order for order in paper.orders}
        self._entries = {
            order.request.bar_at: order
            for order in paper.orders
            if order.request.purpose is Purpose.ENTRY
        }
        self._has_parted = False
        self._has_other_capital = False

    def compare(self, backtest: Sequence[LoggedTrade]) -> Comparison:
        paper = self._paper
        trips: list[RoundTrip | OpenTrade] = [*paper.trips]
        if paper.open_trade is not None:
            trips.append(paper.open_trade)
        theirs = {trade.decided_at: trade for trade in backtest}
        ours = {self._decided_at(trip): trip for trip in trips}
        pairs = [
            self._pair(decided_at, theirs.get(decided_at), ours.get(decided_at))
            for decided_at in sorted({*theirs, *ours})
        ]
        return Comparison(
            pairs=tuple(pairs),
            backtest_pnl_quote=sum(t.pnl_quote for t in backtest if t.exit_at is not None),
            paper_pnl_quote=float(sum(trip.pnl_quote for trip in paper.trips)),
        )

    def _decided_at(self, trip: RoundTrip | OpenTrade) -> int:
        entry_id = trip.entry_id if isinstance(trip, RoundTrip) else trip.entry_ids[0]
        order = self._orders.get(entry_id)
        if order is not None:
            return order.request.bar_at
        return trip.entry_at // self._paper.bar_ms * self._paper.bar_ms - self._paper.bar_ms

    def _pair(
        self, decided_at: int, trade: LoggedTrade | None, trip: RoundTrip | OpenTrade | None
    ) -> TradePair:
        differences: list[TradeDifference] = []
        if trade is not None and trip is not None:
            differences = self._differences(trade, trip)
        elif trade is not None:
            differences.append(self._not_entered(trade))
        elif trip is not None:
            differences.append(self._only_on_paper(trip))
        parting = {"trade", "exit bar", "reason", "side"}
        self._has_parted |= any(found.what in parting for found in differences)
        self._has_other_capital |= any(found.what in {"trade", "pnl"} for found in differences)
        return TradePair(decided_at, trade, trip, tuple(differences))

    # A trade that only one of them made

    def _not_entered(self, trade: LoggedTrade) -> TradeDifference:
        cause, words = self._why_not_entered(trade)
        return TradeDifference("trade", _side_word(trade.side), "none", cause, words)

    def _why_not_entered(self, trade: LoggedTrade) -> tuple[DifferenceCause, str]:
        order = self._entries.get(trade.decided_at)
        if order is None:
            return self._why_not_wished(trade)
        if order.state is _S.REJECTED:
            return self._why_refused(order)
        if order.state is _S.UNKNOWN:
            return DifferenceCause.FAULT, f"the entry's fate is unknown: {order.reason}"
        reason = order.reason.removeprefix(OWN_WISH) or f"the entry ended {order.state}"
        return self._disturbance() or DifferenceCause.MISSED_BAR, reason

    def _why_refused(self, order: Order) -> tuple[DifferenceCause, str]:
        verdict = self._paper.verdicts.get(order.client_id)
        if order.reason.startswith("risk:") or (verdict is not None and not verdict.allowed):
            return DifferenceCause.LIMIT, order.reason
        if order.reason.startswith(("halted", "reducing")):
            return DifferenceCause.HALTED, order.reason
        if order.reason.startswith("netting:"):
            return DifferenceCause.NETTING, order.reason
        if self._paper.has_faults:
            return DifferenceCause.FAULT, order.reason
        return DifferenceCause.VENUE_RULE, order.reason

    def _why_not_wished(self, trade: LoggedTrade) -> tuple[DifferenceCause, str]:
        if trade.decided_at in self._paper.missed_bars:
            return DifferenceCause.MISSED_BAR, "nothing was entered at that bar's close"
        held = self._held_at(trade.entry_at)
        if held is not None:
            return DifferenceCause.EARLIER, "another position was held at that open"
        if self._has_parted:
            return DifferenceCause.EARLIER, "the position before it ended otherwise"
        return DifferenceCause.NONE, "the entry was never wished for"

    def _only_on_paper(self, trip: RoundTrip | OpenTrade) -> TradeDifference:
        side = trip.side.sign if isinstance(trip, RoundTrip) else trip.side
        cause, words = DifferenceCause.NONE, "the backtest decided nothing there"
        if isinstance(trip, RoundTrip) and trip.reason == "unexpected":
            cause = self._disturbance() or DifferenceCause.MISSED_BAR
            words = "the entry filled later than it may"
        elif self._has_parted:
            cause, words = DifferenceCause.EARLIER, "the backtest held another position"
        return TradeDifference("trade", "none", _side_word(side), cause, words)

    def _held_at(self, at: int) -> RoundTrip | OpenTrade | None:
        for trip in self._paper.trips:
            if trip.entry_at < at <= trip.exit_at:
                return trip
        held = self._paper.open_trade
        return held if held is not None and held.entry_at < at else None

    # A trade that both made

    def _differences(
        self, trade: LoggedTrade, trip: RoundTrip | OpenTrade
    ) -> list[TradeDifference]:
        found = self._entry_differences(trade, trip)
        entry = found[0].cause if found else None
        exit_ = self._exit_difference(trade, trip, entry)
        found += exit_
        if trade.exit_at is None or isinstance(trip, OpenTrade) or exit_:
            return found
        cause = entry or self._of_rounding(trip)
        if _differ(trade.exit, trip.exit):
            cause = entry or self._price_cause(trade.exit, trip.exit)
            found.append(_numbers("exit price", trade.exit, trip.exit, cause, ""))
        # A profit is a difference of two large numbers: near zero, their own digits end.
        notional = _NEAR_ZERO_FRAC * trade.qty_base * trade.entry
        for what, theirs, ours, least in (
            ("pnl", trade.pnl_quote, float(trip.pnl_quote), notional),
            ("return", trade.net_return, trip.net_return, _NEAR_ZERO_FRAC),
        ):
            if _differ(theirs, ours, least):
                found.append(_numbers(what, theirs, ours, cause, ""))
        return found

    def _entry_differences(
        self, trade: LoggedTrade, trip: RoundTrip | OpenTrade
    ) -> list[TradeDifference]:
        found: list[TradeDifference] = []
        side = trip.side.sign if isinstance(trip, RoundTrip) else trip.side
        if side != trade.side:
            words = "entered on the other side"
            none = DifferenceCause.NONE
            sides = (_side_word(trade.side), _side_word(side))
            found.append(TradeDifference("side", *sides, none, words))
        if _differ(trade.entry, trip.entry):
            cause = self._price_cause(trade.entry, trip.entry)
            found.append(_numbers("entry price", trade.entry, trip.entry, cause, ""))
        qty = trip.qty_base if isinstance(trip, RoundTrip) else trip.entry_base
        if _differ(trade.qty_base, qty):
            cause, words = self._quantity_cause(trade, trip, qty, found)
            found.append(_numbers("quantity", trade.qty_base, qty, cause, words))
        return found

    def _quantity_cause(
        self,
        trade: LoggedTrade,
        trip: RoundTrip | OpenTrade,
        qty: Decimal,
        found: Sequence[TradeDifference],
    ) -> tuple[DifferenceCause, str]:
        entry_id = trip.entry_id if isinstance(trip, RoundTrip) else trip.entry_ids[0]
        verdict = self._paper.verdicts.get(entry_id)
        if verdict is not None and (verdict.qty_base or verdict.notional_quote):
            return DifferenceCause.LIMIT, f"sized down: {verdict.reason}"
        order = self._orders.get(entry_id)
        if order is not None and order.state in (_S.CANCELED, _S.EXPIRED):
            return DifferenceCause.PARTIAL_FILL, order.reason.removeprefix(OWN_WISH)
        if self._has_other_capital:
            return DifferenceCause.EARLIER, "earlier trades left another capital"
        if found:
            return found[0].cause, "it follows from the entry price"
        lots = abs(Decimal(repr(trade.qty_base)) - qty) / self._paper.instrument.lot
        if lots <= 1:
            return DifferenceCause.ROUNDING, "whole lots"
        return DifferenceCause.NONE, "another quantity for the same capital and price"

    def _exit_difference(
        self, trade: LoggedTrade, trip: RoundTrip | OpenTrade, entry: DifferenceCause | None
    ) -> list[TradeDifference]:
        theirs = _exit_words(trade.exit_at, trade.reason)
        if isinstance(trip, OpenTrade):
            exit_at, reason = None, ""
        else:
            exit_at, reason = trip.exit_at // self._paper.bar_ms * self._paper.bar_ms, trip.reason
        if (trade.exit_at, trade.reason) == (exit_at, reason):
            return []
        what = "reason" if trade.exit_at == exit_at else "exit bar"
        cause, words = self._exit_cause(trip, reason, entry)
        if cause is DifferenceCause.NONE and trade.reason == "ruin":
            cause, words = DifferenceCause.RUIN, "the loss was larger than the capital"
        return [TradeDifference(what, theirs, _exit_words(exit_at, reason), cause, words)]

    def _exit_cause(
        self, trip: RoundTrip | OpenTrade, reason: str, entry: DifferenceCause | None
    ) -> tuple[DifferenceCause, str]:
        if reason in _UNPLANNED:
            return DifferenceCause.MONITOR, f"closed by {_UNPLANNED[reason]}"
        disturbance = self._disturbance()
        if reason == "unexpected":
            cause = disturbance or DifferenceCause.MISSED_BAR
            return cause, "the entry filled later than it may"
        failed = self._failed_exit(trip)
        if failed is not None:
            cause = disturbance or DifferenceCause.VENUE_RULE
            return cause, f"{failed.request.purpose} {failed.state}: {failed.reason}"
        if disturbance is not None:
            return disturbance, "orders and news took their time, or were lost"
        if entry is not None:
            return entry, "its levels follow from another entry"
        return DifferenceCause.NONE, "the same position ended otherwise"

    def _failed_exit(self, trip: RoundTrip | OpenTrade) -> Order | None:
        """Return an exit or protective order of a trade that failed."""
        until_at = trip.exit_at if isinstance(trip, RoundTrip) else None
        for order in self._paper.orders:
            created_at = order.request.created_at
            is_inside = created_at >= trip.entry_at and (until_at is None or created_at <= until_at)
            is_exit = order.request.reduce_only
            if is_inside and is_exit and order.state is _S.REJECTED:
                return order
        return None

    def _price_cause(self, theirs: float, ours: Decimal) -> DifferenceCause:
        disturbance = self._disturbance()
        if disturbance is not None:
            return disturbance
        # Slippage is rounded to a tick, and so is the level it starts from.
        ticks = abs(Decimal(repr(theirs)) - ours) / self._paper.instrument.tick
        return DifferenceCause.ROUNDING if ticks <= 2 else DifferenceCause.NONE

    def _of_rounding(self, trip: RoundTrip) -> DifferenceCause:
        """Return why profits differ where prices and quantities do not."""
        if self._paper.fee_in_base:
            return DifferenceCause.FEE_ASSET
        instrument = self._paper.instrument
        is_coarse = float(instrument.lot / trip.qty_base) > 1e-15
        return DifferenceCause.ROUNDING if is_coarse else DifferenceCause.NONE

    def _disturbance(self) -> DifferenceCause | None:
        if self._paper.has_faults:
            return DifferenceCause.FAULT
        return DifferenceCause.LATENCY if self._paper.latency_ms else None


def _differ(theirs: float, ours: Decimal | float, least: float = 0.0) -> bool:
    """Return whether two numbers differ by more than the tolerance of the larger, or of `least`."""
    mine = float(ours)
    return abs(theirs - mine) > TOLERANCE_FRAC * max(abs(theirs), abs(mine), least)


def _numbers(
    what: str, theirs: float, ours: Decimal | float, cause: DifferenceCause, words: str
) -> TradeDifference:
    return TradeDifference(what, f"{theirs:.10g}", f"{float(ours):.10g}", cause, words)


def _side_word(side: int) -> str:
    return "long" if side > 0 else "short"


def _exit_words(exit_at: int | None, reason: str) -> str:
    return "open" if exit_at is None else f"{reason} at {exit_at}"
