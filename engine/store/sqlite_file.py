"""The SQLite file before SQLAlchemy sees it: there, ours, in WAL mode, and of which revision."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from engine.errors import StoreError

_RETRY_EVERY_S = 0.02


def prepare(path: Path, *, read_only: bool, create: bool, busy_timeout_s: float) -> str | None:
    """Make sure `path` is a SQLite store in WAL mode and return its revision.

    Returns
    -------
    str | None : the stored revision, None for a database without any table.

    Raises
    ------
    StoreError : missing and not to be created, or holding someone else's tables.
    sqlite3.Error, OSError : from below; the caller translates them.
    """
    if not path.exists():
        if read_only or not create:
            raise StoreError(
                f"store {path}: there is none yet: `paddock up` or `paddock cycle` creates it",
                path=str(path),
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    with closing(connect(path, read_only=read_only, busy_timeout_s=busy_timeout_s)) as connection:
        if not read_only:
            _enter_wal(connection, path, busy_timeout_s)
        return _revision(connection, path)


def connect(path: Path, *, read_only: bool, busy_timeout_s: float) -> sqlite3.Connection:
    """Return a plain connection in autocommit mode."""
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    return sqlite3.connect(uri, uri=True, timeout=busy_timeout_s, isolation_level=None)


def _enter_wal(connection: sqlite3.Connection, path: Path, busy_timeout_s: float) -> None:
    # Entering WAL ignores the busy timeout, so several processes creating one store must retry.
    give_up_at_s = time.monotonic() + busy_timeout_s
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            if mode == "wal":
                return
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up_at_s:
                raise
            time.sleep(_RETRY_EVERY_S)
            continue
        if mode == "wal":
            return
        if time.monotonic() > give_up_at_s:
            raise StoreError(
                f"store {path}: this file system cannot hold a shared database: use a local disk",
                path=str(path),
            )
        time.sleep(_RETRY_EVERY_S)


def _revision(connection: sqlite3.Connection, path: Path) -> str | None:
    names = {
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    }
    if "alembic_version" in names:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])
    if names:
        raise StoreError(
            f"store {path}: this database belongs to something else (it has no revision):"
            " name another home",
            path=str(path),
        )
    return None
