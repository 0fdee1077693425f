"""Write on the border of a widget."""

from __future__ import annotations

from textual.widget import Widget


def entitle(widget: Widget, *, title: str | None = None, foot: str | None = None) -> None:
    """Write in the upper and the lower border; what stands there already is not painted again.

    Parameters
    ----------
    title, foot : as Textual's markup; None leaves what is there
    """
    if title is not None and widget.border_title != title:
        widget.border_title = title
    if foot is not None and widget.border_subtitle != foot:
        widget.border_subtitle = foot
