"""What a new limit would be: read from what was typed, and whether it lets more pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.format import duration, number, percent

if TYPE_CHECKING:
    from engine.trading_settings import Limits

Number = int | float
# More confidence makes the value at risk larger, and so refuses more.
_STRICTER_WHEN_LARGER = ("value_at_risk_confidence",)


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit that can be edited.

    Attributes
    ----------
    key : its name in [limits]
    unit : as in the settings
    words : what it is
    in_file : its value in the file now
    in_force : what the account's officer told last, None when it did not
    """

    key: str
    unit: str
    words: str
    in_file: Number
    in_force: float | None


def limit_rows(limits: Limits, in_force: dict[str, float]) -> tuple[LimitRow, ...]:
    """Return every limit that is a number, in the order of the file."""
    rows = []
    for key, info in type(limits).model_fields.items():
        value = getattr(limits, key)
        if isinstance(value, int | float):
            extra = info.json_schema_extra
            unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
            rows.append(LimitRow(key, unit, info.description or "", value, in_force.get(key)))
    return tuple(rows)


def read_limit(row: LimitRow, text: str) -> Number | None:
    """Return the number that was typed, None when it is none; `8%` and `0.08` are the same."""
    typed = text.strip().replace("_", "").replace(",", "")
    is_percent = typed.endswith("%")
    try:
        value = float(typed.removesuffix("%"))
    except ValueError:
        return None
    if not math.isfinite(value) or (is_percent and not row.unit.startswith("fraction")):
        return None
    if is_percent:
        # Decimal places as they were typed: 0.07 and not 0.07000000000000001.
        value = round(value / 100, 12)
    if isinstance(row.in_file, int):
        return int(value) if value.is_integer() else None
    return value


def lets_more_pass(key: str, before: Number, after: Number) -> bool:
    """Return whether a change of a limit adds risk."""
    if key in _STRICTER_WHEN_LARGER:
        return after < before
    return after > before


def limit_text(value: Number | None, unit: str) -> str:
    """Return a limit as people read it."""
    if value is None:
        return "–"
    if unit.startswith("fraction"):
        digits = 1 if round(value * 1000, 9).is_integer() else 3
        return percent(value, digits)
    if unit == "s":
        return duration(value * 1000)
    return number(value)
