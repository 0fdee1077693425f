"""A SQLite connection that a cancelled task leaves whole.

A cancelled task would otherwise walk away from a statement that its thread still runs. Where the
driver is asked both to stop and to close, it may do neither; and SQLite keeps a closed connection,
its write lock included, for as long as somebody holds one of its cursors.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import aiosqlite

_ROWS_A_FETCH = 64


class PatientConnection(aiosqlite.Connection):
    """Let the statement at hand end before its task is cancelled; close once, whoever asks."""

    _stopped: asyncio.Future[Any] | None = None

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        statement = super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        return await _to_its_end(statement)

    def stop(self) -> asyncio.Future[Any] | None:
        """Close the connection in its thread, behind what waits there, and end the thread."""
        if self._stopped is None:
            if self._connection is not None:
                self._tx.put_nowait((None, partial(_give_up, self._connection)))
            self._stopped = super().stop()
        return self._stopped

    def __del__(self) -> None:
        """Close what was dropped: work that outlives its store returns it to a forgotten pool."""
        if self._connection is not None:
            self.stop()

    async def close(self) -> None:
        """Stop, and wait until it is done."""
        if (stopped := self.stop()) is not None:
            await _to_its_end(stopped)


def patient_connect(database: str, **options: Any) -> PatientConnection:
    """Return a connection to await; `options` are those of `sqlite3.connect`."""
    connection = PatientConnection(lambda: sqlite3.connect(database, **options), _ROWS_A_FETCH)
    # A process that ends does not wait for it: whatever was not committed never happened.
    connection._thread.daemon = True
    return connection


def _give_up(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        connection.rollback()


async def _to_its_end(work: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> Any:
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        # Looked at, or the loop would complain that nobody did.
        task.cancelled() or task.exception()
        raise cancelled
    return task.result()
