"""Measure the console's memory over a day of events: `python -m tests.console.measure_events`.

Not a test: one JSON line every twentieth of the way. Another process tells `--events` events, as
many as 24 hours have; the console follows them, scrolls back, filters and visits other screens.
Pictures are made down to their escape sequences and dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from textual.pilot import Pilot

from console.session import Session
from engine.config import Config, with_settings
from engine.store.database import Store, sqlite_url
from engine.store.events import Event, add_events
from tests.console.filled_store import fill, write_runtime_file
from tests.console.painting import MeasuredApp, PaintingDriver, summary

DAY_MS = 86_400_000
_BATCH = 1_000
_LINES = 20
_LEVELS = ("info",) * 7 + ("debug", "warn", "error")
_KINDS = ("order.accepted", "fill", "risk.refused", "cycle.stage", "bars.late", "deploy.step")
# Rounds of what somebody does who looks at events: back, a page, other screens, to the end again.
_ROUND = ("k", "k", "pageup", "pageup", "g", "G", "1", "7", "5", "8", "exclamation_mark", "escape")


async def tell(home: Path, n_events: int, per_s: float) -> None:
    """Tell events at a steady pace, spread evenly over a day that ends now."""
    store = await Store.open(sqlite_url(home))
    first_at = round(time.time() * 1000) - DAY_MS
    began_s = time.monotonic()
    try:
        for begin in range(0, n_events, _BATCH):
            batch = [
                Event(
                    first_at + DAY_MS * i // n_events,
                    _LEVELS[i % len(_LEVELS)],
                    _KINDS[i % len(_KINDS)],
                    f"event {i:,} of a day: BTC/USDT buy 0.0041 @ 91,204.1, fee 0.37 USDT",
                    f"strategy:{i % 97:016x}",
                    fields={"number": i},
                )
                for i in range(begin, min(begin + _BATCH, n_events))
            ]
            await add_events(store, batch)
            due_s = (begin + _BATCH) / per_s
            await asyncio.sleep(max(0.0, due_s - (time.monotonic() - began_s)))
    finally:
        await store.close()


async def follow(home: Path, teller: subprocess.Popen[bytes], n_events: int, stdout: int) -> None:
    """Look at the events as they are told, and say what that costs."""
    changes = {"paths": {"home": str(home)}, "console": {"poll_s": 0.25}}
    session = Session(with_settings(Config(), changes, "measure"), None)
    app = MeasuredApp(session, starts_runtime=False, owns_process=True)
    app.poll_ms, app.poll_cpu_ms = [], []
    app.driver_class = PaintingDriver
    process, began_s, n_told = psutil.Process(), time.monotonic(), 0
    async with app.run_test(size=(120, 36), headless=False) as pilot:
        await pilot.press("8")
        while True:
            await _look_around(pilot)
            n_now = await _count(home)
            is_over = teller.poll() is not None
            if n_now >= n_told or is_over:
                line = {
                    "events": n_now,
                    "simulated_h": round(24 * n_now / n_events, 1),
                    "rss_mib": round(process.memory_info().rss / 2**20, 1),
                    "spent_s": round(time.monotonic() - began_s),
                    **summary(app.poll_ms, "poll_"),
                    "load": round(os.getloadavg()[0], 2),
                }
                os.write(stdout, (json.dumps(line) + "\n").encode())
                n_told += n_events // _LINES
                app.poll_ms.clear()
                app.poll_cpu_ms.clear()
            if is_over:
                return


async def _look_around(pilot: Pilot[int]) -> None:
    for key in _ROUND:
        pilot.app.simulate_key(key)
        await asyncio.sleep(0.15)


async def _count(home: Path) -> int:
    from sqlalchemy import func, select

    from engine.store.tables import events

    store = await Store.open(sqlite_url(home), read_only=True)
    try:
        async with store.read() as connection:
            return int((await connection.execute(select(func.max(events.c.id)))).scalar_one())
    finally:
        await store.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--per-second", type=float, default=4_000.0)
    parser.add_argument("--tell", type=Path, help="be the other process, over this home")
    given = parser.parse_args()
    if given.tell is not None:
        asyncio.run(tell(given.tell, given.events, given.per_second))
        return
    stdout = sys.stdout.fileno()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        asyncio.run(fill(home))
        write_runtime_file(home)
        command = [sys.executable, "-m", "tests.console.measure_events", "--tell", str(home)]
        pace = ["--events", str(given.events), "--per-second", str(given.per_second)]
        with subprocess.Popen([*command, *pace]) as teller:
            try:
                asyncio.run(follow(home, teller, given.events, stdout))
            finally:
                teller.terminate()


if __name__ == "__main__":
    main()
