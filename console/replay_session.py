"""The session of a replay: recorded time, recorded accounts, and no home that could be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from console.session import Session
from engine.clock import Clock


class ReplayClock:
    """Tell recorded time by the wall, and the machine's own by the stop watch.

    Parameters
    ----------
    machine : Clock
    recorded_at : called for the instant that the replay shows, UTC ms
    """

    def __init__(self, machine: Clock, recorded_at: Callable[[], int]) -> None:
        self._machine = machine
        self._recorded_at = recorded_at

    def now_at(self) -> int:
        """Return the instant that the replay shows, UTC ms."""
        return self._recorded_at()

    def monotonic_s(self) -> float:
        """Return seconds of the machine's own clock."""
        return self._machine.monotonic_s()


@dataclass(frozen=True, slots=True)
class ReplaySession(Session):
    """A session over a recording.

    Attributes
    ----------
    recorded_home : the folder that was recorded, as its words name it
    recorded_accounts : that existed there
    place : the folder of the recording, which what is saved goes to
    """

    recorded_home: str = ""
    recorded_accounts: tuple[str, ...] = ()
    place: Path = Path()

    @property
    def is_recorded(self) -> bool:
        """Return that a recording is played."""
        return True

    @property
    def home(self) -> Path:
        """Return the folder of the recording: there is no home behind it."""
        return self.place

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return the accounts that existed when it was recorded."""
        return self.recorded_accounts

    def shown(self, words: str) -> str:
        """Return words for the screen: the recorded home by its name alone."""
        name = Path(self.recorded_home).name or "home"
        for folder in (self.recorded_home, str(self.place)):
            words = words.replace(folder, name) if folder else words
        return words

    def has_database(self) -> bool:
        """Return that there is none."""
        return False
