"""What the console asks of the kill switch's own process, and what it hears back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from engine.trade.kill_step import Step

Verb = Literal["cancel", "cancel stops", "flatten", "rearm", "drill"]


class KillSwitch(Protocol):
    """A process of its own for each act, straight to the exchange: no actor is on its path."""

    def act(self, verb: Verb, accounts: Sequence[str], reason: str) -> AsyncIterator[Step]:
        """Start it and yield its steps as they come.

        Raises
        ------
        PaddockError, OSError : it could not be started, or ended without a last word.
        """
        ...
