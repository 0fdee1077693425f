"""Measure the time from a key to its paint: `python -m tests.console.measure_paint [HOME]`.

Not a test: it prints one JSON line. The store is polled while keys are pressed; without a home it
is a made-up one of 480 rows, with one it may be a home whose runtime works.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from console.app import PaddockApp
from console.session import Session
from console.widgets.live_table import LiveTable
from engine.config import Config, with_settings
from tests.console.filled_store import fill, write_runtime_file
from tests.console.screen_reading import until

N_KEYS = 600


async def _fill(home: Path) -> None:
    await fill(home, n_strategies=480)
    write_runtime_file(home)


async def _measure(home: Path) -> dict[str, float]:
    session = Session(with_settings(Config(), {"paths": {"home": str(home)}}, "measure"), None)
    app = PaddockApp(session, starts_runtime=False, owns_process=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: app.screen.query_one(LiveTable).row_count > 40, "rows")
        table = app.screen.query_one(LiveTable)
        times_ms: list[float] = []
        came_from = table.selected_key
        painted = asyncio.Event()
        real_display = app._display

        def display(*args: object, **kwargs: object) -> None:
            real_display(*args, **kwargs)  # type: ignore[arg-type]
            # A poll paints as well; what counts is the row that the key asked for.
            if table.selected_key != came_from:
                painted.set()

        app._display = display  # type: ignore[method-assign, assignment]
        for i in range(N_KEYS):
            # A person's pace: the polls of the store fall between and into the keys.
            await asyncio.sleep(0.02)
            painted.clear()
            came_from = table.selected_key
            began_s = time.perf_counter()
            app.simulate_key("j" if i % 40 < 20 else "k")
            await asyncio.wait_for(painted.wait(), 5)
            times_ms.append((time.perf_counter() - began_s) * 1000)
    ranked = sorted(times_ms)
    return {
        "n_keys": len(ranked),
        "median_ms": round(statistics.median(ranked), 2),
        "p99_ms": round(ranked[int(len(ranked) * 0.99)], 2),
        "max_ms": round(ranked[-1], 2),
    }


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "home"
        if len(sys.argv) == 1:
            asyncio.run(_fill(home))
        sys.stdout.write(json.dumps(asyncio.run(_measure(home))) + "\n")


if __name__ == "__main__":
    main()
