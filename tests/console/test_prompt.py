"""The line that is typed after `:` and `/`: its words are seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.conftest import MakeConsole
from tests.console.screen_reading import text_of, until, until_shown


@pytest.mark.parametrize("mark", (":", "/"))
async def test_what_is_typed_is_seen(
    filled_home: Path, make_console: MakeConsole, mark: str
) -> None:
    app = make_console(filled_home)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_shown(pilot, "640/1,464")
        await pilot.press("2")
        await until_shown(pilot, "Leaderboard")
        await pilot.press(mark, *"zebra")
        await until(pilot, lambda: "zebra" in text_of(app).splitlines()[-2], "the words")
