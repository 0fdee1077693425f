"""The two keys that flatten while halted: F, then Y within ten seconds.

Both differ from the keys that halt, so a held key can only halt again; a held F asks again and
again, and a Y without a fresh F does nothing.
"""

from __future__ import annotations

WITHIN_S = 10.0


class FlattenKeys:
    """Remember F for ten seconds, for one Y.

    Parameters
    ----------
    within_s : s, > 0
    """

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._asked_s: float | None = None

    def ask(self, now_s: float) -> None:
        """Take an F."""
        self._asked_s = now_s

    def left_s(self, now_s: float) -> float:
        """Return for how many seconds Y still flattens, 0 when it does not."""
        if self._asked_s is None:
            return 0.0
        spent_s = now_s - self._asked_s
        return self._within_s - spent_s if 0.0 <= spent_s < self._within_s else 0.0

    def confirm(self, now_s: float) -> bool:
        """Take a Y and return whether to flatten; it counts once for each F."""
        is_meant = self.left_s(now_s) > 0.0
        self._asked_s = None
        return is_meant

    def forget(self) -> None:
        """Take anything else: the F is forgotten."""
        self._asked_s = None
