"""Ask the running runtime for something and wait for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from console.runtime_process import view_runtime
from console.session import Session, operator
from engine.errors import RuntimeUnavailable, UsageError

if TYPE_CHECKING:
    from engine.store.commands import CommandRow
    from engine.store.database import Store

ANSWER_S = 60.0
_POLL_S = 0.05


async def ask(session: Session, name: str, arguments: Mapping[str, Any]) -> Any:
    """Ask for one command and return its result.

    Raises
    ------
    UsageError : it was refused.
    RuntimeUnavailable : no runtime runs, it did not answer, or what was asked failed.
    """
    from engine.store.commands import insert_command

    store = await session.open_store(read_only=False)
    try:
        await _check_alive(session, store)
        now_at = session.clock.now_at()
        command_id = await insert_command(
            store, who=operator(), name=name, arguments=arguments, now_at=now_at
        )
        row = await _answered(store, command_id)
    finally:
        await store.close()
    if row.status == "refused":
        raise UsageError(row.reason)
    if row.status != "done":
        raise RuntimeUnavailable(f"{name} failed: {row.reason}")
    return row.result


async def _check_alive(session: Session, store: Store) -> None:
    from console.feed import conductor_beat_at
    from engine.store.heartbeats import heartbeats

    beat_at = conductor_beat_at(tuple(await heartbeats(store)))
    view = view_runtime(session.home, beat_at, session.clock.now_at())
    if not view.is_alive:
        raise RuntimeUnavailable(f"the runtime is {view.word}: start it with `paddock up`")


async def _answered(store: Store, command_id: int) -> CommandRow:
    from engine.store.commands import get_command

    try:
        async with asyncio.timeout(ANSWER_S):
            while True:
                row = await get_command(store, command_id)
                if row.finished_at is not None:
                    return row
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise RuntimeUnavailable(
            f"the runtime did not answer within {ANSWER_S:g} s: `paddock status` says what it does"
        ) from None
