"""Look for garbage while nobody types."""

from __future__ import annotations

import gc

from engine.clock import Clock
from engine.garbage import set_aside

IDLE_S = 1.5
PAUSE_S = 10.0
LONGEST_S = 30.0
_NEVER = 1_000_000_000


class IdleGarbage:
    """Keep full collections out of the time between a key and its paint.

    One walks all that was imported since the first picture, which takes some 40 ms: it waits for
    a moment without keys, and no longer than half a minute, so that memory stays flat.

    Parameters
    ----------
    clock : Clock
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key_s = self._looked_s = clock.monotonic_s()
        self._has_begun = False

    def begin(self) -> None:
        """Set aside what is alive, and collect only here from now on; once the screen stands."""
        set_aside()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)
        self._looked_s = self._clock.monotonic_s()
        self._has_begun = True

    def key_pressed(self) -> None:
        """Remember that somebody types."""
        self._key_s = self._clock.monotonic_s()

    def look(self) -> bool:
        """Collect if it is time to; return whether it was."""
        now_s = self._clock.monotonic_s()
        spent_s = now_s - self._looked_s
        is_quiet = now_s - self._key_s >= IDLE_S and spent_s >= PAUSE_S
        if not self._has_begun or not (is_quiet or spent_s >= LONGEST_S):
            return False
        gc.collect()
        self._looked_s = now_s
        return True
