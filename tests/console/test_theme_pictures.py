"""Pictures of every screen and page in the colours for colour-blind eyes, in one run for each size.

The usual colours are in the other pictures; what differs here is what a theme can break.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pytest_textual_snapshot import SVGImageExtension
from syrupy import SnapshotAssertion
from textual.pilot import Pilot

from console.app import PaddockApp
from tests.console.fake_switch import FakeSwitch
from tests.console.filled_pages import fill_pages
from tests.console.filled_store import session_of
from tests.console.screen_reading import until_shown, until_still

# Name, keys from where the one before left off, and words that are there when all is.
STOPS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("overview", (), ("640/1,464", "Needs you (2)")),
    ("changes", ("D",), ("Since 2026-01-04", "data.gap")),
    ("help", ("escape", "question_mark"), ("What runs, how far it is",)),
    ("jump", ("escape", "ctrl+o"), ("a letter jumps there",)),
    ("strategies", ("escape", "2"), ("30 of 30", "mean fitness")),
    ("strategy", ("enter",), ("Leaves by a stop", "parent")),
    ("backtests", ("3",), ("the last 181",)),
    ("learners", ("4",), ("born in generation 1",)),
    ("orders", ("5",), ("142.210",)),
    ("deployments", ("6",), ("◐ rolling",)),
    ("risk", ("7",), ("leverage  ",)),
    ("events", ("8",), ("order.accepted",)),
    ("settings", ("9",), ("Doctor",)),
    ("keymap", ("K",), ("everywhere.halt",)),
    ("tour", ("escape", "1", "colon", *"tour", "enter"), ("What this is",)),
    ("halt", ("f9",), ("✓ paper cancel",)),
)


async def _settled(pilot: Pilot[int], words: tuple[str, ...]) -> None:
    for shown in words:
        await until_shown(pilot, shown)
    await until_still(pilot)


@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["120x36", "80x24"])
async def test_pictures_in_other_colours(
    trading_home: Path,
    snapshot: SnapshotAssertion,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
) -> None:
    monkeypatch.setattr("console.commands.doctor.examine", lambda _session: [])
    await fill_pages(trading_home)
    session = session_of(trading_home)
    settings = session.config.console.model_copy(update={"theme": "deuteranopia"})
    session = replace(session, config=session.config.model_copy(update={"console": settings}))
    app = PaddockApp(session, starts_runtime=False, kill_switch=FakeSwitch())
    picture = snapshot.use_extension(SVGImageExtension)
    changed = []
    async with app.run_test(size=size) as pilot:
        for name, keys, words in STOPS:
            for key in keys:
                await pilot.press(key)
                await pilot.pause()
            await _settled(pilot, words)
            drawn = app.export_screenshot(simplify=True)
            if picture(name=f"{name}-{size[0]}x{size[1]}") != drawn:
                changed.append(name)
    assert changed == []
