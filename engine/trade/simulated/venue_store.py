"""What the simulated venue must not forget, in one SQLite file of its own.

Every change is one transaction, on the disk before anyone hears of it (write-ahead log, full
synchronisation), so a kill at any moment leaves the venue as its last answer told it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.errors import StoreError
from engine.trade.exchange import Fill
from engine.trade.simulated.book_order import BookOrder
from engine.trade.simulated.snapshot import fill_from, fill_text, order_from, order_text

RESERVE_NAME = "reserve"
RESERVE_BYTES = 4 << 20

_TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, symbol TEXT NOT NULL,
    is_open INTEGER NOT NULL, accepted_at INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS orders_open ON orders (is_open) WHERE is_open = 1;
CREATE INDEX IF NOT EXISTS orders_symbol ON orders (symbol, number);
CREATE TABLE IF NOT EXISTS fills (
    id INTEGER PRIMARY KEY, number INTEGER NOT NULL, symbol TEXT NOT NULL, at INTEGER NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS fills_order ON fills (number);
CREATE INDEX IF NOT EXISTS fills_symbol ON fills (symbol, at);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, body TEXT NOT NULL);
"""
# A client id that was used before is an error here too, never a replacement.
_PUT_ORDER = (
    "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (number) "
    "DO UPDATE SET is_open = excluded.is_open, body = excluded.body"
)


class VenueStore:
    """Orders, fills and the rest of the venue's state.

    Parameters
    ----------
    folder : made when missing

    Attributes
    ----------
    is_short_of_space : the reserve is spent; only what reduces exposure should be taken

    Raises
    ------
    StoreError : the folder cannot be written, or the file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "venue.db"
        self._reserve = folder / RESERVE_NAME
        self.is_short_of_space = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_TABLES)
            self._keep_reserve()
        except (OSError, sqlite3.Error) as exc:
            raise StoreError(
                f"the simulated exchange's state in {folder} cannot be opened: {exc}: make the "
                "folder writable, or choose another home",
                path=str(self._path),
            ) from exc

    def save(
        self,
        orders: Iterable[BookOrder] = (),
        fills: Iterable[tuple[int, Fill]] = (),
        state: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Write changes in one transaction; when it returns they are on the disk.

        Parameters
        ----------
        fills : (number of the order, fill)
        state : (name, text)

        Raises
        ------
        StoreError : nothing was written, even with the reserve spent.
        """
        rows = (
            [
                (o.number, o.new.client_id, o.new.symbol, o.is_open, o.accepted_at, order_text(o))
                for o in orders
            ],
            [(int(f.id), number, f.symbol, f.at, fill_text(f)) for number, f in fills],
            list(state),
        )
        try:
            self._write(*rows)
        except sqlite3.OperationalError:
            # A full disk: the reserve makes room once, so that exits can still be told.
            with contextlib.suppress(OSError):
                self._reserve.unlink()
            self.is_short_of_space = True
            try:
                self._write(*rows)
            except sqlite3.Error as exc:
                raise self._failed(exc) from exc
        except sqlite3.Error as exc:
            raise self._failed(exc) from exc

    def state(self, name: str) -> str | None:
        """Return a saved text, None when there is none."""
        row = self._connection.execute("SELECT body FROM state WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def order(self, client_id: str) -> BookOrder | None:
        """Return an order by its client id."""
        return self._one("SELECT number, body FROM orders WHERE client_id = ?", client_id)

    def order_numbered(self, number: int) -> BookOrder | None:
        """Return an order by the venue's number."""
        return self._one("SELECT number, body FROM orders WHERE number = ?", number)

    def open_orders(self) -> list[BookOrder]:
        """Return the orders that may still fill, oldest first."""
        return self._many("SELECT number, body FROM orders WHERE is_open = 1 ORDER BY number", ())

    def orders(
        self, symbol: str, from_number: int, start_at: int, end_at: int, limit: int
    ) -> list[BookOrder]:
        """Return orders of a symbol in an interval (UTC ms, both ends), oldest first."""
        query = (
            "SELECT number, body FROM orders WHERE symbol = ? AND number >= ? "
            "AND accepted_at >= ? AND accepted_at <= ? ORDER BY number LIMIT ?"
        )
        return self._many(query, (symbol, from_number, start_at, end_at, limit))

    def newest_orders(self, symbol: str, limit: int) -> list[BookOrder]:
        """Return the newest orders of a symbol, oldest first."""
        query = "SELECT number, body FROM orders WHERE symbol = ? ORDER BY number DESC LIMIT ?"
        return self._many(query, (symbol, limit))[::-1]

    def fills(
        self, symbol: str, from_id: int, start_at: int, end_at: int, limit: int
    ) -> list[tuple[int, Fill]]:
        """Return (order number, fill) of a symbol in an interval (UTC ms), oldest first."""
        query = (
            "SELECT number, body FROM fills WHERE symbol = ? AND id >= ? AND at >= ? AND at <= ? "
            "ORDER BY id LIMIT ?"
        )
        return self._fills(query, (symbol, from_id, start_at, end_at, limit))

    def newest_fills(self, symbol: str, limit: int) -> list[tuple[int, Fill]]:
        """Return the newest fills of a symbol, oldest first."""
        query = "SELECT number, body FROM fills WHERE symbol = ? ORDER BY id DESC LIMIT ?"
        return self._fills(query, (symbol, limit))[::-1]

    def order_fills(self, number: int) -> list[Fill]:
        """Return the fills of an order, oldest first."""
        query = "SELECT number, body FROM fills WHERE number = ? ORDER BY id"
        return [fill for _, fill in self._fills(query, (number,))]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _write(
        self,
        orders: Sequence[tuple[object, ...]],
        fills: Sequence[tuple[object, ...]],
        state: Sequence[tuple[object, ...]],
    ) -> None:
        run = self._connection
        try:
            run.execute("BEGIN IMMEDIATE")
            run.executemany(_PUT_ORDER, orders)
            run.executemany("INSERT INTO fills VALUES (?, ?, ?, ?, ?)", fills)
            run.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", state)
            run.execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                run.execute("ROLLBACK")
            raise

    def _one(self, query: str, key: str | int) -> BookOrder | None:
        found = self._many(query, (key,))
        return found[0] if found else None

    def _many(self, query: str, values: tuple[object, ...]) -> list[BookOrder]:
        rows = self._connection.execute(query, values).fetchall()
        return [order_from(body, self.order_fills(number)) for number, body in rows]

    def _fills(self, query: str, values: tuple[object, ...]) -> list[tuple[int, Fill]]:
        rows = self._connection.execute(query, values).fetchall()
        return [(int(number), fill_from(body)) for number, body in rows]

    def _keep_reserve(self) -> None:
        if self._reserve.exists() and self._reserve.stat().st_size >= RESERVE_BYTES:
            return
        try:
            handle = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, RESERVE_BYTES)
            finally:
                os.close(handle)
        except OSError:
            self.is_short_of_space = True

    def _failed(self, exc: Exception) -> StoreError:
        return StoreError(
            f"the simulated exchange's state in {self._path} was not written: {exc}: free space on "
            "that disk",
            path=str(self._path),
        )
