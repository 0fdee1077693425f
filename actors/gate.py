"""Whether a stage may hand out work: open, held by an operator, or closed for good."""

from __future__ import annotations

import asyncio


class Gate:
    """Stop and go for one stage; lives in one event loop."""

    def __init__(self, *, is_held: bool = False) -> None:
        self._open = asyncio.Event()
        self._is_cut = False
        if not is_held:
            self._open.set()

    @property
    def is_held(self) -> bool:
        """Whether no work may be handed out for now."""
        return not self._open.is_set()

    @property
    def is_cut(self) -> bool:
        """Whether no work will be handed out any more."""
        return self._is_cut

    def hold(self) -> None:
        """Hand out nothing until released."""
        if not self._is_cut:
            self._open.clear()

    def release(self) -> None:
        """Go on."""
        self._open.set()

    def cut(self) -> None:
        """End the stage with what it has."""
        self._is_cut = True
        self._open.set()

    async def passed(self) -> None:
        """Wait while held."""
        await self._open.wait()
