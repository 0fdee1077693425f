"""A runtime in a folder of its own, driven the way an operator drives it.

By commands in the store and by signals.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from actors.owned_processes import mark_of, owned
from actors.runtime import clean, down, stop_exchange
from actors.runtime_file import running_facts
from engine.store.commands import CommandRow, get_command, insert_command
from engine.store.cycles import CycleRow, StageRow, get_cycle, latest_cycle, stages
from engine.store.database import Store, sqlite_url
from engine.store.events import EventRow, events_page
from engine.store.heartbeats import heartbeats

PROJECT = Path(__file__).resolve().parents[2]
FINAL = ("done", "failed", "cancelled")
CONFIG = """
[paths]
home = "{home}"
[runtime]
workers = {workers}
object_store_mb = 160
chunk_target_ms = {chunk_target_ms}
start_timeout_s = 180.0
[generated]
days = {days}
[market]
symbols = {symbols}
days = {days}
[cycle]
schedule_enabled = false
[trading]
enabled = {trading}
[simulated]
speed = {speed}
"""


class Home:
    """One home and the runtime that runs on it.

    Parameters
    ----------
    folder : an empty folder
    days : length of the generated market and of the window
    trading : whether promoted strategies trade
    symbols : of the market
    speed : pace of the simulated exchange, simulated seconds a second
    more : further sections of the configuration
    environment : variables besides this process's own
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        days: int = 12,
        chunk_target_ms: int = 200,
        trading: bool = False,
        symbols: Sequence[str] = ("BTC/USDT", "ETH/USDT", "BNB/USDT"),
        speed: float = 600.0,
        more: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = folder / "home"
        self.config = folder / "config.toml"
        self.log = folder / "runtime.log"
        self.config.write_text(
            CONFIG.format(
                home=self.home,
                workers=workers,
                days=days,
                chunk_target_ms=chunk_target_ms,
                trading=str(trading).lower(),
                symbols=json.dumps(symbols),
                speed=speed,
            )
            + more
        )
        self._environment = {**os.environ, "PYTHONPATH": str(PROJECT), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def mark(self) -> str:
        """Return what every process of this runtime carries."""
        return mark_of(self.home)

    def up(self, timeout_s: float = 240.0) -> None:
        """Start the runtime and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "actors.runtime", "up", "--config", str(self.config)],
                cwd=PROJECT,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        limit_s = time.monotonic() + timeout_s
        while running_facts(self.home) is None:
            if self._process.poll() is not None or time.monotonic() > limit_s:
                raise RuntimeError(f"the runtime did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def down(self) -> None:
        """Stop the runtime as an operator does."""
        down(self.home)
        self._reap()

    def kill_all(self) -> None:
        """End every process of the runtime at once, as a power cut does."""
        dying = list(owned(self.mark))
        for process in dying:
            _kill(process.pid)
        # What is killed needs the processor once more, and may wait for it.
        psutil.wait_procs(dying, timeout=30.0)
        self._reap()

    def discard(self) -> None:
        """Leave nothing behind, whatever happened."""
        clean(self.home)
        stop_exchange(self.home)
        self._reap()

    def living(self) -> list[str]:
        """Return the command lines of what still runs."""
        return [" ".join(process.cmdline())[:120] for process in owned(self.mark)]

    async def pid_of(self, name: str) -> int:
        """Return the process that last beat under a part's name and still runs."""
        while True:
            async with _Reading(self.home) as store:
                for row in await heartbeats(store):
                    pid = int(row.detail.get("pid", 0))
                    if row.name == name and psutil.pid_exists(pid):
                        return pid
            await asyncio.sleep(0.05)

    async def kill(self, name: str) -> int:
        """End one part's process with SIGKILL and return its pid."""
        pid = await self.pid_of(name)
        _kill(pid)
        return pid

    async def command(self, name: str, arguments: Mapping[str, Any] | None = None) -> CommandRow:
        """Ask for something and return the answered command."""
        store = await Store.open(sqlite_url(self.home))
        try:
            now_at = round(time.time() * 1000)
            command_id = await insert_command(
                store, who="test", name=name, arguments=dict(arguments or {}), now_at=now_at
            )
            while True:
                row = await get_command(store, command_id)
                if row.status in ("done", "refused", "failed"):
                    return row
                await asyncio.sleep(0.02)
        finally:
            await store.close()

    async def start_cycle(self, **arguments: Any) -> int:
        """Start a cycle and return its number."""
        row = await self.command("cycle.start", arguments)
        if row.status != "done":
            raise RuntimeError(f"cycle.start {row.status}: {row.reason}")
        return int(row.result["cycle_id"])

    async def finished(self, cycle_id: int, timeout_s: float = 600.0) -> CycleRow:
        """Return the cycle once it has ended."""
        async with asyncio.timeout(timeout_s):
            while True:
                row = await self.cycle(cycle_id)
                if row.status in FINAL:
                    return row
                await asyncio.sleep(0.1)

    async def cycle(self, cycle_id: int) -> CycleRow:
        """Return a cycle's row."""
        async with _Reading(self.home) as store:
            return await get_cycle(store, cycle_id)

    async def latest(self) -> CycleRow:
        """Return the newest cycle."""
        async with _Reading(self.home) as store:
            row = await latest_cycle(store)
            if row is None:
                raise RuntimeError("there is no cycle yet")
            return row

    async def stages(self, cycle_id: int) -> dict[str, StageRow]:
        """Return a cycle's stages by name."""
        async with _Reading(self.home) as store:
            return {row.name: row for row in await stages(store, cycle_id)}

    async def events(self, kind: str | None = None) -> list[EventRow]:
        """Return the newest events."""
        async with _Reading(self.home) as store:
            return await events_page(store, kind=kind, limit=500)

    async def counts(self, cycle_id: int) -> dict[str, int]:
        """Return what the ledger holds of a cycle, counted row by row."""
        from sqlalchemy import text

        queries = {
            "candidates": "SELECT count(*) FROM candidates WHERE cycle_id = :c",
            "evaluated": (
                "SELECT count(*) FROM candidates WHERE cycle_id = :c AND status = 'evaluated'"
            ),
            "strategies": (
                "SELECT count(DISTINCT strategy_id) FROM candidates WHERE cycle_id = :c"
            ),
            "rows": "SELECT count(*) FROM evaluations",
            "pairs": (
                "SELECT count(*) FROM (SELECT DISTINCT strategy_id, context_id FROM evaluations)"
            ),
            "all_strategies": "SELECT count(*) FROM strategies",
        }
        async with _Reading(self.home) as store, store.read() as connection:
            return {
                name: int((await connection.execute(text(query), {"c": cycle_id})).scalar_one())
                for name, query in queries.items()
            }

    async def wait_progress(self, cycle_id: int, stage: str, share: float) -> None:
        """Return when a stage has done at least a share of its work, or the cycle has ended."""
        while True:
            row = (await self.stages(cycle_id)).get(stage)
            if row is not None and row.total and row.done >= share * row.total:
                return
            if (await self.cycle(cycle_id)).status in FINAL:
                return
            await asyncio.sleep(0.02)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(timeout=60)
            self._process = None


class _Reading:
    """Open the store of a home for one look."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def __aenter__(self) -> Store:
        self._store = await Store.open(sqlite_url(self._home), read_only=True, create=False)
        return self._store

    async def __aexit__(self, *_: object) -> None:
        await self._store.close()


def told(values: Mapping[str, Any]) -> str:
    """Return one line of JSON."""
    return json.dumps(values, sort_keys=True)


def moments(seed: int, n: int) -> list[tuple[str, float]]:
    """Return n (stage, share of it done) drawn from a seed.

    Mostly in the backtest, where the work is.
    """
    draw = random.Random(seed)
    names = ("generate", "validate", "backtest", "backtest", "backtest", "filter", "learn")
    return [(draw.choice(names), draw.uniform(0.0, 0.95)) for _ in range(n)]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
