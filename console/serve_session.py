"""One browser page's console: a process of its own, and the packets between the two."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO

from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from console.runtime_process import last_line
from console.talk import one_line

DRIVER = "console.serve_driver:ServedDriver"
CHILD_MODULE = "console.serve_child"
_READY = b"__GANGLION__\n"
"""What a Textual application says before its first packet."""
_READY_LINES = 10
_QUIT_S, _TERM_S, _SEND_S = 8.0, 3.0, 1.0
_ROOT = Path(__file__).resolve().parents[1]


class ServedConsole(AppService):
    """Start a console, pass on what goes to and fro, and leave no process behind.

    Parameters
    ----------
    options : of the console's own command line
    log : file that what it says on stderr is appended to
    write_bytes, write_str : send to the page
    close : called once with why the console ended, empty when it was quit
    """

    def __init__(
        self,
        options: Sequence[str],
        log: Path,
        *,
        write_bytes: Callable[[bytes], Awaitable[None]],
        write_str: Callable[[str], Awaitable[None]],
        close: Callable[[str], Awaitable[object]],
    ) -> None:
        super().__init__(
            CHILD_MODULE,
            write_bytes=write_bytes,
            write_str=write_str,
            close=_nothing,
            download_manager=DownloadManager(),
        )
        self._options = tuple(options)
        self._log = log
        self._close = close
        self._has_said_exit = False
        self.has_ended = asyncio.Event()

    async def start(self, width: int, height: int) -> None:
        """Start the process for a page of this many cells.

        Raises
        ------
        OSError : it cannot be started, or its log cannot be written.
        """
        with await asyncio.to_thread(_opened, self._log) as talk:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                CHILD_MODULE,
                *self._options,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=talk,
                start_new_session=True,
                env=self._environment(width, height),
            )
        self._stdin = self._process.stdin
        self._task = asyncio.create_task(self.run())

    async def run(self) -> None:
        """Pass on what the console draws until it ends, then tell the page why it did."""
        try:
            await self._close(await self._run())
        finally:
            self.has_ended.set()

    async def stop(self) -> None:
        """End the process, gracefully first, and wait until it is gone."""
        if self._task is None:
            return
        await self._end_process()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.has_ended.wait(), _SEND_S)
        # A page that takes nothing more must not hold up the rest.
        self._task.cancel()
        await asyncio.wait([self._task])

    async def on_meta(self, data: bytes) -> None:
        """Note that the console is about to end; nothing else that it could say is used."""
        told = json.loads(data)
        self._has_said_exit = self._has_said_exit or told.get("type") == "exit"

    async def _run(self) -> str:
        process = self._process
        if process is None or process.stdout is None:
            return ""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._pass_on(process.stdout)
        if not self._has_said_exit:
            # Either it is ending, or its page has gone and would leave its pipe to fill.
            await self._end_process()
        code = await process.wait()
        if not code or self._has_said_exit:
            return ""
        words = await asyncio.to_thread(last_line, self._log)
        return f"The console ended with code {code}: {one_line(words)}"

    async def _pass_on(self, output: asyncio.StreamReader) -> None:
        for _ in range(_READY_LINES):
            line = await output.readline()
            if not line or line == _READY:
                break
        while True:
            kind = await output.readexactly(1)
            size = int.from_bytes(await output.readexactly(4), "big")
            payload = await output.readexactly(size)
            if kind == b"D":
                await self.on_data(payload)
            elif kind == b"M":
                await self.on_meta(payload)

    async def _end_process(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.send_meta({"type": "quit"}), _SEND_S)
        for patience_s, end in ((_QUIT_S, process.terminate), (_TERM_S, process.kill)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), patience_s)
                return
            with contextlib.suppress(ProcessLookupError):
                end()
        await process.wait()

    def _environment(self, width: int, height: int) -> dict[str, str]:
        found = os.environ.get("PYTHONPATH", "")
        return {
            **self._build_environment(width, height),
            "TEXTUAL_DRIVER": DRIVER,
            "PYTHONPATH": f"{_ROOT}{os.pathsep}{found}" if found else str(_ROOT),
        }


async def _nothing() -> None:
    """Close nothing: `ServedConsole` says itself when and why a page's console has ended."""


def _opened(log: Path) -> IO[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")
