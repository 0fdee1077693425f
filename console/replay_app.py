"""The console over a recording: the same screens, which follow what its operator looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from console.app import PaddockApp
from console.app_messages import PollerFailed, Taken, Told
from console.availability import RECORDING
from console.bindings import Entry, Place, bindings_of, find_by_word
from console.format import clock_time, day
from console.key_words import with_keys
from console.kill_port import Verb
from console.recording_file import Recording
from console.recording_writer import Shown
from console.replay_place import moment_of
from console.replay_session import ReplayClock, ReplaySession
from console.replay_source import ReplaySource, Standing
from console.screens.frame import FrameScreen
from console.screens.help import HelpScreen
from console.screens.order_history import OrderScreen
from console.terminal import suit_terminal
from console.widgets.footer import PromptLine
from console.widgets.panel import Panel
from engine.errors import RuntimeUnavailable, UsageError

if TYPE_CHECKING:
    from console.poller import Source
    from console.session import Session
    from console.snapshot import Snapshot
    from engine.store.events import Event
    from engine.trade.kill_step import Step

_JUMP_MS = 60_000
_HINT = (
    "{replay.pause} pause  {replay.previous} {replay.next} step  "
    "{replay.backward} {replay.forward} a minute  {replay.start} {replay.end} start, end  "
    "{replay.slower} {replay.faster} speed  {replay.follow} follow the operator  :at 14:02"
)
_NOTHING_HALTED = (
    "Nothing was halted: this plays what was recorded, and nothing trades behind it.\n\n"
    "F9 or ^k in the console itself halts, and so do `paddock halt` and scripts/halt."
)
_UNRECORDED = (
    "Settings are not part of a recording: what was configured may have changed since.\n\n"
    "{go.overview} to {go.events} go to what was recorded."
)


class NothingHalted(ModalScreen[None]):
    """Say aloud that the halt key halts nothing here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "close", "close", show=False)
    ]
    DEFAULT_CSS = """
    NothingHalted { align: center middle; background: $background 60%; }
    NothingHalted > Vertical {
        width: 74; max-width: 96%; height: auto; border: heavy $warning;
        background: $surface; padding: 1 2; border-title-style: bold;
    }
    NothingHalted Static { height: auto; }
    """

    def compose(self) -> ComposeResult:
        """Yield the words."""
        with Vertical() as box:
            box.border_title = "▲ This is a recording"
            box.border_subtitle = "esc closes"
            yield Static(_NOTHING_HALTED, markup=False)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)


class UnrecordedScreen(FrameScreen):
    """Screen 9 of a replay."""

    PLACE = Place.SETTINGS
    NAME = "Settings"

    def body(self) -> ComposeResult:
        """Yield one panel."""
        yield Panel("Settings", "settings")

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """Say why there is nothing."""
        self.query_one("#settings", Panel).show(Content(_UNRECORDED))


class NoSwitch:
    """The kill switch of a recording, which has none."""

    async def act(self, verb: Verb, accounts: Sequence[str], reason: str) -> AsyncIterator[Step]:
        """Refuse.

        Raises
        ------
        RuntimeUnavailable : always.
        """
        nothing: tuple[Step, ...] = ()
        for step in nothing:
            yield step
        raise RuntimeUnavailable(f"{verb}: this is a recording")


class ReplayApp(PaddockApp):
    """Play a recording.

    Parameters
    ----------
    recording : Recording
    session : Session, for theme and clock
    speed : recorded seconds a second
    picture_at : UTC ms to stand still at, without any sign of a replay; None to play
    """

    BINDINGS = bindings_of(Place.REPLAY, "app")
    MODES: ClassVar[dict[str, Any]] = {**PaddockApp.MODES, "settings": UnrecordedScreen}

    def __init__(
        self,
        recording: Recording,
        session: Session,
        speed: float = 1.0,
        picture_at: int | None = None,
    ) -> None:
        self._picture_at = picture_at
        self._recording = recording
        self._machine = session.clock
        self._speed = speed
        self._replay: ReplaySource | None = None
        self._on_screen = recording.shown(0)
        self._followed: Shown | None = None
        self.is_following = True
        about = recording.about
        accounts = about.get("accounts")
        replayed = ReplaySession(
            session.config,
            None,
            ReplayClock(session.clock, self._recorded_at),
            recorded_home=str(about.get("home") or ""),
            recorded_accounts=tuple(map(str, accounts)) if isinstance(accounts, list) else (),
            place=recording.path.absolute().parent,
        )
        super().__init__(
            replayed,
            starts_runtime=False,
            owns_process=True,
            kill_switch=NoSwitch(),
            read_only=RECORDING if picture_at is None else "",
        )

    def make_source(self) -> Source:
        """Return the recording as what is looked at."""
        self._replay = ReplaySource(
            self._recording,
            self._machine,
            self._speed,
            self._shown_then,
            lambda why: self._from_thread(Told(why, "error")),
            lambda error: self._from_thread(PollerFailed(error)),
        )
        if self._picture_at is not None:
            self._replay.stand_at(self._picture_at)
        return self._replay

    @property
    def mark(self) -> str:
        """Return that this is a replay, how fast it plays, and the recorded time."""
        if self._picture_at is not None:
            return ""
        told = self._standing()
        glyph = "■" if told.is_at_end else ("▶" if told.is_playing else "‖")
        return (
            f"REPLAY {glyph} {told.speed:g}× {day(told.at)} {clock_time(told.at)} "
            f"{told.number:,}/{told.total:,}"
        )

    def on_paddock_app_taken(self, message: Taken) -> None:
        """Follow the operator, once the console has taken the picture in."""
        self.call_later(self._follow)

    async def tell(self, event: Event) -> str:
        """Record nothing: there is no store."""
        return ""

    def is_allowed(self, entry_id: str) -> bool:
        """Return that nothing can be done, and say so."""
        self.say(f"{entry_id}: this is a recording", "warn")
        return False

    def run_typed(self, text: str, place: Place) -> None:
        """Do what was typed after `:`."""
        word, _, argument = text.strip().partition(" ")
        entry = find_by_word(word, Place.REPLAY)
        if entry is None or entry.place is not Place.REPLAY:
            super().run_typed(text, place)
        elif entry.id == "replay.at":
            self._jump_to(argument)
        else:
            self.run_entry(entry)

    def run_entry(self, entry: Entry) -> None:
        """Do what an entry of the table says."""
        if entry.place is Place.REPLAY:
            self.call_later(getattr(self, f"action_{entry.action}"))
        else:
            super().run_entry(entry)

    def record_into(self, name: str) -> None:
        """Say that there is nothing to record."""
        self.say("this is a recording already", "warn")

    def action_halt(self) -> None:
        """Say that nothing is halted from here."""
        if not isinstance(self.screen, NothingHalted):
            self.push_screen(NothingHalted())

    def action_help(self) -> None:
        """Show the keys of a replay, then those that work everywhere."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(Place.REPLAY, self.snapshot, self.keymap))

    @work
    async def action_quit_ask(self) -> None:
        """Quit: nothing is lost, nothing runs on."""
        self.exit(0)

    def action_poll_faster(self) -> None:
        """Play faster: how often is looked was decided when it was recorded."""
        self.action_replay_faster()

    def action_poll_slower(self) -> None:
        """Play slower."""
        self.action_replay_slower()

    def action_replay_pause(self) -> None:
        """Stand still, or play on; from the end, play from the start."""
        told = self._move(lambda head, now_s: head.toggle(now_s))
        self.say(
            "playing"
            if told.is_playing
            else "paused: {replay.pause} plays on, {replay.next} and {replay.previous} step"
        )

    def action_replay_next(self) -> None:
        """Go one picture on."""
        self._move(lambda head, now_s: head.step(1, now_s))

    def action_replay_previous(self) -> None:
        """Go one picture back."""
        self._move(lambda head, now_s: head.step(-1, now_s))

    def action_replay_forward(self) -> None:
        """Go a minute on."""
        self._jump_by(_JUMP_MS)

    def action_replay_backward(self) -> None:
        """Go a minute back."""
        self._jump_by(-_JUMP_MS)

    def action_replay_start(self) -> None:
        """Go to the first picture."""
        self._jump(self._recording.times[0])

    def action_replay_end(self) -> None:
        """Go to the last picture."""
        self._jump(self._recording.times[-1])

    def action_replay_faster(self) -> None:
        """Play faster."""
        told = self._move(lambda head, now_s: head.change_speed(1, now_s))
        self.say(f"speed {told.speed:g}×")

    def action_replay_slower(self) -> None:
        """Play slower."""
        told = self._move(lambda head, now_s: head.change_speed(-1, now_s))
        self.say(f"speed {told.speed:g}×")

    def action_replay_follow(self) -> None:
        """Show again what the operator looked at, and go on doing so."""
        self.is_following, self._followed = True, None
        self.say("following what the operator looked at")
        self._follow()

    def _follow(self) -> None:
        frame = self.frame
        if frame is not None and frame.is_ready and self._picture_at is None:
            frame.query_one(PromptLine).hint(with_keys(self, _HINT))
        if self.screen is not frame:
            return
        now, wanted = self._place_now(), self._on_screen
        if self._followed is not None and now != self._followed:
            # The one who watches went somewhere: stay there.
            self.is_following, self._followed = False, None
            self.say("{replay.follow} follows the operator again")
        if not self.is_following:
            return
        if now != wanted:
            self.go(wanted.mode if wanted.mode in self.MODES else "overview")
            if wanted.strategy_id:
                self.open_strategy(wanted.strategy_id)
            elif wanted.order_id:
                self.open_order(wanted.order_id)
        self._followed = wanted

    def _place_now(self) -> Shown:
        frame = self.frame
        strategy_id = str(getattr(frame, "strategy_id", ""))
        order_id = frame.client_id if isinstance(frame, OrderScreen) else ""
        return Shown(self.current_mode, strategy_id, order_id)

    def _shown_then(self, snapshot: Snapshot, shown: Shown) -> None:
        self._on_screen = shown
        self._from_thread(Taken(snapshot))

    def _standing(self) -> Standing:
        if self._replay is None:
            raise UsageError("the replay has not begun")
        return self._replay.standing()

    def _recorded_at(self) -> int:
        return self._recording.times[0] if self._replay is None else self._standing().at

    def _move(self, act: Any) -> Standing:
        if self._replay is None:
            raise UsageError("the replay has not begun")
        told = self._replay.move(act)
        self._refresh(everything=True)
        return told

    def _jump(self, at: int) -> None:
        self._move(lambda head, now_s: head.jump(at, now_s))

    def _jump_by(self, moved_ms: int) -> None:
        self._move(lambda head, now_s: head.jump(head.at(now_s) + moved_ms, now_s))

    def _jump_to(self, text: str) -> None:
        times = self._recording.times
        try:
            self._jump(moment_of(text, self._standing().at, times[0], times[-1]))
        except UsageError as exc:
            self.say(str(exc), "warn")


def run_replay(recording: Recording, session: Session, speed: float) -> int:
    """Play a recording until it is quit and return the exit code."""
    app = ReplayApp(recording, session, speed)
    suit_terminal(app, session.config.console.glyphs, session.config.console.theme)
    app.run()
    if app.error is not None:
        raise app.error
    return int(app.return_code or 0)
