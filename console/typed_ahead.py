"""What is typed faster than a prompt opens or a field is left waits, and lands where it belongs.

Textual sends a key to what has the focus and looks for its binding when it has come back. Until `:`
has come back and opened the prompt, keys behind it would still go to the screen, and act there; and
what is typed behind a tab would still go into the field that it leaves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from textual import events
from textual.widgets import Input

from console.screens.frame import FrameScreen
from console.screens.typed import TypedScreen

if TYPE_CHECKING:
    from console.app import PaddockApp

_OPENERS = ("command", "filter")
_LEAVERS = frozenset({"tab", "shift+tab"})
# A screen that is gone to for the first time is not there at once.
_LOOK_AGAIN_S = 0.02
# A key never comes back when what had the focus went away, or kept it.
_PATIENCE_S = 2.0


class TypedAhead:
    """Hold keys back from a key that opens a prompt or leaves a field until that has been done.

    The keys that halt are never held back. What cannot be told where it belongs is dropped: it must
    not act on a screen.

    Parameters
    ----------
    app : PaddockApp
    """

    def __init__(self, app: PaddockApp) -> None:
        self._app = app
        self._opener: events.Key | None = None
        self._is_back = False
        self._held: list[events.Key | events.Paste] = []
        entries = app.keymap.entries
        self._halting = frozenset(key for e in entries if e.id == "halt" for key in e.keys)
        self._opening = frozenset(key for e in entries if e.id in _OPENERS for key in e.keys)

    async def pass_on(
        self, event: events.Event, dispatch: Callable[[events.Event], Awaitable[None]]
    ) -> None:
        """Dispatch an event of the app, unless it has to wait."""
        if not isinstance(event, events.Key | events.Paste):
            await dispatch(event)
        elif event.is_forwarded:
            await self._came_back(event, dispatch)
        elif self._opener is not None and not self._halts(event):
            self._held.append(event)
        else:
            if isinstance(event, events.Key) and self._may_open(event):
                self._opener, self._is_back = event, False
                self._app.set_timer(_PATIENCE_S, lambda: self._give_up(event))
            await dispatch(event)

    async def _came_back(
        self,
        event: events.Key | events.Paste,
        dispatch: Callable[[events.Event], Awaitable[None]],
    ) -> None:
        if event is not self._opener:
            await dispatch(event)
            return
        self._is_back = True
        top = self._app.screen
        if isinstance(top, FrameScreen) and not top.is_ready:
            self._app.set_timer(_LOOK_AGAIN_S, lambda: self._app.post_message(event))
            return
        await dispatch(event)
        self._opener = None
        held, self._held = self._held, []
        for key in held:
            await self.pass_on(key, dispatch)

    def _halts(self, event: events.Key | events.Paste) -> bool:
        return isinstance(event, events.Key) and event.key in self._halting

    def _may_open(self, event: events.Key) -> bool:
        screen = self._app.screen
        if isinstance(self._app.focused, Input):
            return event.key in _LEAVERS and isinstance(screen, TypedScreen)
        return event.key in self._opening and isinstance(screen, FrameScreen)

    def _give_up(self, opener: events.Key) -> None:
        if self._opener is opener and not self._is_back:
            self._opener = None
            if self._held:
                self._held = []
                self._app.say("what was typed is lost: nothing opened to take it", "warn")
