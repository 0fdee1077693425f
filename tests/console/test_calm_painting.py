"""What is painted: what changed, and soon."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Region

from console.theme import THEMES
from console.widgets.panel import Panel
from console.widgets.titles import entitle


class _OnePanel(App[int]):
    """One panel, and how often the screen was laid out."""

    def __init__(self, *, wraps: bool) -> None:
        super().__init__()
        self._wraps = wraps
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "paddock"

    def compose(self) -> ComposeResult:
        """Yield it."""
        yield Panel("Facts", "facts", wraps=self._wraps)


@pytest.mark.parametrize(
    ("wraps", "text", "is_laid_out"),
    [
        (False, "one\nthree", False),
        (False, "one\ntwo\nthree", True),
        (True, "one\n" + "three " * 40, True),
    ],
)
async def test_a_panel_is_laid_out_anew_when_its_height_may_change(
    wraps: bool, text: str, is_laid_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = _OnePanel(wraps=wraps)
    async with app.run_test(size=(60, 10)) as pilot:
        panel = app.query_one(Panel)
        panel.show(Content("one\ntwo"))
        await pilot.pause()
        laid_out: list[Any] = []
        monkeypatch.setattr(app.screen, "_refresh_layout", lambda *a, **k: laid_out.append(a))
        panel.show(Content(text))
        await pilot.pause()
        assert bool(laid_out) is is_laid_out
        shown = panel.query_one("Static").render_lines(Region(0, 0, 50, 2))
        assert "one" in shown[0].text


async def test_a_panel_is_painted_anew_when_only_a_colour_changes() -> None:
    app = _OnePanel(wraps=False)
    async with app.run_test(size=(60, 10)) as pilot:
        panel = app.query_one(Panel)
        colours = []
        for style in ("$muted", "$error"):
            panel.show(Content.styled("refused", style))
            await pilot.pause()
            (strip,) = panel.query_one("Static").render_lines(Region(0, 0, 50, 1))
            colours.append(next(iter(strip)).style)
        assert colours[0] != colours[1]


async def test_a_border_is_painted_again_only_for_other_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = _OnePanel(wraps=True)
    async with app.run_test(size=(60, 10)):
        panel = app.query_one(Panel)
        entitle(panel, title="Facts, 3", foot="2 s old")
        painted: list[Any] = []
        monkeypatch.setattr(panel, "refresh", lambda *a, **k: painted.append(a))
        entitle(panel, title="Facts, 3", foot="2 s old")
        assert painted == []
        entitle(panel, foot="3 s old")
        assert (len(painted), panel.border_subtitle, panel.border_title) == (
            1, "3 s old", "Facts, 3",
        )  # fmt: skip


@pytest.mark.parametrize(("given", "used"), [(None, "240 none"), ("30", "30 none")])
def test_a_console_paints_soon_after_a_picture_unless_told_otherwise(
    given: str | None, used: str
) -> None:
    code = (
        "import console.cli as cli\n"
        "cli.run(['--help'])\n"
        "from textual.constants import MAX_FPS, TEXTUAL_ANIMATIONS\n"
        "print(MAX_FPS, TEXTUAL_ANIMATIONS)\n"
    )
    environment = {} if given is None else {"TEXTUAL_FPS": given}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == used
