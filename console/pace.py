"""How soon one picture follows another."""

from __future__ import annotations

import os

_PICTURES_PER_S = "240"


def set_pace() -> None:
    """Set what Textual reads once, when it is first imported; what the operator set stays.

    The time between two pictures is the least: a key right behind a picture waits for up to two of
    them. Nothing glides: a picture on the way to where one goes costs as much as the one that shows
    it, and over a slow line more.
    """
    os.environ.setdefault("TEXTUAL_FPS", _PICTURES_PER_S)
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
