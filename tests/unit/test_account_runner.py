"""One account as it runs: the latch, the breakers, the lease, silent monitors, the dead man."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.clock import FakeClock
from engine.errors import VenueUnavailable
from engine.risk.breakers import Breaker
from engine.risk.latch import Latch, TradingState
from engine.trade.account_runner import DEAF_S, PUSHED_S, RESTING_S, VOUCH_S
from engine.trade.adoption import ADOPTED
from engine.trade.assembly import Assembly, Terms, assemble
from engine.trade.exchange import Capabilities, Ticker
from engine.trade.journal import Journal
from engine.trade.order_watch import AskWish, CancelWish
from engine.trade.orders import OrderState, OrderType, Purpose
from engine.trade.position_watch import Close, CloseCause, Protect
from engine.trade.records import LatchRecord
from engine.trading_settings import Limits, Orders
from tests.unit.gateway_desk import entry, leaving, stop
from tests.venues.scripted_venue import ScriptedVenue

D = Decimal
S = OrderState
BTC = "BTC/USDT"


class Room:
    """An account with everything that keeps it, on a clock that stands still."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock(1_700_000_000_000)
        self.venue = ScriptedVenue(self.clock)
        self.latch = Latch(folder / "halt", "paper", "here")
        self.latch.arm("test", "begin", self.clock.now_at())
        self.told: list[str] = []
        self.failures: list[BaseException] = []
        self.life: Assembly

    async def begin(self) -> Assembly:
        self.life = assemble(
            self.venue,
            Journal.open(self.folder / "paper", "paper"),
            self.latch,
            Terms(Orders(), Limits(), 0.02, 60.0, "USDT"),
            clock=self.clock,
            wall=self.clock,
            sleep=self.sleep,
            tell=lambda kind, subject, words: self.told.append(f"{kind} {words}"),
            on_failure=self.fail,
        )
        # The officer's verdicts have tests of their own.
        self.life.gateway.judge = None
        await self.life.gateway.start()
        self.price(50_000)
        await self.life.runner.compare()
        assert self.life.runner.vouch() == ""
        await self.life.runner.guard()
        return self.life

    def price(self, price: int) -> None:
        """Let the market stand at a price, confirmed by a second look."""
        self.venue.price = D(price)
        self.life.risk.take_price(BTC, D(price))
        for _ in range(2):
            self.life.post.take_ticker(Ticker(BTC, D(price), D(price), D(price), 0))

    async def settle(self) -> None:
        await self.life.errands.settle()
        assert self.failures == []

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def fail(self, error: BaseException) -> None:
        self.failures.append(error)

    @property
    def book(self) -> Any:
        return self.life.gateway.book

    def latched(self) -> str:
        return self.latch.read().state.value

    def purposes(self) -> list[Purpose]:
        return [order.request.purpose for order in self.book.orders.values()]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    await made.begin()
    yield made
    await made.life.gateway.close()


# The latch


async def test_a_halt_is_written_down_once_and_cancels_entries_only(room: Room) -> None:
    gateway = room.life.gateway
    await gateway.submit(entry(type=OrderType.LIMIT, price=D(40_000)))
    await gateway.submit(stop())
    room.latch.halt("op", "enough", 7)
    for _ in range(3):
        await room.life.runner.guard()
        await room.settle()
    assert room.book.orders["pk-entry"].state is S.CANCELED
    assert room.book.orders["pk-stop"].state is S.ACCEPTED
    assert room.book.latch == LatchRecord(TradingState.HALTED, "op", "enough")
    notes = [line.record for line in gateway.journal.read()]
    assert sum(isinstance(note, LatchRecord) for note in notes) == 2
    assert [words for words in room.told if words.startswith("latch.changed HALTED")] == [
        "latch.changed HALTED: enough"
    ]


async def test_a_halt_while_nobody_lived_is_noticed_at_the_start(tmp_path: Path) -> None:
    room = Room(tmp_path)
    await room.begin()
    await room.life.gateway.close()
    (tmp_path / "halt" / "HALT").write_text("")
    await room.begin()
    assert room.book.latch.state is TradingState.HALTED
    assert (await room.life.gateway.submit(entry())).reason.startswith("halted")
    await room.life.gateway.close()


# Breakers


async def lose(room: Room, frac: str) -> None:
    """Let the account lose a share of its worth at once: money that a bad trade cost."""
    await room.life.gateway.submit(entry(qty_base=D(2), reference_price=D(50_000)))
    await room.life.runner.guard()
    room.price(round(50_000 * (1 - D(frac))))
    await room.life.runner.guard()
    await room.settle()


@pytest.mark.parametrize(
    ("frac", "state"),
    [
        ("0.04", TradingState.ACTIVE),
        ("0.06", TradingState.ACTIVE),
        ("0.11", TradingState.REDUCING),
        ("0.16", TradingState.HALTED),
    ],
)
async def test_a_loss_latches_as_far_as_its_breaker_says(
    room: Room, frac: str, state: TradingState
) -> None:
    await lose(room, frac)
    assert room.latched() == state.value
    tripped = {trip.breaker for trip in room.life.risk.breakers.tripped(room.clock.now_at())}
    assert (Breaker.DAILY_LOSS in tripped) is (frac != "0.04")


async def test_the_last_breaker_closes_everything(room: Room) -> None:
    await room.life.gateway.submit(stop(qty_base=D(2), stop_price=D(30_000)))
    await lose(room, "0.25")
    for _ in range(4):
        await room.life.runner.guard()
        await room.settle()
    assert room.latch.is_halted()
    assert room.book.open_positions() == ()
    assert room.book.active_orders() == ()
    assert Purpose.FLATTEN in room.purposes()


async def test_a_tripped_breaker_survives_a_restart_and_its_latch(room: Room) -> None:
    await lose(room, "0.11")
    await room.life.gateway.close()
    # Somebody removes the mark by hand, without arming: the journal still knows.
    (room.folder / "halt" / "REDUCE").unlink()
    life = assemble(
        room.venue,
        Journal.open(room.folder / "paper", "paper"),
        room.latch,
        Terms(Orders(), Limits(), 0.02, 60.0, "USDT"),
        clock=room.clock,
        wall=room.clock,
        sleep=room.sleep,
        tell=lambda *_: None,
        on_failure=room.fail,
    )
    room.life = life
    await life.gateway.start()
    assert Breaker.DRAWDOWN_REDUCE in {
        trip.breaker for trip in life.risk.breakers.tripped(room.clock.now_at())
    }


async def test_arming_by_hand_counts_losses_anew(room: Room) -> None:
    await lose(room, "0.11")
    assert room.latched() == "REDUCING"
    room.latch.arm("op", "I have looked at it", 9)
    for _ in range(3):
        await room.life.runner.guard()
    assert room.latched() == "ACTIVE"
    tripped = {trip.breaker for trip in room.life.risk.breakers.tripped(room.clock.now_at())}
    assert Breaker.DRAWDOWN_REDUCE not in tripped


async def test_arming_waits_until_the_account_can_be_valued(room: Room) -> None:
    await lose(room, "0.11")
    room.clock.advance(100.0)
    room.latch.arm("op", "go on", 9)
    await room.life.runner.guard()
    noticed = [room.book.latch.state]
    assert room.latched() == "ACTIVE"
    room.price(44_500)
    await room.life.runner.guard()
    noticed.append(room.book.latch.state)
    assert noticed == [TradingState.REDUCING, TradingState.ACTIVE]


# The lease


async def test_only_a_young_clean_reconciliation_vouches(room: Room) -> None:
    runner = room.life.runner
    room.clock.advance(VOUCH_S)
    assert runner.vouch() == ""
    room.clock.advance(0.1)
    assert "old" in runner.vouch()
    await runner.compare()
    assert runner.vouch() == ""
    room.venue.foreign_trade("buy", D(1))
    await runner.compare()
    assert "differ" in runner.vouch()


# Monitors


async def test_the_trader_stands_in_for_silent_monitors(room: Room) -> None:
    gateway = room.life.gateway
    await gateway.submit(entry(type=OrderType.LIMIT, price=D(40_000)))
    room.life.runner.heard_s = dict.fromkeys(room.life.runner.heard_s, room.clock.monotonic_s())
    room.clock.advance(30.0)
    room.life.runner.heard_s["orders"] = room.clock.monotonic_s() - 1.9
    await room.life.runner.stand_in()
    await room.settle()
    assert len(room.book.active_orders()) == 1
    room.clock.advance(0.1)
    await room.life.runner.stand_in()
    await room.settle()
    assert room.book.orders["pk-entry"].state is S.CANCELED


async def test_an_orphan_is_closed_once_it_is_known_who_trades(room: Room) -> None:
    await room.life.gateway.submit(entry())
    for _ in range(2):
        await room.life.runner.stand_in()
        await room.settle()
    assert room.book.net_base(BTC) == D("0.1")
    room.life.post.is_staffed = True
    await room.life.runner.stand_in()
    await room.settle()
    assert room.book.net_base(BTC) == 0
    assert room.purposes()[-1] is Purpose.RISK


async def test_closing_frees_the_balance_that_a_stop_locks(room: Room) -> None:
    room.venue.capabilities = replace(room.venue.capabilities, rests_both=False)
    await room.life.gateway.submit(entry())
    await room.life.gateway.submit(stop())
    room.life.post.close("s1", BTC, "enough", Purpose.RISK)
    await room.settle()
    assert room.book.orders["pk-stop"].state is S.CANCELED
    assert room.book.net_base(BTC) == 0


async def test_two_wishes_to_close_send_one_order(room: Room) -> None:
    await room.life.gateway.submit(entry())
    wish = Close("s1", BTC, CloseCause.LIMIT, "it lost")
    room.life.post.carry_out_positions([wish, wish])
    room.life.post.carry_out_positions([wish])
    await room.settle()
    room.life.post.carry_out_positions([wish])
    await room.settle()
    assert room.purposes() == [Purpose.ENTRY, Purpose.RISK]


async def test_a_close_that_is_refused_is_tried_again_with_patience(room: Room) -> None:
    await room.life.gateway.submit(entry())
    room.venue.will("submit", "rejected")
    wish = Close("s1", BTC, CloseCause.LIMIT, "it lost")
    for _ in range(3):
        room.life.post.carry_out_positions([wish])
        await room.settle()
    assert room.purposes().count(Purpose.RISK) == 1
    room.clock.advance(1.0)
    room.life.post.carry_out_positions([wish])
    await room.settle()
    assert room.book.net_base(BTC) == 0


async def test_what_was_adopted_gets_a_stop_of_its_own(room: Room) -> None:
    await room.life.gateway.submit(entry())
    await room.life.gateway.submit(leaving())
    room.venue.foreign_trade("buy", D("0.5"))
    await room.life.runner.compare()
    await room.life.gateway.adopt("op", "mine")
    room.price(50_000)
    room.life.post.is_staffed = True
    assert room.book.position(ADOPTED, BTC).signed_base == D("0.5")
    room.life.post.carry_out_positions([Protect(ADOPTED, BTC, "it has none")])
    await room.settle()
    (order,) = room.book.active_orders()
    assert (order.request.purpose, order.request.stop_price) == (Purpose.STOP, D(49_000))
    seen = room.life.post.positions().positions[0]
    assert seen.holding.unprotected_base == 0
    assert not seen.is_orphan


async def test_a_stop_that_cannot_be_placed_holds_up_no_close(room: Room) -> None:
    await room.life.gateway.submit(entry())
    room.price(50_000)
    room.venue.will("submit", "rejected")
    room.life.post.carry_out_positions([Protect("s1", BTC, "it has none")])
    await room.settle()
    assert any("position.order_refused" in words for words in room.told)
    close = Close("s1", BTC, CloseCause.STOP_MISSED, "the price is there")
    room.life.post.carry_out_positions([close])
    await room.settle()
    assert room.book.net_base(BTC) == 0


async def test_wishes_about_orders_cancel_and_ask(room: Room) -> None:
    await room.life.gateway.submit(stop())
    room.venue.will("submit", "lost")
    await room.life.gateway.submit(entry())
    wishes = (CancelWish("pk-stop", "why not"), AskWish("pk-entry", "unknown"))
    await room.life.post.carry_out_orders((*wishes, CancelWish("pk-gone", "never was")))
    await room.settle()
    assert room.book.orders["pk-stop"].state is S.CANCELED
    assert room.book.orders["pk-entry"].state is S.FILLED


async def test_stops_of_what_is_not_held_are_cleared_away(room: Room) -> None:
    await room.life.gateway.submit(entry())
    await room.life.gateway.submit(stop())
    await room.life.gateway.submit(leaving())
    room.life.post.is_staffed = True
    room.life.post.clear_away()
    await room.settle()
    assert room.book.active_orders() == ()


# The dead man


async def test_an_exchange_with_a_timer_is_told_that_we_live(room: Room) -> None:
    told: list[int] = []

    async def refresh(timeout_ms: int) -> None:
        told.append(timeout_ms)

    room.venue.capabilities = Capabilities(True, True, True, True)
    room.venue.refresh_dead_man = refresh  # type: ignore[method-assign]
    await room.life.runner.compare()
    await room.life.runner.compare()
    room.clock.advance(15.0)
    await room.life.runner.compare()
    assert told == [60_000, 60_000]
    assert room.life.runner.dead_man_at == room.clock.now_at()


# The exchange's word


def listening(room: Room) -> Room:
    """Let the venue push, and let nobody wake from a long sleep by himself."""
    room.venue.capabilities = Capabilities(True, True, True, False, pushes=True)
    room.venue.is_pushing = True

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)
        if seconds > PUSHED_S:
            await asyncio.Event().wait()

    room.life.runner._sleep = sleep
    return room


async def turns(n: int = 200) -> None:
    """Let everybody who can go on do so."""
    for _ in range(n):
        await asyncio.sleep(0)


async def test_word_of_a_change_is_a_reason_to_ask_at_once(room: Room) -> None:
    listening(room)
    await room.life.gateway.submit(entry(type=OrderType.LIMIT, price=D(40_000)))
    [order] = room.book.active_orders()
    # The first two: listening, and looking at orders.
    loops = [asyncio.ensure_future(loop()) for loop in room.life.runner.loops()[:2]]
    await turns()
    n_asked = len(room.venue.sent("open_orders"))
    room.venue.fill(order.client_id, D("0.01"))
    await turns()
    assert len(room.venue.sent("open_orders")) == n_asked
    room.venue.pushed.put_nowait(None)
    await turns()
    assert room.book.orders[order.client_id].filled_base == D("0.01")
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)


async def test_while_word_comes_by_itself_orders_are_asked_for_less_often(room: Room) -> None:
    listening(room)
    await room.life.gateway.submit(entry(type=OrderType.LIMIT, price=D(40_000)))
    assert room.life.runner._poll_s() == RESTING_S
    room.venue.is_pushing = False
    assert room.life.runner._poll_s() == 0.25


async def test_a_channel_that_breaks_is_told_once_and_tried_again(room: Room) -> None:
    listening(room)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    room.life.runner._sleep = sleep
    for _ in range(3):
        room.venue.pushed.put_nowait(VenueUnavailable("the line is dead"))
    listen = asyncio.ensure_future(room.life.runner.loops()[0]())
    await turns()
    listen.cancel()
    assert slept == [DEAF_S] * 3
    assert [words for words in room.told if words.startswith("pushes.lost")] == [
        "pushes.lost the line is dead; orders are asked for instead"
    ]
