"""Kill everything but the exchange, and let `paddock flatten` alone bring the account flat.

`python -m tests.chaos.all_dead --runs 3` fills an account with five positions, their stops and
fifteen entries, lets a whole runtime and a console take it over, and ends every process of both
with SIGKILL. Then, with commands alone: flatten, start again with strategies that enter at every
close, watch that nothing is entered while the account is halted, arm it with the wrong name and
with the right one, and see it trade. It prints a JSON line a run. Exit 1 when a law was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from engine.clock import SystemClock
from engine.config import load_config
from engine.risk.latch import TradingState
from engine.store.accounts import accounts
from engine.store.database import Store, sqlite_url
from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Direction,
    Exits,
    Genome,
    StrategyType,
)
from engine.trade.account_book import AccountBook
from engine.trade.accounts import account_folder, account_latch
from engine.trade.exchange import Exchange
from engine.trade.instrument import why_too_small
from engine.trade.journal import JOURNAL_FILE
from engine.trade.journal_file import lines_from
from engine.trade.simulated import launch
from engine.trade.venues import open_exchange
from tests.busy_strategies import busy_genome, store_strategies
from tests.chaos.harness import PROJECT, Home, told
from tests.chaos.trade_kills import patiently
from tests.console.real_terminal import Terminal
from tests.safety.doomed_trader import N_ENTRIES
from tests.venues.live_account import D

SYMBOLS = ("BTC/USDT", "ETH/USDT", "BNB/USDT", "SOL/USDT", "XRP/USDT")
SPEED = 20.0
LONG_LIVES = """
[limits]
correlation_max = 1.0
value_at_risk_frac = 1.0
[orders]
entry_timeout_s = 3000.0
linger_s = 3000.0
entry_move_frac = 0.9
"""
TAKEN_OVER_S = 120.0
HALTED_BARS = 3
BAR_S = 300.0 / SPEED
LOOK_S = 0.2
TRADES_S = 60.0 + 4 * BAR_S


class Dying:
    """One home whose runtime and console die at once."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder, trading=True, symbols=SYMBOLS, speed=SPEED, more=LONG_LIVES)
        self.clock = SystemClock()
        self.broken: list[str] = []
        self.facts: dict[str, Any] = {}

    async def run(self) -> dict[str, Any]:
        """Go through all of it and return what was seen, `broken` last."""
        holders = await self._promote([_holding_genome(i) for i in range(len(SYMBOLS))])
        await asyncio.to_thread(self._fill, holders)
        await asyncio.to_thread(self.home.up)
        console = Terminal(["-m", "console.cli", "--config", str(self.home.config)])
        console.until(b"Overview")
        await self._clean()
        before = await self._at_exchange()
        self._expect(before == (len(SYMBOLS) + N_ENTRIES, len(SYMBOLS)), f"{before} before")
        self._kill(console)
        await self._flatten()
        await self._start_again()
        await self._arm_again()
        await asyncio.to_thread(self.home.down)
        return {**self.facts, "broken": self.broken}

    async def _promote(self, genomes: list[Genome]) -> list[str]:
        store = await Store.open(sqlite_url(self.home.home))
        found = await store_strategies(store, genomes, list(SYMBOLS), self.clock.now_at())
        await store.close()
        return found

    def _fill(self, holders: list[str]) -> None:
        """Let a trader of its own fill the account, and kill that."""
        trader = subprocess.Popen(
            [sys.executable, "-m", "tests.safety.doomed_trader", str(self.home.config), *holders],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert trader.stdout is not None
        said = trader.stdout.readline()
        os.killpg(trader.pid, signal.SIGKILL)
        trader.communicate()
        if said != "READY\n":
            raise RuntimeError("the account was not filled")

    def _kill(self, console: Terminal) -> None:
        """End the runtime, its Ray and the console with SIGKILL; the exchange goes on."""
        n_killed = len(self.home.living())
        self.home.kill_all()
        os.killpg(console.process.pid, signal.SIGKILL)
        console.process.wait()
        self.facts["killed"] = n_killed + 1
        self._expect(not self.home.living(), f"still runs: {self.home.living()}")
        self._expect(launch.running(self.home.home) is not None, "the exchange died as well")

    async def _flatten(self) -> None:
        held = await self._at_exchange()
        self._expect(held == (len(SYMBOLS) + N_ENTRIES, len(SYMBOLS)), f"{held} after the kill")
        began_s = time.monotonic()
        code, steps = await self._paddock("flatten", "--yes", "--json")
        self.facts["flat_s"] = round(time.monotonic() - began_s, 2)
        self._expect(code == 0, f"flatten: {steps}")
        last = json.loads(steps.splitlines()[-1])
        self.facts["flat_ms"] = round(last["spent_ms"])
        self._expect(last["state"] == "ok", f"flatten: {steps}")
        held = await self._at_exchange()
        self._expect(held == (0, 0), f"{held} after flatten")
        state = account_latch(self.home.home, "paper").read().state
        self._expect(state is TradingState.HALTED, f"{state} after flatten")

    async def _start_again(self) -> None:
        """Start with strategies that enter at every close; halted, they may not."""
        await self._promote([busy_genome(i) for i in range(len(SYMBOLS))])
        n_before = self._n_entries()
        await asyncio.to_thread(self.home.up)
        await self._clean()
        await asyncio.sleep(HALTED_BARS * BAR_S)
        held = await self._at_exchange()
        self._expect(held == (0, 0), f"{held} while halted")
        n_sent = self._n_entries() - n_before
        self._expect(n_sent == 0, f"{n_sent} entries left while halted")

    async def _arm_again(self) -> None:
        wrong: tuple[tuple[str, ...], ...] = ((), ("--confirm", "papre"))
        for name in wrong:
            code, said = await self._paddock(
                "rearm", "--account", "paper", "--reason", "all was looked at", *name
            )
            state = account_latch(self.home.home, "paper").read().state
            is_refused = code != 0 and state is TradingState.HALTED
            self._expect(is_refused, f"armed with {name}: {said}")
        code, said = await self._paddock(
            "rearm", "--account", "paper", "--reason", "all was looked at", "--confirm", "paper"
        )
        self.facts["checks"] = said.count("✓")
        state = account_latch(self.home.home, "paper").read().state
        self._expect(code == 0 and state is TradingState.ACTIVE, f"not armed: {said}")
        n_before, began_s = self._n_entries(), time.monotonic()
        for _ in range(int(TRADES_S / LOOK_S)):
            await asyncio.sleep(LOOK_S)
            if self._n_entries() > n_before:
                break
        self.facts["entry_s"] = round(time.monotonic() - began_s, 1)
        self._expect(self._n_entries() > n_before, "it does not trade once it is armed")

    async def _clean(self) -> None:
        """Wait until the runtime has taken the account over and agrees with the exchange."""
        began_at, limit_s = self.clock.now_at(), time.monotonic() + TAKEN_OVER_S
        while time.monotonic() < limit_s:
            store = await Store.open(sqlite_url(self.home.home), read_only=True, create=False)
            rows = await accounts(store)
            await store.close()
            if rows and rows[0].updated_at > began_at and rows[0].reconcile_state == "clean":
                return
            await asyncio.sleep(0.2)
        self._expect(False, "the account was not taken over")

    async def _at_exchange(self) -> tuple[int, int]:
        """Return how many orders rest and how many positions are held at the exchange."""
        async with self._exchange() as exchange:
            # The runtime may have used up what the exchange answers in a minute.
            listed = await patiently(exchange.instruments)
            view = await patiently(exchange.account_view)
            resting = await patiently(exchange.open_orders)
            held = [
                symbol
                for symbol, position in view.positions.items()
                if not why_too_small(abs(position.signed_base), D(1_000_000), listed[symbol])
            ]
            return len(resting), len(held)

    @contextlib.asynccontextmanager
    async def _exchange(self) -> AsyncIterator[Exchange]:
        config = load_config(self.home.config)
        exchange = await open_exchange("paper", config, self.clock, for_kill=True)
        try:
            yield exchange
        finally:
            await exchange.close()

    def _n_entries(self) -> int:
        """Return how many orders that add exposure have reached the exchange."""
        book = AccountBook("paper", "USDT")
        for line, _ in lines_from(account_folder(self.home.home, "paper") / JOURNAL_FILE):
            book.apply(line.record, line.at)
        return sum(o.request.adds_exposure and bool(o.venue_id) for o in book.orders.values())

    async def _paddock(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "console.cli", "--config", str(self.home.config)),
            *arguments,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 120)
        return process.returncode or 0, out.decode()

    def _expect(self, holds: bool, words: str) -> None:
        if not holds:
            self.broken.append(words)


def _holding_genome(number: int) -> Genome:
    """Return a strategy that enters nothing and leaves nothing, but for a stop far away."""
    never = Condition(
        left=BarOperand(field="volume"), op="<", right=ConstantOperand(value=-1.0 - number)
    )
    return Genome(
        type=StrategyType.MOMENTUM,
        timeframe="5m",
        direction=Direction.LONG,
        long_entry=(never,),
        short_entry=(),
        exits=Exits(stop_frac=0.5),
    )


async def run_once(folder: Path) -> dict[str, Any]:
    """Run once in an empty folder and leave nothing behind."""
    dying = Dying(folder)
    try:
        return await dying.run()
    finally:
        dying.home.discard()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    n_broken = 0
    for _ in range(parser.parse_args().runs):
        folder = Path(tempfile.mkdtemp(prefix="ad-"))
        try:
            found = asyncio.run(run_once(folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        n_broken += bool(found["broken"])
        print(told(found), flush=True)
    return 1 if n_broken else 0


if __name__ == "__main__":
    sys.exit(main())
