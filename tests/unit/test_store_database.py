from __future__ import annotations

import asyncio
import gc
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.errors import InvariantError, StoreError, UsageError
from engine.store import commands, cycles, events, sqlite_file
from engine.store.database import DATABASE_NAME, Store, sqlite_url
from engine.store.events import Event

ROOT = Path(__file__).resolve().parents[2]

OPEN_AND_WRITE = """
import asyncio, sys
from engine.store.database import Store
from engine.store import commands

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    store = await Store.open(sys.argv[1])
    await commands.insert_command(store, who=sys.argv[2], name="cycle", now_at=1)
    await store.close()

asyncio.run(main())
"""

WRITE_FOR_EVER = """
import asyncio, sys
from engine.store.database import Store
from engine.store.events import Event, add_events

async def main():
    store = await Store.open(sys.argv[1])
    for i in range(10**9):
        await add_events(store, [Event(i, "info", "k", "m" * 500) for _ in range(50)])
        if i == 5:
            print("busy", flush=True)

asyncio.run(main())
"""

WRITE_UNTIL_FULL = """
import asyncio, resource, sys
from engine.errors import StoreError
from engine.store.database import Store
from engine.store.events import Event, add_events

async def main():
    store = await Store.open(sys.argv[1])
    limit = int(sys.argv[2])
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    kept = 0
    try:
        for i in range(100):
            kept += await add_events(store, [Event(i, "info", "k", "m" * 900) for _ in range(100)])
    except StoreError as error:
        print(kept, error, flush=True)
    await store.close()

asyncio.run(main())
"""


def _start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _path(home: Path) -> Path:
    return home / DATABASE_NAME


async def _created(home: Path) -> Path:
    await (await Store.open(sqlite_url(home))).close()
    return _path(home)


def _make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def _event(at: int = 1) -> Event:
    return Event(at, "info", "kind", "message")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of a megabyte and a half, where this user may."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_store_is_created_with_its_folder_and_opened_again(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "deep" / "home ü%20?#")
    store = await Store.open(url)
    await events.add_events(store, [_event()])
    await store.close()
    assert (tmp_path / "deep" / "home ü%20?#" / DATABASE_NAME).is_file()
    store = await Store.open(url, create=False)
    assert len(await events.events_page(store)) == 1
    await store.close()


async def test_connections_use_the_write_ahead_log_and_check_foreign_keys(tmp_path: Path) -> None:
    store = await Store.open(sqlite_url(tmp_path))
    async with store.read() as connection:
        found = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "temp_store",
                "busy_timeout",
            )
        }
    await store.close()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "temp_store": 2,
        "busy_timeout": 5000,
    }


async def test_a_write_that_raises_keeps_nothing_and_passes_the_error_on(tmp_path: Path) -> None:
    store = await Store.open(sqlite_url(tmp_path))
    with pytest.raises(UsageError, match="wrong"):
        async with store.write() as connection:
            await events.write_events(connection, [_event()])
            raise UsageError("wrong")
    assert await events.events_page(store) == []
    await store.close()


async def test_a_cancelled_write_keeps_nothing_and_frees_the_store(tmp_path: Path) -> None:
    store = await Store.open(sqlite_url(tmp_path))
    inside = asyncio.Event()

    async def write_and_wait() -> None:
        async with store.write() as connection:
            await events.write_events(connection, [_event()])
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await events.add_events(store, [_event(2)])
    assert [row.at for row in await events.events_page(store)] == [2]
    await store.close()


async def test_a_write_inside_a_write_is_refused_instead_of_waiting_for_ever(
    tmp_path: Path,
) -> None:
    store = await Store.open(sqlite_url(tmp_path))
    with pytest.raises(InvariantError, match="inside a write"):
        async with store.write():
            await events.add_events(store, [_event()])
    assert await events.add_events(store, [_event()]) == 1
    await store.close()


async def test_reading_only_sees_the_writers_rows_and_refuses_every_write(tmp_path: Path) -> None:
    writer = await Store.open(sqlite_url(tmp_path))
    reader = await Store.open(sqlite_url(tmp_path), read_only=True)
    await events.add_events(writer, [_event()])
    assert len(await events.events_page(reader)) == 1
    with pytest.raises(StoreError, match="reading only"):
        await events.add_events(reader, [_event()])
    with pytest.raises(StoreError, match="may not be written"):
        async with reader.read() as connection:
            await connection.execute(text("DELETE FROM events"))
    await writer.close()
    await reader.close()


async def test_reading_only_needs_a_store_that_is_there_and_up_to_date(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is none yet"):
        await Store.open(sqlite_url(tmp_path), read_only=True)
    assert os.listdir(tmp_path) == []  # noqa: PTH208
    _path(tmp_path).touch()
    with pytest.raises(StoreError, match="it is empty"):
        await Store.open(sqlite_url(tmp_path), read_only=True)


async def test_a_missing_store_is_not_created_against_the_callers_wish(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is none yet"):
        await Store.open(sqlite_url(tmp_path / "home"), create=False)
    assert not (tmp_path / "home").exists()


async def test_a_store_from_a_newer_paddock_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = await _created(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for read_only in (True, False):
        with pytest.raises(StoreError, match=r"newer Paddock \(revision 9999"):
            await Store.open(sqlite_url(tmp_path), read_only=read_only)
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    connection.close()
    assert rows == [("9999",)]


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    _path(tmp_path).write_bytes(b"notes of a horse dealer\n" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await Store.open(sqlite_url(tmp_path))
    assert _path(tmp_path).read_bytes() == b"notes of a horse dealer\n" * 100


async def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(_path(tmp_path))
    connection.execute("CREATE TABLE horses (name TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="something else"):
        await Store.open(sqlite_url(tmp_path))


async def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    store = await Store.open(sqlite_url(tmp_path))
    await events.add_events(store, [_event(i) for i in range(2000)])
    await store.close()
    content = bytearray(_path(tmp_path).read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    _path(tmp_path).write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as raised:
        store = await Store.open(sqlite_url(tmp_path))
        try:
            await events.events_page(store)
        finally:
            await store.close()
    assert "\n" not in str(raised.value)


async def test_a_home_that_is_a_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreError, match="home"):
        await Store.open(sqlite_url(tmp_path / "home" / "deeper"))


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    _path(tmp_path).mkdir()
    with pytest.raises(StoreError, match="cannot be opened"):
        await Store.open(sqlite_url(tmp_path))


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
async def test_an_unwritable_home_is_one_clear_line(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)  # noqa: PTH101
    with pytest.raises(StoreError, match=r"cannot be opened|may not be written"):
        await Store.open(sqlite_url(tmp_path / "home"))


async def test_an_unwritable_disk_is_one_clear_line(tiny_disk: Path) -> None:
    await _created(tiny_disk)
    _make_read_only(tiny_disk)
    with pytest.raises(StoreError, match=r"cannot be opened|may not be written") as raised:
        store = await Store.open(sqlite_url(tiny_disk))
        try:
            await events.add_events(store, [_event()])
        finally:
            await store.close()
    assert str(tiny_disk) in str(raised.value)


async def test_a_lock_held_too_long_is_one_clear_line(tmp_path: Path) -> None:
    store = await Store.open(sqlite_url(tmp_path), busy_timeout_s=0.05)
    other = sqlite3.connect(_path(tmp_path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process holds it"):
        await events.add_events(store, [_event()])
    assert await events.events_page(store) == []
    other.execute("COMMIT")
    other.close()
    assert await events.add_events(store, [_event()]) == 1
    await store.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://ada:s3cret@host/db", "mysql is not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite+aiosqlite:///:memory:", "needs a file"),
        ("nonsense s3cret", "cannot be read"),
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_its_password(
    url: str, words: str
) -> None:
    with pytest.raises(StoreError, match=words) as raised:
        await Store.open(url)
    assert "s3cret" not in str(raised.value)


async def test_several_processes_may_create_one_store_at_once(tmp_path: Path) -> None:
    processes = [_start(OPEN_AND_WRITE, sqlite_url(tmp_path), str(i)) for i in range(4)]
    for process in processes:
        assert _first_line(process) == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    store = await Store.open(sqlite_url(tmp_path))
    assert {row.who for row in await commands.waiting_commands(store)} == {"0", "1", "2", "3"}
    await store.close()


async def test_a_writer_killed_in_the_middle_leaves_whole_transactions(tmp_path: Path) -> None:
    process = _start(WRITE_FOR_EVER, sqlite_url(tmp_path))
    assert _first_line(process) == "busy"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    # The reader comes first: it must cope with the log the dead writer left.
    reader = await Store.open(sqlite_url(tmp_path), read_only=True)
    rows = await events.events_page(reader, limit=1_000_000)
    await reader.close()
    store = await Store.open(sqlite_url(tmp_path))
    assert len(rows) >= 300
    assert len(rows) % 50 == 0
    assert await events.add_events(store, [_event()]) == 1
    async with store.read() as connection:
        check = await connection.execute(text("PRAGMA integrity_check"))
        assert check.scalars().all() == ["ok"]
    await store.close()


async def _check_after_full_disk(home: Path, limit_bytes: int) -> None:
    process = _start(WRITE_UNTIL_FULL, sqlite_url(home), str(limit_bytes))
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    kept, _, message = output.strip().partition(" ")
    assert "disk" in message
    assert "full" in message
    assert "\n" not in message
    store = await Store.open(sqlite_url(home), read_only=True)
    rows = await events.events_page(store, limit=1_000_000)
    await store.close()
    assert len(rows) == int(kept)
    assert int(kept) > 0


async def test_a_full_disk_is_one_clear_line_and_loses_nothing_committed(tiny_disk: Path) -> None:
    await _check_after_full_disk(tiny_disk, 0)


async def test_a_file_that_may_not_grow_is_one_clear_line(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    await _check_after_full_disk(tmp_path, 1_000_000)


async def test_no_room_to_create_a_store_is_one_clear_line(tiny_disk: Path) -> None:
    (tiny_disk / "ballast").write_bytes(b"0" * (1_536 * 1024 - 20_000))
    with pytest.raises(StoreError, match="full") as raised:
        await Store.open(sqlite_url(tiny_disk))
    assert "\n" not in str(raised.value)
    (tiny_disk / "ballast").unlink()
    store = await Store.open(sqlite_url(tiny_disk))
    assert await cycles.latest_cycle(store) is None
    await store.close()


async def test_opening_an_up_to_date_store_imports_neither_alembic_nor_asyncpg(
    tmp_path: Path,
) -> None:
    await _created(tmp_path)
    script = """
import asyncio, sys
from engine.store import candidates, curves, events, heartbeats, insights, ledger, states
from engine.store.database import Store
asyncio.run(Store.open(sys.argv[1], read_only=True))
print(sorted({"alembic", "asyncpg", "numba", "pandas", "ray", "textual"} & set(sys.modules)))
"""
    process = _start(script, sqlite_url(tmp_path))
    output, errors = process.communicate(timeout=60)
    assert (output.strip(), errors) == ("[]", "")


def test_entering_the_write_ahead_log_waits_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(_path(tmp_path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def finish_the_other(seconds: float) -> None:
        waits.append(seconds)
        other.rollback()

    monkeypatch.setattr("engine.store.sqlite_file.time.sleep", finish_the_other)
    revision = sqlite_file.prepare(
        _path(tmp_path), read_only=False, create=True, busy_timeout_s=2.0
    )
    assert revision is None
    assert len(waits) == 1
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


async def test_cancelled_writers_leave_no_lock_behind(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    store = await Store.open(url, pool_size=1)
    other = await Store.open(url, busy_timeout_s=2.0)
    moments = random.Random(4)

    async def write() -> None:
        async with store.write() as connection:
            for at in range(5):
                await connection.execute(text("SELECT :at"), {"at": at})

    for _ in range(100):
        writers = [asyncio.create_task(write()) for _ in range(2)]
        await asyncio.sleep(moments.uniform(0.0, 0.006))
        # Twice: the second one meets the clearing up after the first.
        for pause_s in (moments.choice([0.0, 0.0005, 0.001]), 0.0):
            for writer in writers:
                writer.cancel()
            await asyncio.sleep(pause_s)
        await asyncio.gather(*writers, return_exceptions=True)
        async with other.write() as connection:
            await connection.execute(text("SELECT 1"))
    await store.close()
    await other.close()


async def test_a_connection_still_in_use_when_the_store_closes_is_closed_too(
    tmp_path: Path,
) -> None:
    store = await Store.open(sqlite_url(tmp_path))
    async with store.read() as connection:
        await store.close()
        await connection.execute(text("SELECT 1"))
    # Back in a pool that nobody holds any more.
    del store, connection
    gc.collect()
    async with asyncio.timeout(10):
        while [t for t in threading.enumerate() if "connection_worker" in t.name]:  # noqa: ASYNC110 - threads have no event
            await asyncio.sleep(0.01)
