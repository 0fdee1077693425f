"""An alert: a cause that a person should know of, and what is done about it at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AlertLevel(StrEnum):
    """How much it matters."""

    WARN = "warn"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Return a number that grows with the level."""
        return 1 if self is AlertLevel.ERROR else 0


class AlertAction(StrEnum):
    """What is done without waiting for a person."""

    NONE = ""
    PAUSE = "pause"
    """The strategy makes no new entries until it is resumed."""
    STOP = "stop"
    """The strategy is stopped for good and what it holds is closed."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One cause, as it was found at one instant.

    Attributes
    ----------
    key : unique name of the cause: what it is told apart, repeated and acknowledged by
    title : a few words
    message : one sentence with numbers and units
    at : UTC ms
    action : done when the alert is raised, and not again while it lasts
    subject : what it is about, as kind:id (strategy, account, part, event), may be empty
    tells_end : whether people outside are told when it is over
    """

    key: str
    level: AlertLevel
    title: str
    message: str
    at: int
    action: AlertAction = AlertAction.NONE
    subject: str = ""
    tells_end: bool = True
