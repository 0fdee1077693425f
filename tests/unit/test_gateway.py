"""The gateway against a venue that answers, refuses, loses and doubles messages as told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from engine.risk.verdict import RiskVerdict
from engine.trade.journal import verify_journal
from engine.trade.orders import OrderRequest, OrderState, Purpose
from engine.trade.records import IntentRecord
from engine.trading_settings import Orders
from tests.unit.gateway_desk import Desk, entry, leaving, open_desk, stop

D = Decimal
S = OrderState


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as made:
        yield made


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


# Bad input


async def test_an_unknown_symbol_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="does not list DOGE/USDT"):
        await desk.gateway.submit(entry(symbol="DOGE/USDT"))


async def test_another_accounts_order_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="is of account live"):
        await desk.gateway.submit(entry(account="live"))
