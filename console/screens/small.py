"""What is left on a terminal that is too small for tables: what is held, and how to stop it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from console.effects import position_words
from console.money import price, signed_quote

if TYPE_CHECKING:
    from console.snapshot import Snapshot
    from engine.store.positions import PositionRow


def small_content(
    snapshot: Snapshot | None, size: tuple[int, int], least: tuple[int, int]
) -> Content:
    """Return the halting keys, every account's positions, and what size shows the rest.

    Parameters
    ----------
    size : columns and rows of the terminal
    least : those that tables need
    """
    lines = [Content.styled("^k or F9 HALTS all trading", "bold $error")]
    view = None if snapshot is None else snapshot.trading
    held = () if view is None else view.every_position
    if view is None:
        lines.append(Content.styled("positions: not read yet", "$muted"))
    elif not held:
        lines.append(Content("No position is open."))
    else:
        lines.append(Content.styled(f"Positions {len(held)}", "bold"))
        # The rest of the screen: first row, prompt, keys, and the lines around these.
        room = max(1, size[1] - 7)
        lines += [_position(row) for row in held[:room]]
        if len(held) > room:
            lines.append(Content.styled(f"… and {len(held) - room} more", "$warning"))
    lines.append(
        Content.styled(
            f"This terminal is {size[0]}x{size[1]}; the console needs {least[0]}x{least[1]}. "
            "{leave} quits; the runtime keeps running.",
            "$muted",
        )
    )
    return Content("\n").join(lines)


def _position(row: PositionRow) -> Content:
    gain = signed_quote(row.unrealized_quote)
    stop = "no stop" if row.stop_price is None else f"stop {price(row.stop_price)}"
    return Content.assemble(
        f"{row.account} {position_words(row)}  {gain}  ",
        (stop, "$warning" if row.stop_price is None else "$muted"),
    )
