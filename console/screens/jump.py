"""Letters over everything that can have the keys: one more key goes there."""

from __future__ import annotations

from string import ascii_lowercase
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.geometry import Offset
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Label, Tab, Tabs

# In the order that fingers reach them; q leaves.
_LETTERS = "asdfghjkl" + "".join(c for c in ascii_lowercase if c not in "asdfghjklq")


class JumpScreen(ModalScreen[None]):
    """A letter on every pane and tab of a screen.

    Parameters
    ----------
    below : the screen whose panes are lettered
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,ctrl+o", "leave", "leave", show=False)
    ]
    DEFAULT_CSS = """
    JumpScreen { background: $background 30%; }
    JumpScreen > Label {
        position: absolute; width: 3; height: 1; background: $warning; color: $background;
        text-style: bold; text-align: center;
    }
    JumpScreen > #jump-hint { width: auto; dock: bottom; }
    """

    def __init__(self, below: Screen[None]) -> None:
        super().__init__()
        self._targets = dict(zip(_LETTERS, jump_targets(below), strict=False))

    def compose(self) -> ComposeResult:
        """Yield a label at each target's first cells."""
        for letter, target in self._targets.items():
            label = Label(letter, markup=False)
            label.absolute_offset = Offset(target.region.x, target.region.y)
            yield label
        yield Label(" a letter jumps there, esc stays ", id="jump-hint", markup=False)

    def on_key(self, event: Key) -> None:
        """Go to what the letter stands on."""
        target = self._targets.get(event.key)
        if target is None:
            return
        event.stop()
        self.dismiss(None)
        if isinstance(target, Tab):
            tabs = next((part for part in target.ancestors if isinstance(part, Tabs)), None)
            if tabs is not None and target.id is not None:
                tabs.active = target.id
        else:
            target.focus()

    def action_leave(self) -> None:
        """Stay where one is."""
        self.dismiss(None)


def jump_targets(screen: Screen[None]) -> list[Widget]:
    """Return the panes and tabs that can be seen and gone to, from the top left."""
    shown = [
        widget
        for widget in screen.query("*")
        if (widget.focusable or isinstance(widget, Tab))
        and not isinstance(widget, Tabs)
        and widget.region.width
        and widget.region.height
        and screen.region.contains_point(widget.region.offset)
    ]
    return sorted(shown, key=lambda widget: (widget.region.y, widget.region.x))
