"""What was asked of language models for a cycle's candidates, and what came of it, in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

from sqlalchemy import case, func, select

from engine.store.bulk import insert_rows, overwrite
from engine.store.database import Store
from engine.store.json_text import storable
from engine.store.tables import transcripts

OUTCOMES = ("answered", "accepted", "refused", "failed", "budget", "late", "missing")
"""Where a question ends.

answered : judged by nobody yet. accepted : became the candidate. refused : the validator or the
novelty check said no. failed : the server gave nothing usable. budget : it did not fit. late : the
cycle waited no longer. missing : a replay whose record does not hold it.
"""


@dataclass(frozen=True, slots=True)
class TranscriptRow:
    """One question and its answer.

    Attributes
    ----------
    idx, attempt : place of the candidate in the cycle, and which try of it this is, from 0
    outcome : one of `OUTCOMES`
    strategy_id : what the answer holds, None when it holds none
    parent_id : the strategy that was to be improved
    arm : prompt with its version, and the model that was asked
    model : that answered, as the server names it
    prompt_hash : SHA-256 (hex) of everything sent
    prompt : everything sent, as JSON
    reason : why it was not accepted
    created_at : UTC ms
    """

    cycle_id: int
    idx: int
    attempt: int
    outcome: str
    strategy_id: str | None
    parent_id: str | None
    arm: str
    model: str
    prompt_hash: str
    prompt: str
    answer: str
    finish: str
    reason: str
    tokens_in: int
    tokens_out: int
    cost_quote: float
    latency_s: float
    created_at: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What a cycle's questions took."""

    n_questions: int
    n_accepted: int
    tokens_in: int
    tokens_out: int
    cost_quote: float


_COLUMNS = tuple(field.name for field in fields(TranscriptRow))
_KEYS = ("cycle_id", "idx", "attempt")


async def save_transcripts(store: Store, rows: Sequence[TranscriptRow]) -> int:
    """Store questions and answers in one transaction, in place of what stood there."""
    values = [
        tuple(storable(value) if isinstance(value, str) else value for value in astuple(row))
        for row in rows
    ]
    async with store.write() as connection:
        return await insert_rows(
            connection, transcripts, _COLUMNS, values, overwrite(transcripts, _KEYS, _COLUMNS)
        )


async def transcripts_of_cycle(store: Store, cycle_id: int) -> list[TranscriptRow]:
    """Return a cycle's questions, by candidate and attempt."""
    statement = (
        select(*(transcripts.c[name] for name in _COLUMNS))
        .where(transcripts.c.cycle_id == cycle_id)
        .order_by(transcripts.c.idx, transcripts.c.attempt)
    )
    async with store.read() as connection:
        return [TranscriptRow(**row._mapping) for row in await connection.execute(statement)]


async def transcripts_of_strategy(store: Store, strategy_id: str) -> list[TranscriptRow]:
    """Return the questions a strategy was the answer to, oldest first, all tries of each."""
    t = transcripts.c
    own = select(t.cycle_id, t.idx).where(t.strategy_id == strategy_id).distinct().subquery()
    statement = (
        select(*(t[name] for name in _COLUMNS))
        .join(own, (own.c.cycle_id == t.cycle_id) & (own.c.idx == t.idx))
        .order_by(t.cycle_id, t.idx, t.attempt)
    )
    async with store.read() as connection:
        return [TranscriptRow(**row._mapping) for row in await connection.execute(statement)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the last try for one candidate came to."""

    idx: int
    arm: str
    outcome: str
    strategy_id: str | None
    parent_id: str | None


async def asked_of_cycle(store: Store, cycle_id: int) -> list[Asked]:
    """Return what came of each candidate's questions, by candidate, without the texts."""
    t = transcripts.c
    statement = (
        select(t.idx, t.arm, t.outcome, t.strategy_id, t.parent_id)
        .where(t.cycle_id == cycle_id)
        .order_by(t.idx, t.attempt)
    )
    async with store.read() as connection:
        rows = (await connection.execute(statement)).all()
    # A later try of the same candidate takes the place of an earlier one.
    return list({int(row.idx): Asked(**row._mapping) for row in rows}.values())


async def spent_on(store: Store, cycle_id: int) -> Spent:
    """Return what a cycle's questions took so far."""
    t = transcripts.c
    accepted = func.sum(case((t.outcome == "accepted", 1), else_=0))
    statement = select(
        func.count(),
        accepted,
        func.sum(t.tokens_in),
        func.sum(t.tokens_out),
        func.sum(t.cost_quote),
    ).where(t.cycle_id == cycle_id)
    async with store.read() as connection:
        row = (await connection.execute(statement)).one()
    n_questions, n_accepted, tokens_in, tokens_out = (int(value or 0) for value in row[:4])
    return Spent(n_questions, n_accepted, tokens_in, tokens_out, float(row[4] or 0.0))
