"""Trade through the REST face of an exchange that loses, delays, doubles and refuses messages.

`python -m tests.chaos.rest_runs --runs 50` runs the trader, its monitors and the real exchange
adapter against seeded fault plans, in real time, with deaths of the trader and restarts of the
exchange, and prints a JSON line a plan. Exit 1 when any broke a law.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from engine.risk.latch import TradingState
from engine.trade.accounts import account_latch
from engine.trade.simulated.faults import FaultKind, FaultPlan
from tests.actors.trading_house import TradingHouse
from tests.busy_strategies import busy_genome
from tests.chaos.account_laws import broken_laws, unconserved
from tests.chaos.fault_wire import Switch
from tests.chaos.harness import told
from tests.chaos.rest_market import BALANCE_QUOTE, SYMBOLS, RestMarket

TRADER = "trader-paper"
SPEED = 600.0
TRADE_S = 20.0
QUIET_S = 20.0
FLAT_S = 40.0
MOST_FILLS = 100_000


class RestRun:
    """One seeded plan."""

    def __init__(self, seed: int, folder: Path, trade_s: float = TRADE_S) -> None:
        self.seed = seed
        self.draw = random.Random(seed)
        self._trade_s = trade_s
        is_perp = self.draw.random() < 0.5
        plan = FaultPlan(
            seed=seed,
            chance=self.draw.choice((0.01, 0.03, 0.06, 0.1)),
            kinds=frozenset(FaultKind),
            delay_max_ms=4_000,
            slot_ms=10_000,
            window_chance=self.draw.choice((0.0, 0.2)),
            outage_max_ms=3_000,
            skew_max_ms=8_000,
        )
        self.market = RestMarket(
            folder / "exchange",
            Switch(plan),
            "perp" if is_perp else "spot",
            SPEED,
            seed,
            # Drawn apart, so that it changes nothing else of a plan.
            pushes=random.Random(f"{seed} pushes").random() < 0.5,
        )
        self.house = TradingHouse(
            folder / "home",
            market=self.market,
            orders={"timeout_s": 3.0, "rate_per_minute": 10_000},
        )
        self.report: dict[str, Any] = {
            "seed": seed,
            "type": self.market.market_type,
            "chance": plan.chance,
            "way": "told" if self.market.pushes else "asked",
            "deaths": 0,
            "restarts": 0,
        }

    async def run(self) -> dict[str, Any]:
        """Live through the plan and return what was broken."""
        self.house.config.paths.home.mkdir(parents=True)
        await self.house.open(TRADER, "order_monitor", "position_monitor")
        try:
            await self._trade()
            self.market.switch.is_on = False
            await asyncio.sleep(1.0)
            self.report["broken"] = await self._broken(
                "when faults were over", QUIET_S, is_quiet=False
            )
            self.report["broken"] += await self._flattened()
            self.report["broken"] += [f"{type(e).__name__}: {e}" for e in self.house.failures]
            self.report["broken"] += [f"exchange: {e.message}" for e in self.market.fatal]
        finally:
            await self.house.close()
        self.report["met"] = dict(self.market.switch.met)
        return self.report

    async def _trade(self) -> None:
        sides = (1, -1) if self.market.market_type == "perp" else (1,)
        genomes = [
            busy_genome(i, side=self.draw.choice(sides), max_bars=self.draw.choice((1, 2, 5)))
            for i in range(4)
        ]
        await self.house.promoted(*genomes)
        ends_s = time.monotonic() + self._trade_s
        deaths = sorted(
            self.draw.uniform(3.0, self._trade_s) for _ in range(self.draw.choice((0, 1, 2)))
        )
        restarts = [self.draw.uniform(3.0, self._trade_s)] if self.draw.random() < 0.3 else []
        began_s = time.monotonic()
        while time.monotonic() < ends_s:
            passed_s = time.monotonic() - began_s
            if deaths and passed_s > deaths[0]:
                deaths.pop(0)
                self.report["deaths"] += 1
                await self.house.kill(TRADER)
                await self.house.start(TRADER)
            if restarts and passed_s > restarts[0]:
                restarts.pop(0)
                self.report["restarts"] += 1
                await self.market.stop()
                await asyncio.sleep(0.5)
                await self.market.open()
            await asyncio.sleep(0.05)

    async def _broken(self, when: str, within_s: float, *, is_quiet: bool) -> list[str]:
        """Return the laws that do not hold, once they all do or time is up."""
        limit_s = time.monotonic() + within_s
        while True:
            found = self._look(is_quiet=is_quiet)
            if not found or time.monotonic() > limit_s:
                return [f"{when}: {words}" for words in found]
            await asyncio.sleep(0.1)

    def _look(self, *, is_quiet: bool) -> list[str]:
        assembly = self.house.trader._assembly
        if assembly is None or self.house.trader._ready_s is None:
            return [f"the trader is not ready: {self.house.trader._words}"]
        venue, book = self.market.venue, assembly.gateway.book
        venue.catch_up()
        self.report["orders"], self.report["fills"] = len(book.orders), 0
        fills = [
            fill for symbol in SYMBOLS for _, fill in venue.store.newest_fills(symbol, MOST_FILLS)
        ]
        self.report["fills"] = len(fills)
        reasons = Counter(
            o.reason[:60] for o in book.orders.values() if o.state.value == "rejected"
        )
        self.report["refused"] = dict(reasons.most_common(3))
        report = assembly.gateway.report
        found = broken_laws(
            book,
            venue.engine.open_orders(),
            fills,
            venue.engine.view(venue.now_at()),
            self.house.config.paths.home / "accounts" / "paper",
            is_perp=self.market.market_type == "perp",
            is_quiet=is_quiet,
        )
        found += unconserved(book, fills, BALANCE_QUOTE)
        if report is None or not report.is_clean:
            found.append("nothing was reconciled" if report is None else report.words)
        return found

    async def _flattened(self) -> list[str]:
        assembly = self.house.trader._assembly
        if assembly is None:
            return ["there is no account to flatten"]
        latch = account_latch(self.house.config.paths.home, "paper")
        latch.halt("test", "the end", 0)
        limit_s = time.monotonic() + FLAT_S
        while time.monotonic() < limit_s:
            assembly.runner.flatten("the end")
            dust = {
                (seen.holding.strategy_id, seen.holding.symbol)
                for seen in assembly.post.positions().positions
                if seen.is_dust
            }
            held = {(p.strategy_id, p.symbol) for p in assembly.gateway.book.open_positions()}
            noticed = assembly.gateway.book.latch
            is_halted = noticed is not None and noticed.state is TradingState.HALTED
            if is_halted and not held - dust and not self.market.venue.engine.open_orders():
                break
            await asyncio.sleep(0.2)
        else:
            return ["when it should be flat and halted: it is not"]
        return await self._broken("when it was flat", QUIET_S, is_quiet=True)


def run_plan(seed: int, trade_s: float = TRADE_S) -> dict[str, Any]:
    """Live through one plan in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="rest-"))
    try:
        return asyncio.run(RestRun(seed, folder, trade_s).run())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--first", type=int, default=1, help="seed of the first plan")
    arguments = parser.parse_args()
    n_broken, n_orders, n_fills = 0, 0, 0
    lived: Counter[str] = Counter()
    met: Counter[str] = Counter()
    began_s = time.monotonic()
    for seed in range(arguments.first, arguments.first + arguments.runs):
        report = run_plan(seed)
        n_broken += bool(report["broken"])
        n_orders += report.get("orders", 0)
        n_fills += report.get("fills", 0)
        lived.update((f"{report['type']} {report['way']}",))
        lived.update({name: report[name] for name in ("deaths", "restarts")})
        met.update(report["met"])
        print(told(report), flush=True)
    found = {"runs": arguments.runs, "broken": n_broken, "orders": n_orders, "fills": n_fills}
    found["seconds"] = round(time.monotonic() - began_s, 1)
    print(told({**found, "lived": lived, "met": met}), flush=True)
    return 1 if n_broken else 0


if __name__ == "__main__":
    sys.exit(main())
