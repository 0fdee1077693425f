"""Accounts as their gateways tell them, and how their equity went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.account_detail import AccountDetail, detail_of, detail_values
from engine.store.bulk import insert_rows, overwrite
from engine.store.database import Store
from engine.store.decimal_text import decimal_of, exact
from engine.store.json_text import from_text, storable, to_text
from engine.store.tables import accounts as accounts_table
from engine.store.tables import equity_marks

MARK_MS = 300_000
"""Equity is kept once in so many ms: the last that was told in them."""

_COLUMNS = (
    "name",
    "mode",
    "venue",
    "market_label",
    "quote_asset",
    "equity_quote",
    "balance_quote",
    "day_start_quote",
    "week_start_quote",
    "month_start_quote",
    "peak_quote",
    "drawdown_frac",
    "unprotected_quote",
    "gross_quote",
    "net_quote",
    "latch_state",
    "latch_cause",
    "lease_age_s",
    "reconcile_state",
    "reconcile_words",
    "clock_skew_ms",
    "last_bar_at",
    "updated_at",
    "detail",
)
_OVERWRITE = overwrite(accounts_table, ("name",), _COLUMNS, keep_newer="updated_at")
_MARK_COLUMNS = ("account", "at", "equity_quote")
_MARK_OVERWRITE = overwrite(equity_marks, ("account", "at"), _MARK_COLUMNS)


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account at one instant.

    Attributes
    ----------
    mode : paper or live
    venue : where its orders go, such as simulated or bybit
    market_label : where its prices come from: GENERATED, STORE or LIVE
    equity_quote, balance_quote : of now; in `quote_asset`, as every other `_quote`
    day_start_quote, week_start_quote, month_start_quote : equity when the UTC period began
    peak_quote, drawdown_frac : highest equity, and the fraction of it lost since, in [0, 1]
    unprotected_quote : notional of positions without a stop at the exchange
    gross_quote, net_quote : notional of all positions, unsigned and signed
    latch_state, latch_cause : the latch as the gateway read it last
    lease_age_s : age of the gateway's lease, None before the first
    reconcile_state : clean, pending or differs; `reconcile_words` says what differs
    clock_skew_ms : the venue's clock less ours, None before it was asked
    last_bar_at : UTC ms of the newest closed bar's open
    updated_at : UTC ms, the gateway's wall clock
    """

    name: str
    mode: str
    venue: str
    market_label: str
    quote_asset: str
    equity_quote: Decimal
    balance_quote: Decimal
    day_start_quote: Decimal
    week_start_quote: Decimal
    month_start_quote: Decimal
    peak_quote: Decimal
    drawdown_frac: float
    unprotected_quote: Decimal
    gross_quote: Decimal
    net_quote: Decimal
    latch_state: str
    latch_cause: str
    lease_age_s: float | None
    reconcile_state: str
    reconcile_words: str
    clock_skew_ms: int | None
    last_bar_at: int | None
    updated_at: int
    detail: AccountDetail = field(default_factory=AccountDetail)


async def save_accounts(store: Store, rows: Sequence[AccountRow]) -> None:
    """Store accounts in one transaction, unless a later word of them is there already."""
    async with store.write() as connection:
        await write_accounts(connection, rows)


async def write_accounts(connection: AsyncConnection, rows: Sequence[AccountRow]) -> None:
    """Store accounts, and a mark of their equity, inside a transaction that is already open."""
    latest = {row.name: row for row in rows}
    values = [_values(row) for row in latest.values()]
    await insert_rows(connection, accounts_table, _COLUMNS, values, _OVERWRITE)
    marks = [
        (row.name, row.updated_at - row.updated_at % MARK_MS, exact(row.equity_quote))
        for row in latest.values()
    ]
    await insert_rows(connection, equity_marks, _MARK_COLUMNS, marks, _MARK_OVERWRITE)


async def accounts(store: Store) -> list[AccountRow]:
    """Return every account, paper before live, then by name."""
    order = (accounts_table.c.mode.desc(), accounts_table.c.name)
    async with store.read() as connection:
        rows = await connection.execute(select(accounts_table).order_by(*order))
        return [_account(row) for row in rows]


async def equity_line(
    store: Store, account: str, since_at: int, max_points: int = 240
) -> list[tuple[int, Decimal]]:
    """Return (UTC ms, equity) of an account since `since_at`, oldest first, evenly thinned.

    Parameters
    ----------
    max_points : >= 1; of each stretch of time the last mark is returned, at its own time
    """
    where = (equity_marks.c.account == account, equity_marks.c.at >= since_at)
    last_at = select(func.max(equity_marks.c.at)).where(*where).scalar_subquery()
    async with store.read() as connection:
        newest = (await connection.execute(select(last_at))).scalar_one()
        if newest is None:
            return []
        marks_apart = max(1, -(-(int(newest) - since_at + 1) // (max_points * MARK_MS)))
        stretch = (equity_marks.c.at - since_at) // (marks_apart * MARK_MS)
        kept = select(func.max(equity_marks.c.at)).where(*where).group_by(stretch)
        statement = (
            select(equity_marks.c.at, equity_marks.c.equity_quote)
            .where(equity_marks.c.account == account, equity_marks.c.at.in_(kept))
            .order_by(equity_marks.c.at)
        )
        return [
            (int(row.at), Decimal(row.equity_quote)) for row in await connection.execute(statement)
        ]


def _values(row: AccountRow) -> tuple[Any, ...]:
    values = {name: getattr(row, name) for name in _COLUMNS}
    for name, value in values.items():
        if isinstance(value, Decimal):
            values[name] = exact(value)
    values["reconcile_words"] = storable(row.reconcile_words)
    values["detail"] = to_text(detail_values(row.detail))
    return tuple(values.values())


def _account(row: Row[Any]) -> AccountRow:
    values = dict(row._mapping)
    for name in values:
        if name.endswith("_quote"):
            values[name] = decimal_of(values[name])
    values["detail"] = detail_of(from_text(values["detail"]))
    return AccountRow(**values)
