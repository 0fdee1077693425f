"""Cancel and flatten straight at the exchange, through the real client, whatever goes wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from engine.clock import FakeClock
from engine.risk.latch import Latch
from engine.trade.accounts import account_folder, account_latch
from engine.trade.emergency import Emergency, Patience
from engine.trade.exchange import Fill
from engine.trade.flat_ids import flat_id, halt_id, is_flat_id
from engine.trade.flattening import Flattening
from engine.trade.journal import JOURNAL_FILE, Journal
from engine.trade.kill_step import Step
from engine.trade.live import CcxtExchange
from engine.trade.orders import OrderRequest, OrderState, Purpose, Side
from engine.trade.ours import Ours, read_ours
from engine.trade.records import FillRecord, IntentRecord, NoteRecord, OrderRecord, Record
from tests.venues.live_account import BTC, account_at, limit, order, stop
from tests.venues.trading_desk import TradingDesk

D = Decimal
HALT = "h1"
NO_JOURNAL = Ours(None, "no journal")
RESTING = (OrderState.SUBMITTED, OrderState.ACCEPTED)


class Times(FakeClock):
    """A clock that sleeping moves, starting now."""

    def __init__(self) -> None:
        super().__init__(time.time_ns() // 1_000_000)
        self.slept_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        self.slept_s += seconds
        await asyncio.sleep(0)


@asynccontextmanager
async def opened(
    *, is_perp: bool, timeout_s: float = 0.3
) -> AsyncIterator[tuple[TradingDesk, CcxtExchange]]:
    async with (
        TradingDesk(is_perp=is_perp) as desk,
        account_at(desk.url, is_perp=is_perp, timeout_s=timeout_s) as venue,
    ):
        yield desk, venue


def emergency(
    venue: CcxtExchange,
    ours: Ours,
    clock: Times | None = None,
    halted_ago_ms: int = 10_000,
    patience: Patience | None = None,
) -> Emergency:
    clock = clock or Times()
    halted_at = clock.now_at() - halted_ago_ms

    async def read() -> Ours:
        return ours

    return Emergency(venue, read, clock, halted_at, patience, clock.sleep)


def flattening(
    venue: CcxtExchange, ours: Ours = NO_JOURNAL, *, everything: bool = False, tries: int = 3
) -> Flattening:
    patience = Patience(timeout_s=30.0, tries=tries, settle_s=0.01)
    return Flattening(emergency(venue, ours, patience=patience), HALT, takes_everything=everything)


async def last(steps: AsyncIterator[Step]) -> Step:
    return [step async for step in steps][-1]


def fill(client_id: str, side: Side, qty: str, number: str, **changes: object) -> Fill:
    values = {"fee": D(0), "fee_asset": "USDT", "price": D(100), "at": 1} | changes
    return Fill(number, client_id, BTC, side, D(qty), **values)  # type: ignore[arg-type]


def intended(request: OrderRequest, *states: OrderState) -> list[Record]:
    return [IntentRecord(request), *(OrderRecord(request.client_id, state) for state in states)]


def journal_of(folder: Path, *records: Record) -> Ours:
    journal = Journal.open(folder, "paper", reserve_bytes=4096)
    journal.append(records, 1)
    journal.close()
    return read_ours(folder, "paper", "USDT")


# Cancelling


@pytest.mark.parametrize("is_perp", [False, True], ids=["spot", "perp"])
async def test_orders_that_add_exposure_go_and_protective_ones_stay(*, is_perp: bool) -> None:
    async with opened(is_perp=is_perp) as (desk, venue):
        await venue.submit(order("held"))
        await venue.submit(stop("guard", "80"))
        for number in range(20):
            await venue.submit(limit(f"n{number}", "90"))
        ended = await last(emergency(venue, NO_JOURNAL).cancel())
        assert [seen.client_id for seen in await venue.open_orders()] == ["pk-guard"]
        # With one request only where a stop that comes meanwhile is in another list.
        assert len(desk.sent("DELETE order")) == (0 if is_perp else 20)
        assert len(desk.sent("DELETE allOpenOrders")) == (1 if is_perp else 0)
        assert desk.sent("DELETE openOrders") == []
    assert (ended.state, ended.done, ended.total) == ("ok", 20, 20)
    assert ended.words == "exposure-adding orders cancelled; 1 protective kept"


@pytest.mark.parametrize("is_perp", [False, True], ids=["spot", "perp"])
async def test_cancelling_all_takes_the_stops_with_one_request_a_list(*, is_perp: bool) -> None:
    async with opened(is_perp=is_perp) as (desk, venue):
        await venue.submit(order("held"))
        await venue.submit(stop("guard", "80"))
        await venue.submit(limit("a", "90"))
        ended = await last(emergency(venue, NO_JOURNAL).cancel(stops_too=True))
        assert await venue.open_orders() == []
        assert desk.sent("DELETE order") == []
    assert (ended.state, ended.done) == ("ok", 2)


@pytest.mark.parametrize("is_perp", [False, True], ids=["spot", "perp"])
@pytest.mark.parametrize("fault", ["lost", "late", "429", "500", "html", "reject"])
async def test_cancel_goes_on_until_none_is_left(fault: str, *, is_perp: bool) -> None:
    async with opened(is_perp=is_perp) as (desk, venue):
        for number in range(4):
            await venue.submit(limit(f"n{number}", "90"))
        desk.misbehave("DELETE order", *[fault] * 6)
        desk.misbehave("DELETE allOpenOrders", *[fault] * 2)
        desk.misbehave("GET openOrders", "500", "429")
        clock = Times()
        ended = await last(emergency(venue, NO_JOURNAL, clock).cancel())
        assert await venue.open_orders() == []
    assert (ended.state, ended.total) == ("ok", 4)
    assert clock.slept_s >= 7.0, "the wait that a 429 asks for is kept"


async def test_what_only_reduces_stays_though_it_is_no_stop() -> None:
    async with opened(is_perp=True) as (desk, venue):
        await venue.submit(order("held"))
        leaving = limit("leave", "120", side=Side.SELL, purpose=Purpose.EXIT)
        await venue.submit(leaving)
        for number in range(3):
            await venue.submit(limit(f"n{number}", "90"))
        ended = await last(emergency(venue, NO_JOURNAL).cancel())
        assert [seen.client_id for seen in await venue.open_orders()] == ["pk-leave"]
        assert len(desk.sent("DELETE order")) == 3
    assert (ended.state, ended.fields["n_kept"]) == ("ok", 1)


async def test_dead_exchange_is_given_up_in_words() -> None:
    async with opened(is_perp=True) as (desk, venue):
        await venue.instruments()
        await desk.shut()
        patience = Patience(timeout_s=12.0)
        clock = Times()
        ended = await last(emergency(venue, NO_JOURNAL, clock, patience=patience).cancel())
    assert ended.state == "failed"
    assert ended.words.startswith("open orders are not known: no answer about the open orders")
    assert "given up after 12 s" in ended.words
    assert clock.slept_s == pytest.approx(12.0)


async def test_order_that_cannot_be_cancelled_is_named() -> None:
    async with opened(is_perp=True) as (desk, venue):
        await venue.submit(limit("a", "90"))
        desk.misbehave("DELETE order", *["reject"] * 1000)
        act = emergency(venue, NO_JOURNAL, patience=Patience(timeout_s=5.0))
        ended = await last(act.cancel())
    assert ended.state == "failed"
    assert "1 exposure-adding orders left" in ended.words
    assert "Precision is over the maximum" in ended.words
    assert ended.fields["left"] == ["buy 1 BTC/USDT at 90 (pk-a)"]


async def test_order_in_flight_at_the_halt_is_cancelled_when_it_arrives(tmp_path: Path) -> None:
    late = limit("late", "90")
    ours = journal_of(tmp_path, *intended(late, OrderState.SUBMITTED))
    async with opened(is_perp=True) as (_, venue):
        clock = Times()
        steps: list[Step] = []
        async for step in emergency(venue, ours, clock, halted_ago_ms=0).cancel():
            steps.append(step)
            if step.name == "in flight" and clock.slept_s < 1:
                assert step.words == "pk-late BTC/USDT buy"
                await venue.submit(late)
                clock.advance(1.0)
        assert await venue.open_orders() == []
    assert (steps[-1].state, steps[-1].name) == ("ok", "cancel")


async def test_order_that_never_arrived_is_waited_for_as_long_as_it_could(tmp_path: Path) -> None:
    ours = journal_of(tmp_path, *intended(limit("never", "90"), OrderState.UNKNOWN))
    async with opened(is_perp=True) as (_, venue):
        clock = Times()
        ended = await last(emergency(venue, ours, clock, halted_ago_ms=1000).cancel())
    assert ended.state == "ok"
    assert 4.0 <= clock.slept_s <= 5.0


async def test_without_a_journal_everything_sent_before_the_halt_is_waited_for() -> None:
    async with opened(is_perp=True) as (_, venue):
        clock = Times()
        ended = await last(emergency(venue, NO_JOURNAL, clock, halted_ago_ms=0).cancel())
    assert ended.state == "ok"
    assert clock.slept_s == pytest.approx(5.25, abs=0.3)


async def test_a_whole_journal_without_doubts_waits_for_nothing(tmp_path: Path) -> None:
    ours = journal_of(tmp_path, *intended(limit("a", "90"), *RESTING))
    async with opened(is_perp=True) as (_, venue):
        clock = Times()
        assert (await last(emergency(venue, ours, clock, halted_ago_ms=0).cancel())).state == "ok"
    assert clock.slept_s == 0.0


# Flattening


async def test_longs_and_shorts_are_closed_and_the_stops_go_last() -> None:
    async with opened(is_perp=True) as (desk, venue):
        await venue.submit(order("a"))
        await venue.submit(stop("guard", "80"))
        await venue.submit(limit("entry", "90"))
        desk.held |= {"ETHUSDT": D("-2.5"), "SOLUSDT": D("0.3")}
        steps = [step async for step in flattening(venue).run()]
        assert set(desk.held.values()) == {D(0)}
        assert await venue.open_orders() == []
        closing = [sent for sent in desk.sent("POST order") if is_flat_id(sent["newClientOrderId"])]
        ends = [f"{method} {end}" for method, end, _ in desk.requests]
    assert {(sent["symbol"], sent["side"], sent["reduceOnly"]) for sent in closing} == {
        ("BTCUSDT", "SELL", "true"),
        ("ETHUSDT", "BUY", "true"),
        ("SOLUSDT", "SELL", "true"),
    }
    assert ends.index("DELETE order") < ends.index("DELETE algoOrder")
    assert max(i for i, e in enumerate(ends) if e == "POST order") < ends.index("DELETE algoOrder")
    assert (steps[-1].name, steps[-1].state) == ("flat", "ok")
    assert steps[-1].words == "flat, looked twice"


async def test_flattening_twice_sends_once() -> None:
    async with opened(is_perp=True) as (desk, venue):
        await venue.submit(order("a"))
        await last(flattening(venue).run())
        assert (await last(flattening(venue).run())).state == "ok"
        assert len(desk.sent("POST order")) == 2


async def test_two_processes_that_flatten_at_once_send_once() -> None:
    async with opened(is_perp=True) as (desk, venue):
        desk.held |= {"BTCUSDT": D(1), "ETHUSDT": D(-1), "SOLUSDT": D(3)}
        desk.latency_s = 0.01
        async with account_at(desk.url, is_perp=True, timeout_s=2.0) as other:
            ended = await asyncio.gather(
                last(flattening(venue).run()), last(flattening(other).run())
            )
        assert {step.state for step in ended} == {"ok"}
        assert set(desk.held.values()) == {D(0)}
        placed = [made for made in desk.orders if made.filled]
        assert len(placed) == 3


@pytest.mark.parametrize("fault", ["lost", "late", "500", "429", "html"])
async def test_lost_answer_does_not_double_what_is_closed(fault: str) -> None:
    async with opened(is_perp=False) as (desk, venue):
        await venue.submit(order("a"))
        desk.balances["BTC"] = D(10)
        desk.misbehave("POST order", fault)
        ended = await last(flattening(venue).run())
        assert desk.balances["BTC"] == 0
        closing = [made for made in desk.orders if is_flat_id(made.client_id)]
        assert sum(made.filled for made in closing) == 10
    assert ended.state == "ok"


async def test_partial_fills_are_followed_by_more_orders() -> None:
    async with opened(is_perp=True) as (desk, venue):
        desk.held["BTCUSDT"] = D(8)
        desk.fill_share = D("0.5")
        ended = await last(flattening(venue).run())
        names = [sent["newClientOrderId"] for sent in desk.sent("POST order")]
        assert names[:3] == [flat_id(HALT, BTC, number) for number in (1, 2, 3)]
        assert len(set(names)) == len(names) > 5
    assert ended.state == "ok"
    assert "dust stays: BTC/USDT long" in ended.words


async def test_position_over_the_largest_market_order_goes_in_parts() -> None:
    async with opened(is_perp=True) as (desk, venue):
        desk.held["BTCUSDT"] = D(250)
        assert (await last(flattening(venue).run())).state == "ok"
        assert [sent["quantity"] for sent in desk.sent("POST order")] == ["120", "120", "10"]


async def test_closing_that_is_refused_is_given_up_after_three_tries() -> None:
    async with opened(is_perp=True) as (desk, venue):
        desk.held["BTCUSDT"] = D(1)
        desk.misbehave("POST order", *["reject"] * 100)
        ended = await last(flattening(venue).run())
        assert len(desk.plan["POST order"]) == 100 - 2 * 3
    assert ended.state == "failed"
    assert ended.words.startswith("NOT FLAT: BTC/USDT long 1")
    assert "Precision is over the maximum" in ended.words


async def test_dust_is_named_and_is_no_failure() -> None:
    async with opened(is_perp=False) as (desk, venue):
        desk.balances |= {"BTC": D("0.00213"), "ETH": D("0.00009")}
        ended = await last(flattening(venue, everything=True).run())
        assert desk.orders == []
    assert ended.state == "ok"
    assert "BTC/USDT long 0.00213: notional 0.21300 USDT is under the minimum of 5" in ended.words
    assert len(ended.fields["dust"]) == 2


async def test_spot_sells_what_the_journal_calls_ours_and_no_more(tmp_path: Path) -> None:
    entry = order("a")
    ours = journal_of(
        tmp_path,
        NoteRecord("gateway.started", "starts", {"venue_at": 1}),
        *intended(entry, OrderState.SUBMITTED),
        FillRecord(fill("pk-a", Side.BUY, "1.5", "77"), "s1"),
    )
    async with opened(is_perp=False) as (desk, venue):
        desk.balances |= {"BTC": D(4), "BNB": D(9)}
        assert (await last(flattening(venue, ours).run())).state == "ok"
        assert (desk.balances["BTC"], desk.balances["BNB"]) == (D("2.5"), D(9))
        # Once more: the fill of the first time is not in the journal, and is counted all the same.
        assert (await last(flattening(venue, ours).run())).state == "ok"
        assert desk.balances["BTC"] == D("2.5")
        assert (await last(flattening(venue, ours, everything=True).run())).state == "ok"
        assert (desk.balances["BTC"], desk.balances["BNB"]) == (D(0), D(0))


async def test_stop_that_filled_after_the_gateway_died_is_not_sold_again(tmp_path: Path) -> None:
    async with opened(is_perp=False) as (desk, venue):
        desk.balances["BTC"] = D(3)
        await venue.submit(order("a"))
        await venue.submit(stop("guard", "80"))
        (bought,) = await venue.fills(BTC, 0)
        ours = journal_of(
            tmp_path,
            *intended(order("a"), OrderState.SUBMITTED, OrderState.FILLED),
            FillRecord(bought, "s1"),
            *intended(stop("guard", "80"), *RESTING),
        )
        desk.trigger("pk-guard", "80")
        assert desk.balances["BTC"] == D(3)
        assert (await last(flattening(venue, ours).run())).state == "ok"
        assert desk.balances["BTC"] == D(3)


async def test_spot_is_capped_to_the_balance_that_is_there(tmp_path: Path) -> None:
    ours = journal_of(
        tmp_path,
        *intended(order("a"), OrderState.SUBMITTED),
        FillRecord(fill("pk-a", Side.BUY, "5", "77"), "s1"),
    )
    async with opened(is_perp=False) as (desk, venue):
        desk.balances["BTC"] = D(2)
        assert (await last(flattening(venue, ours).run())).state == "ok"
        assert [sent["quantity"] for sent in desk.sent("POST order")] == ["2"]


# Journals and ids


def test_missing_and_damaged_journals_leave_everything_ours(tmp_path: Path) -> None:
    folder = account_folder(tmp_path, "paper")
    missing = read_ours(folder, "paper", "USDT")
    assert missing.book is None
    assert "everything at the exchange is taken for ours" in missing.problem
    ours = journal_of(folder, *intended(limit("a", "90"), OrderState.SUBMITTED))
    assert [found.client_id for found in ours.in_flight] == ["pk-a"]
    path = folder / JOURNAL_FILE
    text = path.read_bytes()
    path.write_bytes(text.replace(b"pk-a", b"pk-b", 1))
    damaged = read_ours(folder, "paper", "USDT")
    assert damaged.book is None
    assert "it was changed" in damaged.problem
    assert read_ours(folder, "live", "USDT").book is None


def test_journal_is_read_beside_its_writer(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "paper", reserve_bytes=4096)
    try:
        journal.append(intended(limit("a", "90"), OrderState.SUBMITTED), 1)
        assert len(read_ours(tmp_path, "paper", "USDT").in_flight) == 1
    finally:
        journal.close()


def test_fees_in_base_currency_lower_what_is_ours(tmp_path: Path) -> None:
    ours = journal_of(tmp_path, *intended(order("a"), OrderState.SUBMITTED))
    fresh = [
        fill("pk-a", Side.BUY, "1", "1", fee=D("0.001"), fee_asset="BTC"),
        fill("flat-x-1", Side.SELL, "0.4", "2"),
        fill("somebody", Side.SELL, "9", "3"),
    ]
    assert ours.held_base(BTC, fresh) == D("0.599")


def test_one_halt_has_one_name_whoever_made_it(tmp_path: Path) -> None:
    latch = account_latch(tmp_path, "paper")
    nothing = halt_id(latch, 1_795_825_015_777)
    latch.halt("ana", "test", 1_795_825_015_000)
    name = halt_id(latch, 5)
    assert name == halt_id(latch, 6) != nothing
    latch.halt("bo", "again", 7)
    assert halt_id(latch, 8) == name
    shell = Latch(tmp_path / "shell", "paper", "host")
    shell.folder.mkdir()
    (shell.folder / "HALT").touch()
    assert halt_id(shell, 5) == halt_id(shell, 6)
    ids = {flat_id(name, symbol, n) for symbol in (BTC, "ETH/USDT") for n in range(1, 500)}
    assert len(ids) == 998
    assert max(len(one) for one in ids) <= 32
