"""Read a console's screen as text, and wait for what it shows."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App
from textual.pilot import Pilot

PATIENCE_S = 30.0
_LOOK_S = 0.02
_STILL_LOOKS = 3


def text_of(app: App[int]) -> str:
    """Return what the screen shows, row by row."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def until(pilot: Pilot[int], holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fail naming it when it does not in half a minute."""
    waited_s = 0.0
    while not holds():
        if waited_s > PATIENCE_S:
            raise AssertionError(f"never came: {what}\n{text_of(pilot.app)}")
        await pilot.pause(_LOOK_S)
        waited_s += _LOOK_S


async def until_shown(pilot: Pilot[int], words: str) -> None:
    """Wait until the screen shows these words."""
    await until(pilot, lambda: words in text_of(pilot.app), f"{words!r} on the screen")


async def until_still(pilot: Pilot[int]) -> None:
    """Wait until three looks, with several polls between them, find the same picture."""
    before = ""
    n_same = 1
    for _ in range(40):
        picture = pilot.app.export_screenshot()
        n_same = n_same + 1 if picture == before else 1
        if n_same == _STILL_LOOKS:
            return
        before = picture
        await pilot.pause(0.6)
    raise AssertionError(f"never still\n{text_of(pilot.app)}")
