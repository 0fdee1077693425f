"""Where versions run: what every target can do, and how a version is addressed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from engine.deploy.bundle import Bundle
from engine.deploy.worker_client import WorkerClient


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version that is to be served.

    Attributes
    ----------
    share_frac : of what is asked of its strategy, 0 to 1; what they leave a lone version gets
    """

    strategy_id: str
    version: int
    bundle: Bundle
    share_frac: float

    @property
    def name(self) -> str:
        """Return what it is called among all versions of a home."""
        return service_name(self.strategy_id, self.version)


class Target(Protocol):
    """Serve versions somewhere: what is wanted is told again and again, and brought about.

    Survives a crash: what an earlier life left is found by `begin`. May run twice: everything.
    """

    async def ready(self) -> None:
        """Raise unless a version could be brought out now.

        Raises
        ------
        RuntimeUnavailable : what is missing, and the remedy.
        """

    async def begin(self) -> None:
        """Take up, or end, what an earlier life left."""

    async def serve(self, wanted: Sequence[Wanted]) -> None:
        """Serve exactly these from now on.

        Raises
        ------
        RuntimeUnavailable : it cannot be done now; what ran goes on.
        """

    async def look(self) -> None:
        """Look after what runs."""

    def url(self, name: str) -> str:
        """Return where a version is asked, empty while it is not."""

    def answers(self, name: str) -> bool:
        """Return whether a version answered when it was looked at last."""

    def trial(self, version: Wanted) -> AbstractAsyncContextManager[WorkerClient]:
        """Run a version that nobody uses yet, to be compared with the engine.

        Raises
        ------
        RuntimeUnavailable : not now.
        StrategyError : the target refuses it.
        """

    @property
    def pids(self) -> list[int]:
        """Return the processes of this machine that serve."""

    async def stop(self) -> None:
        """Look after nothing more."""


def service_name(strategy_id: str, version: int) -> str:
    """Return what a version is called among all versions of a home."""
    return f"{strategy_id[:16]}-v{version}"
