"""Stops that Paddock watches itself: from the price that reaches one to its order on the wire.

A simulated exchange behind REST that takes no stops, twenty-four positions on three symbols, their
strategy traders, the trader's own loops and the position monitor, with busy backtesters beside. The
market runs sixty times as fast as the world, so that prices reach stops all the time; what is
counted is real time. When the price reached a stop is worked out afterwards from the exchange's own
walk through its bars.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from actors.position_monitor import PositionMonitor
from actors.priority import step_back
from actors.roster import PartSpec
from actors.trader import CLOCK_S
from bench.account import clock_of, ending_at, learn_risk, open_account, paper_config, percentiles
from bench.bars import EXCHANGE, SYMBOLS, TIMEFRAME, BenchMarket, load
from bench.report import line, say
from engine.backtest.rules import Rules
from engine.backtest.run import BacktestSettings, Evaluator, prepare_series
from engine.clock import SystemClock
from engine.config import load_config, with_settings
from engine.errors import VenueRejected
from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.garbage import set_aside
from engine.risk.view import TradePlan
from engine.settings import Config
from engine.trade.account_clock import AccountClock
from engine.trade.accounts import PAPER
from engine.trade.assembly import Assembly
from engine.trade.decision import ClosedBar, Decision
from engine.trade.exchange import Capabilities, VenueOrder
from engine.trade.live import CcxtExchange
from engine.trade.orders import OrderRequest, OrderType, Purpose
from engine.trade.simulated.launch import stop
from engine.trade.simulated.market_source import open_market
from engine.trade.simulated.price_feed import PriceFeed
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.trader_spec import TraderSpec
from engine.trade.venues import open_exchange
from engine.types import timeframe_ms

TARGET_MS = 1_000.0
N_POSITIONS = 8
"""On each symbol."""
SPEED = 60.0
LATENCY_MS = 20
_SECONDS = 300.0
_FEWER = 6
_BUSY = 2
_STOPS = (0.0001, 0.001)
_ASKS = 20
_GRID_MS = 120
_ROUND_BARS = 4
_LEAVES = (Purpose.EXIT, Purpose.RISK)
_BAR_MS = timeframe_ms(TIMEFRAME)
_SEED = 7
_CAPITAL = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that closes a position, as it went on the wire.

    Attributes
    ----------
    stop : where its position had to be closed, quote currency
    opened_at : UTC ms, the exchange's clock
    sent_s : monotonic
    """

    symbol: str
    stop: float
    opened_at: int
    sent_s: float


class StoplessExchange:
    """The paper account's exchange, as one that takes no stops."""

    def __init__(self, exchange: CcxtExchange) -> None:
        self._exchange = exchange
        self.request: ContextVar[OrderRequest | None] = ContextVar("bench_request", default=None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exchange, name)

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        return replace(self._exchange.capabilities, holds_stops=False, rests_both=False)

    async def submit(self, request: OrderRequest) -> VenueOrder:
        """Send an order, unless it is a stop."""
        if request.type is OrderType.STOP:
            raise VenueRejected("this exchange takes no stops", client_id=request.client_id)
        self.request.set(request)
        return await self._exchange.submit(request)


class TraderPeer:
    """The trader as its position monitor reaches it."""

    name = "trader-paper"

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly

    async def call(self, method: str, *args: Any, timeout_s: float = 0.0) -> Any:
        """Answer as the trader does."""
        if method == "positions_to_watch":
            self._assembly.runner.heard_s["positions"] = time.monotonic()
            return self._assembly.post.positions()
        self._assembly.post.carry_out_positions(*args)
        return None


@dataclass
class Watch:
    """Everything that left."""

    assembly: Assembly
    stops: Mapping[str, float]
    sent: list[Sent] = field(default_factory=list)

    def note(self, request: OrderRequest | None) -> None:
        """Note an order on the wire."""
        if request is None or request.purpose not in _LEAVES:
            return
        position = self.assembly.gateway.book.position(request.strategy_id, request.symbol)
        if position.entry_price is None or position.opened_at is None:
            return
        level = float(position.entry_price) * (1.0 - self.stops[request.strategy_id])
        sent = Sent(request.symbol, level, position.opened_at, time.monotonic())
        self.sent.append(sent)


def run_stops(store: Path, *, is_small: bool) -> int:
    """Print the line; 1 when the target was missed."""
    market = load(store)
    seconds = _SECONDS / (_FEWER if is_small else 1)
    load_average = os.getloadavg()[0]
    command = [sys.executable, "-m", "bench.stops", str(store)]
    busy = [subprocess.Popen(command) for _ in range(_BUSY)]  # noqa: S603 - ourselves
    try:
        say(f"stops: {N_POSITIONS * len(SYMBOLS)} positions for {seconds:g} s")
        facts = asyncio.run(_watched(market, seconds))
    finally:
        for process in busy:
            process.kill()
            process.wait()
    text = line(
        "stops",
        market="GENERATED",
        positions=N_POSITIONS * len(SYMBOLS),
        symbols=len(SYMBOLS),
        speed=SPEED,
        exchange_latency_ms=LATENCY_MS,
        busy_backtesters=_BUSY,
        load_average=load_average,
        load_average_end=os.getloadavg()[0],
        target_p99_ms=TARGET_MS,
        **facts,
    )
    print(text, flush=True)
    return 0 if facts["stop"]["p99_ms"] < TARGET_MS else 1


async def _watched(market: BenchMarket, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="paddock-") as name:
        folder = Path(name)
        config = paper_config(folder, speed=SPEED, latency_ms=LATENCY_MS)
        # Stops stand nearer to the price than a slippage would reach.
        config = with_settings(config, {"backtest": {"slippage_frac": 0.0}}, "the benchmark")
        bare = await open_exchange(PAPER, config, SystemClock())
        try:
            opened = await open_market(config, SystemClock(), {}, None)
            return await _traded(config, bare, opened.feed, market, folder, seconds)
        finally:
            await bare.close()
            stop(config.paths.home)


async def _traded(
    config: Config,
    bare: CcxtExchange,
    feed: PriceFeed,
    market: BenchMarket,
    folder: Path,
    seconds: float,
) -> dict[str, Any]:
    clock, exchange = await clock_of(bare), StoplessExchange(bare)
    assembly = await open_account(exchange, clock, folder, rate=clock.rate)
    stops = dict(zip(_names(), np.linspace(*_STOPS, N_POSITIONS).tolist(), strict=True))
    watch = Watch(assembly, stops)
    _seat(assembly, stops)
    learn_risk(assembly, ending_at(market.series, _BAR_MS, clock.now_at()), _BAR_MS, clock.now_at())
    client: Any = bare._client
    fetch = client.fetch

    async def send(url: str, method: str = "GET", *rest: Any, **named: Any) -> Any:
        if method == "POST":
            watch.note(exchange.request.get())
        return await fetch(url, method, *rest, **named)

    client.fetch = send
    spec = PartSpec("position_monitor", "position_monitor", config, 0, "", "", False)

    async def fail(error: BaseException) -> None:
        raise error

    peer = TraderPeer(assembly)
    monitor = PositionMonitor(spec, lambda _: peer, SystemClock(), fail)
    set_aside()
    venue_at = await _venue_clock(bare)
    began_at = venue_at(time.monotonic())
    loops = [asyncio.create_task(_forever(loop)) for loop in assembly.runner.loops()]
    loops.append(asyncio.create_task(_keep_time(clock, bare)))
    await monitor.start()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _enter_for_ever(assembly, clock, feed, list(stops))
    finally:
        await monitor.stop()
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
    ended_at = venue_at(time.monotonic())
    await assembly.errands.settle()
    await assembly.gateway.close()
    late_ms = _late_ms(feed, watch.sent, venue_at, began_at, ended_at)
    return {"stop": percentiles(late_ms), "orders": len(assembly.gateway.book.orders)}


async def _forever(loop: Any) -> None:
    await loop()


async def _enter_for_ever(
    assembly: Assembly, clock: AccountClock, feed: PriceFeed, names: list[str]
) -> None:
    """Decide at every close; enter with all at one, and leave three bars later.

    More orders than these take more requests than the exchange allows.
    """
    n_bars = 0
    while True:
        close_at = (clock.now_at() // _BAR_MS + 1) * _BAR_MS
        await asyncio.sleep(clock.local_s(close_at + clock.rate - clock.now_at()))
        assembly.lease.renew()
        n_bars += 1
        enters, leaves = n_bars % _ROUND_BARS == 1, n_bars % _ROUND_BARS == 0
        for symbol in SYMBOLS:
            [kline] = await feed.klines(symbol, TIMEFRAME, close_at - _BAR_MS, close_at, 1)
            bar = ClosedBar(
                kline.open_at, kline.open, kline.high, kline.low, kline.close, kline.volume
            )
            ticker = await assembly.gateway.exchange.ticker(symbol)
            assembly.risk.take_price(symbol, ticker.last)
            assembly.risk.observe(assembly.gateway.record)
            decided = Decision(bar.at, side=int(enters), leaves_long=leaves)
            await assembly.desk.on_bar(symbol, bar, dict.fromkeys(names, decided), _BAR_MS)


async def _venue_clock(exchange: CcxtExchange) -> Callable[[float], float]:
    """Return the exchange's instant (UTC ms) of a monotonic one (s), from its promptest answer."""
    asked = []
    for _ in range(_ASKS):
        asked_s = time.monotonic()
        at = await exchange.now_at()
        answered_s = time.monotonic()
        # It looks at its clock when the latency is over.
        on_the_way_s = answered_s - asked_s - LATENCY_MS / 1000
        asked.append((on_the_way_s, at, answered_s - on_the_way_s / 2))
    _, at, at_s = min(asked)
    return lambda now_s: at + (now_s - at_s) * 1000 * SPEED


async def _keep_time(clock: AccountClock, exchange: CcxtExchange) -> None:
    """Set the account's clock again and again, as a trader does."""
    while True:
        asked_s = clock.monotonic_s()
        clock.set(await exchange.now_at(), asked_s, clock.monotonic_s())
        await asyncio.sleep(CLOCK_S)


def _late_ms(
    feed: PriceFeed,
    sent: list[Sent],
    venue_at: Callable[[float], float],
    began_at: float,
    ended_at: float,
) -> list[float]:
    """Return of each stop that was acted on how long after its price it left, real ms."""
    grid = np.arange(int(began_at), int(ended_at) + _GRID_MS, _GRID_MS)
    prices = {symbol: np.empty(len(grid)) for symbol in feed.symbols}
    for i, at in enumerate(grid.tolist()):
        for step in feed.steps(at - 1, at):
            prices[step.symbol][i] = float(step.price)
    late_ms = []
    for order in sent:
        seen = prices[order.symbol]
        sent_at = venue_at(order.sent_s)
        end = int(np.searchsorted(grid, sent_at, side="right"))
        begin = int(np.searchsorted(grid, order.opened_at))
        inside = np.flatnonzero(seen[begin:end] > order.stop)
        reached = begin if not len(inside) else begin + int(inside[-1]) + 1
        if reached >= end or seen[end - 1] > order.stop:
            # It left for another reason, with the price still on the right side of its stop.
            continue
        late_ms.append((sent_at - float(grid[reached])) / SPEED)
    return late_ms


def _names() -> list[str]:
    return [f"bench{i}" for i in range(N_POSITIONS)]


def _seat(assembly: Assembly, stops: Mapping[str, float]) -> None:
    gateway = assembly.gateway
    for name, stop_frac in stops.items():
        assembly.risk.plans[name] = TradePlan(stop_frac)
        for symbol in SYMBOLS:
            spec = TraderSpec(
                account=PAPER,
                strategy_id=name,
                symbol=symbol,
                bar_ms=_BAR_MS,
                rules=Rules(stop_frac=stop_frac, size_frac=0.1),
                capital_quote=_CAPITAL,
                commission_frac=0.001,
                instrument=gateway.instruments[symbol],
                capabilities=gateway.exchange.capabilities,
            )
            assembly.desk.seat(StrategyTrader(spec))
    assembly.post.is_staffed = True


def _be_busy(store: Path) -> None:
    """Backtest for ever, giving way as a backtester does."""
    step_back(load_config().runtime.worker_nice)
    market = load(store, n_symbols=1)
    bars = market.series[SYMBOLS[0]]
    prepared = prepare_series(SYMBOLS[0], EXCHANGE, TIMEFRAME, "perp", bars, ())
    evaluator = Evaluator(prepared, BacktestSettings())
    universe, number = Universe(TIMEFRAME, "perp", ("15m", "1h")), 0
    parent = os.getppid()
    while os.getppid() == parent:
        evaluator.evaluate(draw_genome(Draws.keyed(_SEED, number), universe))
        number += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    _be_busy(parser.parse_args().store)
