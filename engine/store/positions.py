"""Open positions as the account's book holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.decimal_text import decimal_of, exact
from engine.store.tables import positions as positions_table

_DECIMALS = (
    "signed_base",
    "entry_price",
    "mark_price",
    "notional_quote",
    "unrealized_quote",
    "realized_quote",
    "fees_quote",
    "stop_price",
    "target_price",
    "liquidation_price",
)
_COLUMNS = (
    "account",
    "strategy_id",
    "symbol",
    *_DECIMALS,
    "stop_place",
    "opened_at",
    "reconciled_at",
    "is_reconciled",
    "updated_at",
)


@dataclass(frozen=True, slots=True)
class PositionRow:
    """What one strategy holds of one symbol.

    Attributes
    ----------
    signed_base : base currency, negative for a short, never 0
    entry_price, mark_price, stop_price, target_price, liquidation_price : quote currency, None
        when there is none or it is not known
    notional_quote : unsigned, at the mark
    unrealized_quote, realized_quote, fees_quote : quote currency; gains are before fees
    stop_place : where its stop waits: exchange, paddock, or empty without one
    reconciled_at : UTC ms when the exchange was last asked
    is_reconciled : whether it agreed
    """

    account: str
    strategy_id: str
    symbol: str
    signed_base: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    notional_quote: Decimal | None
    unrealized_quote: Decimal | None
    realized_quote: Decimal
    fees_quote: Decimal
    updated_at: int
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    stop_place: str = ""
    opened_at: int | None = None
    reconciled_at: int | None = None
    is_reconciled: bool = True


async def save_positions(store: Store, account: str, rows: Sequence[PositionRow]) -> None:
    """Make `rows` all the positions of an account, in one transaction."""
    async with store.write() as connection:
        await write_positions(connection, account, rows)


async def write_positions(
    connection: AsyncConnection, account: str, rows: Sequence[PositionRow]
) -> None:
    """Make `rows` all the positions of an account inside a transaction that is already open.

    Those that are flat are left out; of two for one strategy and symbol the last is kept.
    """
    await connection.execute(delete(positions_table).where(positions_table.c.account == account))
    held = {
        (row.strategy_id, row.symbol): _values(account, row) for row in rows if row.signed_base != 0
    }
    await insert_rows(connection, positions_table, _COLUMNS, list(held.values()))


async def positions(
    store: Store, account: str | None = None, limit: int = 500
) -> list[PositionRow]:
    """Return at most `limit` open positions of an account, or of all, by symbol and strategy."""
    table = positions_table
    statement = (
        select(table).order_by(table.c.symbol, table.c.strategy_id, table.c.account).limit(limit)
    )
    if account is not None:
        statement = statement.where(table.c.account == account)
    async with store.read() as connection:
        return [_position(row) for row in await connection.execute(statement)]


async def count_positions(store: Store, account: str) -> int:
    """Return how many positions of an account are open."""
    statement = select(func.count()).where(positions_table.c.account == account)
    async with store.read() as connection:
        return int((await connection.execute(statement)).scalar_one())


def _values(account: str, row: PositionRow) -> tuple[Any, ...]:
    values = {name: getattr(row, name) for name in _COLUMNS}
    values["account"] = account
    for name in _DECIMALS:
        values[name] = exact(values[name])
    values["is_reconciled"] = int(row.is_reconciled)
    return tuple(values.values())


def _position(row: Row[Any]) -> PositionRow:
    values = dict(row._mapping)
    for name in _DECIMALS:
        values[name] = decimal_of(values[name])
    values["is_reconciled"] = bool(values["is_reconciled"])
    return PositionRow(**values)
