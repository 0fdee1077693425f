"""What the risk officer of a running trader says of its entries, by its journal and the store."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.risk.verdict import RiskVerdict, RuleResult
from engine.store.database import Store
from engine.store.orders import get_order
from engine.trade.accounts import PAPER, account_folder
from engine.trade.journal import JOURNAL_FILE
from engine.trade.orders import Order, Purpose
from engine.trade.ours import STARTED
from engine.trade.records import IntentRecord, NoteRecord, Record
from tests.chaos.journal_tail import JournalTail


@dataclass(frozen=True)
class Judged:
    """An entry, as the journal tells that the risk officer judged it."""

    client_id: str
    verdict: RiskVerdict

    @property
    def is_sent(self) -> bool:
        """Return whether it was let pass."""
        return self.verdict.allowed

    def rule(self, name: str) -> RuleResult:
        """Return what one rule found."""
        return next(result for result in self.verdict.rules if result.rule == name)


class Entries:
    """The entries in the journal of a home's paper account, read on from where the last stood."""

    def __init__(self, home: Path) -> None:
        self._journal = JournalTail(account_folder(home, PAPER) / JOURNAL_FILE, PAPER, "USDT")
        self._n_read = 0

    async def new_life(self) -> None:
        """Wait for limits that change, and for the trader that begins with them."""
        for topic in ("limits.changed", STARTED):
            await self._next(partial(_is_note, topic))

    async def next_judged(self) -> Judged:
        """Wait for an entry that the officer held against a share of equity that it knew.

        In the first instants of a trader's life prices and returns may be unknown: nothing enters.
        """
        while True:
            record: Any = await self._next(_is_judged)
            judged = Judged(record.request.client_id, record.verdict)
            if not math.isnan(judged.rule("position_frac").value):
                return judged

    async def next_sent(self) -> Judged:
        """Wait for an entry that may be sent; whatever is refused before is not too large."""
        while not (judged := await self.next_judged()).is_sent:
            assert judged.rule("position_frac").passed, judged.verdict.reason
        return judged

    async def _next(self, is_wanted: Callable[[Record], bool]) -> Record:
        async with asyncio.timeout(60):
            while True:
                for line in self._journal.read()[self._n_read :]:
                    self._n_read = line.seq + 1
                    if is_wanted(line.record):
                        return line.record
                await asyncio.sleep(0.05)


async def ended_order(store: Store, client_id: str) -> Order:
    """Return an order once the store, which is told after the journal, has how it ended."""
    async with asyncio.timeout(30):
        while True:
            order = await get_order(store, PAPER, client_id)
            if order is not None and order.state.is_final:
                return order
            await asyncio.sleep(0.05)


def _is_note(topic: str, record: Record) -> bool:
    return isinstance(record, NoteRecord) and record.topic == topic


def _is_judged(record: Record) -> bool:
    if not isinstance(record, IntentRecord) or record.verdict is None:
        return False
    return record.request.purpose is Purpose.ENTRY
