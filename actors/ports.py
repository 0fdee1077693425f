"""What one part of the runtime needs of the others, without saying how they are reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from engine.errors import RuntimeUnavailable

CALL_TIMEOUT_S = 30.0


class PeerLost(RuntimeUnavailable):
    """The other part died, restarts, or did not answer in time.

    What it was doing may or may not be done.
    """

    code = "runtime.peer"


class Peer(Protocol):
    """Another part of the runtime, reached by its name."""

    @property
    def name(self) -> str:
        """Return its name in the roster."""
        ...

    async def call(self, method: str, *args: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Run `method` there and return what it returns.

        Raises
        ------
        PeerLost : no answer; calling again is safe where the method is idempotent.
        PaddockError : what the method raised.
        """
        ...


class Objects(Protocol):
    """Shared memory for values that many parts read."""

    def put(self, value: Any) -> Any:
        """Share a value and return a reference that can be sent to other parts."""
        ...

    async def fetch(self, reference: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Return the value behind a reference; its arrays are read-only views.

        Raises
        ------
        PeerLost : the value went with the part that shared it.
        """
        ...


class Part(Protocol):
    """One part of the runtime: what a process hosts."""

    async def start(self) -> None:
        """Begin the part's own work; a restarted part continues where the store says it was."""
        ...

    async def stop(self) -> None:
        """End the part's own work and let go of what it holds."""
        ...

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return its state in one word, and what to show beside it."""
        ...
