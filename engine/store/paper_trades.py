"""Round trips of strategies that trade: what the live gate and the comparison read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.bulk import insert_rows, overwrite
from engine.store.database import Store
from engine.store.decimal_text import decimal_of, exact
from engine.store.tables import paper_trades
from engine.trade.orders import Side

_KEYS = ("account", "strategy_id", "symbol", "entry_at", "exit_at")
_DECIMALS = ("entry", "exit", "qty_base", "pnl_quote")
_COLUMNS = (*_KEYS, "side", *_DECIMALS, "reason", "net_return")
_OVERWRITE = overwrite(paper_trades, _KEYS, _COLUMNS)


@dataclass(frozen=True, slots=True)
class PaperTrade:
    """One round trip.

    Attributes
    ----------
    side : of the entry: buy for a long
    entry_at, exit_at : UTC ms, the account's clock
    entry, exit : mean fill prices, quote currency
    reason : what closed it, such as stop, target, exit
    qty_base : unsigned
    pnl_quote : after fees
    net_return : fraction of the notional at entry, after costs
    """

    account: str
    strategy_id: str
    symbol: str
    side: Side
    entry_at: int
    entry: Decimal
    exit_at: int
    exit: Decimal
    reason: str
    qty_base: Decimal
    pnl_quote: Decimal
    net_return: float


async def save_paper_trades(store: Store, rows: Sequence[PaperTrade]) -> None:
    """Store round trips in one transaction; those that are there already are replaced."""
    async with store.write() as connection:
        await write_paper_trades(connection, rows)


async def write_paper_trades(connection: AsyncConnection, rows: Sequence[PaperTrade]) -> None:
    """Store round trips inside a transaction that is already open."""
    latest = {tuple(getattr(row, key) for key in _KEYS): _values(row) for row in rows}
    await insert_rows(connection, paper_trades, _COLUMNS, list(latest.values()), _OVERWRITE)


async def paper_trades_of(
    store: Store,
    strategy_id: str,
    *,
    account: str | None = None,
    symbol: str | None = None,
    since_at: int = 0,
    limit: int = 10_000,
) -> list[PaperTrade]:
    """Return at most `limit` round trips that ended at or after `since_at`, oldest first.

    Of more, the newest are returned.
    """
    table = paper_trades
    statement = (
        select(table)
        .where(table.c.strategy_id == strategy_id, table.c.exit_at >= since_at)
        .order_by(table.c.exit_at.desc(), table.c.entry_at.desc(), table.c.symbol, table.c.account)
        .limit(limit)
    )
    if account is not None:
        statement = statement.where(table.c.account == account)
    if symbol is not None:
        statement = statement.where(table.c.symbol == symbol)
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all()
    return [_trade(row) for row in reversed(rows)]


def _values(row: PaperTrade) -> tuple[Any, ...]:
    values = {name: getattr(row, name) for name in _COLUMNS}
    for name in _DECIMALS:
        values[name] = exact(values[name])
    values["side"] = row.side.value
    return tuple(values.values())


def _trade(row: Row[Any]) -> PaperTrade:
    values = dict(row._mapping)
    for name in _DECIMALS:
        values[name] = decimal_of(values[name])
    values["side"] = Side(values["side"])
    return PaperTrade(**values)
