"""Many rows in one statement, the fastest way each back-end knows.

SQLite takes tuples through `executemany`; PostgreSQL takes one array per column through `unnest`.
Statements are put together from names in `tables` only (hence S608 below); values are always bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Float, Integer, LargeBinary, Table
from sqlalchemy.ext.asyncio import AsyncConnection

BATCH_ROWS = 1000
IGNORE = "ON CONFLICT DO NOTHING"

Values = tuple[Any, ...]


def batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield `items` in slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def overwrite(
    table: Table, keys: Sequence[str], columns: Sequence[str], *, keep_newer: str = ""
) -> str:
    """Return the `ON CONFLICT` clause that replaces what is stored under `keys`.

    Parameters
    ----------
    columns : every column that is inserted; those that are no key are replaced
    keep_newer : a time column; what is stored stays when its time is later, so that a write that
        was repeated late undoes nothing
    """
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in keys)
    clause = f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    if keep_newer:
        clause += f' WHERE excluded."{keep_newer}" >= {table.name}."{keep_newer}"'
    return clause


async def insert_rows(
    connection: AsyncConnection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Values],
    conflict: str = "",
) -> int:
    """Insert `rows` and return how many were written.

    Parameters
    ----------
    columns : names of the columns, in the order of each row's values
    rows : tuples of plain Python values; None and NaN become NULL
    conflict : an `ON CONFLICT` clause, such as `IGNORE`; rows it skips are not counted
    """
    if not rows:
        return 0
    names = ", ".join(f'"{name}"' for name in columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks}) {conflict}"  # noqa: S608
        return await _execute_many(connection, statement, rows)
    kinds = [_array_kind(table.c[name]) for name in columns]
    source = ", ".join(f"${i}::{kind}[]" for i, kind in enumerate(kinds, start=1))
    given = f"SELECT * FROM unnest({source})"  # noqa: S608
    statement = f"INSERT INTO {table.name} ({names}) {given} {conflict}"
    written = 0
    for part in batches(rows, BATCH_ROWS):
        result = await connection.exec_driver_sql(statement, _columns_of(part))
        written += result.rowcount
    return written


async def update_rows(
    connection: AsyncConnection,
    table: Table,
    keys: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Values],
) -> int:
    """Set `columns` of the rows found by `keys` and return how many were found.

    Parameters
    ----------
    keys, columns : each row holds the values of `columns` first, then of `keys`
    """
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        changes = ", ".join(f'"{name}" = ?' for name in columns)
        where = " AND ".join(f'"{name}" = ?' for name in keys)
        statement = f"UPDATE {table.name} SET {changes} WHERE {where}"  # noqa: S608
        return await _execute_many(connection, statement, rows)
    names = [*columns, *keys]
    source = ", ".join(
        f"${i}::{_array_kind(table.c[name])}[]" for i, name in enumerate(names, start=1)
    )
    changes = ", ".join(f'"{name}" = given."{name}"' for name in columns)
    where = " AND ".join(f'target."{name}" = given."{name}"' for name in keys)
    labels = ", ".join(f'"{name}"' for name in names)
    statement = (
        f"UPDATE {table.name} AS target SET {changes} "  # noqa: S608
        f"FROM (SELECT * FROM unnest({source}) AS g({labels})) AS given WHERE {where}"
    )
    written = 0
    for part in batches(rows, BATCH_ROWS):
        result = await connection.exec_driver_sql(statement, _columns_of(part))
        written += result.rowcount
    return written


async def _execute_many(connection: AsyncConnection, statement: str, rows: Sequence[Values]) -> int:
    # SQLite itself binds NaN as NULL.
    result = await connection.exec_driver_sql(statement, list(rows))
    return result.rowcount


def _columns_of(rows: Sequence[Values]) -> tuple[list[Any], ...]:
    return tuple(list(_without_nan(column)) for column in zip(*rows, strict=True))


def _without_nan(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield None if isinstance(value, float) and math.isnan(value) else value


def _array_kind(column: Column[Any]) -> str:
    if isinstance(column.type, Float):
        return "double precision"
    if isinstance(column.type, Integer):
        return "bigint"
    if isinstance(column.type, LargeBinary):
        return "bytea"
    return "text"
