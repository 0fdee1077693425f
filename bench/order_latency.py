"""Bar close to order sent: from a closed bar in hand to an order at the exchange's door.

The path is the product's own: decisions of twenty strategies on each of three symbols, strategy
traders, the risk officer with a full risk model, the gateway with its synced journal, latch and
lease. It ends where the order is handed to the exchange in this process, and where the signed
request goes on the wire for the exchange behind REST. `first` is the first order of a bar that
closed by itself, `alone` every order of such a bar, `together` those of three bars at once: orders
leave one after the other.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.account import BALANCE, learn_risk, open_account, paper_config, percentiles
from bench.bars import SYMBOLS, TIMEFRAME, BenchMarket, load
from bench.report import line, say
from engine.backtest.rules import Rules
from engine.clock import SystemClock
from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.garbage import set_aside
from engine.risk.view import TradePlan
from engine.strategy.genome import Genome
from engine.trade.accounts import PAPER
from engine.trade.assembly import Assembly
from engine.trade.decider import Decider
from engine.trade.decision import ClosedBar, decimal_of
from engine.trade.exchange import Exchange
from engine.trade.orders import OrderRequest, Purpose
from engine.trade.simulated.exchange import SimulatedExchange
from engine.trade.simulated.launch import stop
from engine.trade.simulated.listing import instrument_like
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.rules import VenueRules
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.trader_spec import TraderSpec
from engine.trade.venues import open_exchange
from engine.types import timeframe_ms

N_STRATEGIES = 20
HISTORY_BARS = 5_000
TARGET_MS = 10.0
_BAR_MS = timeframe_ms(TIMEFRAME)
_ORDERS = {"in_process": 1_500, "rest": 300}
_FEWER = 10
_MODEL_EVERY = 288
_WARM_UP = 20
_CAPITAL = Decimal(1_000)
_SEED = 7


class BarClock:
    """Instants of the bars, carried on by this machine's steady clock."""

    def __init__(self) -> None:
        self._at = 0
        self._since_s = time.monotonic()

    def set(self, at: int) -> None:
        """Stand at an instant now."""
        self._at, self._since_s = at, time.monotonic()

    def now_at(self) -> int:
        """Return the instant, UTC ms."""
        return self._at + int((time.monotonic() - self._since_s) * 1000)

    def monotonic_s(self) -> float:
        """Return this machine's monotonic seconds."""
        return time.monotonic()


@dataclass
class Stopwatch:
    """When bars closed, and when orders left.

    Attributes
    ----------
    decided_ms : of each bar close, all strategies of one symbol
    first_ms : of the first entry or exit of a bar that closed alone, from the close to the
        exchange's door
    alone_ms, together_ms : of each entry and exit, the same
    """

    closed_s: float = 0.0
    decided_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)
    together_ms: list[float] = field(default_factory=list)
    _now: list[float] | None = None
    _is_first: bool = False

    @property
    def n_orders(self) -> int:
        """Return how many orders of the rarer kind were seen."""
        return min(len(self.alone_ms), len(self.together_ms))

    def close_bar(self, *, is_alone: bool) -> None:
        """Begin: a bar has closed, or all of them."""
        self._now = self.alone_ms if is_alone else self.together_ms
        self._is_first = is_alone
        self.closed_s = time.perf_counter()

    def end(self) -> None:
        """Count no orders until the next close."""
        self._now = None

    def send(self) -> None:
        """Note that an order has left."""
        if self._now is None:
            return
        took_ms = (time.perf_counter() - self.closed_s) * 1000
        self._now.append(took_ms)
        if self._is_first:
            self.first_ms.append(took_ms)
            self._is_first = False

    def facts(self) -> dict[str, Any]:
        """Return the percentiles."""
        return {
            "decided": percentiles(self.decided_ms),
            "first": percentiles(self.first_ms),
            "alone": percentiles(self.alone_ms),
            "together": percentiles(self.together_ms),
        }


def run_order_latency(store: Path, *, is_small: bool) -> int:
    """Measure both faces and print one JSON line; 1 when either misses the target."""
    market = load(store, n_bars=HISTORY_BARS + 8_000)
    fewer = _FEWER if is_small else 1
    load_average = os.getloadavg()[0]
    faces = {}
    for name, measure in (("in_process", _in_process), ("rest", _rest)):
        say(f"order latency, {name}")
        faces[name] = asyncio.run(measure(market, _ORDERS[name] // fewer))
    print(
        line(
            "order_latency",
            market=str(market.label),
            strategies=N_STRATEGIES,
            symbols=len(SYMBOLS),
            history_bars=HISTORY_BARS,
            target_p99_ms=TARGET_MS,
            load_average=load_average,
            **faces,
        ),
        flush=True,
    )
    return 0 if all(face["alone"]["p99_ms"] < TARGET_MS for face in faces.values()) else 1


async def _in_process(market: BenchMarket, n_orders: int) -> dict[str, Any]:
    clock, watch = BarClock(), Stopwatch()
    clock.set(int(market.series[SYMBOLS[0]].timestamp[HISTORY_BARS]))
    listed = {s: instrument_like(s, "perp", bars.close) for s, bars in market.series.items()}
    engine = MatchingEngine(listed, VenueRules(), {"USDT": BALANCE})
    exchange = SimulatedExchange(engine, clock, account=PAPER)

    async def show(t: int) -> None:
        for symbol, bars in market.series.items():
            at, bar = int(bars.timestamp[t]), ClosedBar.of(bars, t)
            await exchange.bar_open(symbol, decimal_of(bar.open), at)
            low, high = decimal_of(bar.low), decimal_of(bar.high)
            await exchange.bar_inside(symbol, low, high, at + _BAR_MS // 2)
            await exchange.bar_close(symbol, decimal_of(bar.close), at + _BAR_MS)

    with tempfile.TemporaryDirectory(prefix="paddock-") as folder:
        return await _measured(exchange, clock, watch, market, n_orders, Path(folder), show)


async def _rest(market: BenchMarket, n_orders: int) -> dict[str, Any]:
    clock, watch = BarClock(), Stopwatch()
    clock.set(int(market.series[SYMBOLS[0]].timestamp[HISTORY_BARS]))
    with tempfile.TemporaryDirectory(prefix="paddock-") as folder:
        config = paper_config(Path(folder), latency_ms=0)
        exchange = await open_exchange(PAPER, config, SystemClock())
        # The wire lies behind the port: the client's own last step before it.
        client: Any = exchange._client
        fetch = client.fetch

        async def send(url: str, method: str = "GET", *rest: Any, **named: Any) -> Any:
            if method == "POST" and "type=MARKET" in f"{url} {named.get('body', rest[1:])}":
                watch.send()
            return await fetch(url, method, *rest, **named)

        client.fetch = send

        async def wait(t: int) -> None:
            # The venue has a market and a time of its own.
            return

        try:
            return await _measured(
                exchange, clock, watch, market, n_orders, Path(folder), wait, is_on_wire=True
            )
        finally:
            await exchange.close()
            stop(config.paths.home)


async def _measured(
    exchange: Exchange,
    clock: BarClock,
    watch: Stopwatch,
    market: BenchMarket,
    n_orders: int,
    folder: Path,
    show: Callable[[int], Awaitable[None]],
    *,
    is_on_wire: bool = False,
) -> dict[str, Any]:
    market = await _in_venue_time(market, exchange)
    clock.set(int(market.series[SYMBOLS[0]].timestamp[HISTORY_BARS]))
    assembly = await open_account(exchange, clock, folder)
    if not is_on_wire:
        _time_the_door(exchange, watch)
    genomes = _genomes()
    deciders = {}
    for symbol, bars in market.series.items():
        deciders[symbol] = Decider(TIMEFRAME, bars.slice(0, HISTORY_BARS), genomes)
        _seat(assembly, symbol, genomes)
    # As a trader does once it is ready.
    set_aside()
    for t in range(HISTORY_BARS, market.n_bars):
        await show(t)
        clock.set(int(market.series[SYMBOLS[0]].timestamp[t]) + _BAR_MS)
        assembly.lease.renew()
        if (t - HISTORY_BARS) % _MODEL_EVERY == 0:
            known = {symbol: bars.slice(0, t) for symbol, bars in market.series.items()}
            learn_risk(assembly, known, _BAR_MS, clock.now_at())
        await assembly.desk.ask()
        await assembly.errands.settle()
        is_warm, is_alone = t > HISTORY_BARS + _WARM_UP, t % 2 == 0
        if is_warm and not is_alone:
            watch.close_bar(is_alone=False)
        for symbol, bars in market.series.items():
            if is_warm and is_alone:
                watch.close_bar(is_alone=True)
            bar = ClosedBar.of(bars, t)
            assembly.risk.take_price(symbol, decimal_of(bar.close))
            assembly.risk.observe(assembly.gateway.record)
            began_s = time.perf_counter()
            decisions = deciders[symbol].take(bar)
            if is_warm:
                watch.decided_ms.append((time.perf_counter() - began_s) * 1000)
            await assembly.desk.on_bar(symbol, bar, decisions, _BAR_MS)
            if is_alone:
                await assembly.errands.settle()
        await assembly.errands.settle()
        watch.end()
        if watch.n_orders >= n_orders:
            break
    await assembly.gateway.close()
    return watch.facts()


async def _in_venue_time(market: BenchMarket, exchange: Exchange) -> BenchMarket:
    """Return the bars as if the first that is traded closed now, by the venue's clock."""
    due_at = (await exchange.now_at() // _BAR_MS + 1) * _BAR_MS
    series = {}
    for symbol, bars in market.series.items():
        shift_ms = due_at - int(bars.timestamp[HISTORY_BARS]) - _BAR_MS
        series[symbol] = replace(bars, timestamp=bars.timestamp + shift_ms)
    return BenchMarket(market.label, series)


def _time_the_door(exchange: Any, watch: Stopwatch) -> None:
    submit = exchange.submit

    async def timed(request: OrderRequest) -> Any:
        if request.purpose in (Purpose.ENTRY, Purpose.EXIT):
            watch.send()
        return await submit(request)

    exchange.submit = timed


def _genomes() -> dict[str, Genome]:
    """Return strategies that trade often; long only, so that one position a symbol holds them."""
    universe = Universe(TIMEFRAME, "spot", ("15m", "1h"))
    drawn = (draw_genome(Draws.keyed(_SEED, i), universe) for i in range(N_STRATEGIES))
    return {genome.id: genome for genome in drawn}


def _seat(assembly: Assembly, symbol: str, genomes: dict[str, Genome]) -> None:
    gateway = assembly.gateway
    for name, genome in genomes.items():
        rules = Rules.of(genome)
        spec = TraderSpec(
            account=PAPER,
            strategy_id=name,
            symbol=symbol,
            bar_ms=_BAR_MS,
            rules=rules,
            capital_quote=_CAPITAL,
            commission_frac=0.001,
            instrument=gateway.instruments[symbol],
            capabilities=gateway.exchange.capabilities,
        )
        assembly.desk.seat(StrategyTrader(spec))
        assembly.risk.plans[name] = TradePlan(rules.stop_frac, rules.target_frac)
