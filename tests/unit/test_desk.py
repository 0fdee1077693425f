from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.backtest.rules import Rules
from engine.clock import FakeClock
from engine.errors import InvariantError, VenueUnavailable
from engine.trade.decision import ClosedBar, Decision
from engine.trade.desk import Desk
from engine.trade.exchange import Capabilities, Fill
from engine.trade.gateway import OrderNews
from engine.trade.instrument import Instrument
from engine.trade.orders import Order, OrderRequest, OrderState, Purpose
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.trader_spec import TraderSpec

D = Decimal
BAR_MS = 300_000
S = OrderState


class FakeBook:
    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}


class FakeGateway:
    """Fills entries at once, lets protective orders rest, and refuses what it is told to."""

    def __init__(self) -> None:
        self.account = "paper"
        self.book = FakeBook()
        self.on_news: Callable[[OrderNews], None] | None = None
        self.log: list[tuple[str, str]] = []
        self.refuses: set[Purpose] = set()
        self.waiting: list[OrderNews] = []
        self.is_silent = False

    async def submit(self, request: OrderRequest) -> Order:
        self.log.append(("submit", request.purpose))
        if request.purpose in self.refuses:
            # Not even written down: nobody but the caller hears of it.
            return Order(request, S.REJECTED, reason="disk full")
        order = Order(request, S.ACCEPTED)
        fills: tuple[Fill, ...] = ()
        if request.purpose in (Purpose.ENTRY, Purpose.EXIT):
            qty = request.qty_base or D(1)
            at = request.created_at
            fill = Fill(
                f"f{len(self.book.orders)}",
                request.client_id,
                request.symbol,
                request.side,
                qty,
                D(100),
                D(0),
                "USDT",
                at,
            )
            order, fills = replace(order.filled(qty, D(100), at), state=S.FILLED), (fill,)
        self._tell(order, fills)
        return order

    async def cancel(self, client_id: str, reason: str) -> Order:
        self.log.append(("cancel", self.book.orders[client_id].request.purpose))
        order = replace(self.book.orders[client_id], state=S.CANCELED, reason=reason)
        self._tell(order, ())
        return order

    async def poll(self) -> list[OrderNews]:
        for news in self.waiting:
            self._tell(news.order, news.fills)
        self.waiting = []
        if self.is_silent:
            raise VenueUnavailable("no answer")
        return []

    def _tell(self, order: Order, fills: tuple[Fill, ...]) -> None:
        self.book.orders[order.client_id] = order
        if self.on_news is not None:
            self.on_news(OrderNews(order, fills))


def trader(strategy_id: str = "s", **changes: Any) -> StrategyTrader:
    spec = TraderSpec(
        account="paper",
        strategy_id=strategy_id,
        symbol="BTC/USDT",
        bar_ms=BAR_MS,
        rules=Rules(stop_frac=0.02, target_frac=0.06),
        capital_quote=D(1000),
        commission_frac=0.0,
        instrument=Instrument("BTC/USDT", "perp", D("0.01"), D("0.001")),
        capabilities=Capabilities(True, True, True, False),
    )
    return StrategyTrader(replace(spec, **changes))


def desk_of(*traders: StrategyTrader) -> tuple[Desk, Any]:
    gateway: Any = FakeGateway()
    desk = Desk(gateway, FakeClock(BAR_MS))
    for one in traders:
        desk.seat(one)
    return desk, gateway


BAR = ClosedBar(0, 100.0, 100.0, 100.0, 100.0)


async def test_a_fill_is_answered_before_the_next_trader_is_heard() -> None:
    desk, gateway = desk_of(trader("a"), trader("b"))
    await desk.on_bar("BTC/USDT", BAR, {"a": Decision(0, 1), "b": Decision(0, -1)}, BAR_MS)
    assert [what for _, what in gateway.log] == ["entry", "stop", "target"] * 2


async def test_bars_of_another_symbol_or_length_concern_nobody() -> None:
    desk, gateway = desk_of(trader("a"))
    await desk.on_bar("ETH/USDT", BAR, {"a": Decision(0, 1)}, BAR_MS)
    await desk.on_bar("BTC/USDT", BAR, {"a": Decision(0, 1)}, 2 * BAR_MS)
    assert gateway.log == []


async def test_a_trader_nobody_decided_for_enters_nothing() -> None:
    desk, gateway = desk_of(trader("a"))
    await desk.on_bar("BTC/USDT", BAR, {}, BAR_MS)
    assert gateway.log == []


async def test_a_refusal_that_nobody_wrote_down_reaches_the_trader() -> None:
    one = trader("a")
    desk, gateway = desk_of(one)
    gateway.refuses = {Purpose.ENTRY}
    await desk.on_bar("BTC/USDT", BAR, {"a": Decision(0, 1)}, BAR_MS)
    gateway.refuses = set()
    later = ClosedBar(BAR_MS, 100.0, 100.0, 100.0, 100.0)
    await desk.on_bar("BTC/USDT", later, {"a": Decision(BAR_MS, 1)}, BAR_MS)
    assert [what for _, what in gateway.log] == ["entry", "entry", "stop", "target"]


async def test_news_found_by_asking_is_passed_on_even_when_the_venue_then_falls_silent() -> None:
    one = trader("a")
    desk, gateway = desk_of(one)
    await desk.on_bar("BTC/USDT", BAR, {"a": Decision(0, 1)}, BAR_MS)
    stop = next(o for o in gateway.book.orders.values() if o.request.purpose is Purpose.STOP)
    fill = Fill(
        "late", stop.client_id, "BTC/USDT", stop.request.side, D(1), D(98), D(0), "USDT", BAR_MS
    )
    done = replace(stop.filled(D(1), D(98), BAR_MS), state=S.FILLED)
    gateway.waiting = [OrderNews(done, (fill,))]
    gateway.is_silent = True
    with pytest.raises(VenueUnavailable):
        await desk.ask()
    assert one.trips.closed[0].reason == "stop"
    assert gateway.log[-1] == ("cancel", "target")


async def test_whoever_listened_before_the_desk_still_hears_everything() -> None:
    gateway: Any = FakeGateway()
    heard: list[OrderNews] = []
    gateway.on_news = heard.append
    desk = Desk(gateway, FakeClock(BAR_MS))
    desk.seat(trader("a"))
    await desk.on_bar("BTC/USDT", BAR, {"a": Decision(0, 1)}, BAR_MS)
    assert [news.order.request.purpose for news in heard] == ["entry", "stop", "target"]


async def test_prices_and_the_clock_reach_the_traders() -> None:
    watched = trader("a", capabilities=Capabilities(True, False, True, False))
    desk, gateway = desk_of(watched)
    await desk.on_bar("BTC/USDT", BAR, {"a": Decision(0, 1)}, BAR_MS)
    await desk.on_price("BTC/USDT", D(107))
    assert gateway.log[-2:] == [("cancel", "stop"), ("submit", "exit")]
    assert watched.trips.closed[0].reason == "target"
    await desk.on_tick()
    assert len(gateway.log) == 4


def test_a_seat_is_taken_once_and_in_its_own_account() -> None:
    desk, _ = desk_of(trader("a"))
    with pytest.raises(InvariantError):
        desk.seat(trader("a"))
    with pytest.raises(InvariantError):
        desk.seat(trader("b", account="live"))
    desk.dismiss("a", "BTC/USDT")
    desk.seat(trader("a"))
