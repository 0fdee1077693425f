"""Look for garbage while nobody types."""

from __future__ import annotations

import gc

from engine.clock import Clock
from engine.garbage import set_aside

IDLE_S = 0.7
PAUSE_S = 5.0
LONGEST_S = 15.0
_NEVER = 1_000_000_000


class IdleGarbage:
    """Keep full collections out of the time between a key and its paint.

    Going from screen to screen leaves ten thousand objects a second, and finding those of half a
    minute takes 0.7 s. They are looked for every few seconds, which takes 70 ms, in a moment
    without keys; somebody who types on and on waits once in a while, and memory stays flat.

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
