"""A store that cannot be read: one sentence names it and what mends it, and the keys still work."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.risk.latch import TradingState
from tests.console.conftest import MakeConsole
from tests.console.screen_reading import text_of, until, until_shown

Spoil = Callable[[Path], None]


def _newer(file: Path) -> None:
    _revision(file, "9999_future")


def _older(file: Path) -> None:
    _revision(file, "0001")


def _garbage(file: Path) -> None:
    _remove(file)
    file.write_bytes(b"no database at all" * 1_000)


def _folder(file: Path) -> None:
    _remove(file)
    file.mkdir()


def _cut(file: Path) -> None:
    """Leave the first page, as a disk that filled up might."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    begin = file.read_bytes()[:6_000]
    _remove(file)
    file.write_bytes(begin)


def _revision(file: Path, revision: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.commit()
    connection.close()


def _remove(file: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        Path(f"{file}{ending}").unlink(missing_ok=True)


BAD = [
    (_newer, "written by a newer Paddock"),
    (_older, "start the runtime once to bring it up to date"),
    (_garbage, "this file is not a database: move it away or name another home"),
    (_folder, "the disk refused a read or write"),
    (_cut, "store home/paddock.db"),
]


@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["120x36", "80x24"])
@pytest.mark.parametrize(
    ("spoil", "words"), BAD, ids=[spoil.__name__.strip("_") for spoil, _ in BAD]
)
async def test_a_bad_store_is_named_with_what_mends_it(
    trading_home: Path, make_console: MakeConsole, spoil: Spoil, words: str, size: tuple[int, int]
) -> None:
    await asyncio.to_thread(spoil, trading_home / "paddock.db")
    app = make_console(trading_home)
    async with app.run_test(size=size) as pilot:
        await until_shown(pilot, "store unreadable")
        await until_shown(pilot, "The store cannot be read:")
        assert app.snapshot is not None
        assert words in app.snapshot.problem
        assert "\n" not in app.snapshot.problem
        await until(pilot, lambda: _has_words(text_of(app), words), "the whole sentence")
        assert "Traceback" not in text_of(app)
        for key in "23456789":
            await pilot.press(key)
        await pilot.press("f9")
        assert app.session.latch.read().state is TradingState.HALTED


def _has_words(shown: str, words: str) -> bool:
    """Return whether words stand on the screen, broken into lines of the first pane or not."""
    width = shown.splitlines()[3].find("┐") + 1 or None
    left = " ".join(line[:width].strip("│ ") for line in shown.splitlines())
    return words in " ".join(left.split())


async def test_a_store_that_is_mended_is_read_again(
    trading_home: Path, make_console: MakeConsole
) -> None:
    file = trading_home / "paddock.db"
    whole = await asyncio.to_thread(_revision_of, file)
    await asyncio.to_thread(_newer, file)
    app = make_console(trading_home)
    async with app.run_test(size=(120, 36)) as pilot:
        await until_shown(pilot, "store unreadable")
        await asyncio.to_thread(_revision, file, whole)
        await until_shown(pilot, "640/1,464")
        assert "store unreadable" not in text_of(app)


def _revision_of(file: Path) -> str:
    connection = sqlite3.connect(file)
    (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.close()
    return str(found)


@pytest.mark.parametrize("size", [(79, 24), (80, 23), (40, 12)])
async def test_a_terminal_that_is_too_small_says_its_size_and_still_halts(
    trading_home: Path, make_console: MakeConsole, size: tuple[int, int]
) -> None:
    app = make_console(trading_home)
    async with app.run_test(size=size) as pilot:
        await until(
            pilot, lambda: f"{size[0]}x{size[1]}" in "".join(text_of(app).split("\n")), "its size"
        )
        for key in "123456789":
            await pilot.press(key)
        await pilot.press("f9")
        assert app.session.latch.read().state is TradingState.HALTED
