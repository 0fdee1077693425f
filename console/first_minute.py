"""The first minute: a home where nothing ran is offered a cycle, then the paper account."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.errors import PaddockError
from engine.risk.latch import LatchCause
from engine.trade.accounts import PAPER

if TYPE_CHECKING:
    from console.app import PaddockApp
    from console.snapshot import Snapshot


class FirstMinute:
    """Offer each thing once; what was declined is one key away.

    Parameters
    ----------
    app : PaddockApp
    is_wanted : whether to offer anything
    """

    def __init__(self, app: PaddockApp, *, is_wanted: bool) -> None:
        self._app = app
        self._offers_cycle = is_wanted
        self._offers_arming = False

    def follow(self, snapshot: Snapshot) -> None:
        """Offer what is due, when no other question is open."""
        if self._offers_cycle:
            self._offers_cycle = False
            if is_new_home(snapshot):
                self._app.questions.begin(self._offer_cycle(snapshot))
        elif self._offers_arming and may_be_armed(snapshot):
            self._offers_arming = False
            self._app.action_paper_arm()

    async def _offer_cycle(self, snapshot: Snapshot) -> None:
        from console.commands.cycle import cycle_arguments

        session = self._app.session
        try:
            arguments = await asyncio.to_thread(cycle_arguments, session, seed=None)
        except PaddockError as exc:
            self._app.say(str(exc), "error")
            return
        if await self._app.questions.is_confirmed(
            "Nothing has run here yet. Start a first cycle?",
            offer_lines(snapshot, arguments["count"], len(arguments["symbols"])),
            "Start",
        ):
            self._offers_arming = True
            await self._app.send("cycle.start", arguments)
        else:
            self._app.say(
                "{cycle.start} starts a cycle, {paper.arm} arms the paper account, "
                "{help} lists every key"
            )


def is_new_home(snapshot: Snapshot) -> bool:
    """Return whether no cycle ever ran in this home."""
    store = snapshot.store
    return not snapshot.problem and (store is None or not store.recent_cycles)


def may_be_armed(snapshot: Snapshot) -> bool:
    """Return whether the paper account was never armed and its gateway has told of it."""
    latch, view = snapshot.latches.get(PAPER), snapshot.trading
    return (
        latch is not None
        and latch.cause is LatchCause.NOT_ARMED
        and snapshot.runtime.is_alive
        and view is not None
        and any(row.name == PAPER for row in view.accounts)
    )


def offer_lines(snapshot: Snapshot, count: int, n_symbols: int) -> list[str]:
    """Return what the first cycle does, what comes after it, and what never happens by itself."""
    market = [f"   of {snapshot.market_label} bars,"]
    if snapshot.market_label == "GENERATED":
        edge = f" with a planted edge ({snapshot.edge})" if snapshot.edge else ""
        market = [f"   of a generated market{edge}:", "   no exchange, no real money,"]
    return [
        f"1  A cycle breeds {count:,} strategies, backtests each on {n_symbols} symbols",
        *market,
        "   and keeps the few that hold on bars they were not fitted on.",
        "2  Then the paper account may be armed: that is asked apart, and its",
        "   name is typed. Until then nothing trades, not even on paper.",
        "",
        "^k or F9 halts everything, at any time. {help} lists every key.",
    ]
