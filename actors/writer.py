"""Write through the recorder.

Repeated until it is done, for as long as the recorder may need to come back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from actors.ports import Peer, PeerLost
from engine.clock import Clock
from engine.store.events import Event

_PATIENCE_S = 120.0
_PAUSE_S = 0.2


class Writer:
    """Call the recorder, the only writer of the store.

    Parameters
    ----------
    recorder : the peer
    clock : stamps events
    """

    def __init__(self, recorder: Peer, clock: Clock) -> None:
        self._recorder = recorder
        self._clock = clock

    async def write(self, name: str, *args: Any, **columns: Any) -> Any:
        """Run one of the recorder's writes, such as `update_cycle`.

        Repeated when the recorder died.

        Raises
        ------
        StoreError : the store refused.
        PeerLost : the recorder stayed away for two minutes.
        """
        return await self.call("write", name, args, columns)

    async def call(self, method: str, *args: Any) -> Any:
        """Run a method of the recorder that may safely run twice."""
        began_s = time.monotonic()
        while True:
            try:
                return await self._recorder.call(method, *args, timeout_s=_PATIENCE_S)
            except PeerLost:
                if time.monotonic() - began_s > _PATIENCE_S:
                    raise
                await asyncio.sleep(_PAUSE_S)

    async def once(self, name: str, *args: Any, **columns: Any) -> Any:
        """Run a write that must not be repeated blindly.

        Raises
        ------
        PeerLost : the recorder died; whether the write was made is for the caller to find out.
        """
        return await self._recorder.call("write", name, args, columns, timeout_s=_PATIENCE_S)

    async def tell(
        self,
        level: str,
        kind: str,
        message: str,
        *,
        subject: str = "",
        cycle_id: int | None = None,
        **fields: Any,
    ) -> None:
        """Write one event."""
        event = Event(
            at=self._clock.now_at(),
            level=level,
            kind=kind,
            message=message,
            subject=subject,
            cycle_id=cycle_id,
            fields=fields,
        )
        await self.call("tell", [event])

    async def tell_all(self, events: Sequence[Event]) -> None:
        """Write many events in one transaction."""
        await self.call("tell", list(events))
