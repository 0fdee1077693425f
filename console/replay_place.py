"""Which moment is meant by what was typed after `:at`."""

from __future__ import annotations

import re

from engine.errors import UsageError

_DAY_MS = 86_400_000
_UNITS_MS = {"": 1_000, "s": 1_000, "m": 60_000, "h": 3_600_000}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?Z?")
_STEP = re.compile(r"([+-])(\d{1,6}(?:\.\d+)?)([smh]?)")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)%")


def moment_of(text: str, at: int, first_at: int, last_at: int) -> int:
    """Return the UTC ms that is meant: a time of day, a step from here, or a share of the whole.

    Parameters
    ----------
    at : where the replay stands
    first_at, last_at : of the recording

    Raises
    ------
    UsageError : it is none of these.
    """
    text = text.strip()
    if step := _STEP.fullmatch(text):
        moved = round(float(step[2]) * _UNITS_MS[step[3]])
        return at + (moved if step[1] == "+" else -moved)
    if share := _SHARE.fullmatch(text):
        return first_at + round((last_at - first_at) * float(share[1]) / 100)
    clock = _CLOCK.fullmatch(text)
    if clock is None or int(clock[1]) > 23 or int(clock[2]) > 59 or int(clock[3] or 0) > 59:
        raise UsageError(f"at {text!r}: type a UTC time (14:02:30), a step (+90s, -5m) or 50%")
    of_day = (int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3] or 0)) * 1000
    # The day at hand; where it is over by then, or has not begun, the one that the recording has.
    days = [at - at % _DAY_MS + shift * _DAY_MS for shift in (0, 1, -1)]
    inside = [day + of_day for day in days if first_at <= day + of_day <= last_at]
    return inside[0] if inside else days[0] + of_day
