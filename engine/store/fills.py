"""Fills, each once, with the price their order left at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.bulk import IGNORE, insert_rows
from engine.store.database import Store
from engine.store.decimal_text import decimal_of, exact
from engine.store.tables import fills, orders
from engine.trade.exchange import Fill
from engine.trade.orders import Side

_COLUMNS = (
    "account",
    "symbol",
    "id",
    "client_id",
    "strategy_id",
    "side",
    "qty_base",
    "price",
    "fee",
    "fee_asset",
    "at",
)


@dataclass(frozen=True, slots=True)
class FillRow:
    """One fill.

    Attributes
    ----------
    strategy_id : whose position it changed, empty when nobody's
    reference_price : where the market stood when its order was made, None when the store has not
        heard of the order; only read, never written
    """

    account: str
    strategy_id: str
    fill: Fill
    reference_price: Decimal | None = None

    @property
    def slippage_frac(self) -> float | None:
        """Return by how much it was worse than `reference_price`, as a fraction of it."""
        if not self.reference_price:
            return None
        moved = (self.fill.price - self.reference_price) / self.reference_price
        return float(moved) * self.fill.side.sign


async def save_fills(store: Store, rows: Sequence[FillRow]) -> int:
    """Store fills in one transaction and return how many were new; (symbol, id) counts once."""
    async with store.write() as connection:
        return await write_fills(connection, rows)


async def write_fills(connection: AsyncConnection, rows: Sequence[FillRow]) -> int:
    """Store fills inside a transaction that is already open; return how many were new."""
    return await insert_rows(connection, fills, _COLUMNS, [_values(row) for row in rows], IGNORE)


async def recent_fills(
    store: Store, account: str, *, client_id: str | None = None, since_at: int = 0, limit: int = 500
) -> list[FillRow]:
    """Return at most `limit` fills of an account at or after an instant, newest first.

    Parameters
    ----------
    client_id : of this order only
    """
    same_order = (orders.c.account == fills.c.account) & (orders.c.client_id == fills.c.client_id)
    statement = (
        select(fills, orders.c.reference_price)
        .outerjoin(orders, same_order)
        .where(fills.c.account == account, fills.c.at >= since_at)
        .order_by(fills.c.at.desc(), fills.c.symbol, fills.c.id.desc())
        .limit(limit)
    )
    if client_id is not None:
        statement = statement.where(fills.c.client_id == client_id)
    async with store.read() as connection:
        return [_fill(row) for row in await connection.execute(statement)]


def _values(row: FillRow) -> tuple[Any, ...]:
    fill = row.fill
    return (
        row.account,
        fill.symbol,
        fill.id,
        fill.client_id,
        row.strategy_id,
        fill.side.value,
        exact(fill.qty_base),
        exact(fill.price),
        exact(fill.fee),
        fill.fee_asset,
        fill.at,
    )


def _fill(row: Row[Any]) -> FillRow:
    fill = Fill(
        id=row.id,
        client_id=row.client_id,
        symbol=row.symbol,
        side=Side(row.side),
        qty_base=decimal_of(row.qty_base),
        price=decimal_of(row.price),
        fee=decimal_of(row.fee),
        fee_asset=row.fee_asset,
        at=int(row.at),
    )
    return FillRow(row.account, row.strategy_id, fill, decimal_of(row.reference_price))
