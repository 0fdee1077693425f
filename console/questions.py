"""Questions put to the operator, one at a time; a refusal to type a name is recorded."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from textual.screen import ModalScreen

from console.screens.halt import HaltScreen
from console.screens.modals import ConfirmScreen
from console.screens.typed import TypedAnswer, TypedQuestion, TypedScreen
from console.session import operator

if TYPE_CHECKING:
    from console.app import PaddockApp


class Questions:
    """Put questions.

    Parameters
    ----------
    app : PaddockApp
    """

    def __init__(self, app: PaddockApp) -> None:
        self._app = app
        self._is_asking = False

    def begin(self, question: Coroutine[Any, Any, None]) -> None:
        """Run a question beside the screen, unless another one is open.

        A held key must not stack them. The halt overlay is no question.
        """
        top = self._app.screen
        is_busy = isinstance(top, ModalScreen) and not isinstance(top, HaltScreen)
        if self._is_asking or is_busy:
            question.close()
            return
        self._is_asking = True
        self._app.run_worker(self._asked(question))

    async def is_confirmed(self, title: str, effects: Sequence[str], verb: str) -> bool:
        """Return whether the operator said yes."""
        question: ModalScreen[Any] = ConfirmScreen(title, effects, verb)
        answer = bool(await self._app.push_screen_wait(question))
        if not answer:
            await self._app.record(verb.lower(), "cancelled", title)
        return answer

    async def typed(self, question: TypedQuestion) -> TypedAnswer | None:
        """Return what was typed, None when it was not confirmed; that is recorded."""
        answer = await self._app.push_screen_wait(TypedScreen(question))
        if answer is None:
            await self._record(question)
        return answer

    async def _asked(self, question: Coroutine[Any, Any, None]) -> None:
        try:
            await question
        finally:
            self._is_asking = False

    async def _record(self, question: TypedQuestion) -> None:
        # Late: the store's libraries are not needed to draw the first picture.
        from engine.store.events import Event

        fields = {"who": operator(), "why_not": question.why_not}
        words = f"not confirmed by {operator()}: {question.title}"
        at = self._app.clock.now_at()
        await self._app.tell(Event(at, "info", "risk.question", words, "latch", fields=fields))
