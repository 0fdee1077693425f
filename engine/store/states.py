"""Learned states, addressed by their content, so that a cycle can say what it started from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select

from engine.errors import StoreError
from engine.store.bulk import IGNORE, insert_rows
from engine.store.database import Store
from engine.store.tables import learned_states

_COLUMNS = ("hash", "parent_hash", "cycle_id", "created_at", "payload")


@dataclass(frozen=True, slots=True)
class StateRow:
    """What was learned up to one cycle; `payload` is the learner's own text."""

    hash: str
    parent_hash: str | None
    cycle_id: int | None
    created_at: int
    payload: str


def payload_hash(payload: str) -> str:
    """Return the SHA-256 (hex) under which a payload is stored."""
    return hashlib.sha256(payload.encode()).hexdigest()


async def save_state(
    store: Store,
    *,
    payload: str,
    parent_hash: str | None = None,
    cycle_id: int | None = None,
    now_at: int,
) -> str:
    """Store a payload unless it is there already, and return its hash."""
    digest = payload_hash(payload)
    async with store.write() as connection:
        row = (digest, parent_hash, cycle_id, now_at, payload)
        await insert_rows(connection, learned_states, _COLUMNS, [row], IGNORE)
    return digest


async def load_state(store: Store, state_hash: str) -> StateRow:
    """Return the state stored under a hash.

    Raises
    ------
    StoreError : there is none, or its payload no longer matches the hash.
    """
    async with store.read() as connection:
        statement = select(learned_states).where(learned_states.c.hash == state_hash)
        row = (await connection.execute(statement)).first()
    if row is None:
        raise StoreError(
            f"learned state {state_hash[:12]} is not in the store: it was never saved here",
            hash=state_hash,
        )
    state = StateRow(**row._mapping)
    if payload_hash(state.payload) != state.hash:
        raise StoreError(
            f"learned state {state_hash[:12]} is damaged: restore the store from a backup",
            hash=state_hash,
        )
    return state


async def latest_state(store: Store) -> StateRow | None:
    """Return the state saved last, None before the first."""
    statement = (
        select(learned_states)
        .order_by(
            learned_states.c.created_at.desc(),
            learned_states.c.cycle_id.desc().nulls_last(),
            learned_states.c.hash,
        )
        .limit(1)
    )
    async with store.read() as connection:
        row = (await connection.execute(statement)).first()
    return None if row is None else StateRow(**row._mapping)
