"""The gateway: cancels that cross fills, and fills that come late, twice or from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from engine.trade.orders import OrderState, Purpose
from tests.unit.gateway_desk import Desk, entry, leaving, open_desk, stop
from tests.venues.scripted_venue import BTC

D = Decimal
S = OrderState


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as made:
        yield made


# Cancelling


async def test_cancelling_ends_an_order(desk: Desk) -> None:
    await desk.gateway.submit(stop())
    order = await desk.gateway.cancel("pk-stop", "the position is closed")
    assert (order.state, order.reason) == (S.CANCELED, "the position is closed")
    assert (await desk.gateway.cancel("pk-stop", "again")) == order
    assert desk.venue.sent("cancel") == ["pk-stop"]


async def test_a_lost_cancel_stays_canceling_until_the_venue_says(desk: Desk) -> None:
    await desk.gateway.submit(stop())
    desk.venue.will("cancel", "lost")
    assert (await desk.gateway.cancel("pk-stop", "no more")).state is S.CANCELING
    await desk.gateway.poll()
    assert desk.state("pk-stop") is S.CANCELED


async def test_a_cancel_that_never_arrived_is_sent_again(desk: Desk) -> None:
    await desk.gateway.submit(stop())
    desk.venue.will("cancel", "never")
    await desk.gateway.cancel("pk-stop", "no more")
    await desk.gateway.poll()
    assert desk.state("pk-stop") is S.CANCELING
    desk.wait(1.0)
    await desk.gateway.poll()
    assert desk.state("pk-stop") is S.CANCELED
    assert desk.venue.sent("cancel") == ["pk-stop"] * 2


async def test_a_fill_that_crosses_the_cancel_counts(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    await desk.gateway.submit(stop())
    desk.venue.fill("pk-stop", D("0.1"))
    order = await desk.gateway.cancel("pk-stop", "too late")
    assert order.state is S.FILLED
    assert desk.gateway.book.net_base("BTC/USDT") == 0


async def test_an_unknown_order_is_cancelled_as_soon_as_it_turns_up(desk: Desk) -> None:
    desk.venue.will("submit", "never")
    await desk.gateway.submit(stop())
    order = await desk.gateway.cancel("pk-stop", "no more")
    assert order.state is S.UNKNOWN
    desk.venue.arrive(stop())
    await desk.gateway.poll()
    assert desk.state("pk-stop") is S.CANCELED


async def test_a_cancel_waits_for_an_order_on_its_way(desk: Desk) -> None:
    sending = asyncio.create_task(desk.gateway.submit(stop()))
    await asyncio.sleep(0)
    order = await desk.gateway.cancel("pk-stop", "changed my mind")
    assert order.state is S.CANCELED
    await sending


async def test_cancelling_what_does_not_exist_is_told(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no order pk-9"):
        await desk.gateway.cancel("pk-9", "")


# Fills


async def test_partial_fills_are_counted_once_each(desk: Desk) -> None:
    desk.venue.rests = True
    await desk.gateway.submit(entry())
    desk.venue.fill("pk-entry", D("0.04"))
    news = await desk.gateway.poll()
    assert [(told.order.state, len(told.fills)) for told in news] == [(S.PARTIAL, 1)]
    assert list(await desk.gateway.poll()) == []
    desk.venue.fill("pk-entry", D("0.06"))
    await desk.gateway.poll()
    order = desk.gateway.book.orders["pk-entry"]
    assert (order.state, order.filled_base) == (S.FILLED, D("0.1"))
    assert sum(len(told.fills) for told in desk.news) == 2


async def test_an_order_ends_only_once_its_fills_are_there(desk: Desk) -> None:
    desk.venue.hides_fills = True
    order = await desk.gateway.submit(entry())
    assert order.state is S.ACCEPTED
    await desk.gateway.poll()
    assert desk.state("pk-entry") is S.ACCEPTED
    desk.venue.hides_fills = False
    await desk.gateway.poll()
    assert desk.state("pk-entry") is S.FILLED
    assert desk.gateway.book.net_base("BTC/USDT") == D("0.1")


@pytest.mark.parametrize("ended", ["canceled", "rejected"])
async def test_a_late_fill_counts_whatever_the_state(desk: Desk, ended: str) -> None:
    await desk.gateway.submit(entry())
    if ended == "canceled":
        await desk.gateway.submit(stop())
        await desk.gateway.cancel("pk-stop", "no more")
        desk.venue.fill("pk-stop", D("0.1"))
    else:
        desk.venue.will("submit", "rejected")
        await desk.gateway.submit(stop())
        desk.venue.arrive(stop())
        desk.venue.fill("pk-stop", D("0.1"))
    report = await desk.gateway.reconcile()
    assert report.is_clean
    assert desk.gateway.book.net_base("BTC/USDT") == 0
    assert desk.gateway.book.orders["pk-stop"].filled_base == D("0.1")


async def test_orders_filled_together_share_the_answer_about_their_fills(desk: Desk) -> None:
    desk.venue.is_terse = True
    answer = desk.venue.fills

    async def slowly(symbol: str, since_at: int) -> Any:
        before = await answer(symbol, since_at)
        await asyncio.sleep(0)
        return before

    desk.venue.fills = slowly  # type: ignore[method-assign]
    n_before = len(desk.venue.sent("fills"))
    orders = [entry(f"pk-{number}", qty_base=D("0.1")) for number in range(6)]
    told = await asyncio.gather(*(desk.gateway.submit(order) for order in orders))
    assert {order.state for order in told} == {S.FILLED}
    assert desk.gateway.book.net_base("BTC/USDT") == D("0.6")
    assert len(desk.venue.sent("fills")) - n_before < len(orders)


async def test_a_question_about_fills_that_fails_fails_for_all_who_asked_and_may_be_asked_again(
    desk: Desk,
) -> None:
    desk.venue.is_terse = True
    desk.venue.will("fills", *["unavailable"] * 6)
    orders = [entry(f"pk-{number}", qty_base=D("0.1")) for number in range(6)]
    told = await asyncio.gather(*(desk.gateway.submit(order) for order in orders))
    assert not any(order.state.is_final for order in told)
    desk.venue.script.clear()
    await desk.gateway.poll()
    assert {desk.state(order.client_id) for order in orders} == {S.FILLED}
    assert desk.gateway.book.net_base("BTC/USDT") == D("0.6")


async def test_a_foreign_fill_is_kept_apart_and_shown(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    desk.venue.foreign_trade("buy", D("0.3"))
    report = await desk.gateway.reconcile()
    assert [fill.id for fill in desk.gateway.foreign_fills] == ["x1"]
    assert not report.is_clean
    assert desk.gateway.book.net_base("BTC/USDT") == D("0.1")
    refused = await desk.gateway.submit(entry("pk-2"))
    assert refused.reason.startswith("journal and exchange differ")
    assert (await desk.gateway.submit(leaving())).state is S.FILLED


async def test_an_order_that_arrives_after_it_was_given_up_is_cancelled(desk: Desk) -> None:
    desk.venue.will("submit", "never")
    await desk.gateway.submit(stop())
    desk.wait(5.001)
    await desk.gateway.poll()
    assert desk.state("pk-stop") is S.REJECTED
    desk.venue.arrive(stop())
    assert (await desk.gateway.reconcile()).is_clean
    assert desk.venue.sent("cancel") == ["pk-stop"]


async def test_the_operator_adopts_a_foreign_trade(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    desk.venue.foreign_trade("sell", D("0.04"))
    assert not (await desk.gateway.reconcile()).is_clean
    with pytest.raises(UsageError, match="only adopted"):
        await desk.gateway.disown("op", "not mine")
    assert (await desk.gateway.adopt("op", "sold by hand")).is_clean
    assert desk.gateway.book.position("s1", "BTC/USDT").signed_base == D("0.06")
    assert (await desk.gateway.submit(entry("pk-2"))).state is S.FILLED
    await desk.die()
    gateway = await desk.begin()
    assert gateway.report is not None
    assert gateway.report.is_clean


async def test_the_operator_disowns_a_foreign_trade(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    desk.venue.foreign_trade("buy", D("0.04"))
    await desk.gateway.reconcile()
    assert not (await desk.gateway.disown("op", "mine", "BTC")).is_clean
    assert (await desk.gateway.disown("op", "mine", "USDT")).is_clean
    assert desk.gateway.book.net_base("BTC/USDT") == D("0.1")


async def test_the_kill_switch_closes_positions_past_the_gateway(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    await desk.gateway.submit(entry("pk-2", strategy_id="s2", qty_base=D("0.05")))
    desk.venue.arrive(leaving("flat-1-1", qty_base=D("0.15"), purpose=Purpose.FLATTEN))
    assert (await desk.gateway.reconcile()).is_clean
    assert desk.gateway.book.open_positions() == ()
    assert list(desk.gateway.foreign_fills) == []
    await desk.gateway.reconcile()
    assert desk.gateway.book.net_base("BTC/USDT") == 0


async def test_a_stop_and_an_exit_that_both_fill_close_what_another_strategy_held(
    desk: Desk,
) -> None:
    await desk.gateway.submit(entry())
    await desk.gateway.submit(entry("pk-2", strategy_id="s2"))
    await desk.gateway.submit(stop())
    await desk.gateway.submit(leaving())
    desk.news.clear()
    desk.venue.fill("pk-stop", D("0.1"))
    await desk.gateway.poll()
    assert desk.gateway.book.open_positions() == ()
    told = {news.order.request.strategy_id: news for news in desk.news}
    assert told["s1"].fills == ()
    assert told["s1"].order.state is S.FILLED
    assert told["s2"].order.request.purpose is Purpose.RISK
    assert [fill.qty_base for fill in told["s2"].fills] == [D("0.1")]
    assert desk.gateway.fills_of("s2", "BTC/USDT")[-1].id == told["s2"].fills[0].id
    await desk.die()
    await desk.begin()
    assert desk.gateway.book.open_positions() == ()


async def test_sides_that_the_exchange_netted_are_crossed(desk: Desk) -> None:
    desk.venue.listed = {"BTC/USDT": replace(BTC, market_type="perp")}
    await desk.die()
    await desk.begin()
    await desk.gateway.submit(entry())
    # News out of order: a fill that nobody's position explains yet, as an overshooting stop.
    await desk.gateway.submit(leaving(strategy_id="s2", qty_base=D("0.04")))
    desk.gateway.book.positions["s2", "BTC/USDT"] = desk.gateway.book.position(
        "s2", "BTC/USDT"
    ).traded(D("-0.04"), D(50_000), 1)
    desk.gateway.book.positions["s1", "BTC/USDT"] = desk.gateway.book.position(
        "s1", "BTC/USDT"
    ).traded(D("0.04"), D(50_000), 1)
    desk.news.clear()
    await desk.gateway.poll()
    assert desk.gateway.book.position("s1", "BTC/USDT").signed_base == D("0.06")
    assert desk.gateway.book.position("s2", "BTC/USDT").is_flat
    assert {news.order.request.strategy_id for news in desk.news} == {"s1", "s2"}


async def test_a_stale_word_about_an_order_changes_nothing(desk: Desk) -> None:
    await desk.gateway.submit(stop())
    stale = await desk.venue.find_order("BTC/USDT", "pk-stop")
    assert stale is not None
    old = desk.gateway.book.orders["pk-stop"]
    await desk.gateway.cancel("pk-stop", "no more")
    assert await desk.gateway._reader.take(old, stale) == []
    assert desk.state("pk-stop") is S.CANCELED
