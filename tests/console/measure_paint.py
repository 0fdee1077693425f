"""Measure the time from a key to its paint: `python -m tests.console.measure_paint [HOME]`.

Not a test: one JSON line a screen. The store is polled while keys are pressed at a person's pace;
without a home it is a made-up one of 480 strategies, with one it may be a home whose runtime works.
Pictures are made down to their escape sequences and dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from console.app import PaddockApp
from console.session import Session
from console.widgets.live_table import LiveTable
from engine.config import Config, with_settings
from tests.console.filled_pages import fill_pages
from tests.console.filled_store import fill
from tests.console.filled_trading import fill_trading
from tests.console.painting import MeasuredApp, PaintingDriver, summary
from tests.console.screen_reading import until

_PACE_S = 0.03
_PATIENCE_S = 2.0
"""After so long a key counts as one that changed nothing: it is told, and not in the times."""
_SETTLE_S = 1.5
_ROWS = ("j", "k")
SCREENS = (
    ("overview", "1", ("tab",)),
    ("strategies", "2", ("j",) * 20 + ("k",) * 20),
    ("strategy", "2 enter", ("tab",)),
    ("backtests", "3", ("j",) * 20 + ("k",) * 20),
    ("learners", "4", _ROWS),
    ("orders", "5", ("tab",)),
    ("deployments", "6", ("tab",)),
    ("risk", "7", ("tab", "l", "l")),
    ("events", "8", ("k",) * 10 + ("j",) * 10),
    ("settings", "9", ("tab", "j", "j", "k", "k", "tab")),
)


async def _fill(home: Path) -> None:
    await fill(home, n_strategies=480)
    await fill_trading(home)
    await fill_pages(home)


class _Sight:
    """What a key may change of one screen: its widgets are looked up once, and read often.

    Looking for them in every picture would take as long as the picture.
    """

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        widgets = list(screen.query(Widget))
        self._tables = [one for one in widgets if isinstance(one, LiveTable)]
        self._scrolled = [one for one in widgets if one.is_scrollable]
        self._panes = [one for one in widgets if one.can_focus]

    def state(self, app: PaddockApp) -> object:
        """Return what is seen of it now; another screen in its place differs from all of these."""
        if app.screen is not self._screen:
            return app.screen
        return (
            id(self._screen.focused),
            tuple(table.cursor_row for table in self._tables),
            tuple(round(one.scroll_y) for one in self._scrolled),
            tuple(one.id for one in self._panes if one.has_class("-zoomed")),
        )


class Stopwatch:
    """Press keys and wait for the picture that shows what they did."""

    def __init__(self, app: PaddockApp) -> None:
        self._app = app
        self._painted = asyncio.Event()
        self._sight = _Sight(app.screen)
        self._before: object = None
        driver: Any = app._driver
        driver.on_write = self._look

    def _look(self) -> None:
        # A poll paints as well; what counts is the picture that has what the key asked for.
        if self._sight.state(self._app) != self._before:
            self._painted.set()

    async def press(self, key: str) -> tuple[float, float] | None:
        """Return the ms until the paint, by the clock and of this thread's processor time.

        None for a key that changed nothing.
        """
        self._painted.clear()
        self._sight = _Sight(self._app.screen)
        self._before = self._sight.state(self._app)
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        self._app.simulate_key(key)
        try:
            await asyncio.wait_for(self._painted.wait(), _PATIENCE_S)
        except TimeoutError:
            return None
        spent_cpu_s = time.thread_time() - began_cpu_s
        return (time.perf_counter() - began_s) * 1000, spent_cpu_s * 1000


async def measure(
    home: Path, n_keys: int, tell: Callable[[dict[str, Any]], None], *, only: str = ""
) -> None:
    """Measure every screen, then the ways between them."""
    session = Session(with_settings(Config(), {"paths": {"home": str(home)}}, "measure"), None)
    app = MeasuredApp(session, starts_runtime=False, owns_process=True)
    app.poll_ms, app.poll_cpu_ms = [], []
    app.driver_class = PaintingDriver
    async with app.run_test(size=(120, 36), headless=False) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "a snapshot")
        watch = Stopwatch(app)
        for name, way, keys in SCREENS:
            if only in ("", name):
                tell(await _screen(app, pilot, watch, name, way, keys, n_keys))
        if not only:
            times = [await _timed(watch, str(1 + (i * 4) % 9)) for i in range(n_keys)]
            tell({"screen": "from one to another", **_told(times)})


async def _screen(
    app: MeasuredApp,
    pilot: Pilot[int],
    watch: Stopwatch,
    name: str,
    way: str,
    keys: tuple[str, ...],
    n_keys: int,
) -> dict[str, Any]:
    await pilot.press(*way.split())
    await asyncio.sleep(_SETTLE_S)
    app.poll_ms.clear()
    app.poll_cpu_ms.clear()
    pressed: Iterator[str] = cycle(keys)
    times = [await _timed(watch, next(pressed)) for _ in range(n_keys)]
    polls, polls_cpu = list(app.poll_ms), list(app.poll_cpu_ms)
    if name == "strategy":
        await pilot.press("escape")
    rows = max((table.row_count for table in app.screen.query(LiveTable)), default=0)
    return {
        "screen": name,
        "rows": rows,
        **_told(times),
        **summary(polls, "poll_"),
        **summary(polls_cpu, "poll_cpu_"),
        "load": round(os.getloadavg()[0], 2),
    }


def _told(times: Sequence[tuple[float, float] | None]) -> dict[str, float]:
    painted = [one for one in times if one is not None]
    return {
        **summary([wall for wall, _ in painted]),
        **summary([cpu for _, cpu in painted], "cpu_"),
        "no_change": len(times) - len(painted),
    }


async def _timed(watch: Stopwatch, key: str) -> tuple[float, float] | None:
    # A person's pace: the polls of the store fall between and into the keys.
    await asyncio.sleep(_PACE_S)
    return await watch.press(key)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", nargs="?", type=Path)
    parser.add_argument("--keys", type=int, default=300, help="keys on each screen")
    parser.add_argument("--screen", default="", help="this one alone")
    given = parser.parse_args()
    stdout = sys.stdout.fileno()

    def tell(line: dict[str, Any]) -> None:
        # Textual takes sys.stdout for itself while it runs.
        os.write(stdout, (json.dumps(line) + "\n").encode())

    with tempfile.TemporaryDirectory() as folder:
        home = given.home or Path(folder) / "home"
        if given.home is None:
            asyncio.run(_fill(home))
        asyncio.run(measure(home, given.keys, tell, only=given.screen))


if __name__ == "__main__":
    main()
