"""What the monitors of an account look at, and how their wishes are carried out.

The monitors are processes of their own; when one is silent, the trader looks through its eyes here.
Either way a wish is carried out once: it is held against the book as it stands then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from engine.clock import Clock
from engine.errors import PaddockError
from engine.risk.view import Holding, RiskView
from engine.trade.adoption import ADOPTED
from engine.trade.desk import Desk
from engine.trade.errands import Errands
from engine.trade.exchange import Ticker
from engine.trade.instrument import ZERO, Instrument, round_price, round_qty, why_too_small
from engine.trade.order_watch import AskWish, CancelWish, OrderWish
from engine.trade.orders import (
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
    client_id_of,
)
from engine.trade.position_watch import Close, PositionWish, Protect, Warn, Watched
from engine.trade.quote_filter import QuoteFilter
from engine.trading_settings import Orders

RETRY_S = 1.0
RETRY_MAX_S = 30.0
TICKER_LIFE_S = 5.0
_LEAVES = (Purpose.EXIT, Purpose.RISK, Purpose.FLATTEN)
_ROUND_MS = 60_000

Tell = Callable[[str, str, str], None]
"""Called with a kind, a subject and words."""


@dataclass(frozen=True, slots=True)
class OrdersSeen:
    """What the order monitor judges.

    Attributes
    ----------
    now_at : UTC ms, the account's clock
    terms : how long orders may live, by that clock
    """

    orders: tuple[Order, ...]
    prices: Mapping[str, Decimal]
    now_at: int
    terms: Orders


@dataclass(frozen=True, slots=True)
class PositionsSeen:
    """What the position monitor judges.

    Attributes
    ----------
    tickers : newest quotes, by symbol; absent when they are old
    now_at, now_s : the account's clock, and the trader's monotonic one
    """

    positions: tuple[Watched, ...]
    tickers: Mapping[str, Ticker]
    now_at: int
    now_s: float


class WatchPost:
    """Show an account to its monitors and carry out what they wish.

    Parameters
    ----------
    desk : with its traders
    view : the account as the risk officer sees it
    terms : how long orders may live, by the account's clock
    default_stop_frac : where a position without any word about its stop should have one
    errands : where what is wished is carried out
    tell : tells the operator

    Attributes
    ----------
    tickers : newest quotes that are believed, and the monotonic s they came at, by symbol
    is_staffed : whether it is known which strategies trade; until then no position is an orphan
    """

    def __init__(
        self,
        desk: Desk,
        view: Callable[[], RiskView],
        clock: Clock,
        terms: Orders,
        default_stop_frac: float,
        errands: Errands,
        tell: Tell,
    ) -> None:
        self.tickers: dict[str, tuple[Ticker, float]] = {}
        self._quotes = QuoteFilter(clock)
        self.is_staffed = False
        self._desk = desk
        self._gateway = desk.gateway
        self._view = view
        self._clock = clock
        self._terms = terms
        self._default_stop = Decimal(str(default_stop_frac))
        self._errands = errands
        self._tell = tell
        self._closing: set[tuple[str, str]] = set()
        self._failures: dict[tuple[str, str, Purpose], tuple[int, float]] = {}

    # What is seen

    def take_ticker(self, ticker: Ticker) -> bool:
        """Take the newest quotes of a symbol; False when they are not to be believed yet."""
        if self._quotes.take(ticker) is None:
            return False
        self.tickers[ticker.symbol] = (ticker, self._clock.monotonic_s())
        return True

    def symbols(self) -> list[str]:
        """Return the symbols whose quotes matter now: held, about to be entered, or paid with."""
        book, listed = self._gateway.book, self._gateway.instruments
        paid = {
            f"{asset}/{book.quote_asset}"
            for asset, amount in book.cash.items()
            if amount and asset != book.quote_asset
        }
        held = {position.symbol for position in book.open_positions()}
        entering = {o.request.symbol for o in book.active_orders() if o.request.adds_exposure}
        return sorted(held | entering | (paid & listed.keys()))

    def orders(self) -> OrdersSeen:
        """Return what the order monitor judges."""
        prices = {symbol: ticker.last for symbol, ticker in self._young_tickers().items()}
        orders = self._gateway.book.active_orders()
        return OrdersSeen(orders, prices, self._clock.now_at(), self._terms)

    def positions(self) -> PositionsSeen:
        """Return what the position monitor judges."""
        view = self._view()
        watched = tuple(self._watched(holding, view) for holding in view.holdings)
        return PositionsSeen(
            watched, self._young_tickers(), self._clock.now_at(), self._clock.monotonic_s()
        )

    # What is wished

    async def carry_out_orders(self, wishes: Iterable[OrderWish]) -> None:
        """Begin to cancel, and ask, as the order monitor wishes."""
        asks = False
        for wish in wishes:
            match wish:
                case CancelWish(client_id, reason):
                    order = self._gateway.book.orders.get(client_id)
                    if order is not None and not order.state.is_final:
                        self._errands.begin(self._gateway.cancel(client_id, reason))
                case AskWish():
                    asks = True
        if asks:
            await self._desk.ask()

    def carry_out_positions(self, wishes: Iterable[PositionWish]) -> None:
        """Begin to close, protect and warn, as the position monitor wishes."""
        for wish in wishes:
            match wish:
                case Close(strategy_id, symbol, cause, reason):
                    self.close(strategy_id, symbol, f"{cause}: {reason}", Purpose.RISK)
                case Protect(strategy_id, symbol, _):
                    self._errands.begin(self._protect(strategy_id, symbol))
                case Warn(strategy_id, symbol, reason):
                    self._tell("position.warned", f"strategy:{strategy_id}", f"{symbol}: {reason}")

    def clear_away(self) -> None:
        """Begin to cancel the stops and targets of what is not held any more by anybody here."""
        if not self.is_staffed:
            return
        book = self._gateway.book
        for order in book.active_orders():
            request = order.request
            key = (request.strategy_id, request.symbol)
            if key in self._desk.traders or order.state is OrderState.CANCELING:
                continue
            if request.purpose.is_protective and book.position(*key).is_flat:
                reason = "nothing is left to protect"
                self._errands.begin(self._gateway.cancel(order.client_id, reason))

    def close(self, strategy_id: str, symbol: str, reason: str, purpose: Purpose) -> None:
        """Begin to close one strategy's position at market, unless orders already do."""
        self._errands.begin(self._close(strategy_id, symbol, reason, purpose))

    def leaving_base(self, strategy_id: str, symbol: str) -> Decimal:
        """Return what orders at market are closing of a position, base currency, unsigned."""
        lefts = (
            order.left_base or ZERO
            for order in self._own_orders(strategy_id, symbol)
            if order.request.purpose in _LEAVES
        )
        return sum(lefts, ZERO)

    # Inside

    async def _close(self, strategy_id: str, symbol: str, reason: str, purpose: Purpose) -> None:
        key = (strategy_id, symbol)
        # A stop that cannot be placed must not hold up a close, nor the other way round.
        tried = (*key, Purpose.EXIT)
        if key in self._closing or self._must_wait(tried):
            return
        self._closing.add(key)
        try:
            await self._free_balance(strategy_id, symbol)
            request = self._closing_request(strategy_id, symbol, purpose)
            if request is None:
                return
            self._tell("position.closed", f"strategy:{strategy_id}", f"{symbol}: {reason}")
            order = await self._gateway.submit(request)
            self._note_outcome(tried, order)
        except PaddockError as exc:
            self._failed(tried)
            self._tell("position.not_closed", f"strategy:{strategy_id}", f"{symbol}: {exc.message}")
        finally:
            self._closing.discard(key)

    async def _free_balance(self, strategy_id: str, symbol: str) -> None:
        """Cancel protective orders where they lock what is to be sold."""
        if self._gateway.exchange.capabilities.rests_both:
            return
        for order in self._own_orders(strategy_id, symbol):
            if order.request.purpose.is_protective:
                await self._gateway.cancel(order.client_id, "the position is being closed")

    def _closing_request(
        self, strategy_id: str, symbol: str, purpose: Purpose
    ) -> OrderRequest | None:
        position = self._gateway.book.position(strategy_id, symbol)
        instrument = self._gateway.instruments.get(symbol)
        if instrument is None or position.is_flat:
            return None
        left = abs(position.signed_base) - self.leaving_base(strategy_id, symbol)
        qty = round_qty(max(ZERO, left), instrument)
        if instrument.max_market_base is not None:
            qty = min(qty, instrument.max_market_base)
        if qty <= 0 or qty < instrument.min_qty_base:
            return None
        side = Side.SELL if position.signed_base > 0 else Side.BUY
        return self._request(strategy_id, symbol, side, purpose, OrderType.MARKET, qty)

    async def _protect(self, strategy_id: str, symbol: str) -> None:
        trader = self._desk.traders.get((strategy_id, symbol))
        if trader is not None:
            await self._desk.carry_out(trader, trader.on_tick(self._clock.now_at()))
            return
        seen = next(
            (
                watched
                for watched in self.positions().positions
                if (watched.holding.strategy_id, watched.holding.symbol) == (strategy_id, symbol)
            ),
            None,
        )
        instrument = self._gateway.instruments.get(symbol)
        if seen is None or instrument is None or seen.wanted_stop is None:
            return
        tried = (strategy_id, symbol, Purpose.STOP)
        if self._must_wait(tried):
            return
        qty = round_qty(seen.holding.unprotected_base, instrument)
        if qty <= 0:
            return
        side = Side.SELL if seen.holding.signed_base > 0 else Side.BUY
        stop = round_price(seen.wanted_stop, instrument, "up" if side is Side.SELL else "down")
        request = self._request(
            strategy_id, symbol, side, Purpose.STOP, OrderType.STOP, qty, stop_price=stop
        )
        self._note_outcome(tried, await self._gateway.submit(request))

    def _request(
        self,
        strategy_id: str,
        symbol: str,
        side: Side,
        purpose: Purpose,
        kind: OrderType,
        qty: Decimal,
        stop_price: Decimal | None = None,
    ) -> OrderRequest:
        now_at = self._clock.now_at()
        # No bar decided it: its id is of the minute, and of how many were made in it.
        round_at = now_at // _ROUND_MS * _ROUND_MS
        account = self._gateway.account
        sequence = 0
        while True:
            client_id = client_id_of(account, strategy_id, symbol, round_at, purpose, sequence)
            if client_id not in self._gateway.book.orders:
                break
            sequence += 1
        return OrderRequest(
            client_id=client_id,
            account=account,
            strategy_id=strategy_id,
            symbol=symbol,
            side=side,
            type=kind,
            purpose=purpose,
            qty_base=qty,
            reduce_only=True,
            bar_at=round_at,
            created_at=now_at,
            reference_price=self._reference(strategy_id, symbol),
            stop_price=stop_price,
        )

    def _reference(self, strategy_id: str, symbol: str) -> Decimal:
        seen = self.tickers.get(symbol)
        if seen is not None:
            return seen[0].last
        entry = self._gateway.book.position(strategy_id, symbol).entry_price
        return Decimal(1) if entry is None or entry <= 0 else entry

    def _watched(self, holding: Holding, view: RiskView) -> Watched:
        key = (holding.strategy_id, holding.symbol)
        instrument = self._gateway.instruments.get(holding.symbol)
        is_seated = key in self._desk.traders
        return Watched(
            holding=holding,
            plan=view.plans.get(holding.strategy_id),
            wanted_stop=self._wanted_stop(holding),
            leaving_base=self.leaving_base(*key),
            is_dust=instrument is not None and is_dust(holding, instrument),
            is_orphan=self.is_staffed and not is_seated and holding.strategy_id != ADOPTED,
            rests_stops=self._gateway.exchange.capabilities.holds_stops,
        )

    def _wanted_stop(self, holding: Holding) -> Decimal | None:
        trader = self._desk.traders.get((holding.strategy_id, holding.symbol))
        levels = None if trader is None else trader.levels()
        if levels is not None:
            return Decimal(repr(levels.stop))
        if holding.entry_price is None:
            return None
        away = self._default_stop if holding.signed_base > 0 else -self._default_stop
        return holding.entry_price * (1 - away)

    def _own_orders(self, strategy_id: str, symbol: str) -> list[Order]:
        return [
            order
            for order in self._gateway.book.active_orders()
            if (order.request.strategy_id, order.request.symbol) == (strategy_id, symbol)
        ]

    def _young_tickers(self) -> dict[str, Ticker]:
        oldest_s = self._clock.monotonic_s() - TICKER_LIFE_S
        return {s: ticker for s, (ticker, at_s) in self.tickers.items() if at_s >= oldest_s}

    def _note_outcome(self, key: tuple[str, str, Purpose], order: Order) -> None:
        if order.state.is_final and not order.filled_base:
            self._failed(key)
            self._tell("position.order_refused", f"strategy:{key[0]}", f"{key[1]}: {order.reason}")
        elif order.filled_base:
            self._failures.pop(key, None)

    def _failed(self, key: tuple[str, str, Purpose]) -> None:
        n_failed = self._failures.get(key, (0, 0.0))[0]
        self._failures[key] = (n_failed + 1, self._clock.monotonic_s())

    def _must_wait(self, key: tuple[str, str, Purpose]) -> bool:
        n_failed, failed_s = self._failures.get(key, (0, 0.0))
        if not n_failed:
            return False
        wait_s = min(RETRY_S * (1 << min(n_failed - 1, 10)), RETRY_MAX_S)
        return self._clock.monotonic_s() - failed_s < wait_s


def is_dust(holding: Holding, instrument: Instrument) -> bool:
    """Return whether a position is too small for the venue to close."""
    qty = round_qty(abs(holding.signed_base), instrument)
    if qty <= 0 or qty < instrument.min_qty_base:
        return True
    price = holding.entry_price
    # Only what opens needs a least notional, except on spot, where closing is selling.
    if instrument.market_type != "spot" or price is None:
        return False
    return bool(why_too_small(qty, abs(price), instrument))
