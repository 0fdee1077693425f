"""The real ccxt client behind the port, against an exchange that does what the test says."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.errors import OrderStateUnknown, VenueError, VenueRejected, VenueUnavailable
from engine.trade.exchange import Exchange
from engine.trade.keys import Keys
from engine.trade.live import CcxtExchange
from engine.trade.live_errors import Refusal
from engine.trade.orders import OrderState, OrderType, Purpose, Side
from tests.venues.live_account import BTC, MinuteClock, ShiftedClock, account_at, limit, order, stop
from tests.venues.trading_desk import API_KEY, SECRET, TradingDesk

D = Decimal
S = OrderState


@pytest.fixture(params=["spot", "perp"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[TradingDesk]:
    async with TradingDesk(is_perp=request.param == "perp") as opened:
        yield opened


@pytest.fixture
async def venue(desk: TradingDesk) -> AsyncIterator[CcxtExchange]:
    async with account_at(desk.url, is_perp=desk.is_perp) as opened:
        yield opened


@pytest.fixture
async def spot() -> AsyncIterator[TradingDesk]:
    async with TradingDesk() as opened:
        yield opened


async def test_the_adapter_is_an_exchange(venue: CcxtExchange) -> None:
    port: Exchange = venue
    assert port.account == "paper"
    assert BTC in await port.instruments()


async def test_instruments_carry_the_exchanges_steps(venue: CcxtExchange) -> None:
    listed = (await venue.instruments())[BTC]
    assert (listed.tick, listed.lot) == (D("0.01"), D("0.00001"))
    assert (listed.min_qty_base, listed.min_notional_quote) == (D("0.001"), D(5))
    assert listed.max_market_base == 120


async def test_market_order_is_placed_and_filled(venue: CcxtExchange, desk: TradingDesk) -> None:
    placed = await venue.submit(order("a", qty_base=D("0.12345")))
    assert (placed.state, placed.filled_base) == (S.FILLED, D("0.12345"))
    (fill,) = await venue.fills(BTC, 0)
    assert (fill.client_id, fill.qty_base, fill.price) == ("pk-a", D("0.12345"), D(100))
    assert (fill.fee, fill.fee_asset) == (D("0.01234500"), "USDT")
    assert len(desk.sent("POST order")) == 1


async def test_spot_answer_brings_its_fills(spot: TradingDesk) -> None:
    async with account_at(spot.url) as venue:
        placed = await venue.submit(order("a"))
        assert placed.fills == tuple(await venue.fills(BTC, 0))


async def test_limit_order_is_filled_in_parts(venue: CcxtExchange, desk: TradingDesk) -> None:
    placed = await venue.submit(limit("a", "90.01"))
    assert (placed.state, placed.price, placed.filled_base) == (S.ACCEPTED, D("90.01"), D(0))
    desk.fill("pk-a", "0.4", "90.01")
    found = await venue.find_order(BTC, "pk-a")
    assert found is not None
    assert (found.state, found.filled_base) == (S.PARTIAL, D("0.4"))
    desk.fill("pk-a", "0.6", "90")
    found = await venue.find_order(BTC, "pk-a")
    assert found is not None
    assert (found.state, found.filled_base) == (S.FILLED, D(1))
    assert sum(fill.qty_base for fill in await venue.fills(BTC, 0)) == 1


async def test_cancel_returns_how_the_order_ended(venue: CcxtExchange, desk: TradingDesk) -> None:
    await venue.submit(limit("a", "90"))
    desk.fill("pk-a", "0.4", "90")
    ended = await venue.cancel(BTC, "pk-a")
    assert (ended.state, ended.filled_base) == (S.CANCELED, D("0.4"))
    again = await venue.cancel(BTC, "pk-a")
    assert again.state is S.CANCELED
    await venue.submit(order("b"))
    assert (await venue.cancel(BTC, "pk-b")).state is S.FILLED


async def test_cancel_of_an_order_that_never_was_is_refused(venue: CcxtExchange) -> None:
    with pytest.raises(VenueRejected, match="has no order pk-never"):
        await venue.cancel(BTC, "pk-never")


async def test_stop_rests_at_the_exchange_and_keeps_its_id_when_triggered(
    venue: CcxtExchange, desk: TradingDesk
) -> None:
    await venue.submit(order("a"))
    resting = await venue.submit(stop("b", "80"))
    assert (resting.state, resting.stop_price, resting.reduce_only) == (S.ACCEPTED, D(80), True)
    assert [seen.client_id for seen in await venue.open_orders()] == ["pk-b"]
    assert [seen.client_id for seen in await venue.open_orders(BTC)] == ["pk-b"]
    desk.trigger("pk-b", "79.5")
    found = await venue.find_order(BTC, "pk-b")
    assert found is not None
    assert (found.state, found.filled_base) == (S.FILLED, D(1))
    assert [fill.client_id for fill in await venue.fills(BTC, 0)] == ["pk-a", "pk-b"]


async def test_fills_of_a_triggered_stop_are_ours_to_a_new_process(desk: TradingDesk) -> None:
    async with account_at(desk.url, is_perp=desk.is_perp) as first:
        await first.submit(order("a"))
        await first.submit(stop("b", "80"))
    desk.trigger("pk-b", "80")
    async with account_at(desk.url, is_perp=desk.is_perp) as second:
        assert [fill.client_id for fill in await second.fills(BTC, 0)] == ["pk-a", "pk-b"]


async def test_whose_a_fill_is_is_asked_again_when_an_answer_was_lost(desk: TradingDesk) -> None:
    async with account_at(desk.url, is_perp=desk.is_perp) as first:
        await first.submit(order("a"))
        await first.submit(stop("b", "80"))
    desk.trigger("pk-b", "80")
    for asked in ("GET order", *(("GET allAlgoOrders",) if desk.is_perp else ())):
        async with account_at(desk.url, is_perp=desk.is_perp) as second:
            await second.instruments()
            desk.misbehave(asked, "lost", "lost")
            for _ in range(2):
                with pytest.raises(VenueUnavailable, match="no usable answer"):
                    await second.fills(BTC, 0)
            assert [fill.client_id for fill in await second.fills(BTC, 0)] == ["pk-a", "pk-b"]


async def test_target_and_cancelled_stop(venue: CcxtExchange) -> None:
    await venue.submit(order("a", qty_base=D(2)))
    target = order(
        "b",
        type=OrderType.TARGET,
        purpose=Purpose.TARGET,
        side=Side.SELL,
        stop_price=D(120),
    )
    assert (await venue.submit(target)).stop_price == 120
    await venue.submit(stop("c", "80"))
    assert (await venue.cancel(BTC, "pk-c")).state is S.CANCELED
    assert [seen.client_id for seen in await venue.open_orders()] == ["pk-b"]


async def test_market_order_is_sized_in_quote_currency_on_spot(spot: TradingDesk) -> None:
    async with account_at(spot.url) as venue:
        assert venue.capabilities.notional_orders
        placed = await venue.submit(order("a", qty_base=None, notional_quote=D("250.50")))
        assert (placed.state, placed.filled_base) == (S.FILLED, D("2.505"))
        sold = order("b", qty_base=None, notional_quote=D(100), side=Side.SELL)
        assert (await venue.submit(sold)).filled_base == 1
        assert [sent["quoteOrderQty"] for sent in spot.sent("POST order")] == ["250.5", "100"]


async def test_spot_cannot_rest_a_stop_and_a_target(venue: CcxtExchange, desk: TradingDesk) -> None:
    assert venue.capabilities.holds_stops
    assert venue.capabilities.rests_both is desk.is_perp
    assert not venue.capabilities.dead_man
    with pytest.raises(VenueRejected, match="no dead-man timer"):
        await venue.refresh_dead_man(60_000)


async def test_account_view_tells_balances_and_positions(
    venue: CcxtExchange, desk: TradingDesk
) -> None:
    await venue.submit(order("a", qty_base=D("1.5")))
    view = await venue.account_view()
    assert {symbol: held.signed_base for symbol, held in view.positions.items()} == {BTC: D("1.5")}
    assert view.balances["USDT"] == (D("99999.85") if desk.is_perp else D("99849.85"))
    if desk.is_perp:
        desk.held["BTCUSDT"] = D("-0.3")
        short = (await venue.account_view()).positions[BTC]
        assert (short.signed_base, short.entry_price) == (D("-0.3"), D(100))


async def test_ticker_has_quotes(venue: CcxtExchange) -> None:
    told = await venue.ticker(BTC)
    assert (told.bid, told.ask, told.last) == (D(99), D(101), D(100))


# Answers that do not come


@pytest.mark.parametrize("fault", ["lost", "late", "500", "html", "garbage"])
async def test_lost_answer_to_a_submit_is_unknown_and_never_sent_again(
    venue: CcxtExchange, desk: TradingDesk, fault: str
) -> None:
    await venue.instruments()
    desk.misbehave("POST order", fault)
    with pytest.raises(OrderStateUnknown, match="do not send it again") as caught:
        await venue.submit(limit("a", "90"))
    assert caught.value.fields["client_id"] == "pk-a"
    found = await venue.find_order(BTC, "pk-a")
    assert (found is not None) == (fault == "late")
    assert len(desk.sent("POST order")) == (fault == "late")


async def test_answer_without_an_order_is_unknown(venue: CcxtExchange, desk: TradingDesk) -> None:
    await venue.instruments()
    desk.misbehave("POST order", "empty")
    with pytest.raises(OrderStateUnknown):
        await venue.submit(order("a"))


@pytest.mark.parametrize("fault", ["lost", "500", "garbage"])
async def test_lost_answer_to_a_cancel_is_unknown(
    venue: CcxtExchange, desk: TradingDesk, fault: str
) -> None:
    await venue.submit(limit("a", "90"))
    desk.misbehave("DELETE order", fault)
    with pytest.raises(OrderStateUnknown, match="ask how it ended"):
        await venue.cancel(BTC, "pk-a")
    assert (await venue.cancel(BTC, "pk-a")).state is S.CANCELED


@pytest.mark.parametrize("fault", ["lost", "500", "html", "garbage"])
async def test_lost_answer_to_a_read_is_unavailable(
    venue: CcxtExchange, desk: TradingDesk, fault: str
) -> None:
    await venue.submit(limit("a", "90"))
    desk.misbehave("GET openOrders", fault)
    with pytest.raises(VenueUnavailable, match="no usable answer"):
        await venue.open_orders()
    assert len(await venue.open_orders()) == 1


async def test_429_on_a_submit_means_that_nothing_happened(
    venue: CcxtExchange, desk: TradingDesk
) -> None:
    await venue.instruments()
    desk.misbehave("POST order", "429", "418", "429")
    for _ in range(3):
        with pytest.raises(VenueUnavailable, match="nothing was done") as caught:
            await venue.submit(order("a"))
        assert caught.value.fields["retry_after_s"] == 7.0
    assert (await venue.submit(order("a"))).state is S.FILLED
    assert len(desk.sent("POST order")) == 1


async def test_429_storm_on_reads_is_unavailable_until_it_is_over(
    venue: CcxtExchange, desk: TradingDesk
) -> None:
    await venue.submit(limit("a", "90"))
    desk.misbehave("GET order", *["429"] * 5)
    for _ in range(5):
        with pytest.raises(VenueUnavailable):
            await venue.find_order(BTC, "pk-a")
    assert await venue.find_order(BTC, "pk-a") is not None


async def test_exchange_restarts_in_the_middle(venue: CcxtExchange, desk: TradingDesk) -> None:
    await venue.submit(limit("a", "90"))
    await desk.shut()
    with pytest.raises(OrderStateUnknown):
        await venue.submit(limit("b", "90"))
    with pytest.raises(VenueUnavailable):
        await venue.open_orders()
    await desk.open()
    assert [seen.client_id for seen in await venue.open_orders()] == ["pk-a"]
    assert await venue.find_order(BTC, "pk-b") is None
    assert (await venue.cancel(BTC, "pk-a")).state is S.CANCELED


# Answers that say no


async def test_duplicate_id_is_refused_with_its_code(
    venue: CcxtExchange, desk: TradingDesk
) -> None:
    await venue.submit(limit("a", "90"))
    with pytest.raises(VenueRejected) as caught:
        await venue.submit(limit("a", "91"))
    assert caught.value.fields["refusal"] == "duplicate_id"
    assert len(await venue.open_orders()) == 1
    if desk.is_perp:
        await venue.submit(order("b"))
        await venue.submit(stop("c", "80"))
        with pytest.raises(VenueRejected) as caught:
            await venue.submit(stop("c", "80"))
        assert caught.value.fields["refusal"] is Refusal.DUPLICATE_ID


async def test_balance_that_does_not_cover_is_refused(spot: TradingDesk) -> None:
    async with account_at(spot.url) as venue:
        with pytest.raises(VenueRejected, match="does not cover it") as caught:
            await venue.submit(order("a", qty_base=D(2000)))
        assert caught.value.fields["refusal"] is Refusal.BALANCE


BAD_ORDERS: dict[str, tuple[dict[str, Any], str, Refusal]] = {
    "unknown symbol": ({"symbol": "BTX/USDT"}, "did you mean BTC/USDT", Refusal.UNKNOWN_SYMBOL),
    "size under the minimum": (
        {"qty_base": D("0.00002")},
        "under the minimum of 0.001",
        Refusal.QTY_MIN,
    ),
    "value under the minimum": (
        {"qty_base": D("0.01")},
        r"notional 1\.00 is under the minimum of 5",
        Refusal.NOTIONAL_MIN,
    ),
    "quantity with wrong precision": (
        {"qty_base": D("1.000001")},
        "not a multiple of 0.00001",
        Refusal.QTY_STEP,
    ),
    "price with wrong precision": (
        {"type": OrderType.LIMIT, "price": D("90.005")},
        "price 90.005 is not a multiple of 0.01",
        Refusal.PRICE_STEP,
    ),
}


@pytest.mark.parametrize("case", BAD_ORDERS)
async def test_bad_order_is_refused_before_it_is_sent(
    venue: CcxtExchange, desk: TradingDesk, case: str
) -> None:
    changes, words, refusal = BAD_ORDERS[case]
    with pytest.raises(VenueRejected, match=words) as caught:
        await venue.submit(order("a", **changes))
    assert caught.value.fields["refusal"] is refusal
    assert desk.sent("POST order") == []


async def test_stop_price_with_wrong_precision_is_refused(venue: CcxtExchange) -> None:
    await venue.submit(order("a"))
    with pytest.raises(VenueRejected, match=r"stop_price 80\.005"):
        await venue.submit(stop("b", "80.005"))


# Keys and clocks


@pytest.mark.parametrize("shift_ms", [61_000, -61_000])
async def test_clock_off_by_a_minute_is_named(desk: TradingDesk, shift_ms: int) -> None:
    async with account_at(desk.url, is_perp=desk.is_perp, clock=ShiftedClock(shift_ms)) as venue:
        with pytest.raises(VenueRejected, match="set this machine's clock") as caught:
            await venue.submit(order("a"))
    way = "ahead of" if shift_ms > 0 else "behind"
    assert f"it is 61.0 s {way} binance's" in caught.value.message
    assert caught.value.fields["refusal"] is Refusal.CLOCK


@pytest.mark.parametrize(
    "keys",
    [Keys("wrong-key-77aa", SECRET), Keys(API_KEY, "wrong-secret-88bb"), Keys("", SECRET)],
)
async def test_wrong_keys_are_refused_and_never_shown(
    desk: TradingDesk, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    errors: list[VenueError] = []
    if not keys.api_key:
        with pytest.raises(Exception, match="set PADDOCK_LIVE_API_KEY"):
            async with account_at(desk.url, is_perp=desk.is_perp, keys=keys):
                pass
        return
    async with account_at(desk.url, is_perp=desk.is_perp, keys=keys) as venue:
        for ask in (lambda: venue.submit(order("a")), venue.account_view, venue.open_orders):
            with pytest.raises(VenueRejected) as caught:
                await ask()
            errors.append(caught.value)
        shown = repr(venue)
    shown += "".join("".join(traceback.format_exception(error)) for error in errors)
    shown += caplog.text + repr(keys) + "".join(str(error.fields) for error in errors)
    assert errors[0].fields["refusal"] is Refusal.KEYS
    assert "check the account's keys" in errors[0].message
    for secret in (keys.api_key, keys.secret):
        assert secret not in shown


async def test_signatures_do_not_show_when_the_connection_fails(
    desk: TradingDesk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with account_at(desk.url, is_perp=desk.is_perp) as venue:
        await venue.instruments()
        await desk.shut()
        with pytest.raises(VenueUnavailable) as caught:
            await venue.find_order(BTC, "pk-a")
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "signature=" not in shown
    assert "/order?(hidden)" in shown
    assert API_KEY not in shown


async def test_a_hundred_orders_are_cancelled_within_a_second(
    venue: CcxtExchange, desk: TradingDesk
) -> None:
    for number in range(100):
        await venue.submit(limit(f"n{number}", "90"))
    began_s = time.monotonic()
    gate = asyncio.Semaphore(8)

    async def cancel(number: int) -> OrderState:
        async with gate:
            return (await venue.cancel(BTC, f"pk-n{number}")).state

    states = await asyncio.gather(*(cancel(number) for number in range(100)))
    print(f"100 cancels took {time.monotonic() - began_s:.3f} s")
    assert set(states) == {S.CANCELED}
    assert await venue.open_orders() == []


async def test_all_orders_are_cancelled_stops_too(venue: CcxtExchange) -> None:
    await venue.submit(order("a"))
    await venue.submit(limit("b", "90"))
    await venue.submit(stop("c", "80"))
    assert venue.cancels_all
    await venue.cancel_all(BTC)
    assert await venue.open_orders() == []
    await venue.cancel_all(BTC)


async def test_old_fills_are_paged_by_the_day_and_the_last_ones_asked_for_at_once(
    venue: CcxtExchange, desk: TradingDesk
) -> None:
    await venue.submit(order("a"))
    kind = "GET userTrades" if desk.is_perp else "GET myTrades"
    day_ms, now_at = 86_400_000, desk.now_at()
    desk.trades = [
        {**desk.trades[0], "id": number, "time": now_at - number * day_ms // 2}
        for number in range(40, 0, -1)
    ]
    since_at = now_at - 19 * day_ms
    found = await venue.fills(BTC, since_at)
    assert [fill.id for fill in found] == [str(number) for number in range(38, 0, -1)]
    assert len(desk.sent(kind)) == (3 if desk.is_perp else 1)
    desk.trades = [
        {**desk.trades[0], "id": number, "time": desk.now_at() - (2000 - number) * 60_000}
        for number in range(2000)
    ]
    found = await venue.fills(BTC, desk.now_at() - 19 * day_ms)
    assert len({fill.id for fill in found}) == 2000
    assert [fill.at for fill in found] == sorted(fill.at for fill in found)


async def test_more_fills_in_one_instant_than_a_page_holds_are_not_guessed(
    venue: CcxtExchange, desk: TradingDesk
) -> None:
    await venue.submit(order("a"))
    desk.trades = [{**desk.trades[0], "id": number} for number in range(1500)]
    with pytest.raises(VenueUnavailable, match="more than 1000 fills in one instant"):
        await venue.fills(BTC, desk.now_at() - 60_000)


async def test_orders_of_symbols_never_heard_of_are_looked_for_once_a_minute(
    desk: TradingDesk,
) -> None:
    clock = MinuteClock()
    async with account_at(desk.url, is_perp=desk.is_perp, clock=clock) as venue:
        await venue.submit(limit("a", "90"))
        await venue.open_orders()
        desk.requests.clear()
        foreign = desk.order("pk-a")
        desk.orders.append(replace(foreign, number=7, client_id="web_1", symbol="SOLUSDT"))
        assert [seen.client_id for seen in await venue.open_orders()] == ["pk-a"]
        assert all("symbol" in query for query in desk.sent("GET openOrders"))
        clock.advance(61.0)
        assert len(await venue.open_orders()) == 2
        # Found once, it is not lost again.
        assert len(await venue.open_orders()) == 2
