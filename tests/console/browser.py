"""A real browser without a window, driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_S = 120.0
_LOOK_S = 0.05
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-port=0",
)
# The page's script keeps its terminal to itself: this finds it when it is made.
_FIND_TERMINAL = """
Object.defineProperty(Object.prototype, "fitAddon", {
  configurable: true,
  set(value) {
    window.testedTerminal = this;
    Object.defineProperty(this, "fitAddon", { value, writable: true });
  },
});
"""
_READ_TERMINAL = """
(() => {
  const terminal = window.testedTerminal?.terminal;
  if (!terminal) return "";
  const buffer = terminal.buffer.active;
  return Array.from({ length: terminal.rows },
    (_, row) => buffer.getLine(row)?.translateToString(true) ?? "").join("\\n");
})()
"""
_KEYS: dict[str, dict[str, Any]] = {
    "f9": {"key": "F9", "code": "F9", "windowsVirtualKeyCode": 120},
    "ctrl+k": {"key": "k", "code": "KeyK", "windowsVirtualKeyCode": 75, "modifiers": 2},
    "ctrl+p": {"key": "p", "code": "KeyP", "windowsVirtualKeyCode": 80, "modifiers": 2},
    "tab": {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
    "escape": {"key": "Escape", "code": "Escape", "windowsVirtualKeyCode": 27},
    "enter": {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
}


class Page:
    """One page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.wait([self._reader])
        await self._socket.close()

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        told = await asyncio.wait_for(answer, PATIENCE_S)
        if "error" in told:
            raise AssertionError(f"{method}: {told['error']}")
        result: dict[str, Any] = told["result"]
        return result

    async def evaluate(self, expression: str) -> Any:
        told = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in told:
            raise AssertionError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    async def go(self, address: str) -> None:
        await self.call("Page.navigate", url=address)

    async def press(self, key: str) -> None:
        known = _KEYS.get(key) or {
            "key": key,
            # Signs have codes of their own, which differ by keyboard: their text is what counts.
            "windowsVirtualKeyCode": ord(key.upper()) if key.isalnum() or key == " " else 0,
            "text": key,
        }
        kind = "keyDown" if "text" in known else "rawKeyDown"
        await self.call("Input.dispatchKeyEvent", type=kind, **known)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **{**known, "text": ""})

    async def text(self) -> str:
        """Return the words in the page's terminal."""
        return str(await self.evaluate(_READ_TERMINAL))

    async def words(self) -> str:
        """Return the words of the page itself that can be seen."""
        return str(await self.evaluate("document.body ? document.body.innerText : ''"))

    async def until_shown(self, words: str) -> None:
        """Wait until the terminal shows these words."""
        await until(self.text, lambda text: words in text, words)

    async def until_said(self, words: str) -> None:
        """Wait until the page itself says these words."""
        await until(self.words, lambda text: words in " ".join(text.split()), words)

    async def picture(self, path: Path) -> None:
        told = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(told["data"]))

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            answer = self._answers.pop(told.get("id", 0), None)
            if answer is not None and not answer.done():
                answer.set_result(told)


class Browser:
    """A browser of its own profile."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._port = port
        self.pages: list[Page] = []

    async def new_page(self, width: int = 1280, height: int = 800) -> Page:
        where = f"http://127.0.0.1:{self._port}/json/new?about:blank"
        async with self._session.put(where) as answer:
            address = (await answer.json(content_type=None))["webSocketDebuggerUrl"]
        page = Page(await self._session.ws_connect(address, max_msg_size=0))
        self.pages.append(page)
        await page.call("Page.enable")
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=_FIND_TERMINAL)
        await page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        return page


@contextlib.asynccontextmanager
async def open_browser(profile: Path) -> AsyncIterator[Browser]:
    """Start a browser, and leave none of its processes behind."""
    process = await asyncio.to_thread(_start, profile)
    try:
        port_file = profile / "DevToolsActivePort"
        told = await until(_text_of(port_file), lambda text: "\n" in text, "the browser's port")
        port = int(told.splitlines()[0])
        async with aiohttp.ClientSession() as session:
            browser = Browser(session, port)
            try:
                yield browser
            finally:
                for page in browser.pages:
                    await page.close()
    finally:
        await asyncio.to_thread(_end, process)


async def until(
    look: Callable[[], Any], holds: Callable[[Any], bool], what: str, patience_s: float = PATIENCE_S
) -> Any:
    """Wait until what is looked at holds; fail naming it when it does not."""
    deadline = time.monotonic() + patience_s
    while True:
        found = await look()
        if holds(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}\n{found}")
        await asyncio.sleep(_LOOK_S)


def _text_of(path: Path) -> Callable[[], Any]:
    def read() -> str:
        return path.read_text() if path.exists() else ""

    return lambda: asyncio.to_thread(read)


def _start(profile: Path) -> subprocess.Popen[bytes]:
    assert CHROMIUM is not None
    with (profile.parent / "browser.log").open("wb") as log:
        return subprocess.Popen(
            [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
