"""The venue in time: walked prices, its clock, its file, its feeds; no server."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.clock import FakeClock
from engine.config import Config, load_config, with_settings
from engine.errors import DataError, InvariantError, StoreError, VenueRejected
from engine.market.parquet import write_bars_file
from engine.trade.instrument import MarketType
from engine.trade.orders import OrderState
from engine.trade.simulated.listing import instrument_like
from engine.trade.simulated.market_source import open_market
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.perp_account import PerpAccount
from engine.trade.simulated.price_feed import BarFeed
from engine.trade.simulated.snapshot import (
    fill_from,
    fill_text,
    order_from,
    order_text,
    restore_order,
    restore_state,
    state_text,
)
from engine.trade.simulated.venue import CLOCK_STATE, RESERVE_S, Venue
from engine.trade.simulated.venue_store import RESERVE_BYTES, RESERVE_NAME, VenueStore
from engine.trade.simulated.venue_time import VenueTime
from engine.trade.simulated.walk import SymbolWalk
from engine.types import Bars, MarketLabel
from tests.venues.simulated_desk import BTC, ETH, FREE, engine_of, instrument, order

STEP_MS = 300_000
TICK = Decimal("0.01")


def bars_of(*rows: tuple[float, float, float, float], start_at: int = 0) -> Bars:
    columns = np.array(rows, dtype=np.float64).T
    stamps = start_at + np.arange(len(rows), dtype=np.int64) * STEP_MS
    open_, high, low, close = (np.ascontiguousarray(column) for column in columns)
    return Bars(stamps, open_, high, low, close, np.ones(len(rows)))


# Walking through bars


def test_a_bar_is_walked_to_the_nearer_extreme_first() -> None:
    low_first = SymbolWalk(BTC, bars_of((100, 120, 95, 110)), STEP_MS, TICK)
    high_first = SymbolWalk(BTC, bars_of((100, 105, 80, 90)), STEP_MS, TICK)
    corners = [float(step.price) for step in low_first.steps(-1, STEP_MS - 1)]
    assert corners == [100, 95, 120, 110]
    assert [float(s.price) for s in high_first.steps(-1, STEP_MS - 1)] == [100, 105, 80, 90]
    assert [s.is_jump for s in low_first.steps(-1, STEP_MS - 1)] == [True, False, False, False]


def test_between_the_corners_the_price_moves_on_ticks() -> None:
    walk = SymbolWalk(BTC, bars_of((100, 120, 95, 110)), STEP_MS, TICK)
    assert walk.price_at(50_000) == Decimal("97.50")
    assert walk.price_at(33_333) == Decimal("98.33")
    assert walk.price_at(-5) == 100
    assert walk.price_at(10 * STEP_MS) == 110


def test_a_gap_stands_still_and_then_jumps_and_the_end_stands_still_for_ever() -> None:
    bars = bars_of((100, 101, 99, 100), (100, 101, 99, 100), (110, 111, 109, 110))
    gapped = Bars(*(np.delete(getattr(bars, name), 1) for name in Bars.__slots__))
    walk = SymbolWalk(BTC, gapped, STEP_MS, TICK)
    assert walk.price_at(STEP_MS + 1_000) == 100
    (jump, *_) = walk.steps(STEP_MS + 1_000, 2 * STEP_MS)
    assert (jump.price, jump.is_jump, jump.at) == (Decimal(110), True, 2 * STEP_MS)
    assert walk.ends_at == 3 * STEP_MS
    assert list(walk.steps(3 * STEP_MS, 9 * STEP_MS)) == []


def test_the_forming_bar_is_what_was_walked_so_far() -> None:
    walk = SymbolWalk(BTC, bars_of((100, 120, 95, 110)), STEP_MS, TICK)
    early, late = walk.forming(50_000), walk.forming(STEP_MS - 1)
    assert early is not None
    assert late is not None
    assert (early.high, early.low, early.close) == (Decimal(100), Decimal("97.5"), Decimal("97.5"))
    assert (late.high, late.low, late.close) == (Decimal(120), Decimal(95), Decimal(110))
    assert walk.forming(STEP_MS) is None
    assert walk.forming(-1) is None


bar_rows = st.lists(
    st.tuples(*[st.integers(9_000, 11_000)] * 4).map(
        lambda p: (p[0] / 100, max(p) / 100, min(p) / 100, p[3] / 100)
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40)
@given(rows=bar_rows, cuts=st.lists(st.integers(0, 6 * STEP_MS), max_size=12))
def test_a_walk_in_pieces_fills_what_a_walk_in_one_piece_does(
    rows: list[tuple[float, float, float, float]], cuts: list[int]
) -> None:
    walk = SymbolWalk(BTC, bars_of(*rows), STEP_MS, TICK)

    def fills(stops: list[int]) -> list[tuple[str, Decimal]]:
        engine = engine_of(rules=FREE, balances={"USDT": 10**9})
        engine.on_trade(BTC, walk.price_at(0), 0)
        for side, level in (("buy", "99.5"), ("buy", "97"), ("sell", "100.5"), ("sell", "103")):
            kind = "stop" if (side == "buy") == (Decimal(level) > walk.price_at(0)) else "target"
            engine.place(order(side, kind, stop=level, client_id=f"{side}{level}"), 0)
            limit = "buy" if Decimal(level) < walk.price_at(0) else "sell"
            engine.place(order(limit, "limit", price=level, client_id=f"limit{level}"), 0)
        engine.settle(BTC)
        found, last_at = [], 0
        for stop_at in [*sorted(stops), walk.ends_at]:
            for step in walk.steps(last_at, stop_at):
                show = engine.on_trade if step.is_jump else engine.on_move
                events = show(BTC, step.price, step.at)
                found += [(e.order.client_id, e.fill.price) for e in events if e.fill]
            last_at = max(last_at, stop_at)
        return found

    assert fills(cuts) == fills([])


# Bars told


async def test_klines_are_closed_bars_and_the_forming_one() -> None:
    rows = [(100 + i, 102 + i, 99 + i, 101 + i) for i in range(7)]
    feed = BarFeed({BTC: bars_of(*rows)}, "5m", {BTC: instrument()})
    now_at = 3 * STEP_MS + STEP_MS // 2
    told = await feed.klines(BTC, "5m", None, now_at, 10)
    assert [bar.open_at // STEP_MS for bar in told] == [0, 1, 2, 3]
    assert told[-1].close_at == 4 * STEP_MS - 1
    assert told[-1].high <= 105
    assert [bar.open_at for bar in await feed.klines(BTC, "5m", 1, now_at, 1)] == [STEP_MS]
    quarter = await feed.klines(BTC, "15m", 0, now_at, 5)
    assert [(bar.open, bar.high, bar.low) for bar in quarter[:1]] == [(100, 104, 99)]
    assert quarter[1].open == 103
    with pytest.raises(DataError, match="cannot be built"):
        await feed.klines(BTC, "1m", 0, now_at, 5)


async def test_more_bars_are_asked_for_before_they_run_out() -> None:
    short, long_ = bars_of((1, 1, 1, 1)), bars_of(*[(1, 1, 1, 1)] * 9)
    asked: list[int] = []

    def more(until_at: int) -> dict[str, Bars] | None:
        asked.append(until_at)
        return {BTC: long_}

    feed = BarFeed({BTC: short}, "5m", {BTC: instrument()}, more, ahead_ms=2 * STEP_MS)
    assert not feed.is_at_end(0)
    await feed.refresh(0)
    assert asked == [2 * STEP_MS]
    assert feed.ends_at == 9 * STEP_MS
    await feed.refresh(STEP_MS)
    assert len(asked) == 1
    assert feed.is_at_end(9 * STEP_MS)


@pytest.mark.parametrize(
    ("prices", "tick", "lot"),
    [
        ([60_000.1, 60_001.0], "0.1", "0.00001"),
        ([3_000.25], "0.01", "0.0001"),
        ([0.123456, 0.2], "0.000001", "1"),
        ([1.0], "1", "1"),
    ],
)
def test_steps_fit_the_prices(prices: list[float], tick: str, lot: str) -> None:
    found = instrument_like(BTC, "spot", np.array(prices))
    assert (found.tick, found.lot) == (Decimal(tick), Decimal(lot))
    assert Decimal("0.05") < found.lot * Decimal(repr(prices[-1])) <= 1


# Markets by configuration


def config_with(home: Path, **sections: dict[str, Any]) -> Config:
    base: dict[str, dict[str, Any]] = {"paths": {"home": str(home)}, **sections}
    return with_settings(load_config(None, {}), base, "test")


async def test_the_generated_market_goes_on_with_the_same_bars_where_cycles_ended(
    tmp_path: Path,
) -> None:
    from engine.market.generated import GENERATED_END_AT, generate_bars

    config = config_with(tmp_path, market={"symbols": [BTC]}, simulated={"speed": 30.0})
    opened = await open_market(config, FakeClock(0), {}, None)
    assert (opened.start_at, opened.speed) == (GENERATED_END_AT, 30.0)
    assert (opened.label, opened.market_type) == (MarketLabel.GENERATED, "perp")
    bars = generate_bars(BTC, 1, "momentum", 0.15, GENERATED_END_AT)
    before = await opened.feed.klines(BTC, "5m", None, GENERATED_END_AT, 3)
    assert [bar.close for bar in before][:3] == bars.close[-3:].tolist()
    assert not opened.feed.is_at_end(GENERATED_END_AT + 20 * 86_400_000)
    first = await opened.feed.klines(BTC, "5m", GENERATED_END_AT, GENERATED_END_AT + STEP_MS, 1)
    later_at = GENERATED_END_AT + 90 * 86_400_000
    await opened.feed.refresh(later_at)
    again = await opened.feed.klines(BTC, "5m", GENERATED_END_AT, GENERATED_END_AT + STEP_MS, 1)
    assert first == again
    assert not opened.feed.is_at_end(later_at)


async def test_stored_bars_are_replayed_from_their_newest_days_and_not_in_a_loop(
    tmp_path: Path,
) -> None:
    n_bars = 40 * 288
    whole = bars_of(*[(100, 101, 99, 100)] * n_bars, start_at=1_700_000_100_000)
    write_bars_file(tmp_path / "market" / "binance" / "BTC-USDT-5m.parquet", whole)
    config = config_with(
        tmp_path,
        market={"symbols": [BTC], "source": "store"},
        cycle={"timeframe": "15m"},
    )
    opened = await open_market(config, FakeClock(0), {}, None)
    end_at = int(whole.timestamp[-1]) + STEP_MS
    assert opened.start_at == end_at - 30 * 86_400_000
    assert (opened.label, opened.market_type) == (MarketLabel.STORE, "spot")
    assert opened.identity == "store binance spot"
    assert opened.feed.is_at_end(end_at)
    assert opened.feed.steps(end_at, end_at + STEP_MS) == []
    with pytest.raises(DataError, match="no exchange"):
        await open_market(
            config_with(tmp_path, market={"symbols": [BTC, ETH], "source": "store"}),
            FakeClock(0),
            {},
            None,
        )


# The venue's clock and file


def test_the_venues_clock_runs_at_its_own_pace() -> None:
    clock = FakeClock(0)
    time = VenueTime(1_000_000, 60.0, clock)
    clock.advance(2.5)
    assert time.now_at() == 1_000_000 + 150_000
    assert time.monotonic_s() == 2.5


def venue_on(
    folder: Path,
    clock: FakeClock,
    rows: list[tuple[float, float, float, float]],
    speed: float = 1.0,
    market_type: MarketType = "perp",
) -> Venue:
    listed = {BTC: instrument(BTC, market_type)}
    engine = MatchingEngine(listed, FREE, {"USDT": Decimal(10_000)}, 0)
    store = VenueStore(folder)
    mark = store.state(CLOCK_STATE)
    time = VenueTime(0 if mark is None else int(mark), speed, clock)
    return Venue(engine, BarFeed({BTC: bars_of(*rows)}, "5m", listed), time, store)


DOWN = [(100.0, 100.0, 90.0, 90.0)] * 4


def test_orders_fill_as_time_passes_although_nobody_asks(tmp_path: Path) -> None:
    clock = FakeClock(0)
    venue = venue_on(tmp_path, clock, DOWN)
    bought = venue.place(order("buy", client_id="in"))
    stop = venue.place(order("sell", "stop", stop="95", reduce_only=True, client_id="stop"))
    assert (bought.state, stop.state) == (OrderState.FILLED, OrderState.ACCEPTED)
    clock.advance(200)
    venue.catch_up()
    found = venue.find(BTC, client_id="stop")
    assert found is not None
    assert found.fills[0].price == 95
    assert [fill.side for _, fill in venue.store.newest_fills(BTC, 9)] == ["buy", "sell"]
    by_number = venue.find(BTC, number=found.number)
    assert by_number is not None
    assert order_text(by_number) == order_text(found)
    assert venue.find(BTC, client_id="nobody") is None


def test_a_killed_venue_goes_on_ahead_of_everything_it_ever_told(tmp_path: Path) -> None:
    clock = FakeClock(0)
    venue = venue_on(tmp_path, clock, DOWN, speed=10.0)
    venue.place(order("buy", client_id="in"))
    venue.place(order("sell", "stop", stop="95", reduce_only=True, client_id="stop"))
    told_at = 0
    for _ in range(12):
        clock.advance(0.7)
        venue.catch_up()
        told_at = venue.now_at()
    # Killed: nothing is closed, nothing is saved any more.
    again = venue_on(tmp_path, FakeClock(5_000_000), DOWN, speed=10.0)
    assert told_at <= again.now_at() <= told_at + int(RESERVE_S * 10_000)
    with pytest.raises(VenueRejected, match="used before"):
        again.place(order("buy", client_id="in"))
    stop = again.find(BTC, client_id="stop")
    assert stop is not None
    assert isinstance(again.engine.account, PerpAccount)
    held = again.engine.account.held.get(BTC)
    assert (held is None) is (stop.state is OrderState.FILLED)


def test_a_stopped_venue_stands_still_until_it_is_started(tmp_path: Path) -> None:
    clock = FakeClock(0)
    venue = venue_on(tmp_path, clock, DOWN)
    clock.advance(50)
    venue.close()
    again = venue_on(tmp_path, FakeClock(9_000_000), DOWN)
    assert again.now_at() == 50_000


def test_what_triggers_while_the_clock_jumps_to_its_mark_is_filled_on_the_way(
    tmp_path: Path,
) -> None:
    clock = FakeClock(0)
    venue = venue_on(tmp_path, clock, DOWN, speed=60.0)
    venue.place(order("buy", client_id="in"))
    venue.place(order("sell", "stop", stop="95", reduce_only=True, client_id="stop"))
    clock.advance(1.0)
    venue.catch_up()
    again = venue_on(tmp_path, clock, DOWN, speed=60.0)  # the mark is 5 s ahead: 300 s of bars
    stop = again.find(BTC, client_id="stop")
    assert stop is not None
    assert [fill.price for fill in stop.fills] == [Decimal(95)]


@pytest.mark.parametrize("market_type", ["perp", "spot"])
def test_everything_comes_back_from_its_text(market_type: MarketType) -> None:
    engine = engine_of(market_type, balances={"USDT": 10_000, "BTC": 5})
    engine.on_trade(BTC, Decimal("100.5"), 7)
    for new in (
        order("buy", qty="2"),
        order("buy", "limit", price="90"),
        order("sell", "stop", stop="80"),
    ):
        engine.place(new, 8)
        engine.settle(BTC)
    if isinstance(engine.account, PerpAccount):
        engine.account.leverage[BTC] = Decimal(7)
    fresh = engine_of(market_type)
    restore_state(fresh, state_text(engine))
    for found in engine.book.orders.values():
        copy = order_from(order_text(found), [fill_from(fill_text(f)) for f in found.fills])
        assert copy == found
        if copy.is_open:
            restore_order(fresh, copy)
    assert state_text(fresh) == state_text(engine)
    assert fresh.view(9) == engine.view(9)
    assert fresh.open_orders() == engine.open_orders()
    other = engine_of("spot" if market_type == "perp" else "perp")
    with pytest.raises(InvariantError, match="not a"):
        restore_state(other, state_text(engine))


def test_a_full_disk_spends_the_reserve_on_exits_and_takes_no_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = venue_on(tmp_path, FakeClock(0), DOWN)
    venue.place(order("buy", qty="2", client_id="in"))
    write, is_full = VenueStore._write, [True]

    def failing(self: VenueStore, *rows: object) -> None:
        if is_full[0] and (tmp_path / RESERVE_NAME).exists():
            raise sqlite3.OperationalError("database or disk is full")
        write(self, *rows)  # type: ignore[arg-type]

    monkeypatch.setattr(VenueStore, "_write", failing)
    venue.place(order("sell", qty="1", reduce_only=True, client_id="out"))
    assert not (tmp_path / RESERVE_NAME).exists()
    with pytest.raises(VenueRejected, match="disk is full"):
        venue.place(order("buy", client_id="more"))
    venue.place(order("sell", qty="1", reduce_only=True, client_id="out 2"))
    assert venue.engine.view(0).positions == {}


def test_what_cannot_be_written_at_all_is_an_error_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = venue_on(tmp_path, FakeClock(0), DOWN)
    venue.place(order("buy", client_id="in"))

    def failing(self: VenueStore, *rows: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(VenueStore, "_write", failing)
        with pytest.raises(StoreError, match="disk I/O error"):
            venue.place(order("buy", client_id="lost"))
    again = venue_on(tmp_path, FakeClock(0), DOWN)
    assert again.find(BTC, client_id="lost") is None
    assert again.find(BTC, client_id="in") is not None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StoreError, match="cannot be opened"):
        VenueStore(blocked / "exchange")


def test_the_store_keeps_a_reserve(tmp_path: Path) -> None:
    VenueStore(tmp_path).close()
    assert (tmp_path / RESERVE_NAME).stat().st_size == RESERVE_BYTES
