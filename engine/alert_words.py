"""What people outside read: several alerts as one message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from engine.alert import Alert, AlertAction, AlertLevel
from engine.alert_book import Due

MOST_LINES = 20
_MOST_LETTERS = 300
_ACTIONS = {
    AlertAction.NONE: "",
    AlertAction.PAUSE: " Paddock pauses it.",
    AlertAction.STOP: " Paddock stops it.",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """One message.

    Attributes
    ----------
    level : of the worst alert in it, None when it only tells what is over
    """

    title: str
    body: str
    level: AlertLevel | None


def letter_of(due: Due, sender: str) -> Letter:
    """Return what is due as one message, the worst first.

    Parameters
    ----------
    sender : which Paddock it is, such as the machine's name
    """
    worst = max((alert.level for alert in due.alerts), key=lambda level: level.rank, default=None)
    lines = [_line(alert) for alert in due.alerts[:MOST_LINES]]
    left = len(due.alerts) - len(lines)
    if left:
        lines.append(f"… and {left} more: see the console")
    if due.ended:
        titles = ", ".join(alert.title for alert in due.ended[:MOST_LINES])
        more = len(due.ended) - MOST_LINES
        lines.append(f"Over: {titles}{f' and {more} more' if more > 0 else ''}")
    return Letter(f"Paddock {sender}: {_summary(due)}", "\n".join(lines), worst)


def _summary(due: Due) -> str:
    if not due.alerts:
        return f"over: {due.ended[0].title}" if len(due.ended) == 1 else f"{len(due.ended)} over"
    if len(due.alerts) == 1:
        return due.alerts[0].title
    return f"{_counted(due.alerts)}, first: {due.alerts[0].title}"


def _counted(alerts: Sequence[Alert]) -> str:
    n_errors = sum(alert.level is AlertLevel.ERROR for alert in alerts)
    n_warnings = len(alerts) - n_errors
    words = [
        f"{n} {word}{'' if n == 1 else 's'}"
        for n, word in ((n_errors, "error"), (n_warnings, "warning"))
        if n
    ]
    return ", ".join(words)


def _line(alert: Alert) -> str:
    at = datetime.fromtimestamp(alert.at / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")
    flat = " ".join(alert.message.split())
    cut = flat if len(flat) <= _MOST_LETTERS else flat[: _MOST_LETTERS - 1] + "…"
    return f"{alert.level.upper()} {at} {cut}{_ACTIONS[alert.action] if cut else ''}"
