from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from engine.errors import StoreError
from engine.store import upgrade
from engine.store.database import Store, sqlite_url
from engine.store.revision import HEAD_REVISION, KNOWN_REVISIONS
from engine.store.tables import metadata

pytest_plugins = ["tests.store_backends"]


def test_the_code_knows_exactly_the_revisions_that_have_a_migration() -> None:
    script = ScriptDirectory.from_config(upgrade.alembic_config())
    found = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(found)) == KNOWN_REVISIONS
    assert script.get_current_head() == HEAD_REVISION


async def test_a_migrated_store_has_the_tables_the_code_expects(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with store.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_going_back_leaves_nothing_and_going_forth_again_works(store: Store) -> None:
    def names(connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names())

    def down(connection: Connection) -> None:
        command.downgrade(upgrade.alembic_config(connection), "base")

    async with store.write() as connection:
        await connection.run_sync(down)
        assert await connection.run_sync(names) == {"alembic_version"}
    async with store.write() as connection:
        await connection.run_sync(upgrade.upgrade)
        assert await connection.run_sync(names) == {*metadata.tables, "alembic_version"}


async def test_a_migration_that_fails_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(connection: Connection) -> None:
        metadata.tables["cycles"].create(connection)
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(upgrade, "upgrade", half)
    with pytest.raises(StoreError, match="disk is full"):
        await Store.open(sqlite_url(tmp_path))
    monkeypatch.undo()
    store = await Store.open(sqlite_url(tmp_path))
    await store.close()
