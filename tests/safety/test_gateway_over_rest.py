"""Gateway, real client, Binance's REST: after every mishap the account is as the journal says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.errors import UsageError, VenueError, VenueUnavailable
from engine.risk.latch import Latch
from engine.trade.gateway import Gateway
from engine.trade.instrument import ZERO
from engine.trade.journal import JOURNAL_FILE, Journal, verify_journal
from engine.trade.lease import Lease
from engine.trade.orders import OrderState, OrderType, Purpose, Side
from engine.trading_settings import Orders
from tests.venues.live_account import BTC, account_at, limit, order, stop
from tests.venues.trading_desk import TradingDesk

D = Decimal
S = OrderState
FAULTS = ("ok", "ok", "late", "lost", "500", "429", "html", "garbage")
REQUESTS = ("POST order", "POST algoOrder", "DELETE order", "DELETE algoOrder", "GET order")
READS = ("GET openOrders", "GET openAlgoOrders", "GET account", "GET myTrades", "GET userTrades")


@pytest.fixture(params=["spot", "perp"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[TradingDesk]:
    async with TradingDesk(is_perp=request.param == "perp") as opened:
        yield opened


class Account:
    """A gateway over the desk, that can be begun anew."""

    def __init__(self, folder: Path, desk: TradingDesk) -> None:
        self.folder = folder
        self.desk = desk
        self.latch = Latch(folder / "halt", "paper", "here")
        self.latch.arm("ana", "begin", 1)
        self._context = account_at(desk.url, is_perp=desk.is_perp, timeout_s=0.15, window_ms=1_000)
        self.gateway: Gateway

    async def __aenter__(self) -> Account:
        clock = SystemClock()
        lease = Lease(clock, 3600.0)
        settings = Orders(timeout_s=1.0, rate_per_minute=10_000)
        self.gateway = Gateway(
            "paper",
            await self._context.__aenter__(),
            Journal.open(self.folder / "paper", "paper", reserve_bytes=4096),
            self.latch,
            clock,
            lease,
            None,
            settings,
        )
        while True:
            # The client's patience is short here, and the machine may be busy.
            try:
                await self.gateway.start()
                break
            except VenueUnavailable:
                await asyncio.sleep(0.05)
        lease.renew()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.close()
        await self._context.__aexit__(None, None, None)

    def state(self, client_id: str) -> OrderState:
        return self.gateway.book.orders[client_id].state

    async def settle(self) -> None:
        """Ask until every order's fate is known; what never arrived takes a second."""
        for _ in range(200):
            try:
                await self.gateway.poll()
                report = await self.gateway.reconcile()
            except VenueError:
                await asyncio.sleep(0.05)
                continue
            if report.is_clean and not self.gateway.book.unknown_orders():
                return
            await asyncio.sleep(0.05)
        raise AssertionError(self.gateway.report)

    def check(self) -> None:
        """Prove that journal and desk agree to the last digit."""
        book, desk = self.gateway.book, self.desk
        held = desk.held.get("BTCUSDT", ZERO) if desk.is_perp else desk.balances.get("BTC", ZERO)
        assert book.net_base(BTC) == held
        wallet = book.wallet_quote() if desk.is_perp else book.balance_of("USDT")
        assert wallet == desk.balances["USDT"] + (_paper_profit(desk) if desk.is_perp else ZERO)
        ids = [made.client_id for made in desk.orders if not made.client_id.startswith("auto")]
        assert len(ids) == len(set(ids)), "an order exists twice"
        fills = [fill for client_id in ids for fill in _fills_of(desk, client_id)]
        assert sum((o.filled_base for o in book.orders.values()), ZERO) == sum(fills, ZERO)
        report = verify_journal(self.folder / "paper" / JOURNAL_FILE)
        assert report.is_whole, report.problem


def _paper_profit(desk: TradingDesk) -> Decimal:
    # The desk keeps no realized profit; every price here is 100, so there is none.
    assert {trade["price"] for trade in desk.trades} <= {"100"}
    return ZERO


def _fills_of(desk: TradingDesk, client_id: str) -> list[Decimal]:
    made = desk.order(client_id)
    if not made.became:
        return [made.filled]
    return [other.filled for other in desk.orders if other.number == made.became]


async def test_the_account_ends_as_the_journal_says(tmp_path: Path, desk: TradingDesk) -> None:
    async with Account(tmp_path, desk) as account:
        gateway = account.gateway
        assert (await gateway.submit(order("placed"))).state is S.FILLED
        assert (await gateway.submit(limit("partial", "100"))).state is S.ACCEPTED
        desk.fill("pk-partial", "0.4", "100")
        await gateway.poll()
        assert gateway.book.orders["pk-partial"].filled_base == D("0.4")
        desk.misbehave("DELETE order", "late")
        await gateway.cancel("pk-partial", "test")
        await account.settle()
        assert account.state("pk-partial") is S.CANCELED
        desk.misbehave("POST order", "late")
        assert (await gateway.submit(order("lost"))).state is S.UNKNOWN
        await account.settle()
        assert account.state("pk-lost") is S.FILLED
        desk.misbehave("POST order", "429")
        assert (await gateway.submit(order("stormy"))).state is S.REJECTED
        desk.misbehave("GET order", *["429"] * 5)
        desk.misbehave("GET openOrders", *["429"] * 5)
        await account.settle()
        await gateway.submit(stop("guard", "80"))
        await desk.shut()
        assert (await gateway.submit(limit("cut", "100"))).state is S.UNKNOWN
        await desk.open()
        await account.settle()
        assert account.state("pk-cut") is S.REJECTED, "it never arrived"
        assert account.state("pk-guard") is S.ACCEPTED
        account.check()
    desk.trigger("pk-guard", "100")
    async with Account(tmp_path, desk) as again:
        await again.settle()
        assert again.state("pk-guard") is S.FILLED
        again.check()


async def test_a_duplicate_id_is_refused_and_the_first_order_counts_once(
    tmp_path: Path, desk: TradingDesk
) -> None:
    async with Account(tmp_path, desk) as account:
        gateway = account.gateway
        # As a request that came twice: the exchange has the order before the journal's one arrives.
        await gateway.exchange.submit(limit("twin", "90"))
        assert (await gateway.submit(limit("twin", "90"))).state is S.ACCEPTED
        assert (await gateway.submit(limit("twin", "90"))).state is S.ACCEPTED
        assert [made.client_id for made in desk.orders] == ["pk-twin"]
        assert len(desk.sent("POST order")) == 2, "a known id is not sent again"
        desk.fill("pk-twin", "1", "100")
        await account.settle()
        assert account.state("pk-twin") is S.FILLED
        account.check()


BAD_INPUT: dict[str, tuple[dict[str, Any], str]] = {
    "size under the minimum": ({"qty_base": D("0.00002")}, "under the minimum"),
    "value under the minimum": ({"qty_base": D("0.01")}, "under the minimum"),
    "quantity with wrong precision": ({"qty_base": D("1.000001")}, "not a multiple of 0.00001"),
    "price with wrong precision": (
        {"type": OrderType.LIMIT, "price": D("90.005")},
        "price 90.005 is not a multiple of 0.01",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUT)
async def test_bad_input_is_refused_in_the_journal_and_never_sent(
    tmp_path: Path, desk: TradingDesk, case: str
) -> None:
    changes, words = BAD_INPUT[case]
    async with Account(tmp_path, desk) as account:
        refused = await account.gateway.submit(order("bad", **changes))
        assert refused.state is S.REJECTED
        assert words in refused.reason
        assert desk.sent("POST order") == []
        await account.settle()
        account.check()


async def test_what_is_no_order_at_all_is_not_even_written_down(
    tmp_path: Path, desk: TradingDesk
) -> None:
    async with Account(tmp_path, desk) as account:
        with pytest.raises(UsageError, match="does not list BTX/USDT"):
            await account.gateway.submit(order("unknown", symbol="BTX/USDT"))
        for qty in (D(-1), D(0), D("NaN")):
            with pytest.raises(UsageError, match="is not a positive number"):
                order("negative", qty_base=qty)
        assert account.gateway.book.orders == {}
        assert desk.sent("POST order") == []
        account.check()


@pytest.mark.parametrize("shift_ms", [61_000, -61_000])
async def test_a_clock_that_went_off_by_a_minute_refuses_orders_and_says_so(
    tmp_path: Path, desk: TradingDesk, shift_ms: int
) -> None:
    async with Account(tmp_path, desk) as account:
        assert (await account.gateway.submit(order("before"))).state is S.FILLED
        desk.skew_ms = shift_ms
        refused = await account.gateway.submit(order("during"))
        assert refused.state in (S.REJECTED, S.UNKNOWN)
        assert "clock" in refused.reason
        desk.skew_ms = 0
        await account.settle()
        assert account.state("pk-during") is S.REJECTED
        assert (await account.gateway.submit(order("after"))).state is S.FILLED
        account.check()


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_goes_wrong_on_the_way(tmp_path: Path, desk: TradingDesk, seed: int) -> None:
    await go_wrong(tmp_path, desk, seed)


async def go_wrong(tmp_path: Path, desk: TradingDesk, seed: int) -> None:
    """Trade while any message may be lost, late, refused or nonsense, and prove the end right."""
    draw = random.Random(seed)
    async with Account(tmp_path, desk) as account:
        gateway = account.gateway
        for number in range(12):
            for kind in (*REQUESTS, *READS):
                desk.misbehave(kind, draw.choice(FAULTS))
            if draw.random() < 0.15:
                await desk.shut()
                await desk.open()
            name = f"s{seed}n{number}"
            pick = draw.random()
            if pick < 0.4:
                await gateway.submit(order(name))
            elif pick < 0.7:
                await gateway.submit(limit(name, "100"))
                if any(made.client_id == f"pk-{name}" for made in desk.orders):
                    desk.fill(f"pk-{name}", "0.25", "100")
                await gateway.cancel(f"pk-{name}", "test")
            elif gateway.book.net_base(BTC) >= 1:
                leaving = order(name, side=Side.SELL, purpose=Purpose.EXIT)
                await gateway.submit(leaving)
            else:
                await gateway.submit(stop(name, "80"))
        desk.plan.clear()
        await account.settle()
        account.check()
