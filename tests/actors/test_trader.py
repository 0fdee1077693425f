"""The trader and its monitors, without Ray: promoted strategies trade, and nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.risk.latch import TradingState
from engine.store.fills import recent_fills
from engine.store.orders import recent_orders
from engine.store.paper_trades import paper_trades_of
from engine.store.positions import positions
from engine.trade.accounts import account_latch
from engine.trade.journal import JOURNAL_FILE, verify_journal
from engine.trade.orders import OrderState, OrderType, Purpose
from engine.trade.simulated.book_order import NewOrder
from tests.actors.trading_house import TradingHouse
from tests.busy_strategies import busy_genome
from tests.chaos.account_laws import broken_laws
from tests.unit.gateway_desk import entry

D = Decimal
TRADER = "trader-paper"
MONITORS = ("order_monitor", "position_monitor")

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def house_of(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[TradingHouse]]]:
    made: list[TradingHouse] = []

    async def make(*parts: str, speed: float = 600.0, **sections: Any) -> TradingHouse:
        house = TradingHouse(tmp_path, speed, **sections)
        made.append(house)
        await house.open(*parts)
        return house

    yield make
    for house in made:
        await house.close()


def laws(house: TradingHouse) -> list[str]:
    engine = house.market.engine
    return broken_laws(
        house.book,
        engine.open_orders(),
        [fill for symbol in engine.instruments for fill in engine.fills(symbol)],
        engine.view(0),
        house.config.paths.home / "accounts" / "paper",
        is_perp=True,
        is_quiet=False,
    )


def n_filled(house: TradingHouse, purpose: Purpose) -> int:
    orders = house.book.orders.values()
    return sum(o.request.purpose is purpose and o.state is OrderState.FILLED for o in orders)


async def test_promoted_strategies_trade_bar_after_bar(house_of: Any) -> None:
    house = await house_of(TRADER, *MONITORS)
    ids = await house.promoted(busy_genome(1), busy_genome(2))
    await house.ready()
    await house.until(lambda: n_filled(house, Purpose.EXIT) >= 2, "two exits were filled")
    assert {position.strategy_id for position in house.book.positions.values()} <= set(ids)
    await house.until(lambda: laws(house) == [], "every law held")
    await house.until(lambda: not house.trader._assembly.errands, "all was told")
    rows = await recent_orders(house.store, "paper")
    assert {Purpose.ENTRY, Purpose.STOP, Purpose.TARGET} <= {o.request.purpose for o in rows}
    await house.until_stored(lambda: recent_fills(house.store, "paper"), 4, "fills")
    row = await house.account()
    assert (row.latch_state, row.reconcile_state, row.market_label) == ("ACTIVE", "clean", "LIVE")
    assert row.lease_age_s is not None
    assert row.equity_quote > 0
    trades = [trade for name in ids for trade in await paper_trades_of(house.store, name)]
    assert trades
    assert house.failures == []


async def test_every_open_position_is_shown_with_its_stop_at_the_exchange(house_of: Any) -> None:
    house = await house_of(TRADER)
    await house.promoted(busy_genome(1, max_bars=None))
    await house.ready()
    await house.until(lambda: n_filled(house, Purpose.ENTRY) >= 1, "an entry was filled")

    def is_shown() -> bool:
        return bool(house.book.open_positions()) and not house.trader._assembly.errands

    await house.until(is_shown, "a position is open")
    for _ in range(100):
        rows = await positions(house.store, "paper")
        if rows and rows[0].stop_place == "exchange":
            break
        await house.until(lambda: True, "")
        import asyncio

        await asyncio.sleep(0.05)
    assert rows[0].stop_place == "exchange"
    assert rows[0].stop_price is not None


async def test_a_killed_trader_goes_on_where_the_journal_says(house_of: Any) -> None:
    house = await house_of(TRADER)
    await house.promoted(busy_genome(1), busy_genome(2))
    await house.ready()
    for _ in range(3):
        n_before = len(house.book.orders)
        await house.until(lambda n=n_before: len(house.book.orders) > n + 2, "it traded on")
        await house.kill(TRADER)
        await house.start(TRADER)
        await house.ready()
    await house.until(lambda: laws(house) == [], "every law held")
    journal = house.config.paths.home / "accounts" / "paper" / JOURNAL_FILE
    assert verify_journal(journal).is_whole
    assert house.failures == []


async def test_a_halt_from_any_shell_is_noticed_and_kept(house_of: Any) -> None:
    house = await house_of(TRADER)
    await house.promoted(busy_genome(1))
    await house.ready()
    await house.until(lambda: n_filled(house, Purpose.ENTRY) >= 1, "an entry was filled")
    (house.config.paths.home / "halt" / "HALT").write_text("")
    await house.until(lambda: house.book.latch.state is TradingState.HALTED, "the halt was noticed")
    n_entries = n_filled(house, Purpose.ENTRY)
    await house.until(lambda: not house.book.open_positions(), "its exit passed")
    await house.kill(TRADER)
    await house.start(TRADER)
    await house.ready()
    newest_at = house.trader._seats.newest_bar_at()

    def has_decided() -> bool:
        at = house.trader._seats.newest_bar_at()
        return at is not None and at > (newest_at or 0) + 600_000

    await house.until(has_decided, "more bars closed")
    assert n_filled(house, Purpose.ENTRY) == n_entries
    assert (await house.account()).latch_state == "HALTED"


async def test_arming_again_lets_it_trade_on(house_of: Any) -> None:
    house = await house_of(TRADER)
    latch = account_latch(house.config.paths.home, "paper")
    await house.ready()
    latch.halt("test", "wait", 0)
    await house.until(lambda: house.book.latch.state is TradingState.HALTED, "the halt was noticed")
    await house.promoted(busy_genome(1))
    latch.arm("test", "go on", 1)
    await house.until(lambda: n_filled(house, Purpose.ENTRY) >= 1, "an entry was filled")


async def test_without_anybody_who_vouches_nothing_is_entered(house_of: Any) -> None:
    house = await house_of(TRADER)
    house._vouching.cancel()
    await house.ready()
    house.trader._assembly.lease._renewed_s = None
    await house.promoted(busy_genome(1))

    def reasons() -> str:
        return " ".join(order.reason for order in house.book.orders.values())

    await house.until(lambda: "nobody vouches" in reasons(), "an entry was refused for it")
    assert {order.state for order in house.book.orders.values()} == {OrderState.REJECTED}


async def test_a_position_whose_stop_is_refused_is_closed(house_of: Any) -> None:
    house = await house_of(TRADER, *MONITORS)
    house.market.refused = {Purpose.STOP}
    await house.promoted(busy_genome(1, max_bars=None))
    await house.ready()
    await house.until(lambda: n_filled(house, Purpose.ENTRY) >= 1, "an entry was filled")
    await house.until(lambda: not house.book.open_positions(), "it was closed")


@pytest.mark.parametrize("monitors", [MONITORS, ()])
async def test_a_retired_strategy_is_closed_with_or_without_monitors(
    house_of: Any, monitors: tuple[str, ...]
) -> None:
    house = await house_of(TRADER, "conductor", *monitors)
    ids = await house.promoted(busy_genome(1, max_bars=None))
    await house.ready()
    await house.until(lambda: bool(house.book.open_positions()), "a position is open")
    row = await house.ask("strategy.retire", strategy_id=ids[0], reason="enough")
    assert row.status == "done"
    await house.until(lambda: not house.book.open_positions(), "it was closed")
    await house.until(lambda: not house.book.active_orders(), "nothing rests")


async def test_a_paused_strategy_keeps_its_stop_and_enters_nothing(house_of: Any) -> None:
    house = await house_of(TRADER, "conductor")
    ids = await house.promoted(busy_genome(1))
    await house.ready()
    await house.until(lambda: bool(house.book.open_positions()), "a position is open")
    await house.ask("strategy.pause", strategy_id=ids[0], reason="wait")
    hosted = house.trader._seats.hosted
    await house.until(lambda: all(h.is_paused for h in hosted.values()), "it sits paused")
    await house.until(lambda: not house.book.open_positions(), "it ended as it would have")
    n_entries = n_filled(house, Purpose.ENTRY)
    at = house.market.time.now_at()
    await house.until(lambda: house.market.time.now_at() > at + 900_000, "three bars closed")
    assert n_filled(house, Purpose.ENTRY) == n_entries
    row = await house.ask("strategy.resume", strategy_id=ids[0], reason="go on")
    assert row.result["to"] == "paper"
    await house.until(lambda: n_filled(house, Purpose.ENTRY) > n_entries, "it enters again")


async def test_an_outage_is_sat_out(house_of: Any) -> None:
    house = await house_of(TRADER)
    await house.promoted(busy_genome(1))
    await house.ready()
    await house.until(lambda: n_filled(house, Purpose.ENTRY) >= 1, "an entry was filled")
    house.market.is_out = True
    await house.until(lambda: house.trader.pulse()[0] == "alert", "it says so")
    house.market.is_out = False
    n_entries = n_filled(house, Purpose.ENTRY)
    await house.until(lambda: n_filled(house, Purpose.ENTRY) > n_entries, "it trades on")
    await house.until(lambda: laws(house) == [], "every law held")


async def test_an_exchange_that_comes_late_is_waited_for(house_of: Any) -> None:
    house = await house_of()
    house.market.is_out = True
    await house.start(TRADER)
    await house.until(lambda: house.trader.pulse()[0] == "waiting", "it waits")
    house.market.is_out = False
    await house.ready()


async def test_an_exchange_that_is_silent_at_first_is_asked_again(house_of: Any) -> None:
    house = await house_of(orders={"timeout_s": 0.3})
    house.market.n_silent = 3
    await house.start(TRADER)
    await house.until(lambda: "did not tell its time" in house.trader._words, "it waits")
    await house.ready()
    assert house.market.n_silent == 0
    assert house.failures == []


async def test_a_damaged_journal_is_told_and_nothing_is_traded(house_of: Any) -> None:
    house = await house_of(TRADER)
    await house.ready()
    await house.kill(TRADER)
    journal = house.config.paths.home / "accounts" / "paper" / JOURNAL_FILE
    text = bytearray(journal.read_bytes())
    text[len(text) // 2] ^= 1
    journal.write_bytes(bytes(text))
    await house.start(TRADER)
    await house.until(lambda: house.trader.pulse()[0] == "waiting", "it waits for an operator")
    assert str(journal) in house.trader.pulse()[1]["words"]
    row = await house.trader.vouch()
    assert "account paper" in row


async def test_what_an_operator_asks_of_an_account_is_done(house_of: Any) -> None:
    house = await house_of(TRADER, "conductor")
    await house.promoted(busy_genome(1, max_bars=None))
    await house.ready()
    await house.until(lambda: bool(house.book.open_positions()), "a position is open")
    symbol = house.book.open_positions()[0].symbol
    row = await house.ask("symbol.flatten", account="paper", symbol=symbol, reason="enough")
    assert row.status == "done"
    await house.until(lambda: n_filled(house, Purpose.FLATTEN) >= 1, "it was flattened")
    row = await house.ask("order.cancel", account="paper", client_id="pk-none", reason="")
    assert (row.status, "has no order" in row.reason) == ("refused", True)
    row = await house.ask("symbol.flatten", account="paper", symbol="NO/SUCH")
    assert (row.status, "does not list NO/SUCH" in row.reason) == ("refused", True)
    row = await house.ask("account.adopt", account="paper", reason="x")
    assert (row.status, "no difference" in row.reason) == ("refused", True)
    row = await house.ask("order.cancel", account="live", client_id="pk-none")
    assert (row.status, "is not traded by this runtime" in row.reason) == ("refused", True)
    assert (await house.ask("account.reconcile", account="paper")).result == []


async def test_a_foreign_order_stops_entries_until_the_operator_has_spoken(house_of: Any) -> None:
    house = await house_of(TRADER, "conductor")
    await house.ready()
    limit = {"type": OrderType.LIMIT, "price": D(1000), "qty_base": D("0.01")}
    new = NewOrder.of(entry("web-1", **limit))
    house.market.engine.place(new, house.market.time.now_at())
    await house.until(lambda: not house.trader._assembly.gateway.report.is_clean, "it was noticed")
    found = (await house.ask("account.reconcile")).result
    assert [(d["kind"], d["subject"]) for d in found] == [("foreign order", "web-1")]
    assert (await house.ask("account.disown", reason="mine")).result["clean"]
    assert (await house.ask("account.reconcile")).result == []
