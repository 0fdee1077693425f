"""The served console in a real browser: its words, its keys, and the halt that must get through."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.trade.accounts import PAPER, account_latch
from tests.console.browser import CHROMIUM, Browser, open_browser
from tests.console.served import Served

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: scripts/test says why")

# Noted before the terminal hears the key, judged after everybody has.
_WATCH_KEYS = """
window.watchedKeys = [];
window.addEventListener("keydown", (event) => {
  setTimeout(() => window.watchedKeys.push(event.defaultPrevented));
}, true);
"""


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with open_browser(tmp_path / "profile") as browser:
        yield browser


@pytest.mark.parametrize("key", ("f9", "ctrl+k"))
async def test_console_is_read_steered_and_halted_in_a_browser(
    filled_home: Path, tmp_path: Path, browser: Browser, key: str
) -> None:
    latch = account_latch(filled_home, PAPER)
    latch.arm("ana", "test", now_at=1)
    with Served(filled_home, tmp_path) as served:
        page = await browser.new_page()
        await page.go(served.link)
        await page.until_shown("640/1,464")
        assert await page.evaluate("location.href") == f"{served.address}/"
        assert await page.evaluate("document.cookie") == ""
        await page.press("2")
        await page.until_shown("Leaderboard")
        await page.press("8")
        await page.until_shown("events · following")
        assert not latch.is_halted()
        await page.evaluate(_WATCH_KEYS)
        await page.press(key)
        await page.until_shown("TRADING HALTED")
        # The browser leaves to itself what the page has taken: no search box opens.
        assert await page.evaluate("window.watchedKeys.every((taken) => taken)")
        assert latch.is_halted()
        served.end()
        await page.until_said("The server was stopped. Trading goes on without this page")
    assert json.loads((filled_home / "halt" / "HALT").read_text())["who"] == "ana"


@pytest.mark.parametrize("key", ("f9", "ctrl+k"))
async def test_halt_gets_through_when_the_terminal_has_lost_the_focus(
    filled_home: Path, tmp_path: Path, browser: Browser, key: str
) -> None:
    latch = account_latch(filled_home, PAPER)
    latch.arm("ana", "test", now_at=1)
    with Served(filled_home, tmp_path) as served:
        page = await browser.new_page()
        await page.go(served.link)
        await page.until_shown("640/1,464")
        await page.evaluate("document.activeElement.blur()")
        assert await page.evaluate("document.activeElement === document.body")
        await page.press(key)
        await page.until_shown("TRADING HALTED")
        assert latch.is_halted()


async def test_terminal_follows_the_size_of_the_window(
    filled_home: Path, tmp_path: Path, browser: Browser
) -> None:
    with Served(filled_home, tmp_path) as served:
        page = await browser.new_page(width=520, height=300)
        await page.go(served.link)
        await page.until_shown("the console needs 80x24")
        await page.call(
            "Emulation.setDeviceMetricsOverride",
            width=1300,
            height=800,
            deviceScaleFactor=1,
            mobile=False,
        )
        await page.until_shown("640/1,464")


async def test_a_page_without_the_token_shows_no_console(
    filled_home: Path, tmp_path: Path, browser: Browser
) -> None:
    with Served(filled_home, tmp_path) as served:
        page = await browser.new_page()
        await page.go(f"{served.address}/")
        await page.until_said("Not without the token")
        assert served.consoles() == []
        foreign = await browser.new_page()
        await foreign.go(served.link)
        await foreign.until_shown("640/1,464")
        # A page of another server has the cookie sent along, since cookies know no ports.
        with Served(tmp_path / "other", tmp_path / "profile") as other:
            await page.go(f"{other.address}/")
            await page.until_said("Not without the token")
            told = await page.evaluate(
                "new Promise((done) => {"
                f'  const socket = new WebSocket("{served.address.replace("http", "ws")}/ws");'
                '  socket.onopen = () => done("open");'
                '  socket.onclose = (event) => done("closed " + event.code);'
                "})"
            )
            assert told == "closed 1006"
        assert len(served.consoles()) == 1


async def test_silence_of_the_machine_is_said(
    filled_home: Path, tmp_path: Path, browser: Browser
) -> None:
    with Served(filled_home, tmp_path) as served:
        page = await browser.new_page()
        await page.go(served.link)
        await page.until_shown("640/1,464")
        served.process.suspend()
        try:
            await page.until_said("No word from the machine for")
        finally:
            served.process.resume()
        await page.evaluate(
            "new Promise((done) => { const look = setInterval(() => {"
            '  if (!document.body.classList.contains("-silent")) { clearInterval(look); done(); }'
            "}, 50); })"
        )
