from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from engine.errors import StoreError
from engine.store import commands, events
from engine.store.database import Store
from engine.store.events import Event
from engine.store.orders import recent_orders, save_orders
from engine.store.trading import replace_account_projection
from tests.trading_rows import an_account, an_order

if TYPE_CHECKING:  # pytest loads it as a plug-in, and must be the first to do so
    from tests.store_backends import PostgresServer

pytest_plugins = ["tests.store_backends"]

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
        await add_events(store, [Event(i, "info", "k", "m") for _ in range(50)])
        if i == 3:
            print("busy", flush=True)

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


async def test_several_processes_may_create_one_store_at_once(empty_postgres_url: str) -> None:
    processes = [_start(OPEN_AND_WRITE, empty_postgres_url, str(i)) for i in range(3)]
    for process in processes:
        assert _first_line(process) == "ready"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    store = await Store.open(empty_postgres_url)
    assert {row.who for row in await commands.waiting_commands(store)} == {"0", "1", "2"}
    await store.close()


async def test_a_plain_postgresql_url_finds_the_async_driver(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    store = await Store.open(postgres_url.replace("postgresql+asyncpg", "postgresql"))
    assert store.dialect == "postgresql"
    assert postgres_server.password not in store.place
    await store.close()


async def test_a_wrong_password_is_one_clear_line_without_it(
    postgres_server: PostgresServer,
) -> None:
    with pytest.raises(StoreError, match="password is wrong") as raised:
        await Store.open(postgres_server.url("postgres", password="s3cret"))
    assert "s3cret" not in str(raised.value)
    assert str(postgres_server.port) in str(raised.value)


async def test_a_missing_database_is_named(postgres_server: PostgresServer) -> None:
    with pytest.raises(StoreError, match="/nowhere: that database does not exist"):
        await Store.open(postgres_server.url("nowhere"))


async def test_no_server_is_one_clear_line(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("postgres").replace(f":{postgres_server.port}/", ":1/")
    with pytest.raises(StoreError, match="no server answers") as raised:
        await Store.open(url)
    assert postgres_server.password not in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_store_from_a_newer_paddock_is_refused(postgres_url: str) -> None:
    store = await Store.open(postgres_url)
    async with store.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await store.close()
    with pytest.raises(StoreError, match="newer Paddock"):
        await Store.open(postgres_url)


async def test_reading_only_is_enforced_by_the_server(postgres_url: str) -> None:
    writer = await Store.open(postgres_url)
    reader = await Store.open(postgres_url, read_only=True)
    await events.add_events(writer, [Event(1, "info", "k", "m")])
    assert len(await events.events_page(reader)) == 1
    with pytest.raises(StoreError, match="reading only"):
        await events.add_events(reader, [Event(1, "info", "k", "m")])
    with pytest.raises(StoreError, match="may not be written"):
        async with reader.read() as connection:
            await connection.execute(text("DELETE FROM events"))
    await writer.close()
    await reader.close()


async def test_reading_only_refuses_an_empty_database(empty_postgres_url: str) -> None:
    with pytest.raises(StoreError, match="it is empty"):
        await Store.open(empty_postgres_url, read_only=True)


async def test_a_writer_killed_in_the_middle_leaves_whole_transactions(postgres_url: str) -> None:
    process = _start(WRITE_FOR_EVER, postgres_url)
    assert _first_line(process) == "busy"
    process.kill()
    process.communicate(timeout=60)
    store = await Store.open(postgres_url)
    rows = await events.events_page(store, limit=1_000_000)
    assert len(rows) >= 200
    assert len(rows) % 50 == 0
    assert await events.add_events(store, [Event(1, "info", "k", "m")]) == 1
    await store.close()


async def test_a_lost_connection_is_one_clear_line_and_the_next_write_works(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    store = await Store.open(postgres_url)
    database = postgres_url.rsplit("/", 1)[1]
    with pytest.raises(StoreError, match=r"connection was lost|shut down") as raised:
        async with store.write() as connection:
            await connection.execute(text("SELECT 1"))
            await postgres_server.disconnect_all(database)
            await connection.execute(text("SELECT 1"))
    assert "\n" not in str(raised.value)
    assert await events.add_events(store, [Event(1, "info", "k", "m")]) == 1
    await store.close()


async def test_eight_writers_in_one_process_all_get_their_turn(postgres_url: str) -> None:
    store = await Store.open(postgres_url, pool_size=2, max_overflow=0)
    await asyncio.gather(
        *(events.add_events(store, [Event(i, "info", "k", "m")] * 1500) for i in range(8))
    )
    assert len(await events.events_page(store, limit=100_000)) == 12_000
    await store.close()


async def test_two_writers_of_the_same_orders_never_wait_for_each_other_for_ever(
    postgres_url: str,
) -> None:
    rows = [an_order(f"pk-{i:04}", at=i) for i in range(400)]
    later = [replace(row, updated_at=row.updated_at + 1_000) for row in reversed(rows)]
    first, second = await Store.open(postgres_url), await Store.open(postgres_url)
    for _ in range(10):
        await asyncio.gather(save_orders(first, rows), save_orders(second, later))
    found = await recent_orders(first, "paper", limit=1_000)
    assert sorted(row.updated_at for row in found) == [1_000 + i for i in range(400)]
    await first.close()
    await second.close()


async def test_a_projection_is_replaced_all_at_once_for_whoever_reads(postgres_url: str) -> None:
    writer = await Store.open(postgres_url)
    reader = await Store.open(postgres_url, read_only=True)
    account = an_account()
    seen: set[int] = set()

    async def watch() -> None:
        while True:
            seen.add(len(await recent_orders(reader, "paper", limit=1_000)))

    await save_orders(writer, [an_order(f"pk-{i:04}") for i in range(300)])
    watching = asyncio.create_task(watch())
    for n in (100, 300, 100):
        rows = [an_order(f"pk-{i:04}") for i in range(n)]
        await replace_account_projection(writer, account, orders=rows, fills=[], positions=[])
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert seen <= {100, 300}
    await writer.close()
    await reader.close()
