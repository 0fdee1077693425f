"""Tells the store how an account stands, at most a few times a second, and never in the way."""

from __future__ import annotations

import asyncio
import contextlib

from actors.account_projection import AccountProjection, columns_of
from actors.ports import Peer, PeerLost
from actors.strategy_seats import StrategySeats
from engine.errors import PaddockError
from engine.trade.account_clock import AccountClock
from engine.trade.assembly import Assembly
from engine.trade.bookkeeper import OrderNews

PUBLISH_S = 1.0
PAUSE_S = 0.2
_WRITE_S = 10.0


class AccountPublisher:
    """Write an account's projection through the recorder.

    Survives a crash: nothing; at the start everything is written again from the journal.
    May run twice: every write.

    Attributes
    ----------
    problem : why the store did not take it last, empty while it does
    """

    def __init__(self, recorder: Peer, projection: AccountProjection, clock: AccountClock) -> None:
        self.problem = ""
        self._recorder = recorder
        self._projection = projection
        self._clock = clock
        self._changed = asyncio.Event()

    def hear(self, news: OrderNews) -> None:
        """Take news of an order; it is written soon."""
        self._projection.hear(news)
        self._changed.set()

    async def publish_all(self, assembly: Assembly) -> None:
        """Write the whole book, in place of what an earlier life wrote."""
        is_whole = self._projection.take_all(assembly)
        changes = self._projection.take_changes()
        row = self._projection.account_row(assembly, self._clock, None)
        columns = dict(columns_of(changes, self._projection.position_rows(assembly)))
        if is_whole:
            columns["trades"] = None
        name = "replace_account_projection" if is_whole else "save_trading"
        try:
            await self._recorder.call("write", name, (row,), columns, timeout_s=_WRITE_S)
        except PaddockError:
            # The recorder is away: it is told with the next round.
            self._projection.give_back(changes)

    async def keep(self, assembly: Assembly, seats: StrategySeats) -> None:
        """Write what changes, and once a second how it stands, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), PUBLISH_S)
            self._changed.clear()
            await self.publish(assembly, seats)
            await asyncio.sleep(PAUSE_S)

    async def publish(self, assembly: Assembly, seats: StrategySeats) -> None:
        """Write what changed since the last time."""
        self._projection.take_trades(seats, assembly)
        changes = self._projection.take_changes()
        row = self._projection.account_row(assembly, self._clock, seats.newest_bar_at())
        columns = columns_of(changes, self._projection.position_rows(assembly))
        try:
            await self._recorder.call("write", "save_trading", (row,), columns, timeout_s=_WRITE_S)
            self.problem = ""
        except PeerLost:
            self._projection.give_back(changes)
        except PaddockError as exc:
            self._projection.give_back(changes)
            self.problem = f"the store does not take the account: {exc.message}"
