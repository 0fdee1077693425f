"""What changed in the last day: asked of the store in one go, shown on one page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.store.commands import CommandRow
    from engine.store.cycles import CycleRow
    from engine.store.database import Store
    from engine.store.deployments import DeploymentRow
    from engine.store.events import EventRow

DAY_MS = 86_400_000
_MOST_CYCLES = 200
_MOST_EVENTS = 300
_MOST_COMMANDS = 200
# Where a strategy stands after these, somebody wants to know its name.
_NAMED_STATUSES = ("paper", "live", "paused", "retired")


@dataclass(frozen=True, slots=True)
class KindCount:
    """How often something was told, and the last time.

    Attributes
    ----------
    last_at : UTC ms
    message : of the last one
    """

    level: str
    kind: str
    n: int
    last_at: int
    message: str


@dataclass(frozen=True, slots=True)
class AccountChange:
    """An account then and now, in its own time; quote currency."""

    name: str
    quote_asset: str
    before_quote: Decimal | None
    now_quote: Decimal
    n_fills: int


@dataclass(frozen=True, slots=True)
class ChangesView:
    """What changed since an instant.

    Attributes
    ----------
    since_at, read_at : UTC ms
    cycles : ended since, newest first
    n_new : strategies that were made
    moves : (status before, status after) to how many strategies moved so
    named : moves to a status that trades or stops to, newest first
    switches : what was done to the latches, newest first
    troubles : warnings and errors by kind, worst and latest first
    accounts : all that are known
    versions : deployments that changed
    commands : what operators asked for, newest first
    """

    since_at: int
    read_at: int
    cycles: tuple[CycleRow, ...] = ()
    n_new: int = 0
    moves: tuple[tuple[str, str, int], ...] = ()
    named: tuple[EventRow, ...] = ()
    switches: tuple[EventRow, ...] = ()
    troubles: tuple[KindCount, ...] = ()
    accounts: tuple[AccountChange, ...] = ()
    versions: tuple[DeploymentRow, ...] = ()
    commands: tuple[CommandRow, ...] = ()


async def changes_since(store: Store, since_at: int, now_at: int) -> ChangesView:
    """Return what changed from `since_at` to `now_at` (UTC ms)."""
    from engine.store.commands import recent_commands
    from engine.store.cycles import recent_cycles
    from engine.store.deployments import newest_deployments
    from engine.store.events import events_page

    statuses = await events_page(store, kind="strategy.status", limit=_MOST_EVENTS)
    switches = await events_page(store, kind="latch", limit=_MOST_EVENTS)
    cycles = await recent_cycles(store, _MOST_CYCLES)
    return ChangesView(
        since_at=since_at,
        read_at=now_at,
        cycles=tuple(row for row in cycles if (row.finished_at or 0) >= since_at),
        n_new=await _n_new(store, since_at),
        moves=await _moves(store, since_at),
        named=tuple(
            row
            for row in reversed(statuses)
            if row.at >= since_at and row.fields.get("to") in _NAMED_STATUSES
        ),
        switches=tuple(row for row in reversed(switches) if row.at >= since_at),
        troubles=await _troubles(store, since_at),
        accounts=await _accounts(store, now_at - since_at, now_at),
        versions=tuple(
            row for row in await newest_deployments(store) if row.changed_at >= since_at
        ),
        commands=tuple(
            row
            for row in await recent_commands(store, _MOST_COMMANDS)
            if row.created_at >= since_at
        ),
    )


async def _n_new(store: Store, since_at: int) -> int:
    from sqlalchemy import func, select

    from engine.store.tables import strategies

    statement = select(func.count()).where(strategies.c.created_at >= since_at)
    async with store.read() as connection:
        return int((await connection.execute(statement)).scalar_one())


async def _moves(store: Store, since_at: int) -> tuple[tuple[str, str, int], ...]:
    from sqlalchemy import func, select

    from engine.store.tables import events

    # The message begins with `before → after:`, which is cheaper to group by than its fields.
    head = func.substr(events.c.message, 1, func.instr(events.c.message, ":") - 1)
    if store.dialect == "postgresql":
        head = func.split_part(events.c.message, ":", 1)
    statement = (
        select(head.label("head"), func.count().label("n"))
        .where(events.c.kind == "strategy.status", events.c.at >= since_at)
        .group_by("head")
    )
    found = []
    async with store.read() as connection:
        for row in await connection.execute(statement):
            before, _, after = str(row.head).partition(" → ")
            found.append((before, after, int(row.n)))
    return tuple(sorted(found, key=lambda move: -move[2]))


async def _troubles(store: Store, since_at: int) -> tuple[KindCount, ...]:
    from sqlalchemy import func, select

    from engine.store.tables import events

    grouped = (
        select(func.count().label("n"), func.max(events.c.id).label("last_id"))
        .where(events.c.at >= since_at, events.c.level.in_(("warn", "error")))
        .group_by(events.c.level, events.c.kind)
        .subquery()
    )
    statement = select(
        events.c.level, events.c.kind, events.c.at, events.c.message, grouped.c.n
    ).join(grouped, events.c.id == grouped.c.last_id)
    async with store.read() as connection:
        rows = [
            KindCount(row.level, row.kind, int(row.n), int(row.at), row.message)
            for row in await connection.execute(statement)
        ]
    return tuple(sorted(rows, key=lambda row: (row.level != "error", -row.last_at)))


async def _accounts(store: Store, span_ms: int, now_at: int) -> tuple[AccountChange, ...]:
    from sqlalchemy import func, select

    from engine.store.accounts import accounts, equity_line
    from engine.store.tables import fills

    found = []
    for row in await accounts(store):
        # A replayed market is in another year: its own clock says what yesterday was.
        own_at = row.detail.clock_at or now_at + (row.clock_skew_ms or 0)
        line = await equity_line(store, row.name, own_at - span_ms)
        statement = select(func.count()).where(
            fills.c.account == row.name, fills.c.at >= own_at - span_ms
        )
        async with store.read() as connection:
            n_fills = int((await connection.execute(statement)).scalar_one())
        before = line[0][1] if line else row.day_start_quote
        found.append(AccountChange(row.name, row.quote_asset, before, row.equity_quote, n_fills))
    return tuple(found)
