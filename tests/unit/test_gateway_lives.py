"""The gateway that dies and begins again, on a disk that may be full or gone."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreError, UsageError, VenueUnavailable
from engine.trade.journal import Journal, verify_journal
from engine.trade.orders import OrderRequest, OrderState
from engine.trade.records import IntentRecord
from tests.unit.gateway_desk import Desk, entry, leaving, open_desk, stop

D = Decimal
S = OrderState


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as made:
        yield made


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
