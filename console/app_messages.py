"""What other threads tell the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from console.snapshot import Snapshot


class Taken(Message, namespace="paddock_app"):
    """A snapshot was taken; a newer one replaces it when it is still waiting."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Return whether an older message may be dropped for this one."""
        return isinstance(message, Taken)


class PollerFailed(Message, namespace="paddock_app"):
    """The poller ended by an error of ours."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Told(Message, namespace="paddock_app"):
    """Another thread has something to say."""

    def __init__(self, text: str, level: str) -> None:
        super().__init__()
        self.text = text
        self.level = level
