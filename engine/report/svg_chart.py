"""Small line charts as inline SVG, coloured by the page's own style. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.report.markup import Html, element, text
from engine.report.number_text import day, loss_percent, short_day, signed_percent
from engine.types import FloatArray, IntArray

_TOP = 26.0
_EQUITY_HEIGHT = 170.0
_BETWEEN = 18.0
_DRAWDOWN_HEIGHT = 72.0
_BOTTOM = 24.0
_LEFT = 52.0
_RIGHT = 10.0
HEIGHT = _TOP + _EQUITY_HEIGHT + _BETWEEN + _DRAWDOWN_HEIGHT + _BOTTOM
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_PIXELS_PER_DATE = 110.0
_LABEL_HALF = 24.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values to pixels.

    Attributes
    ----------
    low, high : the values at both ends, low < high
    start, stop : the pixels they fall on; y grows downwards, so that stop < start there
    """

    low: float
    high: float
    start: float
    stop: float

    def at(self, values: FloatArray) -> FloatArray:
        """Return the pixels of values."""
        share = (values - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def one(self, value: float) -> float:
        """Return the pixel of one value."""
        return float(self.at(np.array([value]))[0])


def equity_chart(
    name: str,
    note: str,
    point_at: IntArray,
    growth_frac: FloatArray,
    *,
    is_shaded: bool,
    growth_range: tuple[float, float],
    deepest_frac: float,
    width: float,
) -> Html:
    """Return one segment's equity above its drawdown, over the same days.

    Parameters
    ----------
    name, note : the segment, and what it is good for, in words
    point_at : ndarray of shape (n_points,), int64, UTC ms, n_points >= 2
    growth_frac : ndarray of shape (n_points,), float64, finite: equity over capital, less 1
    is_shaded : whether to shade the segment, as what lies out of sample is
    growth_range : lowest and highest growth of all charts side by side, so that they compare
    deepest_frac : deepest drawdown of all charts side by side, a magnitude
    width : of the drawing, pixels
    """
    drawdown = drawdown_of(growth_frac)
    x = Scale(float(point_at[0]), float(point_at[-1]), _LEFT, width - _RIGHT)
    low, high = _padded(min(growth_range[0], 0.0), max(growth_range[1], 0.0))
    y = Scale(low, high, _TOP + _EQUITY_HEIGHT, _TOP)
    top = _TOP + _EQUITY_HEIGHT + _BETWEEN
    # Room below the deepest point for its label.
    deepest = max(deepest_frac * 1.3, 0.001)
    y_down = Scale(-deepest, 0.0, top + _DRAWDOWN_HEIGHT, top)
    spoken = (
        f"{name}, {note}, {day(int(point_at[0]))} to {day(int(point_at[-1]))}: equity changes by "
        f"{signed_percent(float(growth_frac[-1]))}, deepest drawdown "
        f"{loss_percent(-float(drawdown.min()))}"
    )
    return element(
        "svg",
        element("title", spoken),
        _ground(width, top, is_shaded),
        _heading(name, note, float(growth_frac[-1]), width),
        *_grid(y, low, high, width, n_wanted=5),
        *_grid(y_down, -deepest, 0.0, width, n_wanted=2),
        *_dates(x, point_at, width),
        _area(x, y_down, point_at, drawdown),
        _line(x, y_down, point_at, drawdown, "line down"),
        _line(x, y, point_at, growth_frac, f"line {name}"),
        _dot(x.stop, y.one(float(growth_frac[-1])), f"dot {name}"),
        *_deepest_mark(x, y_down, point_at, drawdown),
        viewBox=f"0 0 {width:g} {HEIGHT:g}",
        role="img",
        class_="chart",
    )


def drawdown_of(growth_frac: FloatArray) -> FloatArray:
    """Return how far equity stands below its peak so far, as fractions in [-1, 0]."""
    equity = growth_frac + 1.0
    below: FloatArray = equity / np.maximum.accumulate(equity) - 1.0
    return below


def ticks(low: float, high: float, n_wanted: int) -> list[float]:
    """Return round values between two, about as many as wanted; 0 is exactly 0.

    Raises
    ------
    ValueError : low is not below high.
    """
    if not low < high:
        raise ValueError(f"no room for ticks from {low} to {high}")
    rough = (high - low) / n_wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in _STEPS if s * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def thinned(values: FloatArray, n_columns: int) -> IntArray:
    """Return the indices worth drawing: first, last, lowest and highest of each column, in order.

    No extreme is lost, however many points stand behind one pixel.
    """
    n = values.shape[0]
    if n <= 2 * n_columns:
        return np.arange(n, dtype=np.int64)
    edges = np.linspace(0, n, n_columns + 1).astype(np.int64)
    kept = {0, n - 1}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[start:stop]
        kept.update((start + int(part.argmin()), start + int(part.argmax())))
    return np.array(sorted(kept), dtype=np.int64)


def _padded(low: float, high: float) -> tuple[float, float]:
    span = max(high - low, 0.002)
    return low - 0.06 * span, high + 0.10 * span


def _ground(width: float, top: float, is_shaded: bool) -> Html:
    style = "ground shaded" if is_shaded else "ground"
    inner = f"{width - _LEFT - _RIGHT:g}"
    return Html(
        "".join(
            element(
                "rect",
                x=f"{_LEFT:g}",
                y=f"{y:g}",
                width=inner,
                height=f"{height:g}",
                class_=style,
            )
            for y, height in ((_TOP, _EQUITY_HEIGHT), (top, _DRAWDOWN_HEIGHT))
        )
    )


def _heading(name: str, note: str, last_frac: float, width: float) -> Html:
    result = element("tspan", signed_percent(last_frac), dx="8", class_="result")
    left = _label(Html(text(name) + result), _LEFT, 15.0, "start", f"name {name}")
    right = _label(note, width - _RIGHT, 15.0, "end", "note")
    return Html(left + right)


def _grid(y: Scale, low: float, high: float, width: float, n_wanted: int) -> list[Html]:
    values = ticks(low, high, n_wanted)
    step = values[1] - values[0] if len(values) > 1 else 0.01
    digits = max(0, -math.floor(math.log10(step * 100) + 1e-9))
    # A step of 2.5 needs the digit that its first power of ten does not.
    digits += not math.isclose(step * 100 * 10**digits, round(step * 100 * 10**digits))
    parts: list[Html] = []
    for value in values:
        height = y.one(value)
        style = "grid zero" if value == 0 else "grid"
        parts.append(_rule(_LEFT, height, width - _RIGHT, height, style))
        parts.append(_label(signed_percent(value, digits), _LEFT - 6, height + 3.5, "end", "tick"))
    return parts


def _dates(x: Scale, point_at: IntArray, width: float) -> list[Html]:
    n_dates = max(2, int((width - _LEFT) / _PIXELS_PER_DATE))
    found: list[Html] = []
    for i, at in enumerate(np.linspace(float(point_at[0]), float(point_at[-1]), n_dates)):
        anchor = "start" if i == 0 else "end" if i == n_dates - 1 else "middle"
        # The last instant is the close of the last day, which is the next day's midnight.
        shown = short_day(int(at) - (i == n_dates - 1))
        found.append(_label(shown, x.one(float(at)), HEIGHT - 8, anchor, "tick"))
    return found


def _line(x: Scale, y: Scale, point_at: IntArray, values: FloatArray, style: str) -> Html:
    return element("path", d=f"M{_points(x, y, point_at, values)}", class_=style)


def _area(x: Scale, y: Scale, point_at: IntArray, values: FloatArray) -> Html:
    points = _points(x, y, point_at, values)
    first, last, base = x.start, x.stop, y.one(0.0)
    path = f"M{first:.1f} {base:.1f}L{points}L{last:.1f} {base:.1f}Z"
    return element("path", d=path, class_="area down")


def _points(x: Scale, y: Scale, point_at: IntArray, values: FloatArray) -> str:
    kept = thinned(values, int(abs(x.stop - x.start)))
    across, down = x.at(point_at[kept].astype(np.float64)), y.at(values[kept])
    return "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, down, strict=True))


def _deepest_mark(x: Scale, y: Scale, point_at: IntArray, drawdown: FloatArray) -> tuple[Html, ...]:
    lowest = int(drawdown.argmin())
    depth = float(drawdown[lowest])
    if depth == 0:
        return ()
    left, height = x.one(float(point_at[lowest])), y.one(depth)
    # Below the dot, away from the sides.
    text_x = min(max(left, x.start + _LABEL_HALF), x.stop - _LABEL_HALF)
    return (
        _dot(left, height, "dot down"),
        _label(signed_percent(depth), text_x, height + 14, "middle", "value"),
    )


def _label(words: str, x: float, y: float, anchor: str, style: str) -> Html:
    return element("text", words, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=style)


def _rule(x1: float, y1: float, x2: float, y2: float, style: str) -> Html:
    return element(
        "line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=style
    )


def _dot(x: float, y: float, style: str) -> Html:
    return element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="3", class_=style)
