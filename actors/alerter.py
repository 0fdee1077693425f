"""The alerter: looks for what needs a person, and tells people who are not looking."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from actors.alert_sight import Sight
from actors.ports import PeerLost
from actors.roster import OnFailure, PartSpec, PeerOf, part_names
from engine.alert import Alert, AlertAction, AlertLevel
from engine.alert_book import AlertBook, AlertState, Changes, Due
from engine.alert_rules import is_own_key
from engine.alert_words import letter_of
from engine.alerts import HEARTBEAT_URL, Channels, Delivery, call_watcher, channels_of
from engine.clock import Clock
from engine.config import database_url
from engine.errors import PaddockError
from engine.store.alerts import AlertRow, active_alerts
from engine.store.commands import waiting_commands
from engine.store.database import Store
from engine.store.events import Event
from engine.store.strategies import get_strategy
from engine.types import Status

LOOK_S = 5.0
_CALL_S = 5.0
_MOST_ALERTS = 1_000
_MOST_WRITES = 10_000
_LATE_LOOK_S = 60.0
_FIRST_PAUSE_MS = 30_000
_LONGEST_PAUSE_MS = 600_000
_WHO = "alerts"
_COMMANDS = {AlertAction.PAUSE: "strategy.pause", AlertAction.STOP: "strategy.retire"}
_TRADES = {
    AlertAction.PAUSE: (Status.PAPER, Status.LIVE),
    AlertAction.STOP: (Status.PAPER, Status.LIVE, Status.PAUSED),
}


class Alerter:
    """Raise, resolve, act on and send alerts; call the watcher outside.

    Survives a crash: alerts, who has seen them and when people were told, from the store.
    May run twice: every look; an act is asked for only while its strategy trades and nobody has
    asked for it yet; a message may be sent again when the process dies while it is being sent.
    Owns: the alerts of its own rules; those of others it sends as well, and leaves to them.
    """

    def __init__(
        self,
        spec: PartSpec,
        peer_of: PeerOf,
        clock: Clock,
        on_failure: OnFailure,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._spec = spec
        self._config = spec.config
        self._settings = spec.config.alerts
        self._recorder = peer_of("recorder")
        self._clock = clock
        self._on_failure = on_failure
        self._environment = os.environ if environment is None else environment
        self._channels = Channels([])
        self._book = AlertBook(self._settings.repeat_s)
        self._store: Store | None = None
        self._sight: Sight | None = None
        self._writes: deque[tuple[str, tuple[Any, ...], Mapping[str, Any]]] = deque(
            maxlen=_MOST_WRITES
        )
        self._sending: asyncio.Task[None] | None = None
        self._send_after_at = 0
        self._pause_ms = _FIRST_PAUSE_MS
        self._undelivered: dict[str, str] = {}
        self._watcher_problem = ""
        self._looked_s: float | None = None
        self._looking = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take up what was known, and begin to look; a private runtime has nobody to tell."""
        if not self._spec.scheduled:
            return
        self._store = await Store.open(database_url(self._config), read_only=True, create=False)
        if self._settings.enabled:
            self._channels = await asyncio.to_thread(channels_of, self._environment)
        rows = await active_alerts(self._store, _MOST_ALERTS)
        self._book = AlertBook(self._settings.repeat_s, [_state(row) for row in rows])
        all_parts = part_names(self._spec.workers, trading=self._config.trading)
        parts = [name for name in all_parts if name != self._spec.name]
        known = [_alert(row) for row in rows]
        self._sight = Sight(self._config, self._store, parts, self._clock.now_at(), known)
        for problem in self._channels.problems:
            self._tell("error", "alerts.address", problem)
        loops: list[Callable[[], Awaitable[None]]] = [self._keep_looking]
        if self._environment.get(HEARTBEAT_URL):
            loops.append(self._keep_calling)
        self._tasks = [asyncio.create_task(self._guard(loop)) for loop in loops]

    async def stop(self) -> None:
        """Look and tell no more."""
        tasks = [*self._tasks, *([self._sending] if self._sending else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._store is not None:
            await self._store.close()

    def pulse(self) -> tuple[str, Mapping[str, Any]]:
        """Return alert while there is one that nobody has seen, and which channels are dead."""
        active = self._book.active()
        n_unseen = sum(not state.acknowledged_by for state in active)
        detail = {
            "alerts": len(active),
            "alerts_unseen": n_unseen,
            "channels": [channel.name for channel in self._channels.channels],
            "undelivered": dict(self._undelivered),
            "watcher": self._watcher_problem,
        }
        return ("alert" if n_unseen else "idle"), detail

    async def look(self) -> None:
        """Look once: raise, act, resolve, store, and begin to send what is due."""
        async with self._looking:
            if self._store is not None and self._sight is not None:
                await self._look(self._store, self._sight)

    async def _look(self, store: Store, sight: Sight) -> None:
        now_at = self._clock.now_at()
        others = await self._hear_of_others(store)
        found = await sight.look(now_at)
        changes = self._book.settle([*found, *others], now_at)
        for alert in changes.new:
            await self._act(alert)
        self._remember(changes, now_at)
        self._begin_to_send(now_at)
        await self._write_all()
        self._looked_s = self._clock.monotonic_s()

    async def _keep_looking(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def _hear_of_others(self, store: Store) -> list[Alert]:
        """Take acknowledgements from the store, and return the alerts that others have raised."""
        try:
            rows = await active_alerts(store, _MOST_ALERTS)
        except PaddockError:
            # Sight sees the same, and says so.
            return [s.alert for s in self._book.active() if not is_own_key(s.alert.key)]
        for row in rows:
            if row.acknowledged_by:
                self._book.acknowledge(row.key, row.acknowledged_by)
        return [_alert(row) for row in rows if not is_own_key(row.key)]

    async def _act(self, alert: Alert) -> None:
        """Ask for what an alert does at once, unless it is done or asked for already."""
        name = _COMMANDS.get(alert.action)
        if name is None or self._store is None:
            return
        strategy_id = alert.subject.partition(":")[2]
        arguments = {"strategy_id": strategy_id, "reason": alert.message}
        try:
            stored = await get_strategy(self._store, strategy_id)
            waiting = await waiting_commands(self._store, [name])
        except PaddockError as exc:
            # Not knowing is no reason to let it go on: asking twice is harmless.
            self._tell(
                "warn", "alerts.act", f"{alert.title}: done without a look at it: {exc.message}"
            )
        else:
            asked = {row.arguments.get("strategy_id") for row in waiting}
            if stored.row.status not in _TRADES[alert.action] or strategy_id in asked:
                return
        self._later("insert_command", who=_WHO, name=name, arguments=arguments)

    def _remember(self, changes: Changes, now_at: int) -> None:
        for alert in changes.to_store:
            if is_own_key(alert.key):
                self._later(
                    "raise_alert",
                    key=alert.key,
                    level=alert.level.value,
                    title=alert.title,
                    message=alert.message,
                    subject=alert.subject,
                    at=alert.at,
                )
        for alert in changes.new:
            sent_at = self._book[alert.key].sent_at
            if sent_at is not None and is_own_key(alert.key):
                # The store forgets with a new beginning that people were told not long ago.
                self._later("mark_alert_sent", alert.key, sent_at)
        for key in changes.resolved:
            if is_own_key(key):
                self._later("resolve_alert", key, now_at)

    def _begin_to_send(self, now_at: int) -> None:
        if self._sending is not None and self._sending.done():
            self._sending = None
        due = self._book.due(now_at)
        is_busy = self._sending is not None or now_at < self._send_after_at
        if is_busy or due.is_empty or not self._channels.channels:
            return
        self._sending = asyncio.create_task(self._guard(lambda: self._send(due)))

    async def _send(self, due: Due) -> None:
        deliveries = await self._channels.tell(letter_of(due, socket.gethostname()))
        now_at = self._clock.now_at()
        self._note_deliveries(deliveries)
        if not any(delivery.is_delivered for delivery in deliveries):
            self._send_after_at = now_at + self._pause_ms
            self._pause_ms = min(2 * self._pause_ms, _LONGEST_PAUSE_MS)
            return
        self._pause_ms = _FIRST_PAUSE_MS
        self._book.sent(due, now_at)
        for alert in due.alerts:
            self._later("mark_alert_sent", alert.key, now_at)

    def _note_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Tell once that a channel died, and once that it lives again."""
        for delivery in deliveries:
            was_dead = delivery.channel in self._undelivered
            if delivery.is_delivered and was_dead:
                del self._undelivered[delivery.channel]
                self._tell(
                    "info", "alerts.channel", f"channel {delivery.channel} takes alerts again"
                )
            elif not delivery.is_delivered:
                self._undelivered[delivery.channel] = delivery.reason
                if not was_dead:
                    words = f"channel {delivery.channel} takes no alerts: {delivery.reason}"
                    self._tell("warn", "alerts.channel", words)

    async def _keep_calling(self) -> None:
        while True:
            # A watcher that hears from a part that sees nothing would be deceived.
            is_seeing = (
                self._looked_s is not None
                and self._clock.monotonic_s() - self._looked_s < _LATE_LOOK_S
            )
            if is_seeing:
                problem = await call_watcher(self._environment[HEARTBEAT_URL])
                if problem and not self._watcher_problem:
                    self._tell("warn", "alerts.watcher", f"heartbeat: {problem}")
                self._watcher_problem = problem
            await asyncio.sleep(self._settings.heartbeat_s if is_seeing else 1.0)

    def _tell(self, level: str, kind: str, message: str) -> None:
        event = Event(self._clock.now_at(), level, kind, message, self._spec.name)
        self._writes.append(("tell", ([event],), {}))

    def _later(self, write: str, /, *args: Any, **columns: Any) -> None:
        self._writes.append((write, args, columns))

    async def _write_all(self) -> None:
        """Write what waits, in order; what the recorder does not take now waits for the next look.

        Whatever is written may be written twice: alerts are told by their instant.
        """
        for _ in range(len(self._writes)):
            write = self._writes.popleft()
            name, args, columns = write
            try:
                if name == "tell":
                    await self._recorder.call("tell", *args, timeout_s=_CALL_S)
                else:
                    await self._recorder.call("write", name, args, columns, timeout_s=_CALL_S)
            except PeerLost:
                self._writes.appendleft(write)
                return
            except PaddockError:
                # To the end of the line: one write that is refused holds up no other.
                self._writes.append(write)

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            await self._on_failure(error)


def _alert(row: AlertRow) -> Alert:
    level = AlertLevel.ERROR if row.level == AlertLevel.ERROR.value else AlertLevel.WARN
    return Alert(
        row.key,
        level,
        row.title,
        row.message,
        row.last_at,
        subject=row.subject,
        tells_end=not row.key.startswith("event."),
    )


def _state(row: AlertRow) -> AlertState:
    alert = _alert(row)
    return AlertState(
        alert,
        raised_at=row.raised_at,
        last_at=row.last_at,
        stored_at=row.last_at,
        acknowledged_by=row.acknowledged_by,
        sent_at=row.sent_at,
        sent_level=None if row.sent_at is None else alert.level,
    )
