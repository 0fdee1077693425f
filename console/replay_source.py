"""Play a recording into a console: one thread reads the pictures and hands them over on time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from console.poller import Watch
from console.recording_file import Recording
from console.recording_writer import Shown
from console.replay_answers import answered
from console.replay_head import PlayHead
from console.snapshot import Snapshot, StoreView
from engine.clock import Clock
from engine.errors import DataError, UsageError

if TYPE_CHECKING:
    from engine.store.events import Event

_JOIN_S = 2.0
_BUSY_S = 0.05
"""However fast it plays, no more than twenty pictures a second are shown."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a replay stands.

    Attributes
    ----------
    at : UTC ms of recorded time
    number, total : the picture that is shown, from 1, of how many
    """

    at: int
    number: int
    total: int
    speed: float
    is_playing: bool
    is_at_end: bool


class ReplaySource:
    """What a console looks at instead of a store.

    Parameters
    ----------
    recording : Recording, used by the thread alone from the start on
    clock : of the machine, which the replay runs by
    speed : recorded seconds a second
    on_picture : called with each snapshot and what was on the screen, on the thread
    on_damage : called with why a picture cannot be read, on the thread; it plays on
    on_failure : called with the error that ended the thread
    """

    def __init__(
        self,
        recording: Recording,
        clock: Clock,
        speed: float,
        on_picture: Callable[[Snapshot, Shown], None],
        on_damage: Callable[[str], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.poll_s = recording.poll_s
        self._recording = recording
        self._times = recording.times
        self._clock = clock
        self._on_picture = on_picture
        self._on_damage = on_damage
        self._on_failure = on_failure
        self._head = PlayHead(recording.times, clock.monotonic_s(), speed)
        self._starts_at = self._times[0]
        self._watch = Watch()
        self._number = 0
        self._near: tuple[int, StoreView | None] | None = None
        self._wake = threading.Condition()
        self._is_stale = True
        self._is_stopped = False
        self._thread = threading.Thread(target=self._main, name="replay", daemon=True)

    def start(self) -> None:
        """Begin to play, or to stand where it was told to."""
        self._head.jump(self._starts_at, self._clock.monotonic_s())
        self._thread.start()

    def stand_at(self, at: int) -> None:
        """Begin by standing still at a moment, UTC ms."""
        self._starts_at = at
        self._head.is_playing = False

    def stop(self) -> None:
        """End the thread."""
        with self._wake:
            self._is_stopped = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def watch(self, watch: Watch) -> None:
        """Change what is answered beside the rest, and answer at once."""
        with self._wake:
            self._watch = watch
            self._tell()

    def poke(self) -> None:
        """Show the picture again."""
        with self._wake:
            self._tell()

    def move(self, act: Callable[[PlayHead, float], None]) -> Standing:
        """Move the play head and return how it stands then."""
        with self._wake:
            act(self._head, self._clock.monotonic_s())
            self._tell()
        return self.standing()

    def standing(self) -> Standing:
        """Return how the replay stands; time never runs ahead of what is shown."""
        with self._wake:
            now_s = self._clock.monotonic_s()
            at, number = self._head.at(now_s), self._number
            if number + 1 < len(self._times):
                at = min(at, max(self._times[number], self._times[number + 1] - 1))
            return Standing(
                at=at,
                number=number + 1,
                total=len(self._times),
                speed=self._head.speed,
                is_playing=self._head.is_playing,
                is_at_end=self._head.is_at_end(now_s),
            )

    async def ask(self, name: str, arguments: dict[str, Any]) -> int:
        """Refuse: nobody is there to answer.

        Raises
        ------
        UsageError : always.
        """
        raise UsageError(f"{name}: this is a recording")

    async def tell(self, event: Event) -> None:
        """Drop what is told: there is no store."""

    async def acknowledge(self, key: str) -> bool:
        """Return that nothing was marked: there is no store."""
        return False

    def _tell(self) -> None:
        self._is_stale = True
        self._wake.notify()

    def _main(self) -> None:
        try:
            while self._play_one():
                pass
        except Exception as exc:
            self._on_failure(exc)

    def _play_one(self) -> bool:
        with self._wake:
            self._wake.wait_for(lambda: self._is_stopped or self._is_due(), self._wait_s())
            if self._is_stopped:
                return False
            if not self._is_due():
                return True
            number = self._head.number(self._clock.monotonic_s())
            watch, self._number, self._is_stale = self._watch, number, False
        try:
            snapshot = self._with_details(self._recording.snapshot(number), number, watch)
        except DataError as exc:
            self._on_damage(str(exc))
        else:
            self._on_picture(answered(snapshot, watch), self._recording.shown(number))
        with self._wake:
            self._wake.wait_for(lambda: self._is_stopped or self._is_stale, _BUSY_S)
        return True

    def _is_due(self) -> bool:
        return self._is_stale or self._head.number(self._clock.monotonic_s()) != self._number

    def _wait_s(self) -> float | None:
        return self._head.wait_s(self._clock.monotonic_s())

    def _with_details(self, snapshot: Snapshot, number: int, watch: Watch) -> Snapshot:
        """Return a snapshot with the details that are watched, from the nearest picture with them.

        Details were read while they were on the screen only.
        """
        store = snapshot.store
        if store is None:
            return snapshot
        wanted, shown = (watch.strategy_id or "").lower(), self._recording.shown(number)
        if wanted and not shown.strategy_id.startswith(wanted):
            held = self._held(self._recording.nearest_with(number, strategy_id=wanted))
            store = replace(store, strategy=None if held is None else held.strategy)
        order_id = watch.trading.order_id or ""
        if order_id and shown.order_id != order_id and store.trading is not None:
            held = self._held(self._recording.nearest_with(number, order_id=order_id))
            history = None if held is None or held.trading is None else held.trading.history
            store = replace(store, trading=replace(store.trading, history=history))
        return replace(snapshot, store=store)

    def _held(self, number: int | None) -> StoreView | None:
        if number is None:
            return None
        if self._near is None or self._near[0] != number:
            self._near = (number, self._recording.snapshot(number).store)
        return self._near[1]
