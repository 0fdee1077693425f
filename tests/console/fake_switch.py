"""A kill switch whose steps a test hands out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from console.kill_port import Verb
from engine.trade.kill_step import Step

CANCELLED = (
    Step("paper", "cancel", "moving", "exposure-adding orders", 0, 1),
    Step("paper", "cancel", "ok", "exposure-adding orders cancelled; 1 protective kept", 1, 1),
)


class FakeSwitch:
    """Yield steps; remember what was asked.

    Parameters
    ----------
    steps : what every act yields
    holds : whether an act waits, after its first step, until `release` is called
    error : what an act raises after its steps
    """

    def __init__(
        self,
        steps: Sequence[Step] = CANCELLED,
        *,
        holds: bool = False,
        error: Exception | None = None,
    ) -> None:
        self.steps = tuple(steps)
        self.asked: list[tuple[Verb, tuple[str, ...], str]] = []
        self._error = error
        self._may_go_on = asyncio.Event()
        if not holds:
            self._may_go_on.set()

    def release(self) -> None:
        """Let what waits go on."""
        self._may_go_on.set()

    async def act(self, verb: Verb, accounts: Sequence[str], reason: str) -> AsyncIterator[Step]:
        """Yield the steps."""
        self.asked.append((verb, tuple(accounts), reason))
        for place, step in enumerate(self.steps):
            if place:
                await self._may_go_on.wait()
            yield step
        if self._error is not None:
            raise self._error

    @property
    def verbs(self) -> list[Verb]:
        """Return the acts that were asked for, in order."""
        return [verb for verb, _, _ in self.asked]
