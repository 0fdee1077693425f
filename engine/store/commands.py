"""What operators asked for: inserted by the console, claimed once and answered by the conductor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from engine.errors import InvariantError, StoreError
from engine.store.database import Store
from engine.store.json_text import from_text, storable, to_text
from engine.store.tables import commands

FINAL_STATUSES = ("done", "refused", "failed")


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One wish and its outcome.

    Attributes
    ----------
    who : the operator or program that asked
    status : waiting, taken, done, refused or failed
    result : what the executor answered, None before
    reason : why it was refused or failed, empty otherwise
    """

    id: int
    created_at: int
    who: str
    name: str
    arguments: Mapping[str, Any]
    status: str
    taken_at: int | None
    finished_at: int | None
    result: Any
    reason: str


async def insert_command(
    store: Store, *, who: str, name: str, arguments: Mapping[str, Any] | None = None, now_at: int
) -> int:
    """Insert a waiting command and return its id."""
    values = {
        "created_at": now_at,
        "who": who,
        "name": name,
        "arguments": to_text(dict(arguments or {})),
        "status": "waiting",
        "reason": "",
    }
    async with store.write() as connection:
        statement = insert(commands).values(values).returning(commands.c.id)
        return int((await connection.execute(statement)).scalar_one())


async def get_command(store: Store, command_id: int) -> CommandRow:
    """Return one command.

    Raises
    ------
    StoreError : no command has that id.
    """
    async with store.read() as connection:
        statement = select(commands).where(commands.c.id == command_id)
        row = (await connection.execute(statement)).first()
    if row is None:
        raise StoreError(f"command {command_id} is not in the store", command_id=command_id)
    return _command(row)


async def waiting_commands(store: Store, names: Sequence[str] | None = None) -> list[CommandRow]:
    """Return the commands nobody has taken, oldest first; only those of `names` when given."""
    statement = select(commands).where(commands.c.status == "waiting").order_by(commands.c.id)
    if names is not None:
        statement = statement.where(commands.c.name.in_(names))
    async with store.read() as connection:
        return [_command(row) for row in await connection.execute(statement)]


async def claim_command(
    store: Store, now_at: int, command_id: int | None = None
) -> CommandRow | None:
    """Take a waiting command, the oldest when none is named; None when there is none to take.

    However many ask at once, each command is given to one of them only.
    """
    statement = update(commands).where(commands.c.status == "waiting")
    if command_id is None:
        oldest = (
            select(commands.c.id)
            .where(commands.c.status == "waiting")
            .order_by(commands.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        statement = statement.where(commands.c.id == oldest.scalar_subquery())
    else:
        statement = statement.where(commands.c.id == command_id)
    taken = statement.values(status="taken", taken_at=now_at).returning(*commands.c)
    async with store.write() as connection:
        row = (await connection.execute(taken)).first()
    return None if row is None else _command(row)


async def finish_command(
    store: Store, command_id: int, *, status: str, result: Any = None, reason: str = "", now_at: int
) -> bool:
    """Answer a command that was taken or is waiting; False when it already has an answer.

    Parameters
    ----------
    status : done, refused or failed
    result : any JSON value
    reason : words for the operator, when refused or failed

    Raises
    ------
    InvariantError : another status.
    """
    if status not in FINAL_STATUSES:
        raise InvariantError(f"a command ends as {', '.join(FINAL_STATUSES)}, not {status!r}")
    statement = (
        update(commands)
        .where(commands.c.id == command_id, commands.c.status.in_(("waiting", "taken")))
        .values(status=status, result=to_text(result), reason=storable(reason), finished_at=now_at)
    )
    async with store.write() as connection:
        return bool((await connection.execute(statement)).rowcount)


async def taken_commands(store: Store) -> list[CommandRow]:
    """Return commands taken but not answered, oldest first: what a crash left behind."""
    statement = select(commands).where(commands.c.status == "taken").order_by(commands.c.id)
    async with store.read() as connection:
        return [_command(row) for row in await connection.execute(statement)]


async def recent_commands(store: Store, limit: int = 100) -> list[CommandRow]:
    """Return at most `limit` commands, newest first."""
    statement = select(commands).order_by(commands.c.id.desc()).limit(limit)
    async with store.read() as connection:
        return [_command(row) for row in await connection.execute(statement)]


def _command(row: Row[Any]) -> CommandRow:
    values = dict(row._mapping)
    values["arguments"] = from_text(values["arguments"])
    values["result"] = from_text(values["result"])
    return CommandRow(**values)
