"""The strategy trader: bars and news of its orders in, wishes for orders out.

It is the backtest's plain loop (`engine/backtest/plain.py`) turned around: what that loop fills
itself is asked of a venue here, and only news is believed. Each answer follows from what is known
(orders, fills, bars since the entry, the newest bar and its decision) and from nothing else, so
that a restart from the account's book and the stored bars wishes the same under the same ids.

Every event ends in one plan: hold what the strategy wants against what rests at the venue, and wish
for the difference. A wish is never repeated while its order may still live.

Pure: no clock, no venue, no disk. Survives a crash: nothing of its own, see `restored`. May run
twice: news and bars it was told already.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Context, Decimal

from engine.backtest.rules import Rules
from engine.errors import InvariantError
from engine.trade.decision import ClosedBar, Decision, decimal_of
from engine.trade.entry_size import wanted_size
from engine.trade.exchange import Fill
from engine.trade.exit_levels import ExitLevels
from engine.trade.instrument import ZERO, PriceRounding, round_price, round_qty, why_too_small
from engine.trade.orders import (
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
    client_id_of,
)
from engine.trade.own_orders import OWN_WISH, OwnOrders, is_confirmed
from engine.trade.positions import EXACT
from engine.trade.round_trips import OpenTrade, RoundTrips
from engine.trade.trade_watch import TradeWatch
from engine.trade.trader_spec import TraderSpec
from engine.trade.wishes import N_CAUSES, Cancel, Cause, Submit, Wish, cause_of

CROSSING_MS = 1_000
"""A fill may cross the cancellation of its entry by so much and still be expected."""
RETRY_MS = 1_000
"""A failed exit or protective order is tried again after so long, then twice as long, ..."""
RETRY_MAX_MS = 60_000
RECANCEL_MS = 5_000
STOP_FAILURES_MAX = 3
"""A stop that fails so often in a row is not placed again: the position is closed at market."""

_S = OrderState
_P = Purpose
_LOTS = Context(prec=24, rounding=ROUND_FLOOR)
_TYPES = {_P.STOP: OrderType.STOP, _P.TARGET: OrderType.TARGET}


class StrategyTrader:
    """One strategy on one symbol in one account.

    Whoever hosts it hands every wish to the gateway and tells it every change of its orders, also
    of those that others made for its position (risk, flatten), and also refusals.

    Attributes
    ----------
    spec : TraderSpec
    trips : its trades, closed and open
    """

    def __init__(self, spec: TraderSpec) -> None:
        self.spec = spec
        self.trips = RoundTrips(spec.account, spec.strategy_id, spec.symbol, self._is_dust)
        self._orders = OwnOrders()
        self._fill_ids: set[str] = set()
        self._bar: ClosedBar | None = None
        self._decision: Decision | None = None
        self._may_enter = False
        self._watch: TradeWatch | None = None

    @classmethod
    def restored(
        cls,
        spec: TraderSpec,
        orders: Iterable[Order],
        fills: Iterable[Fill],
        bars: Iterable[ClosedBar],
        decision: Decision | None,
        entry_rules: Rules | None = None,
    ) -> StrategyTrader:
        """Return the trader as it was, from the account's book and the stored bars.

        Parameters
        ----------
        orders : of this strategy and symbol, as they stand, oldest first
        fills : of this strategy and symbol, oldest first
        bars : closed bars, oldest first, from the open trade's entry on and at least the last two
        decision : of the newest bar; None when it is not known, and then nothing new is entered
        entry_rules : of the open trade, where each entry names its own

        Notes
        -----
        Call `on_tick` next: it returns what is to be wished now.
        """
        trader = cls(spec)
        for order in orders:
            trader._orders.put(order)
        for fill in fills:
            trader._count(fill)
        if trader._watch is not None and entry_rules is not None:
            trader._watch.rules = entry_rules
        for bar in bars:
            trader._take_bar(bar)
        trader._decision = decision
        return trader

    # What others may know

    @property
    def open_trade(self) -> OpenTrade | None:
        """Return the trade it is in, None while flat; dust is no trade."""
        trade = self.trips.open
        if trade is None or self._is_dust(trade.signed_base, trade.entry):
            return None
        return trade

    @property
    def cash_quote(self) -> Decimal:
        """Return its capital: what was allocated, and what its closed trades made of it."""
        return EXACT.add(self.spec.capital_quote, self.trips.realized_quote)

    def equity_quote(self, price: Decimal) -> Decimal:
        """Return its capital with the open trade marked at `price`."""
        trade = self.trips.open
        if trade is None:
            return self.cash_quote
        return EXACT.add(self.cash_quote, trade.equity_quote(price))

    def levels(self) -> ExitLevels | None:
        """Return where the open trade ends, None while flat."""
        trade = self.open_trade
        return None if trade is None or self._watch is None else self._watch.levels(trade)

    def unprotected_base(self) -> Decimal:
        """Return how much of the position no confirmed stop at the venue covers, unsigned."""
        trade = self.open_trade
        if trade is None:
            return ZERO
        left = trade.signed_base.copy_abs()
        for order in self._orders.active(_P.STOP):
            if order.request.side.sign != trade.side and is_confirmed(order):
                left = EXACT.subtract(left, order.left_base or ZERO)
        return max(left, ZERO)

    # Events

    def on_bar(self, bar: ClosedBar, decision: Decision | None, now_at: int) -> tuple[Wish, ...]:
        """Take the bar that closed and what was decided at its close; None when nobody decided.

        Raises
        ------
        InvariantError : the decision is of another bar.
        """
        if decision is not None and decision.bar_at != bar.at:
            raise InvariantError(
                f"strategy {self.spec.strategy_id}: the decision of bar {decision.bar_at} came "
                f"with bar {bar.at}"
            )
        if self._bar is not None and bar.at <= self._bar.at:
            return ()
        self._take_bar(bar)
        self._decision = decision
        return self._plan(now_at)

    def on_news(self, order: Order, fills: Iterable[Fill], now_at: int) -> tuple[Wish, ...]:
        """Take news of an order, and the fills that came with it.

        Raises
        ------
        InvariantError : it is of another strategy or symbol.
        """
        request = order.request
        if (request.strategy_id, request.symbol) != (self.spec.strategy_id, self.spec.symbol):
            raise InvariantError(
                f"strategy {self.spec.strategy_id} on {self.spec.symbol} was told of order "
                f"{order.client_id} of {request.strategy_id} on {request.symbol}"
            )
        self._orders.put(order)
        for fill in fills:
            self._count(fill)
        return self._plan(now_at)

    def on_refused(self, client_id: str, reason: str, now_at: int) -> tuple[Wish, ...]:
        """Take that a wish of its own could not even be written down."""
        order = self._orders.get(client_id)
        if order is None or order.state is not _S.INTENT:
            return ()
        return self.on_news(order.moved(_S.REJECTED, now_at, reason=reason), (), now_at)

    def on_adopted(self, fill: Fill, now_at: int) -> tuple[Wish, ...]:
        """Take a difference to the venue that the operator took over (`adopted_fill`)."""
        self._count(fill)
        return self._plan(now_at)

    def on_price(self, price: Decimal, now_at: int) -> tuple[Wish, ...]:
        """Take the newest price, for what the venue cannot watch itself."""
        trade = self.open_trade
        if trade is not None and self._watch is not None:
            self._watch.take_prices(trade, float(price), float(price), self.spec.capabilities)
        return self._plan(now_at)

    def on_tick(self, now_at: int) -> tuple[Wish, ...]:
        """Look at the clock: what is too old, what is to be tried again."""
        return self._plan(now_at)

    # Taking things in

    def _take_bar(self, bar: ClosedBar) -> None:
        before, self._bar = self._bar, bar
        self._may_enter = before is None or bar.at - before.at == self.spec.bar_ms
        trade = self.open_trade
        if trade is None or self._watch is None:
            return
        is_taken = self._watch.take_bar(bar, trade, self.spec.capabilities)
        if is_taken and self.equity_quote(decimal_of(bar.close)) <= 0:
            self._watch.touched = Cause.RUIN

    def _count(self, fill: Fill) -> None:
        if fill.id in self._fill_ids:
            return
        self._fill_ids.add(fill.id)
        was = self.trips.open
        self.trips.count(fill, self._reason_of(fill, was))
        trade = self.trips.open
        if trade is None:
            self._watch = None
            return
        if was is not None and trade.entry_ids[0] == was.entry_ids[0]:
            return
        entry = self._orders.get(trade.entry_ids[0])
        decided_at = None if entry is None else entry.request.bar_at
        rules = self.spec.rules
        if self._decision is not None and self._decision.bar_at == decided_at:
            rules = self._decision.rules or rules
        self._watch = TradeWatch(trade, rules, decided_at, self.spec.bar_ms)

    def _reason_of(self, fill: Fill, trade: OpenTrade | None) -> str:
        """Return what a trade is said to have ended by, should this fill end it."""
        order = self._orders.get(fill.client_id)
        if order is None:
            return "adopted" if not fill.client_id else "unknown"
        purpose = order.request.purpose
        if purpose is _P.EXIT:
            return self._cause_of(order).word
        watch = self._watch
        if purpose is _P.STOP and trade is not None and watch is not None:
            fixed = self._rounded(watch.fixed(trade), trade.side)
            is_trailing = watch.rules.trailing_frac is not None and (
                order.request.stop_price != fixed
            )
            return "trailing" if is_trailing else "stop"
        return purpose.value

    # The plan

    def _plan(self, now_at: int) -> tuple[Wish, ...]:
        wishes: list[Wish] = []
        trade, watch = self.open_trade, self._watch
        cause = None
        if trade is None or watch is None:
            self._plan_entry(now_at, wishes)
            for order in self._orders.active(_P.STOP, _P.TARGET, _P.EXIT):
                self._cancel(order, "nothing is left to protect", now_at, wishes)
        else:
            cause = self._exit_cause(trade, watch)
            if cause is not None:
                self._plan_exit(trade, cause, now_at, wishes)
            if cause is None or self.spec.capabilities.rests_both:
                self._plan_protection(trade, watch, now_at, wishes)
        self._plan_entry_end(cause is not None, now_at, wishes)
        return tuple(wishes)

    def _plan_entry(self, now_at: int, wishes: list[Wish]) -> None:
        bar = self._bar
        side = self._entry_side()
        if bar is None or side == 0 or not self._may_enter:
            return
        if self._orders.n_at(bar.at, _P.ENTRY) or self._orders.active(_P.ENTRY):
            return
        if now_at - bar.at - self.spec.bar_ms > self.spec.stale_ms:
            return
        # What rests from an earlier trade could close the new one.
        leftover = self._orders.active(_P.STOP, _P.TARGET, _P.EXIT, _P.RISK, _P.FLATTEN)
        if any(order.request.side.sign != side for order in leftover):
            return
        notional = self._entry_notional(bar)
        if notional is None:
            return
        request = self._request(_P.ENTRY, side, now_at, 0, notional_quote=notional)
        if not self.spec.capabilities.notional_orders:
            qty = round_qty(_LOTS.divide(notional, decimal_of(bar.close)), self.spec.instrument)
            if why_too_small(qty, decimal_of(bar.close), self.spec.instrument):
                return
            request = self._request(_P.ENTRY, side, now_at, 0, qty_base=qty)
        self._submit(request, now_at, wishes)

    def _entry_side(self) -> int:
        """Return which side is to be entered now: 1, -1, or 0 for none."""
        bar, decision = self._bar, self._decision
        if bar is None or decision is None or decision.side == 0:
            return 0
        if self.spec.instrument.market_type == "spot" and decision.side < 0:
            return 0
        last = self.trips.closed[-1] if self.trips.closed else None
        if last is None:
            return decision.side
        exit_order = self._orders.get(last.exit_id)
        left_now = (
            exit_order is not None
            and exit_order.request.purpose is _P.EXIT
            and exit_order.request.bar_at >= bar.at
        )
        if last.exit_at < bar.at + self.spec.bar_ms and not left_now:
            return decision.side
        # It was not flat when this was decided: only a reversal opens at the open that closed.
        is_reversal = (
            left_now
            and last.reason == Cause.SIGNAL.word
            and decision.side == -last.side.sign
            and self.spec.rules.on_opposite
        )
        return decision.side if is_reversal else 0

    def _entry_notional(self, bar: ClosedBar) -> Decimal | None:
        """Return the notional of an entry, quote currency; None for none."""
        decision = self._decision
        rules = (decision.rules if decision else None) or self.spec.rules
        size = wanted_size(rules, decision.size_frac if decision else None, self.trips.returns)
        cash = float(self.cash_quote)
        if not (size > 0.0 and cash > 0.0):
            return None
        if self.spec.instrument.market_type == "spot":
            size = min(size, 1.0)
        notional = decimal_of(size * cash / (1.0 + self.spec.commission_frac))
        most = self.spec.instrument.max_market_base
        if most is not None:
            notional = min(notional, EXACT.multiply(most, decimal_of(bar.close)))
        return notional

    def _plan_entry_end(self, is_leaving: bool, now_at: int, wishes: list[Wish]) -> None:
        for order in self._orders.active(_P.ENTRY):
            age_ms = now_at - order.request.created_at
            if is_leaving:
                self._cancel(order, "the position is being closed", now_at, wishes)
            elif age_ms >= self.spec.entry_timeout_ms:
                reason = f"not filled within {self.spec.entry_timeout_ms / 1000:g} s"
                self._cancel(order, reason, now_at, wishes)

    def _exit_cause(self, trade: OpenTrade, watch: TradeWatch) -> Cause | None:
        """Return why the position is to be closed now, None when it is to be kept."""
        if self._is_unexpected(trade):
            return Cause.UNEXPECTED
        if watch.touched is not None:
            return watch.touched
        begun = self._orders.newest(_P.EXIT, trade)
        if begun is not None:
            # Once an exit was sent, the position is closed whatever becomes of that order.
            return self._cause_of(begun)
        bar, decision = self._bar, self._decision
        if bar is not None and decision is not None and bar.at > watch.decided_at:
            is_opposite = decision.side == -trade.side and watch.rules.on_opposite
            if is_opposite or decision.leaves(trade.side):
                return Cause.SIGNAL
        if watch.rules.max_bars is not None and watch.n_bars >= watch.rules.max_bars:
            return Cause.TIME
        if self._orders.failures(_P.STOP, trade)[0] >= STOP_FAILURES_MAX:
            return Cause.UNPROTECTED
        return None

    def _is_unexpected(self, trade: OpenTrade) -> bool:
        if len(trade.entry_ids) > 1:
            return True
        entry_id = trade.entry_ids[0]
        if not entry_id:
            return False
        entry = self._orders.get(entry_id)
        if entry is None or entry.request.purpose is not _P.ENTRY:
            return True
        age_ms = trade.entry_at - entry.request.created_at
        return age_ms > self.spec.entry_timeout_ms + CROSSING_MS

    def _plan_exit(self, trade: OpenTrade, cause: Cause, now_at: int, wishes: list[Wish]) -> None:
        if self._orders.active(_P.EXIT, _P.RISK, _P.FLATTEN):
            return
        if not self.spec.capabilities.rests_both:
            # A resting stop locks the balance that the exit needs.
            resting = self._orders.active(_P.STOP, _P.TARGET)
            for order in resting:
                self._cancel(order, "the position is being closed", now_at, wishes)
            if resting:
                return
        if self._must_wait(_P.EXIT, trade, now_at):
            return
        attempt = self._orders.n_at(self._bar_at(now_at), _P.EXIT)
        qty = self._tradable_base(trade)
        most = self.spec.instrument.max_market_base
        request = self._request(
            _P.EXIT,
            -trade.side,
            now_at,
            attempt * N_CAUSES + cause,
            qty_base=qty if most is None else min(qty, most),
        )
        self._submit(request, now_at, wishes)

    def _plan_protection(
        self, trade: OpenTrade, watch: TradeWatch, now_at: int, wishes: list[Wish]
    ) -> None:
        can = self.spec.capabilities
        if not can.holds_stops:
            return
        levels = watch.levels(trade)
        self._keep_resting(_P.STOP, levels.stop, trade, now_at, wishes)
        if can.rests_both and levels.target is not None:
            self._keep_resting(_P.TARGET, levels.target, trade, now_at, wishes)

    def _keep_resting(
        self, purpose: Purpose, level: float, trade: OpenTrade, now_at: int, wishes: list[Wish]
    ) -> None:
        """See to it that exactly one order of a purpose rests: right price, right quantity."""
        price, qty = self._rounded(level, trade.side), self._tradable_base(trade)
        kept: Order | None = None
        others: list[Order] = []
        for order in self._orders.active(purpose):
            request = order.request
            is_right = (
                request.stop_price == price
                and order.left_base == qty
                and request.side.sign == -trade.side
                and order.state is not _S.CANCELING
            )
            if is_right and kept is None:
                kept = order
            else:
                others.append(order)
        if kept is not None:
            if is_confirmed(kept):
                for order in others:
                    self._cancel(order, "another one rests in its place", now_at, wishes)
            return
        if others and not self.spec.capabilities.rests_both:
            for order in others:
                self._cancel(order, "another one takes its place", now_at, wishes)
            return
        if self._must_wait(purpose, trade, now_at):
            return
        sequence = self._orders.n_at(self._bar_at(now_at), purpose)
        request = self._request(
            purpose, -trade.side, now_at, sequence, qty_base=qty, stop_price=price
        )
        self._submit(request, now_at, wishes)

    def _must_wait(self, purpose: Purpose, trade: OpenTrade, now_at: int) -> bool:
        n_failed, failed_at = self._orders.failures(purpose, trade)
        if not n_failed:
            return False
        wait_ms = min(RETRY_MS << min(n_failed - 1, 10), RETRY_MAX_MS)
        return now_at - failed_at < wait_ms

    # Wishes

    def _submit(self, request: OrderRequest, now_at: int, wishes: list[Wish]) -> None:
        self._orders.put(Order(request, updated_at=now_at))
        wishes.append(Submit(request))

    def _cancel(self, order: Order, why: str, now_at: int, wishes: list[Wish]) -> None:
        if self._orders.wish_cancelled(order.client_id, now_at, RECANCEL_MS):
            wishes.append(Cancel(order.client_id, f"{OWN_WISH}{why}"))

    def _request(
        self,
        purpose: Purpose,
        side: int,
        now_at: int,
        sequence: int,
        *,
        qty_base: Decimal | None = None,
        notional_quote: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> OrderRequest:
        spec, bar_at = self.spec, self._bar_at(now_at)
        reference = decimal_of(self._bar.close) if self._bar is not None else stop_price
        if reference is None:
            reference = self.trips.open.entry if self.trips.open is not None else Decimal(1)
        return OrderRequest(
            client_id=client_id_of(
                spec.account, spec.strategy_id, spec.symbol, bar_at, purpose, sequence
            ),
            account=spec.account,
            strategy_id=spec.strategy_id,
            symbol=spec.symbol,
            side=Side.BUY if side > 0 else Side.SELL,
            type=_TYPES.get(purpose, OrderType.MARKET),
            purpose=purpose,
            qty_base=qty_base,
            reduce_only=purpose is not _P.ENTRY,
            bar_at=bar_at,
            created_at=now_at,
            reference_price=reference,
            notional_quote=notional_quote,
            stop_price=stop_price,
        )

    # Small answers

    def _bar_at(self, now_at: int) -> int:
        """Return the newest closed bar that orders are named after."""
        if self._bar is not None:
            return self._bar.at
        return (now_at // self.spec.bar_ms - 1) * self.spec.bar_ms

    def _rounded(self, level: float, side: int) -> Decimal:
        # A stop triggers rather sooner, a target rather later: both towards the far side of a sell.
        rounding: PriceRounding = "up" if side > 0 else "down"
        return round_price(decimal_of(level), self.spec.instrument, rounding)

    def _tradable_base(self, trade: OpenTrade) -> Decimal:
        return round_qty(trade.signed_base.copy_abs(), self.spec.instrument)

    def _is_dust(self, signed_base: Decimal, price: Decimal) -> bool:
        instrument = self.spec.instrument
        qty = round_qty(signed_base.copy_abs(), instrument)
        if qty <= 0 or qty < instrument.min_qty_base:
            return True
        # Only what opens needs a least notional, except on spot, where closing is selling.
        return instrument.market_type == "spot" and bool(why_too_small(qty, price, instrument))

    def _cause_of(self, order: Order) -> Cause:
        return cause_of(order, self._orders.n_at(order.request.bar_at, _P.EXIT))
