"""A question that takes a typed name: for what adds risk or spends money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from console.key_words import content_with_keys


@dataclass(frozen=True, slots=True)
class TypedQuestion:
    """What will be done, and what has to be typed first.

    Attributes
    ----------
    title : what will be done
    effects : exactly what it does, one a line
    verb : the word on the button that does it
    name : the name that must be typed, letter for letter
    asks_reason : whether a reason has to be typed as well
    why_not : why it cannot be done now, whatever is typed; empty when it can
    """

    title: str
    effects: Sequence[Content]
    verb: str
    name: str
    asks_reason: bool = False
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class TypedAnswer:
    """A yes; `reason` is empty unless it was asked for."""

    reason: str


def is_complete(question: TypedQuestion, typed_name: str, typed_reason: str) -> bool:
    """Return whether what was typed is a yes."""
    has_reason = bool(typed_reason.strip()) or not question.asks_reason
    return not question.why_not and typed_name.strip() == question.name and has_reason


class TypedScreen(ModalScreen[TypedAnswer | None]):
    """Ask; the button that does it is dead until the name is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "no", show=False)]
    DEFAULT_CSS = """
    TypedScreen { align: center middle; background: $background 60%; }
    TypedScreen > VerticalScroll {
        width: 88; max-width: 98%; height: auto; max-height: 96%; border: heavy $warning;
        background: $surface; padding: 0 2; border-title-style: bold;
        scrollbar-size-vertical: 1;
    }
    TypedScreen Static, TypedScreen Label { height: auto; width: 100%; }
    TypedScreen #why { color: $error; }
    TypedScreen Input {
        height: 1; border: none; padding: 0 1; margin-bottom: 1; background: $panel;
    }
    TypedScreen Input:focus { border: none; background: $primary 20%; }
    TypedScreen Horizontal { height: 3; align-horizontal: right; }
    TypedScreen Button { margin-left: 2; min-width: 16; }
    """

    def __init__(self, question: TypedQuestion) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Yield the effects, what is to be typed, and both answers."""
        question = self._question
        with VerticalScroll(can_focus=False) as box:
            box.border_title = question.title
            effects = content_with_keys(self, Content("\n").join(question.effects))
            yield Static(effects, markup=False)
            yield Static("", markup=False)
            if question.why_not:
                yield Static(f"Not now: {question.why_not}", id="why", markup=False)
            yield Label(f"Type {question.name} to go on:", markup=False)
            yield _field("name")
            if question.asks_reason:
                yield Label("Reason, for the record:", markup=False)
                yield _field("reason")
            with Horizontal():
                yield Button("Cancel (esc)", id="cancel")
                yield Button(question.verb, id="ok", variant="warning", disabled=True)

    def on_mount(self) -> None:
        """Let the name be typed."""
        self.query_one("#name", Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Wake the button once the name is there."""
        event.stop()
        self.query_one("#ok", Button).disabled = not self._is_complete()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on when all is typed, else to the field that lacks."""
        event.stop()
        if self._is_complete():
            self._answer()
        elif self._question.asks_reason and event.input.id == "name":
            self.query_one("#reason", Input).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        if event.button.id == "ok" and self._is_complete():
            self._answer()
        elif event.button.id == "cancel":
            self.dismiss(None)

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss(None)

    def _answer(self) -> None:
        self.dismiss(TypedAnswer(self._typed("#reason").strip()))

    def _is_complete(self) -> bool:
        return is_complete(self._question, self._typed("#name"), self._typed("#reason"))

    def _typed(self, selector: str) -> str:
        found = self.query(selector).results(Input)
        return next((field.value for field in found), "")


def _field(field_id: str) -> Input:
    field = Input(id=field_id, select_on_focus=False)
    field.cursor_blink = False
    return field
