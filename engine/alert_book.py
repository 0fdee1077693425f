"""The alert book: which causes are there, who has seen them, and what is to be told when.

Pure: it is told facts and instants, and returns what to do. One cause is one key: it is told
outside when it is raised or gets worse, again after `repeat_s` while nobody has acknowledged it,
and once when it is over. A cause that comes and goes is not told more often for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engine.alert import Alert, AlertLevel

STORE_AGAIN_MS = 60_000
"""A cause that lasts is stored anew this often, so that its age can be seen."""

FORGET_MS = 7 * 86_400_000
"""A cause that has been over for so long is no longer kept in mind."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """One cause and its history.

    Attributes
    ----------
    alert : as found last
    raised_at, last_at : UTC ms when it was found first and last
    stored_at : UTC ms of the last finding that was handed out to be stored
    acknowledged_by : who has seen it, empty before
    resolved_at : UTC ms when it was over, None while it lasts
    sent_at, sent_level : when people outside were told last, and of which level; None before
    is_end_due : whether they are to be told that it is over
    """

    alert: Alert
    raised_at: int
    last_at: int
    stored_at: int = 0
    acknowledged_by: str = ""
    resolved_at: int | None = None
    sent_at: int | None = None
    sent_level: AlertLevel | None = None
    is_end_due: bool = False

    @property
    def is_active(self) -> bool:
        """Return whether the cause is there."""
        return self.resolved_at is None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look changed.

    Attributes
    ----------
    new : raised by this look; their actions are to be done now
    to_store : raised, worse, or not stored for a while
    resolved : keys that are over
    """

    new: tuple[Alert, ...] = ()
    to_store: tuple[Alert, ...] = ()
    resolved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """What people outside are to be told.

    Attributes
    ----------
    alerts : worst first, then oldest
    ended : titles and keys of those that are over
    """

    alerts: tuple[Alert, ...] = ()
    ended: tuple[Alert, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to tell."""
        return not (self.alerts or self.ended)


class AlertBook:
    """Keep causes by key.

    Parameters
    ----------
    repeat_s : float
        Least time between two tellings of one cause, > 0.
    states : what was known before, as a restart finds it
    """

    def __init__(self, repeat_s: float, states: Iterable[AlertState] = ()) -> None:
        self._repeat_ms = repeat_s * 1000
        self._states = {state.alert.key: state for state in states}

    def __getitem__(self, key: str) -> AlertState:
        """Return the state of a key; KeyError when it was never raised."""
        return self._states[key]

    def active(self) -> tuple[AlertState, ...]:
        """Return the causes that are there, oldest first."""
        found = [state for state in self._states.values() if state.is_active]
        return tuple(sorted(found, key=lambda state: (state.raised_at, state.alert.key)))

    def settle(self, alerts: Sequence[Alert], now_at: int) -> Changes:
        """Take what one look found, all of it: what is not among it is over.

        Of several alerts with one key the worst counts.
        """
        found: dict[str, Alert] = {}
        for alert in alerts:
            other = found.get(alert.key)
            if other is None or alert.level.rank > other.level.rank:
                found[alert.key] = alert
        new, to_store = [], []
        for alert in found.values():
            is_new, is_stored = self._raise(alert)
            new += [alert] if is_new else []
            to_store += [alert] if is_stored else []
        gone = [state.alert.key for state in self.active() if state.alert.key not in found]
        resolved = tuple(key for key in gone if self.resolve(key, now_at))
        self._forget(now_at)
        return Changes(tuple(new), tuple(to_store), resolved)

    def acknowledge(self, key: str, who: str) -> bool:
        """Remember that someone has seen it: it is not told again unless it gets worse."""
        state = self._states.get(key)
        if state is None or not state.is_active or state.acknowledged_by:
            return False
        self._states[key] = replace(state, acknowledged_by=who)
        return True

    def resolve(self, key: str, now_at: int) -> bool:
        """Say that a cause is over; False when it was not there."""
        state = self._states.get(key)
        if state is None or not state.is_active:
            return False
        was_told = state.sent_at is not None and state.sent_at >= state.raised_at
        self._states[key] = replace(
            state, resolved_at=now_at, is_end_due=was_told and state.alert.tells_end
        )
        return True

    def due(self, now_at: int) -> Due:
        """Return what is to be told outside now."""
        alerts = [s for s in self._states.values() if s.is_active and self._is_due(s, now_at)]
        alerts.sort(key=lambda s: (-s.alert.level.rank, s.raised_at, s.alert.key))
        ended = [s for s in self._states.values() if s.is_end_due and not s.is_active]
        ended.sort(key=lambda s: (s.resolved_at or 0, s.alert.key))
        return Due(tuple(s.alert for s in alerts), tuple(s.alert for s in ended))

    def sent(self, due: Due, now_at: int) -> None:
        """Remember that people outside were told."""
        for alert in due.alerts:
            state = self._states[alert.key]
            self._states[alert.key] = replace(state, sent_at=now_at, sent_level=alert.level)
        for alert in due.ended:
            self._states[alert.key] = replace(self._states[alert.key], is_end_due=False)

    def _raise(self, alert: Alert) -> tuple[bool, bool]:
        """Take one finding; return whether it is new, and whether it is to be stored."""
        state = self._states.get(alert.key)
        if state is None:
            self._states[alert.key] = AlertState(alert, alert.at, alert.at, alert.at)
            return True, True
        if not state.is_active:
            self._states[alert.key] = replace(
                state,
                alert=alert,
                raised_at=alert.at,
                last_at=alert.at,
                stored_at=alert.at,
                acknowledged_by="",
                resolved_at=None,
                is_end_due=False,
            )
            return True, True
        if alert.at < state.last_at:
            return False, False
        is_worse = alert.level.rank > state.alert.level.rank
        is_stored = is_worse or alert.at - state.stored_at >= STORE_AGAIN_MS
        self._states[alert.key] = replace(
            state,
            alert=alert,
            last_at=alert.at,
            stored_at=alert.at if is_stored else state.stored_at,
            acknowledged_by="" if is_worse else state.acknowledged_by,
        )
        return False, is_stored

    def _is_due(self, state: AlertState, now_at: int) -> bool:
        if state.sent_at is None or state.sent_level is None:
            return not state.acknowledged_by
        if state.alert.level.rank > state.sent_level.rank:
            return not state.acknowledged_by
        return not state.acknowledged_by and now_at - state.sent_at >= self._repeat_ms

    def _forget(self, now_at: int) -> None:
        old = [
            key
            for key, state in self._states.items()
            if state.resolved_at is not None
            and not state.is_end_due
            and now_at - state.resolved_at > max(FORGET_MS, self._repeat_ms)
        ]
        for key in old:
            del self._states[key]
