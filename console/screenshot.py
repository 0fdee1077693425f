"""Draw a picture of the console for the README, over a home or from a moment of a recording."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from console.app import PaddockApp
from console.recording_file import Recording
from console.replay_app import ReplayApp
from console.replay_place import moment_of
from console.session import Session, open_session
from engine.config import with_settings
from engine.errors import PaddockError

WIDTH, HEIGHT = 120, 36
_WAIT_S = 20.0
_LOOK_S = 0.1


async def draw(app: PaddockApp, keys: list[str]) -> str:
    """Return the SVG of a console, after these keys.

    Raises
    ------
    PaddockError : what it shows cannot be read.
    """
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
            await pilot.pause(2 * app.session.config.console.poll_s)
        await pilot.pause(_LOOK_S)
        return app.export_screenshot(title="Paddock")


def main() -> int:
    """Draw and return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/screenshot", description=__doc__)
    parser.add_argument(
        "home",
        nargs="?",
        type=Path,
        help="home folder, or a file of `paddock --record`; the configured home if left out",
    )
    parser.add_argument("out", nargs="?", type=Path, default=Path("docs/console.svg"))
    parser.add_argument("--keys", default="", help="keys to press first, comma-separated")
    parser.add_argument("--at", default="0%", help="moment of a recording, as after `:at`")
    arguments = parser.parse_args()
    keys = [key for key in arguments.keys.split(",") if key]
    try:
        app = _console_over(arguments.home, arguments.at)
        picture = asyncio.run(draw(app, keys))
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(picture, encoding="utf-8")
    except (PaddockError, OSError) as exc:
        print(f"screenshot: {exc}", file=sys.stderr)
        return 1
    print(arguments.out)
    return 0


def _console_over(place: Path | None, moment: str) -> PaddockApp:
    session = open_session(None)
    if place is not None and place.is_file():
        recording = Recording(place)
        first_at, last_at = recording.times[0], recording.times[-1]
        at = moment_of(moment, first_at, first_at, last_at)
        return ReplayApp(recording, session, picture_at=at)
    if place is not None:
        home = {"paths": {"home": place.absolute()}}
        session = Session(with_settings(session.config, home, "screenshot"), None)
    return PaddockApp(session, starts_runtime=False)


if __name__ == "__main__":
    sys.exit(main())
