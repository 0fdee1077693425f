"""A line as blocks of eighths, several rows high: what the first picture can draw at once."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def block_rows(values: Sequence[float], width: int, height: int) -> list[str]:
    """Return `height` rows, top first, of at most `width` columns; no value is left out.

    Parameters
    ----------
    values : finite; each column shows the last of its values, the first row their maximum

    Returns
    -------
    list of str; empty when there are no values or there is no room
    """
    if not values or width <= 0 or height <= 0:
        return []
    n_columns = min(width, len(values))
    columns = [values[(i + 1) * len(values) // n_columns - 1] for i in range(n_columns)]
    low, high = min(columns), max(columns)
    span = high - low
    top = height * 8
    # The lowest value still shows one eighth, so that a column is never mistaken for a gap.
    levels = [top // 2 if span == 0 else 1 + round((v - low) / span * (top - 1)) for v in columns]
    rows = []
    for row in range(height):
        floor = (height - 1 - row) * 8
        rows.append("".join(_EIGHTHS[min(8, max(0, level - floor))] for level in levels))
    return rows
