"""Flattening: cancel, close every position reduce-only at market, and look twice that it is flat.

On a perpetual everything the account holds is closed, and its stops stay until it is. On spot a
stop locks what has to be sold, so all orders go first; what is sold is what the journal says is
ours, never more than the balance that is there, unless everything is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from engine.errors import OrderStateUnknown, VenueError, VenueRejected, VenueUnavailable
from engine.trade.emergency import Emergency
from engine.trade.exchange import AccountView, VenueOrder
from engine.trade.flat_ids import flat_id
from engine.trade.instrument import ZERO, Instrument, round_qty, why_too_small
from engine.trade.kill_step import Step
from engine.trade.orders import OrderRequest, OrderType, Purpose, Side

_POLL_S = 0.1
_FILL_WITHIN_S = 5.0
_ROUNDS_MAX = 50
_ORDERS_MAX = 500
STRATEGY = "flatten"


@dataclass(frozen=True, slots=True)
class Held:
    """What has to be closed of one symbol.

    Attributes
    ----------
    signed_base : base currency, negative for a short
    price : quote currency, to judge minimums by; 0 when nobody tells one
    """

    symbol: str
    signed_base: Decimal
    price: Decimal
    instrument: Instrument | None

    @property
    def words(self) -> str:
        """Return it in a few words."""
        way = "long" if self.signed_base > 0 else "short"
        return f"{self.symbol} {way} {abs(self.signed_base)}"

    @property
    def why_dust(self) -> str:
        """Say why it is too small to be closed, empty when it is not."""
        if self.instrument is None:
            return ""
        qty_base = round_qty(abs(self.signed_base), self.instrument)
        if qty_base > 0 and (self.instrument.market_type == "perp" or not self.price):
            # What only reduces has no minimum value there, and without a price the venue decides.
            return "" if qty_base >= self.instrument.min_qty_base else "under the minimum quantity"
        return why_too_small(qty_base, self.price, self.instrument)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How closing one symbol went: the order as it ended, or why it did not."""

    held: Held
    order: VenueOrder | None
    problem: str = ""


class Flattening:
    """Bring one account flat.

    Parameters
    ----------
    emergency : of the account; its time counts for all of it
    halt : from `halt_id`
    takes_everything : on spot, sell what the journal does not call ours too
    quote_asset : what spot holdings are sold for
    """

    def __init__(
        self,
        emergency: Emergency,
        halt: str,
        *,
        takes_everything: bool = False,
        quote_asset: str = "USDT",
    ) -> None:
        self._emergency = emergency
        self._exchange = emergency.exchange
        self._halt = halt
        self._takes_everything = takes_everything
        self._quote_asset = quote_asset
        self._numbers: dict[str, int] = {}
        self._instruments: Mapping[str, Instrument] = {}
        self._problems: dict[str, str] = {}

    async def run(self) -> AsyncIterator[Step]:
        """Flatten, and yield each step as it goes.

        The last step is of name `flat`, ok when the account was found flat twice; otherwise failed
        with what is left.
        """
        emergency = self._emergency
        began_s = emergency.clock.monotonic_s()
        try:
            self._instruments = await emergency.patiently("its list", self._exchange.instruments)
            is_spot = any(item.market_type == "spot" for item in self._instruments.values())
            # What may still arrive is waited for afterwards: closing comes first.
            async for step in emergency.cancel(stops_too=is_spot, waits_for_late=False):
                yield step
            async for step in self._closed(began_s, is_spot=is_spot):
                yield step
            is_flat = not await self._to_close()
            async for step in emergency.cancel(stops_too=is_spot or is_flat):
                yield step
            if not is_flat or await self._to_close():
                async for step in self._closed(began_s, is_spot=is_spot):
                    yield step
                async for step in emergency.cancel(stops_too=not await self._to_close()):
                    yield step
            yield await self._verified(began_s)
        except VenueError as exc:
            yield emergency.step("flat", "failed", f"not known to be flat: {exc.message}", began_s)

    async def _closed(self, began_s: float, *, is_spot: bool) -> AsyncIterator[Step]:
        """Close what is held, round by round, until nothing is left or nothing moves any more."""
        total, tries_left, before = 0, self._emergency.patience.tries, ZERO
        for _ in range(_ROUNDS_MAX):
            held = await self._to_close()
            total = max(total, len(held))
            words = ", ".join(item.words for item in held) or "nothing held"
            done = total - len(held)
            yield self._emergency.step(
                "close", "moving" if held else "ok", words, began_s, done=done, total=total
            )
            size = sum((abs(item.signed_base) for item in held), ZERO)
            tries_left -= size == before
            before = size
            if not held or tries_left <= 0 or self._emergency.is_out_of_time:
                return
            attempts = await asyncio.gather(*(self._close(item) for item in held))
            self._problems |= {a.held.symbol: a.problem for a in attempts if a.problem}
            if any(attempt.problem for attempt in attempts):
                await self._emergency.sleep(_POLL_S)
                if is_spot:
                    # A trader that lives may have put its stop back, which locks the balance.
                    async for step in self._emergency.cancel(stops_too=True, waits_for_late=False):
                        yield step

    async def _verified(self, began_s: float) -> Step:
        """Look twice, some time apart; both must find the account flat."""
        emergency = self._emergency
        dust: list[str] = []
        for look in (1, 2):
            if look == 2:
                await emergency.sleep(emergency.patience.settle_s)
            everything = await self._held()
            dust = [f"{item.words}: {item.why_dust}" for item in everything if item.why_dust]
            left = [item.words for item in everything if not item.why_dust]
            resting = await emergency.patiently("the open orders", self._exchange.open_orders)
            left += [f"order {o.client_id or o.venue_id} of {o.symbol}" for o in resting]
            if left:
                why = "; ".join(self._problems.values())
                words = f"NOT FLAT: {', '.join(left)}" + (f" ({why})" if why else "")
                return emergency.step("flat", "failed", words, began_s, left=left, dust=dust)
        words = "flat, looked twice" + (f"; dust stays: {'; '.join(dust)}" if dust else "")
        return emergency.step("flat", "ok", words, began_s, left=[], dust=dust)

    async def _to_close(self) -> list[Held]:
        return [item for item in await self._held() if not item.why_dust]

    async def _held(self) -> list[Held]:
        """Return what is ours to close, dust included, by symbol."""
        view = await self._emergency.patiently("the positions", self._exchange.account_view)
        found = []
        for symbol, position in sorted(view.positions.items()):
            instrument = self._instruments.get(symbol)
            signed_base = position.signed_base
            if instrument is not None and instrument.market_type == "spot":
                signed_base = await self._own_part(symbol, signed_base, view)
            if not signed_base:
                continue
            price = position.entry_price or ZERO
            found.append(Held(symbol, signed_base, await self._price(symbol, price), instrument))
        return found

    async def _own_part(self, symbol: str, balance: Decimal, view: AccountView) -> Decimal:
        instrument = self._instruments[symbol]
        if instrument.quote != self._quote_asset or balance <= 0:
            return ZERO
        ours = await self._emergency.ours()
        if self._takes_everything or ours.book is None:
            return balance
        if symbol not in ours.symbols:
            return ZERO
        fills = await self._emergency.patiently(
            f"the fills of {symbol}", lambda: self._exchange.fills(symbol, ours.since_at)
        )
        return max(ZERO, min(balance, ours.held_base(symbol, fills)))

    async def _price(self, symbol: str, otherwise: Decimal) -> Decimal:
        try:
            return (await self._exchange.ticker(symbol)).last
        except VenueError:
            return otherwise

    async def _close(self, held: Held) -> Attempt:
        """Send one order that closes a symbol, or find the one that is on its way already."""
        if held.instrument is None:
            return Attempt(held, None, f"{held.symbol} is not listed: it cannot be closed here")
        largest = held.instrument.max_market_base
        wanted = abs(held.signed_base) if largest is None else min(abs(held.signed_base), largest)
        qty_base = round_qty(wanted, held.instrument)
        try:
            number = await self._free_number(held.symbol)
            request = self._request(held, qty_base, number)
            order = await self._sent(request)
        except VenueError as exc:
            return Attempt(held, None, f"{held.symbol}: {exc.message}")
        if order is None:
            return Attempt(held, None, f"{held.symbol}: the closing order has not arrived")
        problem = (
            "" if order.filled_base else f"{held.symbol}: {order.state} {order.reason}".strip()
        )
        return Attempt(held, order, problem)

    async def _free_number(self, symbol: str) -> int:
        """Return the first number that no order has, after waiting for those that still work."""
        number = self._numbers.get(symbol, 1)
        while number < _ORDERS_MAX:
            client_id = flat_id(self._halt, symbol, number)
            ask = partial(self._exchange.find_order, symbol, client_id)
            found = await self._emergency.patiently(f"order {client_id}", ask)
            if found is None:
                break
            await self._ended(found)
            number += 1
        self._numbers[symbol] = number
        return number

    async def _sent(self, request: OrderRequest) -> VenueOrder | None:
        """Send, once, and return how it ended; None when it cannot be found."""
        symbol, client_id = request.symbol, request.client_id
        try:
            order: VenueOrder | None = await self._exchange.submit(request)
        except OrderStateUnknown:
            order = await self._found(symbol, client_id)
        except VenueRejected:
            # Another process that flattens may have been first.
            order = await self._exchange.find_order(symbol, client_id)
            if order is None:
                raise
        return None if order is None else await self._ended(order)

    async def _found(self, symbol: str, client_id: str) -> VenueOrder | None:
        """Ask for an order whose answer was lost until it is there or can no longer arrive."""
        clock = self._emergency.clock
        until_s = clock.monotonic_s() + self._exchange.capabilities.forgets_after_ms / 1000
        while True:
            is_last = clock.monotonic_s() > until_s
            try:
                found = await self._exchange.find_order(symbol, client_id)
            except VenueUnavailable:
                found, is_last = None, is_last and self._emergency.is_out_of_time
            if found is not None or is_last:
                return found
            await self._emergency.sleep(_POLL_S)

    async def _ended(self, order: VenueOrder) -> VenueOrder:
        """Return a market order once it has ended, or as it stands after some seconds."""
        clock = self._emergency.clock
        until_s = clock.monotonic_s() + _FILL_WITHIN_S
        while not order.state.is_final and clock.monotonic_s() < until_s:
            await self._emergency.sleep(_POLL_S)
            try:
                order = await self._exchange.find_order(order.symbol, order.client_id) or order
            except VenueUnavailable:
                continue
        return order

    def _request(self, held: Held, qty_base: Decimal, number: int) -> OrderRequest:
        now_at = self._emergency.clock.now_at()
        return OrderRequest(
            client_id=flat_id(self._halt, held.symbol, number),
            account=self._exchange.account,
            strategy_id=STRATEGY,
            symbol=held.symbol,
            side=Side.SELL if held.signed_base > 0 else Side.BUY,
            type=OrderType.MARKET,
            purpose=Purpose.FLATTEN,
            qty_base=qty_base,
            reduce_only=True,
            bar_at=0,
            created_at=now_at,
            reference_price=held.price,
        )
