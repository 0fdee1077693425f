"""Kill what trades, at random moments with open orders, and hold every law afterwards.

`python -m tests.chaos.trade_kills --kills 200` keeps one runtime trading on a fast simulated
exchange, ends the trader, a monitor or the whole runtime with SIGKILL, waits until the account
trades again, and compares its journal with the exchange's own file: fills, what is held after them,
and where every order stands. It prints a JSON line a kill: what was open at that instant, and the
time to trading again. Exit 1 when a law was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from actors.owned_processes import owned
from engine.clock import SystemClock
from engine.config import load_config
from engine.errors import PaddockError
from engine.store.accounts import AccountRow, accounts
from engine.store.database import Store, sqlite_url
from engine.store.heartbeats import heartbeats
from engine.trade.account_book import AccountBook
from engine.trade.accounts import account_folder, account_latch
from engine.trade.journal import JOURNAL_FILE
from engine.trade.venues import open_exchange
from tests.busy_strategies import busy_genome, store_strategies
from tests.chaos.account_laws import book_over, broken_laws, doubles, misheld, misplaced
from tests.chaos.exchange_file import count_open, read_exchange
from tests.chaos.harness import Home, told
from tests.chaos.journal_tail import JournalTail

ACCOUNT, QUOTE = "paper", "USDT"
TRADER = "trader-paper"
VICTIMS = (*([TRADER] * 12), *(["order_monitor", "position_monitor"] * 3), *(["runtime"] * 2))
SYMBOLS = ["BTC/USDT", "ETH/USDT", "BNB/USDT"]
MORE = """
[limits]
correlation_max = 1.0
value_at_risk_frac = 1.0
[orders]
rate_per_minute = 100000
"""
AGAIN_S = 300.0
AGREES_S = 30.0
QUIET_EVERY = 20


class Killing:
    """One runtime that is killed again and again.

    Parameters
    ----------
    home : of a runtime that trades on paper; `begin` starts it
    seed : of who is killed, and when
    """

    def __init__(self, home: Home, seed: int) -> None:
        self.home = home
        self.draw = random.Random(seed)
        self.clock = SystemClock()
        self.journal = JournalTail(self.folder / JOURNAL_FILE, ACCOUNT, QUOTE)

    async def begin(self) -> None:
        """Arm the paper account, start the runtime and let strategies trade."""
        account_latch(self.home.home, ACCOUNT).arm("test", "begin", self.clock.now_at())
        await asyncio.to_thread(self.home.up)
        store = await Store.open(sqlite_url(self.home.home))
        genomes = [busy_genome(i, max_bars=1 + i % 3) for i in range(6)]
        await store_strategies(store, genomes, SYMBOLS, self.clock.now_at())
        await store.close()
        await self._trading_since(0)
        limit_s = time.monotonic() + AGAIN_S
        while not self.book().fill_ids(SYMBOLS[0]):
            if time.monotonic() > limit_s:
                raise RuntimeError("nothing was traded")
            await asyncio.sleep(0.2)

    async def kill(self, victim: str = "") -> dict[str, Any]:
        """Kill somebody, wait until the account trades again, and return what was broken.

        Parameters
        ----------
        victim : one of `VICTIMS`; by default whoever is drawn
        """
        victim = victim or self.draw.choice(VICTIMS)
        await self._until_it_has_orders()
        await asyncio.sleep(self.draw.uniform(0.0, 2.0))
        killed_at, killed_s = self.clock.now_at(), time.monotonic()
        if victim == "runtime":
            n_orders = await asyncio.to_thread(self._cut_power)
            await asyncio.to_thread(self.home.up)
        else:
            pid = await self.home.pid_of(victim)
            n_orders = self._struck([pid])
        await self._trading_since(killed_at, victim)
        again_s = time.monotonic() - killed_s
        return {
            "victim": victim,
            # At the exchange, and beside them those on their way, when the signal was sent.
            **n_orders,
            "again_s": round(again_s, 2),
            # Of that, what the trader itself took once its process was there.
            "inside_s": await self._inside_s(),
            "broken": await self.broken(),
        }

    async def end(self) -> None:
        """Stop the runtime as an operator does."""
        await asyncio.to_thread(self.home.down)

    def book(self) -> AccountBook:
        """Return the account as its journal tells it now."""
        return self.journal.book()

    @property
    def folder(self) -> Path:
        """Return the folder of the account."""
        return account_folder(self.home.home, ACCOUNT)

    async def broken(self) -> list[str]:
        """Return what was lost or invented, while trading goes on.

        What the exchange has filled must be in the journal soon after, and what the journal had
        before must be at the exchange. Over the fills that both have, both hold the same. Every
        order stands once where it belongs, and no decision may have been entered twice.
        """
        before = self.book()
        exchange = read_exchange(self.home.home)
        venue = {(fill.symbol, fill.id) for fill in exchange.fills}
        invented = [key for key in _counted(before) if key not in venue]
        limit_s = time.monotonic() + AGREES_S
        while True:
            lines = self.journal.read()
            after = AccountBook.of(lines, ACCOUNT, QUOTE)
            lost = [key for key in venue if not after.has_fill(*key)]
            unknown = [o.client_id for o in before.unknown_orders() if o in after.unknown_orders()]
            same = book_over(lines, exchange.fills, ACCOUNT, QUOTE)
            held = misheld(same, exchange.view, is_perp=exchange.is_perp)
            if not (lost or unknown or held) or time.monotonic() > limit_s:
                break
            await asyncio.sleep(0.2)
        words = [f"fills {lost} were lost"] if lost else []
        words += [f"fills {invented} were invented"] if invented else []
        words += [f"orders {unknown} stay unknown"] if unknown else []
        return [*words, *held, *misplaced(before, after, exchange.orders), *doubles(after)]

    async def broken_when_quiet(self) -> list[str]:
        """Halt, wait until everything is closed, compare all there is, and arm again."""
        latch = account_latch(self.home.home, ACCOUNT)
        latch.halt("test", "a look", self.clock.now_at())
        limit_s = time.monotonic() + AGAIN_S
        found = ["the account was never quiet"]
        async with self._exchange() as exchange:
            while found and time.monotonic() < limit_s:
                await asyncio.sleep(0.5)
                found = await self._compared(exchange)
        latch.arm("test", "go on", self.clock.now_at())
        return [f"when it was quiet: {words}" for words in found]

    async def _compared(self, exchange: Any) -> list[str]:
        view = await patiently(exchange.account_view)
        resting = await patiently(exchange.open_orders)
        book, kept = self.book(), read_exchange(self.home.home)
        found = broken_laws(book, resting, kept.fills, view, self.folder, is_perp=kept.is_perp)
        # Nothing is entered any more, and every strategy leaves after three bars.
        return found + [f"{p.symbol} is still held" for p in book.open_positions()]

    @asynccontextmanager
    async def _exchange(self) -> AsyncIterator[Any]:
        exchange = await open_exchange("paper", load_config(self.home.config), self.clock)
        try:
            yield exchange
        finally:
            await exchange.close()

    def _cut_power(self) -> dict[str, int]:
        n_orders = self._struck([process.pid for process in owned(self.home.mark)])
        # What came into being meanwhile goes too.
        self.home.kill_all()
        return n_orders

    def _struck(self, pids: list[int]) -> dict[str, int]:
        """Count the orders, end the processes at once, and return what was counted."""
        counted = {
            "open_orders": count_open(self.home.home),
            "on_way": self.journal.n_on_way(),
        }
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return counted

    async def _until_it_has_orders(self) -> None:
        limit_s = time.monotonic() + AGAIN_S
        while not self.journal.n_active():
            if time.monotonic() > limit_s:
                raise RuntimeError(f"nothing was ordered in {AGAIN_S:g} s: {await self._facts()}")
            await asyncio.sleep(0.05)

    async def _trading_since(self, at: int, victim: str = TRADER) -> AccountRow:
        """Return the account once it trades again: a new process, reconciled, with a lease."""
        limit_s = time.monotonic() + AGAIN_S
        while time.monotonic() < limit_s:
            async with _Reading(self.home.home) as store:
                rows = await accounts(store)
                began = {
                    row.name: int(row.detail.get("began_at", 0))
                    for row in await heartbeats(store)
                    if "ready_ms" in row.detail or row.name != TRADER
                }
            is_back = began.get(victim if victim != "runtime" else TRADER, 0) > at
            if rows and rows[0].updated_at > at and (is_back or not at):
                row = rows[0]
                has_lease = row.lease_age_s is not None and row.lease_age_s < 30.0
                if row.reconcile_state == "clean" and has_lease:
                    return row
            await asyncio.sleep(0.05)
        raise RuntimeError(
            f"the account did not trade again within {AGAIN_S:g} s after {victim}:"
            f" {await self._facts()}"
        )

    async def _inside_s(self) -> float:
        async with _Reading(self.home.home) as store:
            for beat in await heartbeats(store):
                if beat.name == TRADER:
                    return float(beat.detail.get("ready_ms", 0)) / 1000
        return 0.0

    async def _facts(self) -> str:
        async with _Reading(self.home.home) as store:
            beats = {row.name: (row.state, row.detail) for row in await heartbeats(store)}
            rows = await accounts(store)
        events = [f"{e.level} {e.kind} {e.message}" for e in await self.home.events()]
        return f"{beats}\n{rows}\n" + "\n".join(events[-20:])


class _Reading:
    """Open the store of a home for one look."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def __aenter__(self) -> Store:
        self._store = await Store.open(sqlite_url(self._home), read_only=True, create=False)
        return self._store

    async def __aexit__(self, *_: object) -> None:
        await self._store.close()


async def patiently(ask: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Ask again while the exchange does not answer."""
    limit_s = time.monotonic() + AGREES_S
    while True:
        try:
            return await ask(*arguments)
        except PaddockError:
            if time.monotonic() > limit_s:
                raise
        await asyncio.sleep(0.2)


def _counted(book: AccountBook) -> list[tuple[str, str]]:
    return [
        (symbol, name) for symbol in SYMBOLS for name in book.fill_ids(symbol) if "/" not in name
    ]


async def run_kills(
    folder: Path, kills: int, seed: int, speed: float = 300.0
) -> list[dict[str, Any]]:
    """Kill so many times and return what each came to."""
    killing = Killing(Home(folder, trading=True, speed=speed, more=MORE), seed)
    found: list[dict[str, Any]] = []
    try:
        await killing.begin()
        for i in range(kills):
            found.append(await killing.kill())
            if (i + 1) % QUIET_EVERY == 0 or i + 1 == kills:
                found[-1]["broken"] += await killing.broken_when_quiet()
            print(told(found[-1]), flush=True)
        await killing.end()
    finally:
        killing.home.discard()
    return found


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=60.0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tk-"))
    try:
        found = asyncio.run(run_kills(folder, arguments.kills, arguments.seed, arguments.speed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    summary: dict[str, Any] = {"kills": len(found), "broken": sum(bool(f["broken"]) for f in found)}
    for victim in sorted(set(VICTIMS)):
        times = [f["again_s"] for f in found if f["victim"] == victim]
        if times:
            summary[victim] = {
                "n": len(times),
                "median_s": round(statistics.median(times), 2),
                "max_s": max(times),
            }
    summary["with_open_orders"] = sum(f["open_orders"] > 0 for f in found)
    summary["with_orders_on_way"] = sum(f["on_way"] > 0 for f in found)
    print(told(summary), flush=True)
    return 1 if summary["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
