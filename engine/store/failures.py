"""Database errors in words: what went wrong, where, and what mends it. Never the password."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from engine.errors import StoreError

# (part of the driver's text, what it means for the operator); the first match wins.
_SQLITE_MEANINGS: tuple[tuple[str, str], ...] = (
    ("database or disk is full", "the disk is full: free some space, nothing was lost"),
    ("disk i/o error", "the disk refused a read or write: it may be full or failing"),
    ("database is locked", "another process holds it for too long: try again"),
    ("database table is locked", "another process holds it for too long: try again"),
    ("readonly database", "it may not be written: check the owner and the mode of the file"),
    ("unable to open database file", "it cannot be opened: check that the folder can be written"),
    ("file is not a database", "this file is not a database: move it away or name another home"),
    ("malformed", "the file is damaged: restore it from a backup, or move it away to start anew"),
    ("no such table", "a table is missing: the file is damaged or not a Paddock store"),
    ("no such column", "a column is missing: the file is damaged or not a Paddock store"),
)

# asyncpg is not imported here: its errors are known by the names of their classes.
_POSTGRES_MEANINGS: dict[str, str] = {
    "InvalidPasswordError": "the user name or password is wrong",
    "InvalidAuthorizationSpecificationError": "the user may not connect: check name and password",
    "InvalidCatalogNameError": "that database does not exist: create it first",
    "CannotConnectNowError": "the server is starting or stopping: try again",
    "TooManyConnectionsError": "the server has no free connection: raise its limit",
    "InsufficientPrivilegeError": "the user lacks a privilege: grant it",
    "ReadOnlySQLTransactionError": "it may not be written in a read-only store",
    "DiskFullError": "the server's disk is full: free some space",
    "LockNotAvailableError": "another process holds it for too long: try again",
    "DeadlockDetectedError": "two writers waited for each other: try again",
    "QueryCanceledError": "the server cancelled the statement",
    "UndefinedTableError": "a table is missing: this is not a Paddock store",
    "UndefinedColumnError": "a column is missing: this is not a Paddock store",
    "AdminShutdownError": "the server was shut down: start it and try again",
    "ConnectionDoesNotExistError": "the connection was lost: is the server still running?",
    "InterfaceError": "the connection was lost: is the server still running?",
    "InternalClientError": "the connection was lost: is the server still running?",
}


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = getattr(current, "orig", None) or current.__cause__ or current.__context__


def _is_of_database(error: BaseException) -> bool:
    modules = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    return bool(modules & {"sqlalchemy", "sqlite3", "asyncpg"})


def _meaning(error: BaseException) -> str | None:
    for cause in _chain(error):
        for kind in type(cause).__mro__:
            if kind.__name__ in _POSTGRES_MEANINGS and kind.__module__.startswith("asyncpg"):
                return _POSTGRES_MEANINGS[kind.__name__]
        if isinstance(cause, ConnectionError):
            return "no server answers there: start it, or check host and port"
        if isinstance(cause, TimeoutError):
            return "no answer in time: is the server or another writer stuck?"
        if isinstance(cause, OSError):
            return _meaning_of_system(cause)
        text = str(cause).lower()
        for part, meaning in _SQLITE_MEANINGS:
            if part in text:
                return meaning
        if "foreign key" in text or "foreignkey" in type(cause).__name__.lower():
            return "a row names a cycle, strategy or context that is not stored: store that first"
    return None


def _meaning_of_system(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some space, nothing was lost"
    if error.errno == errno.EROFS or isinstance(error, PermissionError):
        return "it may not be written: check the owner and the mode of the folder"
    where = f" ({error.filename})" if error.filename else ""
    return f"the system refuses{where}: {error.strerror or error}: name another home"


def translate(error: BaseException, place: str) -> StoreError | None:
    """Return the StoreError that says `error` in words, None when it is not a database's.

    Parameters
    ----------
    error : exception raised by a driver, SQLAlchemy or the operating system
    place : the store as shown to people, without a password
    """
    if not _is_of_database(error) and not isinstance(error, OSError):
        return None
    meaning = _meaning(error)
    if meaning is None:
        first = str(getattr(error, "orig", None) or error).strip().splitlines()
        meaning = first[0] if first else type(error).__name__
    return StoreError(f"store {place}: {meaning}", place=place, cause=type(error).__name__)
