"""The store: one database, opened once per process, short transactions only.

SQLite (WAL) is the default; PostgreSQL is used when the URL says so. Several processes may have the
same store open: readers never wait, writers take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from engine.errors import InvariantError, StoreError
from engine.store.failures import translate
from engine.store.revision import HEAD_REVISION, KNOWN_REVISIONS
from engine.store.sqlite_connection import patient_connect
from engine.store.sqlite_file import prepare

DATABASE_NAME = "paddock.db"
# Any fixed number: the PostgreSQL lock under which one process migrates while others wait.
_MIGRATION_LOCK = 7_234_771
_SQLITE_PRAGMAS = (
    "synchronous=NORMAL",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "cache_size=-32768",
    "mmap_size=134217728",
    # Random keys touch many pages: folding the log back only every 32 MB keeps bulk writes fast.
    "wal_autocheckpoint=8000",
    "journal_size_limit=67108864",
)


def sqlite_url(home: Path) -> str:
    """Return the URL of the default store inside a home folder."""
    return _render(URL.create("sqlite+aiosqlite", database=str(home / DATABASE_NAME)))


class Store:
    """Hand out connections to one database; made by `Store.open`, used on one event loop.

    Attributes
    ----------
    place : str
        Where the database is, as shown to people: never with a password.
    dialect : str
        "sqlite" or "postgresql".
    read_only : bool
    """

    def __init__(self, engine: AsyncEngine, *, place: str, read_only: bool) -> None:
        self._engine = engine
        self._writer = engine.execution_options(paddock_write=True)
        self.place = place
        self.dialect = engine.dialect.name
        # SQLite reads are snapshots by nature; PostgreSQL is asked for it.
        self._reader = (
            engine
            if self.dialect == "sqlite"
            else engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self.read_only = read_only
        # SQLite has one writer: queue in this process fairly instead of polling for its lock.
        self._turn = asyncio.Lock() if self.dialect == "sqlite" else None
        self._writing: asyncio.Task[object] | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        read_only: bool = False,
        create: bool = True,
        pool_size: int = 20,
        max_overflow: int = 30,
        pool_timeout_s: float = 30.0,
        pool_recycle_s: int = 3600,
        busy_timeout_s: float = 5.0,
    ) -> Store:
        """Open the database at `url` and bring it to this code's revision.

        Parameters
        ----------
        url : `sqlite+aiosqlite:///PATH` (see `sqlite_url`) or `postgresql+asyncpg://…`
        read_only : refuse every write, on the database's side too
        create : make the SQLite file when it is missing
        pool_size, max_overflow : connections kept, and allowed beyond those
        pool_timeout_s, busy_timeout_s : seconds to wait for a connection, and for another writer
        pool_recycle_s : age in seconds at which a PostgreSQL connection is replaced

        Raises
        ------
        StoreError : cannot be opened, damaged, belongs to something else, newer than the code.
        """
        target = _parse(url)
        place = _place(target)
        try:
            if target.get_backend_name() == "sqlite":
                revision = await asyncio.to_thread(
                    prepare,
                    Path(str(target.database)),
                    read_only=read_only,
                    create=create,
                    busy_timeout_s=busy_timeout_s,
                )
                engine = _sqlite_engine(target, read_only, busy_timeout_s, pool_size, max_overflow)
                store = cls(engine, place=place, read_only=read_only)
            else:
                engine = _postgres_engine(
                    target, read_only, pool_size, max_overflow, pool_timeout_s, pool_recycle_s
                )
                store = cls(engine, place=place, read_only=read_only)
                revision = await store._postgres_revision()
        except StoreError:
            raise
        except Exception as error:
            raise _in_words(error, place) from error
        try:
            await store._bring_up_to_date(revision)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Close every connection; the store cannot be used afterwards."""
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that sees one consistent snapshot; nothing it does is kept."""
        try:
            async with self._reader.connect() as connection:
                yield connection
        except Exception as error:
            raise _in_words(error, self.place) from error

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection inside one short transaction: all of it is kept, or nothing.

        Raises
        ------
        StoreError : read-only store, disk full, another writer for longer than the busy timeout.
        InvariantError : this task is inside a write already.
        """
        if self.read_only:
            raise StoreError(f"store {self.place}: opened for reading only", place=self.place)
        if self._turn is None:
            async with self._transaction() as connection:
                yield connection
            return
        if self._turn.locked() and self._writing is asyncio.current_task():
            raise InvariantError("a write inside a write would wait for itself for ever")
        async with self._turn:
            self._writing = asyncio.current_task()
            try:
                async with self._transaction() as connection:
                    yield connection
            finally:
                self._writing = None

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._writer.begin() as connection:
                yield connection
        except Exception as error:
            raise _in_words(error, self.place) from error

    async def _bring_up_to_date(self, revision: str | None) -> None:
        if revision == HEAD_REVISION:
            return
        self._refuse_newer(revision)
        if self.read_only:
            found = "empty" if revision is None else f"of revision {revision}"
            raise StoreError(
                f"store {self.place}: it is {found}, this code needs {HEAD_REVISION}:"
                " start the runtime once to bring it up to date",
                revision=revision,
            )
        async with self.write() as connection:
            if self.dialect == "postgresql":
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            # Another process may have finished the same work while this one waited.
            revision = await _stored_revision(connection)
            self._refuse_newer(revision)
            if revision != HEAD_REVISION:
                await connection.run_sync(_upgrade)

    def _refuse_newer(self, revision: str | None) -> None:
        if revision is not None and revision not in KNOWN_REVISIONS:
            raise StoreError(
                f"store {self.place}: it was written by a newer Paddock (revision {revision},"
                f" this one knows up to {HEAD_REVISION}): update Paddock, or use another home",
                revision=revision,
            )

    async def _postgres_revision(self) -> str | None:
        try:
            async with self.read() as connection:
                return await _stored_revision(connection)
        except BaseException:
            await self.close()
            raise


def _upgrade(connection: Connection) -> None:
    from engine.store.upgrade import upgrade  # alembic takes a third of a second to import

    upgrade(connection)


async def _stored_revision(connection: AsyncConnection) -> str | None:
    if connection.dialect.name == "sqlite":
        found = "SELECT 1 FROM sqlite_master WHERE name='alembic_version'"
    else:
        found = "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL"
    if (await connection.execute(text(found))).first() is None:
        return None
    row = (await connection.execute(text("SELECT version_num FROM alembic_version"))).first()
    return None if row is None else str(row[0])


def _in_words(error: Exception, place: str) -> Exception:
    return translate(error, place) or error


def _parse(url: str) -> URL:
    try:
        target = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("the store's URL cannot be read: check it in the configuration") from None
    backend = target.get_backend_name()
    if backend == "postgresql":
        return target.set(drivername="postgresql+asyncpg")
    if backend != "sqlite":
        raise StoreError(
            f"store {_place(target)}: {backend} is not supported: use sqlite or postgresql"
        )
    if not target.database or target.database == ":memory:":
        raise StoreError("store: a SQLite store needs a file, not memory: name one in the URL")
    return target.set(drivername="sqlite+aiosqlite")


def _render(target: URL) -> str:
    return target.render_as_string(hide_password=False)


def _place(target: URL) -> str:
    if target.get_backend_name() == "sqlite":
        return str(target.database)
    port = f":{target.port}" if target.port else ""
    return f"{target.host or 'local'}{port}/{target.database or ''}"


def _sqlite_engine(
    target: URL, read_only: bool, busy_timeout_s: float, pool_size: int, max_overflow: int
) -> AsyncEngine:
    path = Path(str(target.database)).absolute()
    address = f"{path.as_uri()}?mode={'ro' if read_only else 'rw'}&uri=true"
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{address}",
        connect_args={"timeout": busy_timeout_s, "async_creator_fn": patient_connect},
        pool_size=min(pool_size, 5),
        max_overflow=max_overflow,
    )

    def configure(dbapi_connection: Any, _record: object) -> None:
        # Transactions are begun by hand below; the driver would begin them late and deferred.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in _SQLITE_PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("paddock_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    event.listen(engine.sync_engine, "connect", configure)
    event.listen(engine.sync_engine, "begin", begin)
    return engine


def _postgres_engine(
    target: URL,
    read_only: bool,
    pool_size: int,
    max_overflow: int,
    pool_timeout_s: float,
    pool_recycle_s: int,
) -> AsyncEngine:
    settings = {"application_name": "paddock", "jit": "off", "lock_timeout": "30s"}
    if read_only:
        settings["default_transaction_read_only"] = "on"
    return create_async_engine(
        target,
        connect_args={"timeout": 10, "server_settings": settings},
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=pool_timeout_s,
        pool_recycle=pool_recycle_s,
        pool_pre_ping=True,
    )
