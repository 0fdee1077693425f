"""The projection of one account: what its journal says, in rows that may be thrown away.

The journal is the truth. Whatever is written here can be written again from it, and
`replace_account_projection` does so in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete

from engine.store import tables
from engine.store.accounts import AccountRow, write_accounts
from engine.store.database import Store
from engine.store.fills import FillRow, write_fills
from engine.store.orders import write_orders
from engine.store.paper_trades import PaperTrade, write_paper_trades
from engine.store.positions import PositionRow, write_positions
from engine.trade.orders import Order


async def save_trading(
    store: Store,
    account: AccountRow,
    *,
    orders: Sequence[Order] = (),
    fills: Sequence[FillRow] = (),
    positions: Sequence[PositionRow] | None = None,
    trades: Sequence[PaperTrade] = (),
) -> None:
    """Store what changed in an account, in one transaction; may run twice.

    Parameters
    ----------
    positions : all that are open now; None when they have not changed
    """
    async with store.write() as connection:
        await write_orders(connection, orders)
        await write_fills(connection, fills)
        if positions is not None:
            await write_positions(connection, account.name, positions)
        await write_paper_trades(connection, trades)
        await write_accounts(connection, [account])


async def replace_account_projection(
    store: Store,
    account: AccountRow,
    *,
    orders: Sequence[Order],
    fills: Sequence[FillRow],
    positions: Sequence[PositionRow],
    trades: Sequence[PaperTrade] | None = None,
) -> None:
    """Throw away an account's rows and store these instead, in one transaction; may run twice.

    Its equity line is kept: the journal does not hold it.

    Parameters
    ----------
    trades : None when the round trips are to be kept as they are
    """
    name = account.name
    async with store.write() as connection:
        for table in (tables.orders, tables.fills):
            await connection.execute(delete(table).where(table.c.account == name))
        await connection.execute(delete(tables.accounts).where(tables.accounts.c.name == name))
        if trades is not None:
            gone = tables.paper_trades.c.account == name
            await connection.execute(delete(tables.paper_trades).where(gone))
        await write_orders(connection, orders)
        await write_fills(connection, fills)
        await write_positions(connection, name, positions)
        await write_paper_trades(connection, trades or ())
        await write_accounts(connection, [account])
