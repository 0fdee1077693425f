"""Trade through a venue that loses, delays, doubles and refuses messages, and hold every law.

`python -m tests.chaos.fault_runs --runs 1000` replays bars and ticks against seeded fault plans in
this process, on a clock of its own, with deaths of the gateway at random moments, and prints a JSON
line for each plan that broke a law. Exit 1 when any did.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from engine.backtest.rules import Rules
from engine.errors import PaddockError
from engine.market.store import MarketStore
from engine.risk.latch import Latch
from engine.trade.assembly import Assembly, Terms, assemble
from engine.trade.decision import ClosedBar, Decision, decimal_of
from engine.trade.instrument import Instrument, round_price, round_qty
from engine.trade.journal import Journal
from engine.trade.orders import OrderRequest, OrderType, Purpose, Side, client_id_of
from engine.trade.simulated.exchange import SimulatedExchange
from engine.trade.simulated.faults import FaultPlan
from engine.trade.simulated.matching import MatchingEngine
from engine.trade.simulated.rules import VenueRules
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.trader_spec import TraderSpec
from engine.trading_settings import Limits, Orders
from engine.types import SeriesKey
from tests.chaos.account_laws import broken_laws, overprotected, unconserved, unprotected
from tests.chaos.fault_wire import Switch, Wire
from tests.chaos.harness import told
from tests.chaos.quick_timeline import QuickTimeline

D = Decimal
BEGAN_AT = 1_700_000_000_000 // 60_000 * 60_000
BAR_MS = 60_000
BALANCE_QUOTE = D(100_000)
STRATEGIES = ("s1", "s2", "s3")
QUIET_S = 100.0
FLAT_S = 120.0


@dataclass(frozen=True, slots=True)
class Step:
    """A price at an instant (ms after the beginning)."""

    after_ms: int
    symbol: str
    price: Decimal


@dataclass
class Outcome:
    """What a plan came to."""

    seed: int
    broken: list[str]
    n_orders: int = 0
    n_fills: int = 0
    n_deaths: int = 0
    n_unknown: int = 0
    n_refused: int = 0
    lived: str = ""
    met: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    words: list[str] = field(default_factory=list)


class FaultRun:
    """One seeded plan: a market, a venue with faults, and an account that lives through both."""

    def __init__(self, seed: int, folder: Path, market: Path | None = None) -> None:
        self.seed = seed
        self.draw = random.Random(seed)
        self.folder = folder
        self.timeline = QuickTimeline(BEGAN_AT)
        self.is_perp = self.draw.random() < 0.5
        feed, steps = _steps(self.draw, market)
        self.steps = list(steps)
        self.instruments = _instruments(self.steps, "perp" if self.is_perp else "spot")
        self.switch = Switch(_plan(self.draw, seed))
        engine = MatchingEngine(
            self.instruments, _rules(self.draw, self.is_perp), {"USDT": BALANCE_QUOTE}, seed
        )
        self.exchange = SimulatedExchange(
            engine,
            self.timeline,
            faults=self.switch,
            latency_ms=self.draw.choice((5, 20, 80)),
            sleep=self.timeline.sleep,
        )
        self.latch = Latch(folder / "halt", "paper", "here")
        self.latch.arm("test", "begin", BEGAN_AT)
        # Drawn apart, so that it changes nothing else of a plan.
        self.pushes = random.Random(f"{seed} pushes").random() < 0.5
        kind, way = "perp" if self.is_perp else "spot", "told" if self.pushes else "asked"
        self.outcome = Outcome(seed, [], lived=f"{kind} {feed} {way}")
        self.bars: dict[str, list[ClosedBar]] = {symbol: [] for symbol in self.instruments}
        self.life: Assembly | None = None
        self.is_seated = False
        self._looping: list[asyncio.Task[None]] = []
        self._errors: list[BaseException] = []

    async def run(self) -> Outcome:
        """Live through the plan and return what was broken."""
        began_s = time.monotonic()
        await self._show(self.steps[: len(self.instruments)])
        await self.begin()
        deaths = sorted(
            self.draw.sample(range(10, len(self.steps)), self.draw.choice((0, 1, 2, 3)))
        )
        due: dict[str, list[Decimal]] = {symbol: [] for symbol in self.instruments}
        for i, step in enumerate(self.steps):
            await self.timeline.run_to(BEGAN_AT + step.after_ms)
            await self._show([step])
            due[step.symbol].append(step.price)
            await self._close_bar(step, due)
            if i in deaths:
                await self.die()
                await self.timeline.run_for(self.draw.choice((0.0, 0.3, 5.0, 40.0)))
                await self.begin()
                self.outcome.n_deaths += 1
            if self.draw.random() < 0.05:
                self._wish_at_random()
        self.switch.is_on = False
        await self.timeline.run_for(QUIET_S)
        await self._check("when it was quiet", is_protected=True)
        await self._flatten()
        await self._check("when it was flat", is_protected=False)
        await self.die()
        self.outcome.seconds = round(time.monotonic() - began_s, 2)
        return self.outcome

    # Lives

    async def begin(self) -> None:
        """Begin a life: the same way at the first start and after a death."""
        journal = Journal.open(self.folder / "paper", "paper", now_at=self.timeline.now_at())
        self.life = assemble(
            Wire(self.exchange, self.switch, self.timeline.now_at if self.pushes else None),
            journal,
            self.latch,
            Terms(Orders(rate_per_minute=10_000), Limits(), 0.02, 60.0, "USDT"),
            clock=self.timeline,
            wall=self.timeline,
            sleep=self.timeline.sleep,
            tell=self._hear,
            on_failure=self._failed,
        )
        # The officer would refuse most of what is wanted here: it has its own tests.
        self.life.gateway.judge = None
        self.is_seated = False
        self._looping = [asyncio.create_task(self._lead(self.life, journal))]

    async def die(self) -> None:
        """End a life as kill -9 does: at once, what was sent stays sent."""
        if self.life is None:
            return
        life, self.life = self.life, None
        for task in self._looping:
            task.cancel()
        await asyncio.gather(*self._looping, return_exceptions=True)
        await life.errands.stop()
        sending = list(life.gateway._sending.values())
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        life.gateway.journal.close()

    async def _lead(self, life: Assembly, journal: Journal) -> None:
        while True:
            try:
                await life.gateway.start()
                break
            except PaddockError as exc:
                self._hear("start", "", exc.message)
                await self.timeline.sleep(1.0)
        self._seat(life)
        loops = [asyncio.ensure_future(loop()) for loop in life.runner.loops()]
        loops.append(asyncio.ensure_future(self._vouch(life)))
        try:
            await asyncio.gather(*loops)
        except PaddockError as exc:
            self._errors.append(exc)
            raise
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _vouch(self, life: Assembly) -> None:
        while True:
            life.runner.vouch()
            await self.timeline.sleep(3.0)

    def _seat(self, life: Assembly) -> None:
        book = life.gateway.book
        for symbol in self.instruments:
            for name in STRATEGIES:
                spec = self._spec(name, symbol, life)
                orders = [
                    order
                    for order in book.orders.values()
                    if (order.request.strategy_id, order.request.symbol) == (name, symbol)
                ]
                fills = life.gateway.fills_of(name, symbol)
                life.desk.seat(
                    StrategyTrader.restored(spec, orders, fills, self.bars[symbol], None)
                )
        life.post.is_staffed = True
        self.is_seated = True

    def _spec(self, name: str, symbol: str, life: Assembly) -> TraderSpec:
        draw = random.Random(f"{self.seed} {name} {symbol}")
        return TraderSpec(
            account="paper",
            strategy_id=name,
            symbol=symbol,
            bar_ms=BAR_MS,
            rules=Rules(
                stop_frac=draw.choice((0.002, 0.005, 0.02)),
                target_frac=draw.choice((None, 0.003, 0.01)),
                trailing_frac=draw.choice((None, None, 0.003)),
                max_bars=draw.choice((None, 2, 5)),
            ),
            capital_quote=D(draw.choice((200, 2_000, 5_000))),
            commission_frac=0.001,
            instrument=self.instruments[symbol],
            capabilities=life.gateway.exchange.capabilities,
        )

    # Prices, bars and wishes

    async def _show(self, steps: Sequence[Step]) -> None:
        for step in steps:
            at = BEGAN_AT + step.after_ms
            await self.exchange.trade(step.symbol, step.price, at)

    async def _close_bar(self, step: Step, due: dict[str, list[Decimal]]) -> None:
        if (step.after_ms + 1) % BAR_MS:
            return
        prices, due[step.symbol] = due[step.symbol], []
        bar = ClosedBar(
            BEGAN_AT + (step.after_ms + 1) - BAR_MS,
            float(prices[0]),
            float(max(prices)),
            float(min(prices)),
            float(prices[-1]),
        )
        self.bars[step.symbol].append(bar)
        decisions = {name: self._decision(bar.at) for name in STRATEGIES}
        if self.life is not None and self.is_seated:
            self.life.risk.take_price(step.symbol, step.price)
            await self.life.desk.on_bar(step.symbol, bar, decisions, BAR_MS)

    def _decision(self, bar_at: int) -> Decision:
        side = self.draw.choice((0, 0, 1, 1, -1))
        return Decision(bar_at, side, self.draw.random() < 0.2, self.draw.random() < 0.2)

    def _wish_at_random(self) -> None:
        """Send a limit order that no strategy asked for, or cancel one that does not expect it."""
        life = self.life
        if life is None or not self.is_seated:
            return
        active = life.gateway.book.active_orders()
        if active and self.draw.random() < 0.5:
            life.errands.begin(life.gateway.cancel(self.draw.choice(active).client_id, "on a whim"))
            return
        symbol = self.draw.choice(sorted(self.instruments))
        instrument = self.instruments[symbol]
        price = self.exchange.engine.markets[symbol].price
        side = Side.BUY if not self.is_perp else self.draw.choice(list(Side))
        limit = round_price(
            price * D(self.draw.choice(("0.997", "1", "1.003"))), instrument, "down"
        )
        qty = round_qty(D(500) / price, instrument)
        now_at = self.timeline.now_at()
        request = OrderRequest(
            client_id_of("paper", "limits", symbol, now_at, Purpose.ENTRY, 0),
            "paper", "limits", symbol, side, OrderType.LIMIT, Purpose.ENTRY, qty, False, now_at,
            now_at, price, price=limit,
        )  # fmt: skip
        life.errands.begin(life.gateway.submit(request))

    # The end

    async def _flatten(self) -> None:
        if self.life is None:
            return
        self.latch.halt("test", "the end", self.timeline.now_at())
        end_at = self.timeline.now_at() + round(FLAT_S * 1000)
        while self.timeline.now_at() < end_at:
            self.life.runner.flatten("the end")
            await self.timeline.run_for(1.0)

    async def _check(self, when: str, *, is_protected: bool) -> None:
        life = self.life
        if life is None:
            self.outcome.broken.append(f"{when}: nobody lives")
            return
        engine, book = self.exchange.engine, life.gateway.book
        fills = [fill for symbol in self.instruments for fill in engine.fills(symbol)]
        broken = broken_laws(
            book,
            engine.open_orders(),
            fills,
            engine.view(self.timeline.now_at()),
            self.folder / "paper",
            is_perp=self.is_perp,
        )
        broken += unconserved(book, fills, BALANCE_QUOTE) + overprotected(book)
        dust = {
            (seen.holding.strategy_id, seen.holding.symbol)
            for seen in life.post.positions().positions
            if seen.is_dust
        }
        if is_protected:
            broken += unprotected(book, dust)
        else:
            held = {(p.strategy_id, p.symbol) for p in book.open_positions()} - dust
            broken += [f"{key} is still held" for key in sorted(held)]
            broken += [f"order {order.client_id} rests" for order in engine.open_orders()]
        report = life.gateway.report
        if report is None or not report.is_clean:
            broken.append("nothing was reconciled" if report is None else report.words)
        broken += [f"{type(error).__name__}: {error}" for error in self._errors]
        self.outcome.broken += [f"{when}: {words}" for words in broken]
        self.outcome.n_orders = len(book.orders)
        self.outcome.n_fills = len(fills)
        self.outcome.met = dict(self.switch.met)
        lines = [line.record for line in life.gateway.journal.read()]
        states = [r.state.value for r in lines if r.kind == "order"]  # type: ignore[union-attr]
        self.outcome.n_unknown = states.count("unknown")
        self.outcome.n_refused = states.count("rejected")

    def _hear(self, kind: str, subject: str, words: str) -> None:
        self.outcome.words.append(f"{self.timeline.now_at() - BEGAN_AT} {kind} {subject}: {words}")

    async def _failed(self, error: BaseException) -> None:
        self._errors.append(error)


# Plans and prices


def _plan(draw: random.Random, seed: int) -> FaultPlan:
    return FaultPlan(
        seed=seed,
        chance=draw.choice((0.0, 0.02, 0.05, 0.1, 0.2)),
        slot_ms=120_000,
        window_chance=draw.choice((0.0, 0.1, 0.3)),
        outage_max_ms=20_000,
    )


def _rules(draw: random.Random, is_perp: bool) -> VenueRules:
    return VenueRules(
        commission_in="quote" if is_perp else draw.choice(("quote", "received")),
        partial_fill_chance=draw.choice((0.0, 0.5)),
        stops_lock=not is_perp and draw.random() < 0.5,
        refuses_immediate_triggers=draw.random() < 0.5,
    )


def _steps(draw: random.Random, market: Path | None) -> tuple[str, Iterator[Step]]:
    """Return prices for some ten minutes, and what they are: walked bars, or ticks."""
    if market is None:
        spread = draw.choice((0.0005, 0.002))
        is_ticks = draw.random() < 0.5
        return "ticks" if is_ticks else "bars", _drawn_steps(draw, spread, is_ticks=is_ticks)
    if draw.random() < 0.5:
        return "bars", _stored_bars(draw, market)
    return "ticks", _stored_ticks(draw, market)


def _drawn_steps(draw: random.Random, spread: float, *, is_ticks: bool) -> Iterator[Step]:
    prices = {"BTC/USDT": 50_000.0, "ETH/USDT": 2_000.0}
    yield from (Step(0, symbol, _price(symbol, price)) for symbol, price in prices.items())
    for bar in range(10):
        times = (
            sorted({draw.randrange(1, BAR_MS - 1) for _ in range(12)})
            if is_ticks
            else [15_000, 30_000, 45_000]
        )
        for after_ms in [*times, BAR_MS - 1]:
            for symbol in prices:
                prices[symbol] *= 1.0 + draw.gauss(0.0, spread)
                yield Step(bar * BAR_MS + after_ms, symbol, _price(symbol, prices[symbol]))


def _stored_bars(draw: random.Random, market: Path) -> Iterator[Step]:
    """Yield real five-minute bars walked in one minute each."""
    store = MarketStore(market / "spot-5m")
    symbols = ("BTC/USDT", "ETH/USDT")
    series = {symbol: store.read(SeriesKey("binance", symbol, "5m")) for symbol in symbols}
    start = draw.randrange(min(len(bars) for bars in series.values()) - 11)
    for symbol, bars in series.items():
        yield Step(0, symbol, _price(symbol, float(bars.open[start])))
    for i in range(10):
        for part, after_ms in enumerate((15_000, 30_000, 45_000, BAR_MS - 1)):
            for symbol, bars in series.items():
                columns = (bars.open, bars.low, bars.high, bars.close)
                price = float(columns[part][start + i])
                yield Step(i * BAR_MS + after_ms, symbol, _price(symbol, price))


def _stored_ticks(draw: random.Random, market: Path) -> Iterator[Step]:
    """Yield ten minutes of real trades, at most two a second, and the close of each minute."""
    table = pq.read_table(next((market / "ticks").glob("*-trades.parquet")))
    price = np.asarray(table.column("price"), dtype=np.float64)
    at_ms = np.asarray(table.column("exch_ms"), dtype=np.int64)
    begin = int(at_ms[0]) + draw.randrange(max(1, int(at_ms[-1] - at_ms[0]) - 10 * BAR_MS))
    first = int(np.searchsorted(at_ms, begin))
    yield Step(0, "BTC/USDT", _price("BTC/USDT", float(price[first])))
    last_ms, i = 0, first
    for bar in range(10):
        end_ms = (bar + 1) * BAR_MS - 1
        while i < len(at_ms) and at_ms[i] - begin < end_ms:
            after_ms = int(at_ms[i] - begin)
            if after_ms > last_ms + 500:
                last_ms = after_ms
                yield Step(after_ms, "BTC/USDT", _price("BTC/USDT", float(price[i])))
            i += 1
        yield Step(end_ms, "BTC/USDT", _price("BTC/USDT", float(price[min(i, len(price)) - 1])))


def _price(symbol: str, price: float) -> Decimal:
    return decimal_of(round(price, 2))


def _instruments(steps: Sequence[Step], market_type: Any) -> dict[str, Instrument]:
    symbols = sorted({step.symbol for step in steps})
    lots = {"BTC/USDT": D("0.00001"), "ETH/USDT": D("0.0001")}
    return {
        symbol: Instrument(symbol, market_type, D("0.01"), lots[symbol], lots[symbol], D(5))
        for symbol in symbols
    }


def run_plan(seed: int, market: Path | None = None) -> Outcome:
    """Live through one plan in a folder of its own."""
    # A disk in memory: thousands of syncs are not what is tried here.
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=memory if memory.is_dir() else None))
    try:
        return asyncio.run(FaultRun(seed, folder, market).run())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1, help="seed of the first plan")
    parser.add_argument("--market", type=Path, default=None, help="folder of real bars and ticks")
    parser.add_argument("--words", action="store_true", help="print what was told, too")
    arguments = parser.parse_args()
    n_broken, totals = 0, dict.fromkeys(("n_orders", "n_fills", "n_deaths", "n_unknown"), 0)
    lived: Counter[str] = Counter()
    met: Counter[str] = Counter()
    began_s = time.monotonic()
    for seed in range(arguments.first, arguments.first + arguments.runs):
        outcome = run_plan(seed, arguments.market)
        n_broken += bool(outcome.broken)
        for name in totals:
            totals[name] += getattr(outcome, name)
        lived[outcome.lived] += 1
        met.update(outcome.met)
        if outcome.broken or arguments.words:
            shown = outcome if arguments.words else replace(outcome, words=[])
            with contextlib.suppress(BrokenPipeError):
                print(told(vars(shown)), flush=True)
    seconds = round(time.monotonic() - began_s, 1)
    found = {"runs": arguments.runs, "broken": n_broken, "seconds": seconds, **totals}
    print(told({**found, "lived": lived, "met": met}), flush=True)
    return 1 if n_broken else 0


if __name__ == "__main__":
    sys.exit(main())
