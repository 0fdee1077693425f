"""Events of a part that must never wait for the recorder."""

from __future__ import annotations

import asyncio
from collections import deque

from actors.ports import Peer, PeerLost
from engine.clock import Clock
from engine.errors import PaddockError
from engine.store.events import Event

MOST = 2_000
_PAUSE_S = 0.2
_CALL_S = 5.0


class Teller:
    """Collect events and write them when the recorder takes them.

    Parameters
    ----------
    part : whose events; told as their subject when they have none
    levels : by kind; everything else is info

    Notes
    -----
    May run twice: an event whose answer was lost is written again.
    """

    def __init__(self, recorder: Peer, clock: Clock, part: str, levels: dict[str, str]) -> None:
        self._recorder = recorder
        self._clock = clock
        self._part = part
        self._levels = levels
        self._waiting: deque[Event] = deque(maxlen=MOST)

    def tell(self, kind: str, subject: str, message: str) -> None:
        """Take an event; it is written soon."""
        level = self._levels.get(kind, "info")
        self._waiting.append(
            Event(self._clock.now_at(), level, kind, message, subject or self._part)
        )

    async def keep(self) -> None:
        """Write what was told, for ever."""
        while True:
            await asyncio.sleep(_PAUSE_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; what is not taken now waits on."""
        if not self._waiting:
            return
        events = list(self._waiting)
        try:
            await self._recorder.call("tell", events, timeout_s=_CALL_S)
        except PeerLost:
            return
        except PaddockError:
            # The store refuses them: trading does not stop for that.
            pass
        for _ in events:
            if self._waiting:
                self._waiting.popleft()
