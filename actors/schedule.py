"""When the daily cycle is due, and whether one was missed; pure."""

from __future__ import annotations

from datetime import UTC, datetime

from cronsim import CronSim


def next_due_at(schedule: str, after_at: int) -> int:
    """Return the first instant (UTC ms) after `after_at` that a cron line names."""
    return _at(next(CronSim(schedule, _instant(after_at))))


def missed_at(schedule: str, last_at: int | None, now_at: int) -> int | None:
    """Return the newest due instant in (last_at, now_at], None when there is none.

    Parameters
    ----------
    last_at : the last due instant that was handled, None when the schedule is new: then nothing
        was missed

    Notes
    -----
    However many were missed, one cycle makes up for all of them.
    """
    if last_at is None or next_due_at(schedule, last_at) > now_at:
        return None
    backwards = CronSim(schedule, _instant(now_at + 1000), reverse=True)
    newest = _at(next(backwards))
    return newest if newest > last_at else None


def _instant(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def _at(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
