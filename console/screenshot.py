"""Draw a picture of the console over a home, for the README: a real session without a terminal."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from console.app import PaddockApp
from console.session import Session, open_session
from engine.config import with_settings
from engine.errors import PaddockError

WIDTH, HEIGHT = 120, 36
_WAIT_S = 20.0
_LOOK_S = 0.1


async def draw(session: Session, keys: list[str]) -> str:
    """Return the SVG of the console over a home, after these keys.

    Raises
    ------
    PaddockError : the home cannot be read.
    """
    app = PaddockApp(session, starts_runtime=False)
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        waited_s = 0.0
        while app.snapshot is None and waited_s < _WAIT_S:
            await pilot.pause(_LOOK_S)
            waited_s += _LOOK_S
        if app.snapshot is not None and app.snapshot.problem:
            raise PaddockError(app.snapshot.problem)
        for key in keys:
            await pilot.press(key)
            # The screen that the key opened asks for what it shows with the next look.
            await pilot.pause(2 * session.config.console.poll_s)
        await pilot.pause(_LOOK_S)
        return app.export_screenshot(title="Paddock")


def main() -> int:
    """Draw and return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/screenshot", description=__doc__)
    parser.add_argument(
        "home", nargs="?", type=Path, help="home folder; the configured one if left out"
    )
    parser.add_argument("out", nargs="?", type=Path, default=Path("docs/console.svg"))
    parser.add_argument("--keys", default="", help="keys to press first, comma-separated")
    arguments = parser.parse_args()
    session = open_session(None)
    if arguments.home is not None:
        home = {"paths": {"home": arguments.home.absolute()}}
        session = Session(with_settings(session.config, home, "screenshot"), None)
    keys = [key for key in arguments.keys.split(",") if key]
    try:
        picture = asyncio.run(draw(session, keys))
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(picture, encoding="utf-8")
    except (PaddockError, OSError) as exc:
        print(f"screenshot: {exc}", file=sys.stderr)
        return 1
    print(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
