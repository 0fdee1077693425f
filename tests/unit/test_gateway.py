"""The gateway against a venue that answers, refuses, loses and doubles messages as told."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.clock import FakeClock
from engine.errors import StoreError, UsageError, VenueUnavailable
from engine.risk.latch import Latch
from engine.risk.verdict import RiskVerdict
from engine.trade.gateway import Gateway, OrderNews
from engine.trade.journal import Journal, verify_journal
from engine.trade.lease import Lease
from engine.trade.orders import OrderRequest, OrderState, OrderType, Purpose, Side
from engine.trade.records import IntentRecord, OrderRecord
from engine.trading_settings import Orders
from tests.venues.scripted_venue import BTC, ScriptedVenue

D = Decimal
S = OrderState


@dataclass
class Desk:
    """One account: a venue, and a gateway that may die and begin again."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(1_700_000_000_000))
    judge: Callable[[OrderRequest], RiskVerdict] | None = None
    settings: Orders = field(default_factory=Orders)
    news: list[OrderNews] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.venue = ScriptedVenue(self.clock)
        self.latch = Latch(self.folder / "halt", "paper", "here")
        self.latch.arm("test", "begin", self.clock.now_at())

    async def begin(self) -> Gateway:
        self.journal = Journal.open(self.folder / "paper", "paper")
        self.lease = Lease(self.clock, self.settings.lease_s)
        self.gateway = Gateway(
            "paper",
            self.venue,
            self.journal,
            self.latch,
            self.clock,
            self.lease,
            self.judge,
            self.settings,
        )
        self.gateway.on_news = self.news.append
        self.gateway.on_trouble = lambda kind, words: self.troubles.append(f"{kind}: {words}")
        await self.gateway.start()
        self.lease.renew()
        return self.gateway

    async def die(self) -> None:
        """End as by kill -9: nothing is finished, the journal's lock goes."""
        for task in list(self.gateway._sending.values()):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.journal.close()

    def state(self, client_id: str) -> OrderState:
        return self.gateway.book.orders[client_id].state

    def states(self, client_id: str) -> list[str]:
        return [
            line.record.state.value
            for line in self.journal.read()
            if isinstance(line.record, OrderRecord) and line.record.client_id == client_id
        ]

    def wait(self, seconds: float) -> None:
        """Let time pass while the watchdog renews the lease."""
        self.clock.advance(seconds)
        self.lease.renew()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    await made.begin()
    yield made
    await made.die()


def entry(client_id: str = "pk-entry", **changes: Any) -> OrderRequest:
    values: dict[str, Any] = {
        "client_id": client_id,
        "account": "paper",
        "strategy_id": "s1",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "purpose": Purpose.ENTRY,
        "qty_base": D("0.1"),
        "reduce_only": False,
        "bar_at": 1_699_999_800_000,
        "created_at": 1_700_000_000_000,
        "reference_price": D(50_000),
    }
    return OrderRequest(**{**values, **changes})


def leaving(client_id: str = "pk-exit", **changes: Any) -> OrderRequest:
    values = {"side": Side.SELL, "purpose": Purpose.EXIT, "reduce_only": True}
    return entry(client_id, **{**values, **changes})


def stop(client_id: str = "pk-stop", **changes: Any) -> OrderRequest:
    values = {"type": OrderType.STOP, "purpose": Purpose.STOP, "stop_price": D(49_000)}
    return leaving(client_id, **{**values, **changes})


async def test_an_order_is_written_down_before_it_is_sent(desk: Desk) -> None:
    written: list[list[str]] = []
    submit = desk.venue.submit

    async def watched(request: OrderRequest) -> Any:
        lines = list(desk.journal.read())
        written.append([line.record.kind for line in lines if line.record.kind == "intent"])
        return await submit(request)

    desk.venue.submit = watched  # type: ignore[method-assign]
    order = await desk.gateway.submit(entry())
    assert written == [["intent"]]
    assert order.state is S.FILLED
    assert order.filled_base == D("0.1")
    assert desk.gateway.book.net_base("BTC/USDT") == D("0.1")


async def test_the_verdict_and_the_intent_share_one_line(tmp_path: Path) -> None:
    desk = Desk(tmp_path, judge=lambda request: RiskVerdict(True, reason="as asked"))
    await desk.begin()
    before = desk.journal.last_seq
    await desk.gateway.submit(entry())
    first = next(desk.journal.read(before)).record
    assert isinstance(first, IntentRecord)
    assert first.verdict == RiskVerdict(True, reason="as asked")
    await desk.die()


async def test_the_same_id_twice_is_the_first_order(desk: Desk) -> None:
    first = await desk.gateway.submit(entry())
    second = await desk.gateway.submit(entry(qty_base=D(5)))
    assert second == first
    assert desk.venue.sent() == ["pk-entry"]


async def test_the_same_id_at_once_is_sent_once(desk: Desk) -> None:
    await asyncio.gather(*(desk.gateway.submit(entry()) for _ in range(10)))
    assert desk.venue.sent() == ["pk-entry"]


async def test_a_lost_answer_is_unknown_and_found_by_asking(desk: Desk) -> None:
    desk.venue.will("submit", "lost")
    order = await desk.gateway.submit(entry())
    assert order.state is S.UNKNOWN
    news = await desk.gateway.poll()
    assert [told.order.state for told in news] == [S.FILLED]
    assert desk.states("pk-entry") == ["submitted", "unknown", "filled"]
    assert desk.venue.sent() == ["pk-entry"]
    assert desk.gateway.book.net_base("BTC/USDT") == D("0.1")


async def test_a_lost_request_is_given_up_only_after_it_could_no_longer_arrive(desk: Desk) -> None:
    desk.venue.will("submit", "never")
    await desk.gateway.submit(entry())
    desk.wait(5.0)
    assert list(await desk.gateway.poll()) == []
    assert desk.state("pk-entry") is S.UNKNOWN
    desk.wait(0.001)
    await desk.gateway.poll()
    order = desk.gateway.book.orders["pk-entry"]
    assert order.state is S.REJECTED
    assert order.reason == "it never reached the exchange"
    assert desk.venue.sent() == ["pk-entry"]


async def test_a_late_arrival_is_found_while_it_is_still_unknown(desk: Desk) -> None:
    desk.venue.will("submit", "never")
    await desk.gateway.submit(entry())
    desk.wait(4.0)
    await desk.gateway.poll()
    desk.venue.arrive(entry())
    await desk.gateway.poll()
    assert desk.state("pk-entry") is S.FILLED


async def test_no_answer_for_ever_becomes_unknown(tmp_path: Path) -> None:
    desk = Desk(tmp_path, settings=Orders(timeout_s=0.01))
    await desk.begin()
    desk.venue.will("submit", "hangs")
    order = await desk.gateway.submit(entry())
    assert order.state is S.UNKNOWN
    await desk.gateway.poll()
    assert desk.state("pk-entry") is S.FILLED
    await desk.die()


async def test_an_answer_that_hangs_hides_no_position(desk: Desk) -> None:
    desk.venue.will("submit", "hangs")
    task = asyncio.create_task(desk.gateway.submit(entry()))
    for _ in range(4):
        await asyncio.sleep(0)
    await desk.gateway.poll()
    assert desk.state("pk-entry") is S.INTENT
    desk.wait(1.0)
    await desk.gateway.poll()
    assert desk.state("pk-entry") is S.FILLED
    assert desk.gateway.book.net_base("BTC/USDT") == D("0.1")
    task.cancel()


async def test_an_answer_that_hangs_is_not_taken_for_lost(desk: Desk) -> None:
    desk.venue.will("submit", "hangs")
    task = asyncio.create_task(desk.gateway.submit(entry()))
    for _ in range(4):
        await asyncio.sleep(0)
    del desk.venue.orders["pk-entry"]
    desk.wait(20.0)
    await desk.gateway.poll()
    assert desk.state("pk-entry") is S.INTENT
    task.cancel()


async def test_a_refusal_is_final_when_the_venue_does_not_know_the_order(desk: Desk) -> None:
    desk.venue.will("submit", "rejected")
    order = await desk.gateway.submit(entry())
    assert (order.state, order.reason) == (S.REJECTED, "insufficient balance")


async def test_a_message_that_came_twice_is_not_taken_for_a_refusal(desk: Desk) -> None:
    desk.venue.will("submit", "twice")
    order = await desk.gateway.submit(entry())
    assert order.state is S.FILLED
    assert desk.gateway.book.net_base("BTC/USDT") == D("0.1")


async def test_a_refusal_that_cannot_be_checked_is_unknown(desk: Desk) -> None:
    desk.venue.will("submit", "twice")
    desk.venue.will("find_order", "unavailable")
    assert (await desk.gateway.submit(entry())).state is S.UNKNOWN
    await desk.gateway.poll()
    assert desk.state("pk-entry") is S.FILLED


async def test_unavailable_before_anything_was_sent_is_refused(desk: Desk) -> None:
    desk.venue.will("submit", "unavailable")
    order = await desk.gateway.submit(entry())
    assert order.state is S.REJECTED
    assert order.reason == "nothing was sent: no connection"
    again = await desk.gateway.submit(entry("pk-entry-1"))
    assert again.state is S.FILLED


async def test_a_bug_in_the_middle_of_a_send_leaves_the_order_unknown(desk: Desk) -> None:
    desk.venue.will("submit", "breaks")
    with pytest.raises(KeyError):
        await desk.gateway.submit(entry())
    assert desk.state("pk-entry") is S.UNKNOWN
    await desk.gateway.poll()
    assert desk.state("pk-entry") is S.FILLED


async def test_a_waiter_that_is_cancelled_loses_no_order(desk: Desk) -> None:
    waiting = asyncio.create_task(desk.gateway.submit(entry()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    for _ in range(5):
        await asyncio.sleep(0)
    assert desk.state("pk-entry") is S.FILLED


# The latch, the lease and the rest of what closes the way


@pytest.mark.parametrize("purpose", [Purpose.EXIT, Purpose.RISK, Purpose.FLATTEN])
async def test_halted_refuses_entries_and_passes_what_reduces(desk: Desk, purpose: Purpose) -> None:
    await desk.gateway.submit(entry())
    desk.latch.halt("test", "stop it", 0)
    refused = await desk.gateway.submit(entry("pk-2"))
    assert refused.state is S.REJECTED
    assert refused.reason.startswith("halted:")
    assert (await desk.gateway.submit(leaving(purpose=purpose))).state is S.FILLED
    assert desk.venue.sent() == ["pk-entry", "pk-exit"]


async def test_halted_passes_protective_stops(desk: Desk) -> None:
    desk.latch.halt("test", "stop it", 0)
    assert (await desk.gateway.submit(stop())).state is S.ACCEPTED


async def test_reducing_refuses_entries_only(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    desk.latch.reduce("test", "slowly", 0)
    assert (await desk.gateway.submit(entry("pk-2"))).reason.startswith("reducing:")
    assert (await desk.gateway.submit(leaving())).state is S.FILLED


async def test_the_latch_is_asked_after_the_order_was_written_down(desk: Desk) -> None:
    append = desk.journal.append

    def halting(*args: Any, **columns: Any) -> int:
        seq = append(*args, **columns)
        desk.latch.halt("test", "in between", 0)
        return seq

    desk.journal.append = halting  # type: ignore[method-assign]
    order = await desk.gateway.submit(entry())
    assert order.state is S.REJECTED
    assert desk.venue.sent() == []
    assert desk.states("pk-entry") == ["rejected"]


async def test_a_stale_lease_refuses_entries_only(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    desk.clock.advance(30.0)
    assert "the lease is 30.0 s old" in (await desk.gateway.submit(entry("pk-2"))).reason
    assert (await desk.gateway.submit(leaving())).state is S.FILLED
    desk.lease.renew()
    assert (await desk.gateway.submit(entry("pk-3"))).state is S.FILLED


async def test_more_orders_than_the_rate_halt_the_account(tmp_path: Path) -> None:
    desk = Desk(tmp_path, settings=Orders(rate_per_minute=3))
    await desk.begin()
    for i in range(3):
        assert (await desk.gateway.submit(entry(f"pk-{i}"))).state is S.FILLED
    assert "more than 3 orders" in (await desk.gateway.submit(entry("pk-3"))).reason
    assert desk.latch.is_halted()
    assert (await desk.gateway.submit(leaving())).state is S.FILLED
    await desk.die()


async def test_dying_is_no_way_out_of_the_rate(tmp_path: Path) -> None:
    desk = Desk(tmp_path, settings=Orders(rate_per_minute=3))
    await desk.begin()
    for i in range(3):
        await desk.gateway.submit(entry(f"pk-{i}"))
    await desk.die()
    await desk.begin()
    assert "more than 3 orders" in (await desk.gateway.submit(entry("pk-3"))).reason
    await desk.die()


async def test_a_minute_later_the_rate_is_free_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, settings=Orders(rate_per_minute=1))
    await desk.begin()
    await desk.gateway.submit(entry("pk-0"))
    desk.wait(60.0)
    assert (await desk.gateway.submit(entry("pk-1"))).state is S.FILLED
    await desk.die()


# Risk


async def test_a_refused_verdict_is_journaled_and_nothing_is_sent(tmp_path: Path) -> None:
    desk = Desk(tmp_path, judge=lambda request: RiskVerdict(False, reason="too much"))
    await desk.begin()
    order = await desk.gateway.submit(entry())
    assert (order.state, order.reason) == (S.REJECTED, "risk: too much")
    assert desk.venue.sent() == []
    assert [told.order.state for told in desk.news] == [S.REJECTED]
    assert verify_journal(desk.journal.path).is_whole
    await desk.die()


async def test_a_smaller_verdict_is_sent_rounded_down_to_the_lot(tmp_path: Path) -> None:
    verdict = RiskVerdict(True, qty_base=D("0.01239"), reason="risk per trade")
    desk = Desk(tmp_path, judge=lambda request: verdict)
    await desk.begin()
    order = await desk.gateway.submit(entry())
    assert order.request.qty_base == D("0.0123")
    assert order.filled_base == D("0.0123")
    await desk.die()


async def test_sized_down_under_the_minimum_is_refused(tmp_path: Path) -> None:
    verdict = RiskVerdict(True, qty_base=D("0.00011"), reason="risk per trade")
    desk = Desk(tmp_path, judge=lambda request: verdict)
    await desk.begin()
    order = await desk.gateway.submit(entry())
    assert order.state is S.REJECTED
    assert "under the minimum of 10" in order.reason
    await desk.die()


async def test_nobody_judges_what_reduces(tmp_path: Path) -> None:
    def broken(request: OrderRequest) -> RiskVerdict:
        raise RuntimeError("the officer is ill")

    desk = Desk(tmp_path, judge=broken)
    await desk.begin()
    with pytest.raises(RuntimeError):
        await desk.gateway.submit(entry())
    assert desk.venue.sent() == []
    assert (await desk.gateway.submit(stop())).state is S.ACCEPTED
    await desk.die()


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


# Dying and beginning again


async def test_an_order_that_was_being_sent_is_asked_for_after_a_crash(desk: Desk) -> None:
    desk.venue.will("submit", "hangs")
    task = asyncio.create_task(desk.gateway.submit(entry()))
    for _ in range(4):
        await asyncio.sleep(0)
    assert desk.state("pk-entry") is S.INTENT
    await desk.die()
    await asyncio.gather(task, return_exceptions=True)
    await desk.begin()
    assert desk.state("pk-entry") is S.FILLED
    assert desk.gateway.report is not None
    assert desk.gateway.report.is_clean
    assert desk.venue.sent() == ["pk-entry"]


async def test_an_intent_that_was_never_sent_is_given_up_after_a_crash(desk: Desk) -> None:
    desk.journal.append([IntentRecord(entry())], desk.clock.now_at())
    await desk.die()
    gateway = await desk.begin()
    assert desk.state("pk-entry") is S.UNKNOWN
    assert "is unknown" in (await gateway.submit(entry("pk-2"))).reason
    desk.wait(5.001)
    await gateway.poll()
    assert desk.state("pk-entry") is S.REJECTED
    assert (await gateway.reconcile()).is_clean
    assert (await gateway.submit(entry("pk-3"))).state is S.FILLED


async def test_what_was_filled_while_dead_is_counted_at_the_start(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    await desk.gateway.submit(stop())
    await desk.die()
    desk.venue.fill("pk-stop", D("0.1"), D(48_900))
    desk.news.clear()
    gateway = await desk.begin()
    assert gateway.book.net_base("BTC/USDT") == 0
    assert [told.order.state for told in desk.news] == [S.FILLED]


async def test_a_life_that_ended_before_it_had_counted_hides_no_fill(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    await desk.gateway.submit(stop())
    await desk.die()
    desk.venue.fill("pk-stop", D("0.1"))
    desk.clock.advance(3_600.0)
    desk.venue.will("fills", *["unavailable"] * 5)
    desk.venue.is_terse = True
    with pytest.raises(VenueUnavailable):
        await desk.begin()
    await desk.die()
    desk.venue.script.clear()
    desk.clock.advance(3_600.0)
    gateway = await desk.begin()
    assert gateway.book.net_base("BTC/USDT") == 0
    assert gateway.report is not None
    assert gateway.report.is_clean


async def test_a_cancel_under_way_goes_on_after_a_crash(desk: Desk) -> None:
    await desk.gateway.submit(stop())
    desk.venue.will("cancel", "never")
    await desk.gateway.cancel("pk-stop", "no more")
    await desk.die()
    await desk.begin()
    assert desk.state("pk-stop") is S.CANCELED


async def test_a_second_gateway_of_the_account_is_refused(desk: Desk) -> None:
    with pytest.raises(StoreError):
        Journal.open(desk.folder / "paper", "paper")


async def test_starting_while_the_exchange_is_away_can_be_repeated(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.venue.will("account_view", "unavailable")
    with pytest.raises(VenueUnavailable):
        await desk.begin()
    with pytest.raises(UsageError, match="was not started"):
        await desk.gateway.submit(entry())
    report = await desk.gateway.start()
    desk.lease.renew()
    assert report.is_clean
    assert (await desk.gateway.submit(entry())).state is S.FILLED
    assert desk.gateway.book.cash["USDT"] == desk.venue.balances["USDT"]
    await desk.die()


async def test_nothing_is_sent_without_a_lease_after_a_start(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.begin()
    desk.gateway.gate.lease._renewed_s = None
    assert "nobody vouches" in (await desk.gateway.submit(entry())).reason
    await desk.die()


# A disk that is full, or gone


class Broken:
    """A journal that refuses to write, what is not essential or everything."""

    def __init__(self, journal: Journal, *, is_dead: bool) -> None:
        self._append = journal.append
        self._journal = journal
        self.is_dead = is_dead
        journal.append = self  # type: ignore[method-assign]

    def __call__(
        self, records: Any, now_at: int, *, essential: bool = False, synced: bool = True
    ) -> int:
        if self.is_dead or not essential:
            raise StoreError("no space left")
        return self._append(records, now_at, essential=essential, synced=synced)

    def mend(self) -> None:
        self._journal.append = self._append  # type: ignore[method-assign]


async def test_a_full_disk_refuses_entries_and_passes_exits(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    Broken(desk.journal, is_dead=False)
    refused = await desk.gateway.submit(entry("pk-2"))
    assert refused.state is S.REJECTED
    assert "could not be written down" in refused.reason
    assert "pk-2" not in desk.gateway.book.orders
    assert (await desk.gateway.submit(leaving())).state is S.FILLED
    assert not desk.latch.is_halted()
    assert desk.troubles[0].startswith("journal.full")


async def test_a_dead_journal_halts_and_exits_still_leave(desk: Desk) -> None:
    await desk.gateway.submit(entry())
    broken = Broken(desk.journal, is_dead=True)
    assert (await desk.gateway.submit(leaving())).state is S.FILLED
    assert desk.latch.is_halted()
    assert desk.troubles[0].startswith("journal.dead: HALTED")
    assert desk.gateway.book.net_base("BTC/USDT") == 0
    broken.mend()
    await desk.gateway.submit(stop())
    assert desk.states("pk-exit") == ["submitted", "filled"]
    assert verify_journal(desk.journal.path).is_whole


async def test_orders_decided_together_share_one_sync_before_any_of_them_leaves(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, submit = os.fsync, desk.venue.submit

    async def watched(request: OrderRequest) -> Any:
        done.append(request.client_id)
        return await submit(request)

    desk.venue.submit = watched  # type: ignore[method-assign]
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), fsync(handle))[1])
    orders = [entry("pk-1"), leaving("pk-2"), entry("pk-3")]
    await asyncio.gather(*(desk.gateway.submit(order) for order in orders))
    assert done[:4] == ["sync", "pk-1", "pk-2", "pk-3"]
    kinds = [line.record.kind for line in desk.journal.read()]
    assert kinds.count("intent") == 3
    assert verify_journal(desk.journal.path).is_whole


async def test_a_sync_that_fails_halts_and_keeps_back_every_entry_that_rests_on_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.gateway.submit(entry())
    before = desk.journal.path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        orders = [entry("pk-1"), leaving("pk-2"), entry("pk-3")]
        first, second, third = await asyncio.gather(
            *(desk.gateway.submit(order) for order in orders)
        )
    assert (first.state, second.state, third.state) == (S.REJECTED, S.FILLED, S.REJECTED)
    assert "could not be written down" in first.reason
    assert "pk-1" not in desk.venue.orders
    assert "pk-3" not in desk.venue.orders
    assert desk.latch.is_halted()
    assert desk.troubles[0].startswith("journal.dead: HALTED")
    assert desk.journal.path.read_bytes() == before
    # What could not be written then is written before anything else is.
    await desk.gateway.submit(stop())
    assert desk.states("pk-1") == ["rejected"]
    assert desk.states("pk-2") == ["submitted", "filled"]
    assert verify_journal(desk.journal.path).is_whole


# Bad input


async def test_an_unknown_symbol_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="does not list DOGE/USDT"):
        await desk.gateway.submit(entry(symbol="DOGE/USDT"))


async def test_another_accounts_order_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="is of account live"):
        await desk.gateway.submit(entry(account="live"))
