"""Orders as the journal last told them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.bulk import insert_rows, overwrite
from engine.store.database import Store
from engine.store.decimal_text import decimal_of, exact
from engine.store.json_text import storable
from engine.store.tables import orders
from engine.trade.orders import Order, OrderRequest, OrderState, OrderType, Purpose, Side

_COLUMNS = (
    "account",
    "client_id",
    "strategy_id",
    "symbol",
    "side",
    "type",
    "purpose",
    "reduce_only",
    "qty_base",
    "notional_quote",
    "price",
    "stop_price",
    "reference_price",
    "bar_at",
    "created_at",
    "state",
    "is_final",
    "venue_id",
    "filled_base",
    "filled_quote",
    "reason",
    "updated_at",
)
_OVERWRITE = overwrite(orders, ("account", "client_id"), _COLUMNS, keep_newer="updated_at")


async def save_orders(store: Store, rows: Sequence[Order]) -> None:
    """Store orders in one transaction, unless a later word of them is there already."""
    async with store.write() as connection:
        await write_orders(connection, rows)


async def write_orders(connection: AsyncConnection, rows: Sequence[Order]) -> None:
    """Store orders inside a transaction that is already open; the last of an id wins."""
    latest = {(row.request.account, row.client_id): row for row in rows}
    # In one order for all writers, so that none of them waits for another that waits for it.
    values = [_values(latest[key]) for key in sorted(latest)]
    await insert_rows(connection, orders, _COLUMNS, values, _OVERWRITE)


async def open_orders(store: Store, account: str | None = None, limit: int = 500) -> list[Order]:
    """Return at most `limit` orders of an account, or of all, that have not ended, newest first."""
    condition = [orders.c.is_final == 0]
    if account is not None:
        condition.append(orders.c.account == account)
    return await _found(store, condition, limit)


async def count_open_orders(store: Store, account: str) -> int:
    """Return how many orders of an account have not ended."""
    statement = select(func.count()).where(orders.c.account == account, orders.c.is_final == 0)
    async with store.read() as connection:
        return int((await connection.execute(statement)).scalar_one())


async def recent_orders(
    store: Store, account: str, *, symbol: str | None = None, limit: int = 200
) -> list[Order]:
    """Return at most `limit` orders of an account, ended or not, newest first."""
    condition = [orders.c.account == account]
    if symbol is not None:
        condition.append(orders.c.symbol == symbol)
    return await _found(store, condition, limit)


async def get_order(store: Store, account: str, client_id: str) -> Order | None:
    """Return one order, None when the store has not heard of it."""
    found = await _found(store, (orders.c.account == account, orders.c.client_id == client_id), 1)
    return found[0] if found else None


async def _found(store: Store, condition: Sequence[Any], limit: int) -> list[Order]:
    statement = (
        select(orders)
        .where(*condition)
        .order_by(orders.c.created_at.desc(), orders.c.account, orders.c.client_id)
        .limit(limit)
    )
    async with store.read() as connection:
        return [_order(row) for row in await connection.execute(statement)]


def _values(order: Order) -> tuple[Any, ...]:
    request = order.request
    return (
        request.account,
        request.client_id,
        request.strategy_id,
        request.symbol,
        request.side.value,
        request.type.value,
        request.purpose.value,
        int(request.reduce_only),
        exact(request.qty_base),
        exact(request.notional_quote),
        exact(request.price),
        exact(request.stop_price),
        exact(request.reference_price),
        request.bar_at,
        request.created_at,
        order.state.value,
        int(order.state.is_final),
        storable(order.venue_id),
        exact(order.filled_base),
        exact(order.filled_quote),
        storable(order.reason),
        order.updated_at,
    )


def _order(row: Row[Any]) -> Order:
    request = OrderRequest(
        client_id=row.client_id,
        account=row.account,
        strategy_id=row.strategy_id,
        symbol=row.symbol,
        side=Side(row.side),
        type=OrderType(row.type),
        purpose=Purpose(row.purpose),
        qty_base=decimal_of(row.qty_base),
        reduce_only=bool(row.reduce_only),
        bar_at=int(row.bar_at),
        created_at=int(row.created_at),
        reference_price=decimal_of(row.reference_price),
        notional_quote=decimal_of(row.notional_quote),
        price=decimal_of(row.price),
        stop_price=decimal_of(row.stop_price),
    )
    return Order(
        request=request,
        state=OrderState(row.state),
        venue_id=row.venue_id,
        filled_base=decimal_of(row.filled_base),
        filled_quote=decimal_of(row.filled_quote),
        reason=row.reason,
        updated_at=int(row.updated_at),
    )
