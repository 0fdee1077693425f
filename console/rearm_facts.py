"""What the console knows of an account that asks to be armed again, for the checks to judge."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.errors import DataError
from engine.trade.accounts import account_folder

if TYPE_CHECKING:
    from console.session import Session
    from console.snapshot import Snapshot
    from engine.trade.rearm import RearmFacts


async def rearm_facts(session: Session, snapshot: Snapshot, now_at: int) -> RearmFacts:
    """Return the facts of the account that is shown; its journal is verified from the start.

    The command that re-arms gathers its own: these are what the question shows.
    """
    # Late: the money path's libraries are not needed to draw the first picture.
    from engine.trade.journal import JOURNAL_FILE, verify_journal
    from engine.trade.rearm import RearmFacts

    report, problem = None, ""
    path = account_folder(session.home, snapshot.account) / JOURNAL_FILE
    try:
        report = await asyncio.to_thread(verify_journal, path)
    except DataError as exc:
        problem = exc.message
    return RearmFacts(
        account=snapshot.account,
        now_at=now_at,
        runtime=snapshot.runtime.word,
        beat_at=snapshot.runtime.beat_at,
        row=snapshot.account_row,
        journal=report,
        journal_problem=problem,
        store_problem=snapshot.problem,
    )
