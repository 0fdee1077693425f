"""The kill switch at the exchange: cancel, without any runtime, whatever the runtime does.

Straight to the exchange, in a process of its own. The latch comes first, always: from then on the
gateway sends nothing that adds exposure, so what is cancelled here does not come back, and it
learns of what happened by reconciliation.

Survives a crash: nothing is kept; the exchange is asked anew. May run twice: everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from engine.clock import Clock
from engine.errors import VenueError, VenueUnavailable
from engine.trade.exchange import Exchange, VenueOrder
from engine.trade.kill_step import State, Step
from engine.trade.ours import Ours

Sleep = Callable[[float], Awaitable[None]]
Answer = TypeVar("Answer")

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 5.0
_LONGEST_LOOK_S = 2.0
_LEAST_WAIT_S = 0.02


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try.

    Attributes
    ----------
    timeout_s : for the whole act
    tries : rounds without any progress after which closing positions is given up
    settle_s : between two looks that must both find the account flat
    at_once : most requests under way
    """

    timeout_s: float = 60.0
    tries: int = 3
    settle_s: float = 1.0
    at_once: int = 16


@runtime_checkable
class CancelsForeign(Protocol):
    """An exchange that cancels what is not ours too: many at once, or by its own number."""

    @property
    def cancels_all(self) -> bool:
        """Return whether one request cancels all orders of a symbol."""
        ...

    @property
    def keeps_stops_apart(self) -> bool:
        """Return whether stops are in a list of their own."""
        ...

    async def cancel_all(self, symbol: str, *, stops_too: bool = True) -> None:
        """Cancel all orders of a symbol; without its stops where those are kept apart."""
        ...

    async def cancel_resting(self, order: VenueOrder) -> None:
        """Cancel an order that the exchange has just told of."""
        ...


class Emergency:
    """Cancel the orders of one account.

    Parameters
    ----------
    exchange : the account's
    ours : tells what its journal says, read after the latch was set; a long journal takes
        seconds, and what does not need it does not wait for it
    clock : this machine's
    halted_at : UTC ms of the halt; a request sent before it may still arrive
    patience : how long to try
    sleep : coroutine function of seconds
    """

    def __init__(
        self,
        exchange: Exchange,
        ours: Callable[[], Awaitable[Ours]],
        clock: Clock,
        halted_at: int,
        patience: Patience | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.exchange = exchange
        self.ours = ours
        self.clock = clock
        self.patience = patience or Patience()
        self.sleep = sleep
        self._halted_at = halted_at
        self._began_s = clock.monotonic_s()
        self._last_refusal = ""
        self._seen: set[tuple[str, str]] = set()
        self._n_cancelled = 0

    @property
    def account(self) -> str:
        """Return the account's name."""
        return self.exchange.account

    async def cancel(
        self, *, stops_too: bool = False, waits_for_late: bool = True
    ) -> AsyncIterator[Step]:
        """Cancel the orders that add exposure, or all; yield each step as it goes.

        The last step is of name `cancel`, ok when none of them is left and none can arrive any
        more, otherwise failed with what is left. Its counts go on from call to call.

        Parameters
        ----------
        waits_for_late : stay until what was sent before the halt has arrived or never will
        """
        began_s = self.clock.monotonic_s()
        kind = "orders" if stops_too else "exposure-adding orders"
        seen, n_kept, wait_s = self._seen, 0, _FIRST_WAIT_S
        try:
            while True:
                resting = await self.patiently("the open orders", self.exchange.open_orders)
                chosen = [order for order in resting if stops_too or not order.reduce_only]
                n_kept = len(resting) - len(chosen)
                seen |= {(order.symbol, order.venue_id) for order in chosen}
                async for _ in self._cancelled(chosen, resting, stops_too=stops_too):
                    self._n_cancelled += 1
                    yield self.step(
                        "cancel", "moving", kind, began_s, done=self._n_cancelled, total=len(seen)
                    )
                words = f"{len(chosen)} {kind} to go" if chosen else ""
                if not chosen and waits_for_late:
                    words = await self._in_flight(stops_too=stops_too)
                    if words:
                        yield self.step("in flight", "moving", words, began_s)
                if not words:
                    break
                # Looking at all open orders is dear: more looks a minute than these are refused.
                late_s = self._late_ms / 1000 + _LEAST_WAIT_S
                is_late = not chosen and self._late_ms >= 0
                await self._pause(min(wait_s, late_s) if is_late else wait_s, words)
                wait_s = min(2 * wait_s, _LONGEST_LOOK_S)
        except VenueError as exc:
            yield await self._left(exc.message, kind, began_s, stops_too=stops_too)
            return
        kept = f"; {n_kept} protective kept" if n_kept else ""
        yield self.step(
            "cancel",
            "ok",
            f"{kind} cancelled{kept}" if seen else f"no {kind}{kept}",
            began_s,
            done=len(seen),
            total=len(seen),
            n_kept=n_kept,
        )

    async def patiently(self, what: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer to a read, asking again while there is none.

        Raises
        ------
        VenueUnavailable : no answer in all the time there is.
        VenueRejected : the exchange said no.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return await ask()
            except VenueUnavailable as exc:
                asked_s = exc.fields.get("retry_after_s")
                pause_s = max(wait_s, asked_s if isinstance(asked_s, float) else 0.0)
                await self._pause(pause_s, f"no answer about {what}: {exc.message}")
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    @property
    def is_out_of_time(self) -> bool:
        """Return whether the act has used its time up."""
        return self.clock.monotonic_s() - self._began_s >= self.patience.timeout_s

    @property
    def _late_ms(self) -> int:
        """Return how much longer what was sent before the halt may arrive; negative when over."""
        waited_ms = self.clock.now_at() - self._halted_at
        return self.exchange.capabilities.forgets_after_ms - waited_ms

    async def _pause(self, seconds: float, why: str) -> None:
        left_s = self.patience.timeout_s - (self.clock.monotonic_s() - self._began_s)
        if left_s <= 0:
            told = f"; the exchange said last: {self._last_refusal}" if self._last_refusal else ""
            raise VenueUnavailable(f"{why}{told}: given up after {self.patience.timeout_s:g} s")
        await self.sleep(min(seconds, left_s))

    async def _cancelled(
        self, orders: Sequence[VenueOrder], resting: Sequence[VenueOrder], *, stops_too: bool
    ) -> AsyncIterator[VenueOrder]:
        """Cancel orders, a few at once, and yield each that the exchange says has ended."""
        one_by_one = []
        for symbol in sorted({order.symbol for order in orders}):
            same = [order for order in orders if order.symbol == symbol]
            stays = [o for o in resting if o.symbol == symbol and o not in same]
            if await self._is_cancelled_at_once(same, stays, stops_too=stops_too):
                for order in same:
                    yield order
            else:
                one_by_one += same
        gate = asyncio.Semaphore(self.patience.at_once)

        async def cancel(order: VenueOrder) -> VenueOrder | None:
            async with gate:
                return order if await self._has_ended(order) else None

        tasks = [asyncio.create_task(cancel(order)) for order in one_by_one]
        try:
            for task in asyncio.as_completed(tasks):
                ended = await task
                if ended is not None:
                    yield ended
        finally:
            for unfinished in tasks:
                unfinished.cancel()

    async def _is_cancelled_at_once(
        self, orders: Sequence[VenueOrder], stays: Sequence[VenueOrder], *, stops_too: bool
    ) -> bool:
        """Cancel a symbol's orders with one request, where that takes none that has to stay."""
        exchange = self.exchange
        if not (isinstance(exchange, CancelsForeign) and exchange.cancels_all) or len(orders) < 2:
            return False
        # A stop that a gateway places meanwhile must stay: only a list apart keeps it safe.
        is_safe = exchange.keeps_stops_apart and not any(o.stop_price is not None for o in orders)
        if not stops_too and (not is_safe or any(o.stop_price is None for o in stays)):
            return False
        try:
            await exchange.cancel_all(orders[0].symbol, stops_too=stops_too)
        except VenueError as exc:
            self._last_refusal = exc.message
            return False
        return True

    async def _has_ended(self, order: VenueOrder) -> bool:
        """Cancel one order; False leaves it to the next look at what is open."""
        try:
            if isinstance(self.exchange, CancelsForeign):
                await self.exchange.cancel_resting(order)
            else:
                await self.exchange.cancel(order.symbol, order.client_id)
        except VenueError as exc:
            self._last_refusal = exc.message
            return False
        return True

    async def _in_flight(self, *, stops_too: bool) -> str:
        """Say what may still arrive, empty when nothing can; what has arrived is cancelled."""
        may_arrive = self._late_ms >= 0
        ours = await self.ours()
        if ours.book is None:
            return "what was sent before the halt may still arrive" if may_arrive else ""
        waiting = []
        for order in ours.in_flight:
            request = order.request
            if not (stops_too or request.adds_exposure):
                continue
            find = partial(self.exchange.find_order, request.symbol, request.client_id)
            found = await self.patiently(f"order {request.client_id}", find)
            if found is None and may_arrive:
                waiting.append(f"{request.client_id} {request.symbol} {request.side}")
            elif found is not None and not found.state.is_final:
                await self._has_ended(found)
                waiting.append(f"{request.client_id} {request.symbol} arrived and is cancelled")
        return "; ".join(waiting)

    async def _left(self, why: str, kind: str, began_s: float, *, stops_too: bool) -> Step:
        left: list[str] | None = None
        try:
            resting = await self.exchange.open_orders()
            left = [order_words(o) for o in resting if stops_too or not o.reduce_only]
        except VenueError:
            pass
        told = "open orders are not known" if left is None else f"{len(left)} {kind} left"
        return self.step("cancel", "failed", f"{told}: {why}", began_s, left=left)

    def step(
        self,
        name: str,
        state: State,
        words: str,
        began_s: float,
        *,
        done: int = 0,
        total: int = 0,
        **fields: Any,
    ) -> Step:
        """Return a step that began at `began_s` of the monotonic clock."""
        spent_ms = (self.clock.monotonic_s() - began_s) * 1000
        return Step(self.account, name, state, words, done, total, spent_ms, fields)


def order_words(order: VenueOrder) -> str:
    """Return an order in a few words."""
    at = f" at {order.price}" if order.price is not None else ""
    stop = f" stop {order.stop_price}" if order.stop_price is not None else ""
    name = order.client_id or f"number {order.venue_id}"
    return f"{order.side} {order.qty_base} {order.symbol}{at}{stop} ({name})"
