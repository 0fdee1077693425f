"""The row of sub-tabs of a screen: brackets around the one that is shown, clicks choose."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import Static


class SubTabs(Static):
    """Names side by side, and what stands at the end of the row.

    Parameters
    ----------
    names : as they are shown
    """

    DEFAULT_CSS = "SubTabs { height: 1; width: 100%; background: $surface; }"

    class Chosen(Message):
        """A name was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class Stepped(Message):
        """An arrow at the end of the row was clicked.

        Attributes
        ----------
        step : -1 or 1
        """

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("", id="tabs", markup=False)
        self._names = tuple(names)
        self._ends: list[tuple[int, int, str]] = []
        self._arrows: dict[int, int] = {}
        self._shown: tuple[str, str, int] | None = None

    def show(self, active: str, end: str) -> None:
        """Show which is open, and the words at the end, whose arrows can be clicked."""
        width = self.size.width or 80
        if self._shown == (active, end, width):
            return
        self._shown = (active, end, width)
        line, self._ends = Content(""), []
        for name in self._names:
            start = line.cell_length
            if name == active:
                line = Content.assemble(line, (f"[{name}]", "bold $primary"), " ")
            else:
                line = Content.assemble(line, (f" {name} ", "$muted"), " ")
            self._ends.append((start, line.cell_length, name))
        room = width - line.cell_length - 1
        self._arrows = {}
        if 0 < len(end) <= room:
            begin = line.cell_length + room - len(end)
            for sign, step in (("‹", -1), ("›", 1)):
                place = end.find(sign)
                if place >= 0:
                    self._arrows[begin + place] = step
            line = Content.assemble(line, " " * (room - len(end)), (end, "$muted"))
        self.update(line, layout=False)

    def on_click(self, event: Click) -> None:
        """Choose the name, or step by the arrow, under the mouse."""
        event.stop()
        step = self._arrows.get(event.x)
        if step is not None:
            self.post_message(self.Stepped(step))
            return
        for start, stop, name in self._ends:
            if start <= event.x < stop:
                self.post_message(self.Chosen(name))
                return
