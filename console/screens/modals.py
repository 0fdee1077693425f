"""What lies over a screen: a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from console.key_words import with_keys


class ConfirmScreen(ModalScreen[bool]):
    """Ask for a yes; Cancel has the focus, so that enter never confirms by habit.

    Parameters
    ----------
    title : what will be done
    lines : its effects, one a line
    verb : the word on the button that does it
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", show=False),
        Binding("n,escape,q", "answer(False)", "no", show=False),
        Binding("left,right,h,l", "other", "other button", show=False),
    ]
    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; background: $background 60%; }
    ConfirmScreen > Vertical {
        width: 74; max-width: 96%; height: auto; border: heavy $primary;
        background: $surface; padding: 1 2;
        border-title-style: bold;
    }
    ConfirmScreen Static { height: auto; }
    ConfirmScreen Horizontal { height: 3; margin-top: 1; align-horizontal: right; }
    ConfirmScreen Button { margin-left: 2; min-width: 16; }
    """

    def __init__(self, title: str, lines: Sequence[str], verb: str) -> None:
        super().__init__()
        self._title = title
        self._lines = tuple(lines)
        self._verb = verb

    def compose(self) -> ComposeResult:
        """Yield the question and both answers."""
        with Vertical() as box:
            box.border_title = self._title
            yield Static(with_keys(self, "\n".join(self._lines)), markup=False)
            with Horizontal():
                yield Button("Cancel (n)", id="cancel")
                yield Button(f"{self._verb} (y)", id="ok", variant="primary")

    def on_mount(self) -> None:
        """Focus the answer that changes nothing."""
        self.query_one("#cancel", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        self.dismiss(event.button.id == "ok")

    def action_answer(self, answer: bool) -> None:
        """Answer by key."""
        self.dismiss(answer)

    def action_other(self) -> None:
        """Move to the other button."""
        self.focus_next()
