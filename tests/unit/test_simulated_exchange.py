"""The in-process face: news in the moment it happens, planned faults, latency on a fake clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from engine.clock import FakeClock
from engine.errors import (
    DataError,
    OrderStateUnknown,
    VenueError,
    VenueRejected,
    VenueUnavailable,
)
from engine.trade.exchange import Exchange
from engine.trade.orders import OrderState, Purpose, Side
from engine.trade.simulated.book_order import VenueEvent
from engine.trade.simulated.exchange import SimulatedExchange
from engine.trade.simulated.faults import NO_FAULTS, Fault, FaultKind, FaultPlan, Faults
from engine.trade.simulated.price_history import PriceHistory
from engine.trade.simulated.rate_limit import RateLimit
from engine.trade.simulated.refusals import Refusal
from engine.trade.simulated.replay import BarReplay
from engine.trade.simulated.ticks import RecordedTicks, TickReplay
from engine.trade.simulated.timeline import Timeline
from engine.types import Bars
from tests.venues.simulated_desk import BTC, FREE, engine_of, request


class Script:
    """Faults by the number of the request, or of the news."""

    def __init__(
        self,
        requests: dict[int, Fault] | None = None,
        news: dict[int, Fault] | None = None,
        *,
        skew_ms: int = 0,
        factor: Decimal = Decimal(1),
    ) -> None:
        self._requests, self._news = requests or {}, news or {}
        self._skew_ms, self._factor = skew_ms, factor
        self.out: Iterable[int] = ()

    def of_request(self, n: int) -> Fault | None:
        return self._requests.get(n)

    def of_news(self, n: int) -> Fault | None:
        return self._news.get(n)

    def is_out(self, at: int) -> bool:
        return at in self.out

    def skew_ms(self, at: int) -> int:
        return self._skew_ms

    def price_factor(self, n: int) -> Decimal:
        return self._factor


async def exchange_with(
    faults: Faults = NO_FAULTS, clock: FakeClock | None = None
) -> SimulatedExchange:
    exchange = SimulatedExchange(engine_of(), clock or FakeClock(1_000), faults=faults)
    await exchange.bar_open(BTC, Decimal(100), 1_000)
    return exchange


def first(kind: FaultKind, **given: object) -> Script:
    return Script({1: Fault(kind, **given)})  # type: ignore[arg-type]


async def test_it_is_an_exchange() -> None:
    exchange: Exchange = await exchange_with()
    told = exchange.capabilities
    assert (told.holds_stops, told.rests_both, told.notional_orders) == (True, True, True)
    assert exchange.account == "paper"
    assert set(await exchange.instruments()) == {BTC}
    assert await exchange.now_at() == 1_000
    with pytest.raises(VenueRejected, match="dead-man"):
        await exchange.refresh_dead_man(1_000)
    with pytest.raises(VenueRejected, match="no bars"):
        await exchange.closed_bars(BTC, "5m", 0)
    await exchange.close()


async def test_a_market_order_is_filled_when_submit_returns_and_found_by_its_id() -> None:
    exchange = await exchange_with()
    told = await exchange.submit(request("buy", qty="2", client_id="a"))
    assert (told.state, told.filled_base, len(told.fills)) == (OrderState.FILLED, Decimal(2), 1)
    assert await exchange.find_order(BTC, "a") == told
    assert await exchange.find_order(BTC, "b") is None
    assert list(await exchange.fills(BTC, 0)) == list(told.fills)
    assert list(await exchange.fills(BTC, 1_001)) == []
    assert (await exchange.account_view()).positions[BTC].signed_base == 2
    assert (await exchange.ticker(BTC)).last == 100


async def test_a_cancel_returns_the_order_as_it_ended() -> None:
    exchange = await exchange_with()
    await exchange.submit(request("buy", "limit", price="90", client_id="a"))
    assert [o.client_id for o in await exchange.open_orders()] == ["a"]
    assert (await exchange.cancel(BTC, "a")).state is OrderState.CANCELED
    assert (await exchange.cancel(BTC, "a")).state is OrderState.CANCELED
    assert list(await exchange.open_orders(BTC)) == []
    with pytest.raises(VenueRejected) as caught:
        await exchange.cancel(BTC, "nobody")
    assert caught.value.fields["refusal"] is Refusal.UNKNOWN_ORDER


async def test_an_answer_to_a_fill_is_in_time_for_the_same_open() -> None:
    exchange = await exchange_with()
    await exchange.bar_close(BTC, Decimal(100), 2_000)
    heard: list[VenueEvent] = []

    async def react(event: VenueEvent) -> None:
        heard.append(event)
        if event.fill is not None and event.order.client_id == "entry":
            stop = request("sell", "stop", stop="101", purpose=Purpose.STOP, client_id="stop")
            told = await exchange.submit(stop)
            assert told.state is OrderState.ACCEPTED

    exchange.on_news = react
    assert (await exchange.submit(request("buy", client_id="entry"))).state is OrderState.ACCEPTED
    await exchange.bar_open(BTC, Decimal(100), 2_000)
    fills = [(e.order.client_id, e.fill.price) for e in heard if e.fill is not None]
    assert fills == [("entry", Decimal(100)), ("stop", Decimal(100))]


async def test_an_order_sent_in_the_middle_of_an_open_waits_for_its_turn() -> None:
    exchange = await exchange_with()
    await exchange.bar_close(BTC, Decimal(100), 2_000)
    order_of_fills: list[str] = []

    async def react(event: VenueEvent) -> None:
        if event.fill is not None:
            order_of_fills.append(event.order.client_id)
            if event.order.client_id == "first":
                await exchange.submit(request("buy", client_id="answer"))

    exchange.on_news = react
    for name in ("first", "second"):
        await exchange.submit(request("buy", client_id=name))
    await exchange.bar_open(BTC, Decimal(101), 2_000)
    assert order_of_fills == ["first", "second", "answer"]


async def test_what_the_answer_tells_is_no_news_and_what_others_do_is() -> None:
    exchange = await exchange_with()
    heard: list[str] = []
    exchange.on_news = lambda event: heard.append(event.order.client_id)
    await exchange.submit(request("buy", client_id="mine"))
    assert heard == []
    stop = request("sell", "stop", stop="95", purpose=Purpose.STOP, client_id="stop")
    await exchange.submit(stop)
    await exchange.move(BTC, Decimal(94), 2_000)
    assert heard == ["stop"]


# Faults, as a real adapter would translate them


@pytest.mark.parametrize(
    ("fault", "error", "exists"),
    [
        (Fault(FaultKind.DROP_REQUEST), OrderStateUnknown, False),
        (Fault(FaultKind.DROP_ANSWER), OrderStateUnknown, True),
        (Fault(FaultKind.SERVER_ERROR, acts=True), OrderStateUnknown, True),
        (Fault(FaultKind.SERVER_ERROR, acts=False), OrderStateUnknown, False),
        (Fault(FaultKind.REJECT), VenueRejected, False),
        (Fault(FaultKind.RATE_LIMIT, retry_after_s=3.0), VenueUnavailable, False),
    ],
)
async def test_each_fault_of_a_submit_is_told_as_an_adapter_would(
    fault: Fault, error: type[VenueError], exists: bool
) -> None:
    exchange = await exchange_with(Script({1: fault}))
    heard: list[VenueEvent] = []
    exchange.on_news = heard.append
    with pytest.raises(error) as caught:
        await exchange.submit(request("buy", client_id="a"))
    found = await exchange.find_order(BTC, "a")
    assert (found is not None) is exists
    # Nobody was answered: what happened is news.
    assert [e.order.client_id for e in heard if e.fill] == (["a"] if exists else [])
    if fault.kind is FaultKind.RATE_LIMIT:
        assert caught.value.fields["retry_after_s"] == 3.0


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.DROP_REQUEST, VenueUnavailable),
        (FaultKind.DROP_ANSWER, VenueUnavailable),
        (FaultKind.DELAY, VenueUnavailable),
        (FaultKind.SERVER_ERROR, VenueUnavailable),
        (FaultKind.RATE_LIMIT, VenueUnavailable),
        (FaultKind.REJECT, VenueRejected),
    ],
)
async def test_a_read_that_meets_a_fault_has_no_answer(
    kind: FaultKind, error: type[VenueError]
) -> None:
    exchange = await exchange_with(first(kind))
    with pytest.raises(error):
        await exchange.open_orders()
    assert list(await exchange.open_orders()) == []


async def test_a_late_request_acts_when_it_comes_and_not_when_it_is_too_late() -> None:
    clock = FakeClock(1_000)
    faults = Script(
        {1: Fault(FaultKind.DELAY, delay_ms=3_000), 2: Fault(FaultKind.DELAY, delay_ms=6_000)}
    )
    exchange = await exchange_with(faults, clock)
    for name in ("late", "too late"):
        with pytest.raises(OrderStateUnknown):
            await exchange.submit(request("buy", client_id=name))
    clock.advance(2.9)
    assert await exchange.find_order(BTC, "late") is None
    clock.advance(0.2)
    assert await exchange.find_order(BTC, "late") is not None
    clock.advance(60.0)
    assert await exchange.find_order(BTC, "too late") is None


@pytest.mark.parametrize("second_answers", [False, True])
async def test_a_doubled_request_acts_once(second_answers: bool) -> None:
    exchange = await exchange_with(first(FaultKind.DUPLICATE_REQUEST, acts=second_answers))
    if second_answers:
        with pytest.raises(VenueRejected) as caught:
            await exchange.submit(request("buy", client_id="a"))
        assert caught.value.fields["refusal"] is Refusal.DUPLICATE_ID
    else:
        await exchange.submit(request("buy", client_id="a"))
    assert [fill.qty_base for fill in await exchange.fills(BTC, 0)] == [Decimal(1)]


async def test_news_comes_twice_or_out_of_order_when_planned() -> None:
    news = {1: Fault(FaultKind.DUPLICATE_NEWS), 2: Fault(FaultKind.REORDER_NEWS)}
    exchange = await exchange_with(Script(news=news))
    await exchange.submit(request("buy", qty="3"))
    for level in ("99", "98", "97"):
        stop = request("sell", "stop", stop=level, purpose=Purpose.STOP, client_id=level)
        await exchange.submit(stop)
    heard: list[str] = []
    exchange.on_news = lambda event: heard.append(event.order.client_id)
    await exchange.move(BTC, Decimal(96), 2_000)
    assert heard[:4] == ["99", "99", "97", "98"]


async def test_an_outage_a_wrong_clock_and_a_bad_tick_show() -> None:
    faults = Script(skew_ms=60_000, factor=Decimal(100))
    exchange = await exchange_with(faults)
    assert await exchange.now_at() == 61_000
    assert (await exchange.ticker(BTC)).last == 10_000
    with pytest.raises(VenueUnavailable, match="clock"):
        await exchange.submit(request("buy"))
    faults.out = (1_000,)
    with pytest.raises(VenueUnavailable, match="out"):
        await exchange.now_at()


async def test_more_requests_than_allowed_are_told_to_wait() -> None:
    clock = FakeClock(0)
    exchange = SimulatedExchange(engine_of(), clock, rate_limit=RateLimit(2, 60.0))
    await exchange.bar_open(BTC, Decimal(100), 0)
    await exchange.now_at()
    await exchange.submit(request("buy", client_id="a"))
    with pytest.raises(VenueUnavailable) as caught:
        await exchange.submit(request("buy", client_id="b"))
    assert caught.value.fields["retry_after_s"] == 60.0
    clock.advance(60.0)
    assert await exchange.find_order(BTC, "b") is None


# Plans


def test_a_plan_is_a_value_and_spares_nobody_for_ever() -> None:
    plan, same, other = FaultPlan(7, 0.3), FaultPlan(7, 0.3), FaultPlan(8, 0.3)
    drawn = [plan.of_request(n) for n in range(2_000)]
    assert drawn == [same.of_request(n) for n in range(2_000)]
    assert drawn != [other.of_request(n) for n in range(2_000)]
    kinds = [fault.kind for fault in drawn if fault is not None]
    assert 500 < len(kinds) < 700
    assert set(kinds) == {
        FaultKind.DROP_REQUEST,
        FaultKind.DROP_ANSWER,
        FaultKind.DELAY,
        FaultKind.DUPLICATE_REQUEST,
        FaultKind.REJECT,
        FaultKind.SERVER_ERROR,
        FaultKind.RATE_LIMIT,
    }
    assert all(fault.delay_ms <= 8_000 for fault in drawn if fault is not None)
    assert {plan.price_factor(n) for n in range(500)} > {Decimal(1)}


def test_outages_and_skews_are_windows_that_end() -> None:
    plan = FaultPlan(3, 0.5)
    minutes = range(0, 24 * 3_600_000, 5_000)
    share_out = sum(plan.is_out(at) for at in minutes) / len(minutes)
    share_skewed = sum(plan.skew_ms(at) != 0 for at in minutes) / len(minutes)
    assert 0.005 < share_out < 0.08
    assert 0.05 < share_skewed < 0.25
    assert all(abs(plan.skew_ms(at)) <= 60_000 for at in minutes)


def test_without_chance_nothing_goes_wrong() -> None:
    for n in range(200):
        assert NO_FAULTS.of_request(n) is None
        assert NO_FAULTS.of_news(n) is None
        assert NO_FAULTS.price_factor(n) == 1
        assert not NO_FAULTS.is_out(n * 1_000_000)
        assert NO_FAULTS.skew_ms(n * 1_000_000) == 0


# Time


async def test_latency_lets_the_price_move_before_an_order_acts() -> None:
    timeline = Timeline(1_000)
    exchange = SimulatedExchange(engine_of(), timeline, latency_ms=250, sleep=timeline.sleep)
    await exchange.move(BTC, Decimal(100), 1_000)
    sending = asyncio.create_task(exchange.submit(request("buy")))
    await timeline.run_to(1_200)
    await exchange.move(BTC, Decimal(110), 1_200)
    assert not sending.done()
    await timeline.run_to(1_250)
    assert (await sending).fills[0].price == 110


def test_latency_without_a_way_to_wait_is_refused() -> None:
    with pytest.raises(ValueError, match="sleep"):
        SimulatedExchange(engine_of(), FakeClock(0), latency_ms=1)


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    timeline = Timeline(0)
    woken: list[tuple[str, int]] = []

    async def nap(name: str, seconds: float) -> None:
        await timeline.sleep(seconds)
        woken.append((name, timeline.now_at()))

    tasks = [asyncio.create_task(nap(n, s)) for n, s in (("b", 2.0), ("a", 1.0), ("c", 9.0))]
    await timeline.run_for(5.0)
    assert woken == [("a", 1_000), ("b", 2_000)]
    assert timeline.monotonic_s() == 5.0
    await timeline.run_to(9_000)
    assert woken[-1] == ("c", 9_000)
    await asyncio.gather(*tasks)


# Bars and ticks


def bars_of(*rows: tuple[float, float, float, float], step_ms: int = 300_000) -> Bars:
    columns = np.array(rows, dtype=np.float64).T
    stamps = np.arange(len(rows), dtype=np.int64) * step_ms
    open_, high, low, close = (np.ascontiguousarray(column) for column in columns)
    return Bars(stamps, open_, high, low, close, np.ones(len(rows)))


async def test_only_closed_bars_are_told_and_longer_ones_are_built() -> None:
    clock = FakeClock(0)
    bars = bars_of(*[(100 + i, 102 + i, 99 + i, 101 + i) for i in range(7)])
    history = PriceHistory({BTC: bars}, "5m")
    exchange = SimulatedExchange(engine_of(), clock, history=history)
    clock.advance(600)
    assert len(await exchange.closed_bars(BTC, "5m", 0)) == 2
    clock.advance(1_199.999)
    assert len(await exchange.closed_bars(BTC, "5m", 300_000)) == 4
    assert len(await exchange.closed_bars(BTC, "15m", 0)) == 1
    clock.advance(0.001)
    longer = await exchange.closed_bars(BTC, "15m", 0)
    assert (longer.open.tolist(), longer.high.tolist()) == ([100, 103], [104, 107])
    with pytest.raises(VenueRejected, match="cannot be built"):
        await exchange.closed_bars(BTC, "1m", 0)
    with pytest.raises(VenueRejected, match="no bars"):
        await exchange.closed_bars("XRP/USDT", "5m", 0)


async def test_a_replay_moves_the_clock_and_skips_no_bar_of_any_symbol() -> None:
    clock = FakeClock(0)
    exchange = SimulatedExchange(engine_of(symbols=(BTC, "ETH/USDT")), clock)
    whole = bars_of((1, 2, 0.5, 1.5), (2, 3, 1, 2.5), (3, 4, 2, 3.5))
    gapped = Bars(*(np.delete(getattr(whole, name), 1) for name in Bars.__slots__))
    replay = BarReplay(exchange, clock, {BTC: whole, "ETH/USDT": gapped}, "5m")
    seen = []
    while (closed_at := await replay.step()) is not None:
        assert clock.now_at() == closed_at
        eth = exchange.engine.markets["ETH/USDT"].price
        seen.append((closed_at, exchange.engine.markets[BTC].price, eth))
    assert [(at, float(b), float(e)) for at, b, e in seen] == [
        (300_000, 1.5, 1.5),
        (600_000, 2.5, 1.5),
        (900_000, 3.5, 3.5),
    ]


def test_a_folder_without_ticks_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bookticker"):
        RecordedTicks(tmp_path)


async def test_recorded_ticks_drive_orders_at_real_quotes(shared_market: Path) -> None:
    ticks = RecordedTicks(shared_market / "ticks")
    assert len(ticks) == 73_174 + 19_904 + 300_111
    clock = FakeClock(ticks.start_at)
    engine = engine_of("spot", FREE, {"USDT": 1_000_000})
    exchange = SimulatedExchange(engine, clock)
    replay = TickReplay(exchange, clock, BTC, ticks)
    for _ in range(30_000):
        await replay.step()
    depth = engine.markets[BTC].depth
    bid, ask = depth.bid, depth.ask
    assert bid is not None
    assert ask is not None
    assert 0 < ask - bid < 5
    bought = await exchange.submit(request("buy", qty="5"))
    prices = [fill.price for fill in bought.fills]
    assert prices[0] == ask
    assert prices == sorted(prices)
    assert len(prices) > 3
    stop = request("sell", "stop", "5", stop=str(bid - 10), purpose=Purpose.STOP, client_id="s")
    await exchange.submit(stop)
    while (told := engine.order("s")) and not told.fills:
        assert await replay.step() is not None
    fills = engine.fills(BTC)
    assert {fill.side for fill in fills} == {Side.BUY, Side.SELL}
    assert fills[-1].price <= bid - 10 + 5
