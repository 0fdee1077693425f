"""The console: a Textual application over snapshots, without Ray, never waiting for a disk."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, work
from textual.app import App
from textual.constants import MAX_FPS
from textual.message import Message

from console.app_messages import PollerFailed, Taken, Told
from console.availability import why_disabled
from console.bindings import (
    ENTRIES,
    Entry,
    Place,
    acts,
    bindings_of,
    find_by_word,
    is_acting,
)
from console.first_minute import FirstMinute
from console.format import clipped
from console.halting import halt_all
from console.idle_garbage import IdleGarbage
from console.key_words import with_keys
from console.keymap import read_keymap
from console.kill_desk import KillDesk
from console.kill_port import KillSwitch
from console.kill_process import KillProcess
from console.navigation import Navigation
from console.outcomes import Outcomes, asked_words
from console.palette import TablePalette
from console.poller import MAX_POLL_S, MIN_POLL_S, Poller, Source, Watch
from console.questions import Questions
from console.recording_desk import RecordingDesk
from console.requests import Requests
from console.runtime_starter import RuntimeStarter
from console.screens.backtests import BacktestsScreen
from console.screens.deployments import DeploymentsScreen
from console.screens.events import EventsScreen
from console.screens.frame import FrameScreen
from console.screens.halt import HaltScreen
from console.screens.learners import LearnersScreen
from console.screens.modals import ConfirmScreen
from console.screens.orders import OrdersScreen
from console.screens.overview import OverviewScreen
from console.screens.risk import RiskScreen
from console.screens.settings import SettingsScreen
from console.screens.strategies import StrategiesScreen
from console.session import Session, operator
from console.snapshot import FRESH_POLLS, Snapshot
from console.talk import one_line, write_crash_log
from console.terminal import missed_size
from console.theme import THEME_NAMES, THEMES
from console.trading_desk import TradingDesk
from console.typed_ahead import TypedAhead
from console.widgets.footer import PromptLine
from console.widgets.status_bar import StatusFacts
from engine.clock import Clock
from engine.errors import PaddockError, UsageError
from engine.trade.accounts import PAPER

if TYPE_CHECKING:
    from engine.store.events import Event

FRAME_S = 1 / MAX_FPS
_BEAT_S = 0.5


class PaddockApp(Navigation, App[int]):
    """The console over one home.

    Parameters
    ----------
    session : Session
    starts_runtime : bool
        Start a runtime when none runs.
    owns_process : bool
        Nothing else runs in this process: its garbage collection may be tuned.
    read_only : str
        Why this console only looks, empty when it may act.
    offers_start : bool
        Offer a first cycle where none ever ran.
    kill_switch : KillSwitch
        What cancels and flattens; a process of its own when none is given.
    """

    TITLE = "Paddock"
    BINDINGS = bindings_of(Place.EVERYWHERE, "app")
    COMMANDS: ClassVar[set[Any]] = {TablePalette}
    ENABLE_COMMAND_PALETTE = True
    MODES: ClassVar[dict[str, Any]] = {
        "overview": OverviewScreen,
        "strategies": StrategiesScreen,
        "backtests": BacktestsScreen,
        "learners": LearnersScreen,
        "orders": OrdersScreen,
        "deployments": DeploymentsScreen,
        "risk": RiskScreen,
        "events": EventsScreen,
        "settings": SettingsScreen,
    }
    DEFAULT_MODE = "overview"

    def __init__(
        self,
        session: Session,
        *,
        starts_runtime: bool = True,
        owns_process: bool = False,
        kill_switch: KillSwitch | None = None,
        read_only: str = "",
        offers_start: bool = False,
    ) -> None:
        super().__init__()
        self.session = session
        self.keymap = read_keymap(session.config.console.keys, session.config_path)
        self.read_only = read_only
        self.snapshot: Snapshot | None = None
        self.account = PAPER
        self.questions = Questions(self)
        self.kill = KillDesk(self, kill_switch or KillProcess(session))
        self.desk = TradingDesk(self)
        self._starts_runtime = starts_runtime and not read_only
        self._owns_process = owns_process
        self._garbage = IdleGarbage(session.clock)
        self._starter = RuntimeStarter(session)
        self._watch = Watch()
        self._shown_watch: Watch | None = None
        self._lag_ms = 0.0
        self._due_s = 0.0
        self._requests = Requests(self)
        self._outcomes = Outcomes()
        self._refusal = ("", "")
        self._first = FirstMinute(self, is_wanted=offers_start and not read_only)
        self.recording = RecordingDesk(
            session,
            lambda text, level: self._from_thread(Told(text, level)),
            lambda: self.current_mode,
        )
        self._poller = self.make_source()
        self._typed_ahead = TypedAhead(self)
        self.set_keymap(self.keymap.for_textual)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEME_NAMES.get(session.config.console.theme, "paddock")

    def make_source(self) -> Source:
        """Return what snapshots come from, and what is asked for goes to."""
        return Poller(self.session, self.took, lambda error: self._from_thread(PollerFailed(error)))

    def took(self, snapshot: Snapshot) -> None:
        """Record a snapshot and show it; called on the thread that took it."""
        self.recording.took(snapshot)
        self._from_thread(Taken(snapshot))

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        return self.session.clock

    @property
    def place(self) -> Place:
        """Return where the operator is, modals aside."""
        frame = self.frame
        return Place.EVERYWHERE if frame is None else frame.PLACE

    @property
    def frame(self) -> FrameScreen | None:
        """Return the uppermost screen that is not a modal."""
        frames = [screen for screen in self.screen_stack if isinstance(screen, FrameScreen)]
        return frames[-1] if frames else None

    @property
    def is_starting(self) -> bool:
        """Return whether the console is starting a runtime."""
        return self._starter.is_starting

    def on_mount(self) -> None:
        """Begin to look at the store."""
        if threading_is_main():
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                # Who started us with it ignored (nohup) meant that.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    loop = asyncio.get_running_loop()
                    loop.add_signal_handler(number, self._terminated, number)
        self._poller.start()
        self._due_s = self.clock.monotonic_s() + _BEAT_S
        self.set_interval(_BEAT_S, self._beat)

    def on_unmount(self) -> None:
        """Stop looking."""
        self._poller.stop()
        self.recording.stop()

    def on_paddock_app_taken(self, message: Taken) -> None:
        """Show a new snapshot, and start a runtime when the first one shows none."""
        is_first = self.snapshot is None
        self.snapshot = replace(message.snapshot, read_only=self.read_only)
        self._shown_watch = self._watch
        outcome = self._starter.follow(message.snapshot.runtime)
        if is_first and self._starts_runtime and message.snapshot.runtime.word in ("down", "dead"):
            self._start_runtime()
        if outcome:
            self.say(outcome, "ok" if outcome.endswith("up") else "error")
        store = message.snapshot.store
        for sentence, level in self._outcomes.settled(() if store is None else store.commands):
            self.say(sentence, level)
        self._refresh(everything=True)
        self._first.follow(self.snapshot)
        if is_first and self._owns_process:
            self._garbage.begin()

    def on_paddock_app_poller_failed(self, message: PollerFailed) -> None:
        """Say that the console went blind; the latch still works."""
        log = write_crash_log(self.session.home / "logs", message.error)
        self.say(
            f"the console cannot read any more: {one_line(str(message.error))} ({log})", "error"
        )

    def on_paddock_app_told(self, message: Told) -> None:
        """Say it."""
        self.say(message.text, message.level)

    def status_facts(self) -> StatusFacts:
        """Return what the first row shows now."""
        return StatusFacts(
            self.snapshot,
            self.clock.now_at(),
            self._poller.poll_s,
            self._lag_ms,
            self.is_starting,
            self.mark,
        )

    @property
    def mark(self) -> str:
        """Return what the first row says before everything else, empty for nothing."""
        return self.recording.mark

    def is_stale(self, now_at: int) -> bool:
        """Return whether what the store held is older than three polls."""
        store = None if self.snapshot is None else self.snapshot.store
        return (
            store is not None and now_at - store.read_at > FRESH_POLLS * 1000 * self._poller.poll_s
        )

    def look_at(self, watch: Watch) -> None:
        """Have this read beside the rest from now on."""
        self._watch = watch
        self._shown_watch = None
        asked = replace(watch, trading=replace(watch.trading, account=self.account))
        self._poller.watch(self.recording.look_at(asked))

    def is_watching(self, watch: Watch) -> bool:
        """Return whether the snapshot was taken for this."""
        return self._shown_watch == watch

    def say(self, text: str, level: str = "info") -> None:
        """Show a sentence on the prompt's row."""
        frame = self.frame
        if frame is not None and frame.is_ready:
            told = clipped(with_keys(self, text), max(20, self.size.width - 2))
            frame.query_one(PromptLine).say(told, level)

    async def ask(self, name: str, arguments: dict[str, Any]) -> int:
        """Insert a command for the conductor and return its number.

        Raises
        ------
        StoreError : the store cannot be written.
        UsageError : this console only looks.
        """
        self._check_may_act()
        return await self._poller.ask(name, arguments)

    async def tell(self, event: Event) -> str:
        """Record an event; return why it could not be, empty when it was."""
        if not await asyncio.to_thread(self.session.has_database):
            return ""
        try:
            await self._poller.tell(event)
        except PaddockError as exc:
            return str(exc)
        return ""

    async def acknowledge(self, key: str) -> bool:
        """Remember that an alert was seen; False when it is over or was seen before.

        Raises
        ------
        StoreError : the store cannot be written.
        UsageError : this console only looks.
        """
        self._check_may_act()
        return await self._poller.acknowledge(key)

    async def send(self, name: str, *wishes: dict[str, Any]) -> None:
        """Insert a command for each wish, say so, and say the outcomes when they are there."""
        numbers: list[int] = []
        try:
            for arguments in wishes:
                numbers.append(await self.ask(name, arguments))
                self._outcomes.expect(numbers[-1])
        except PaddockError as exc:
            said = f" after {len(numbers)} of {len(wishes)}" if numbers else ""
            self.say(f"{name} was not asked for{said}: {exc}", "error")
            return
        self.say(asked_words(name, numbers))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is bound: what changes something is not where one only looks."""
        return not (self.read_only and acts(action, Place.EVERYWHERE))

    def _check_may_act(self) -> None:
        if self.read_only:
            raise UsageError(f"this console only looks: {self.read_only}")

    def look_now(self) -> None:
        """Take a snapshot without waiting for the next one."""
        self._poller.poke()

    def run_typed(self, text: str, place: Place) -> None:
        """Do what was typed after `:`."""
        word, _, argument = text.strip(" :").partition(" ")
        if not word:
            return
        entry = find_by_word(word, place, self.keymap.entries)
        if entry is None:
            self.say(f"unknown command {word!r}: {{help}} lists what there is", "warn")
        elif entry.id == "open":
            self.open_strategy(argument.strip())
        elif entry.id == "record":
            self.record_into(argument.strip())
        elif entry.id == "go.events" and argument.strip():
            self.action_go_events()
            self.call_later(self._filter_shown, argument)
        elif entry.id == "filter" and argument.strip() and self.frame is not None:
            self.frame.filter_typed(argument)
        else:
            self.run_entry(entry)

    def _filter_shown(self, text: str) -> None:
        if self.frame is not None:
            self.frame.filter_typed(text)

    def run_entry(self, entry: Entry) -> None:
        """Do what an entry of the table says."""
        owner: Any = self
        if entry.place is not Place.EVERYWHERE and self.frame is not None:
            owner = self.frame
        if self.read_only and is_acting(entry):
            self.say(f"{entry.title}: this console only looks: {self.read_only}", "warn")
            return
        method = getattr(owner, f"action_{entry.action}", None)
        if method is None:
            self.say(f"{entry.title}: use its key, {entry.key_text}", "warn")
            return
        self.call_later(method)

    # Actions of the table, in its order.

    def action_halt(self) -> None:
        """Halt at once: the latches first, synchronously; cancelling and the record follow."""
        facts = halt_all(self.session, operator())
        if self.snapshot is not None:
            latches = {item.account: item.outcome.reading for item in facts.accounts}
            shown = latches.get(self.snapshot.account, self.snapshot.latch)
            self.snapshot = replace(self.snapshot, latch=shown, latches=latches)
        top = next((s for s in self.screen_stack if isinstance(s, HaltScreen)), None)
        if top is None:
            self.push_screen(HaltScreen(facts))
        else:
            top.renew(facts)
        self._refresh(everything=False)
        self.kill.follow_halt(facts)

    def action_command(self) -> None:
        """Type a command."""
        if isinstance(self.screen, FrameScreen):
            self.screen.action_command()

    def action_account_next(self) -> None:
        """Show the next account."""
        names = self.session.accounts
        if len(names) == 1:
            self.say(f"{names[0]} is the only account: [trading] live_exchange names no other")
            return
        place = names.index(self.account) if self.account in names else -1
        self.account = names[(place + 1) % len(names)]
        self.look_at(self._watch)
        self.say(f"account {self.account}")

    def action_palette(self) -> None:
        """Open the palette."""
        self.action_command_palette()

    async def action_back(self) -> None:
        """Close a prompt, else go back one crumb, else to the overview."""
        screen = self.screen
        if isinstance(screen, FrameScreen) and screen.go_back():
            return
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self.current_mode != "overview":
            self.switch_mode("overview")

    async def action_leave(self) -> None:
        """Go back, or ask to quit at the root."""
        if len(self.screen_stack) > 1 or self.current_mode != "overview":
            await self.action_back()
        else:
            self.action_quit_ask()

    @work
    async def action_quit_ask(self) -> None:
        """Ask whether to quit; the runtime is not touched."""
        if isinstance(self.screen, ConfirmScreen):
            return
        alive = self.snapshot is not None and self.snapshot.runtime.is_alive
        goes_on = (
            "The runtime keeps running, and so does its cycle."
            if alive or self.is_starting
            else ("No runtime runs.")
        )
        stop = "`paddock down` stops it." if alive or self.is_starting else ""
        acts = "▲ The kill switch is at work; it goes on without the console."
        lines = [line for line in (goes_on, stop, acts if self.kill.runs.is_moving else "") if line]
        if await self.push_screen_wait(ConfirmScreen("Quit the console?", lines, "Quit")):
            self.exit(0)

    def action_runtime_start(self) -> None:
        """Start the runtime."""
        if self.is_allowed("runtime.start"):
            self._start_runtime()

    @work
    async def action_runtime_stop(self) -> None:
        """Stop the runtime, after a yes."""
        await self._requests.stop_runtime()

    def action_theme_next(self) -> None:
        """Change the colours."""
        names = [theme.name for theme in THEMES]
        place = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(place + 1) % len(names)]
        self.say(f"theme {self.theme}")

    def action_poll_faster(self) -> None:
        """Look twice as often."""
        self._set_poll(self._poller.poll_s / 2)

    def action_poll_slower(self) -> None:
        """Look half as often."""
        self._set_poll(self._poller.poll_s * 2)

    def action_record(self) -> None:
        """Record what is seen from now on, or end that."""
        self.record_into("")

    def record_into(self, name: str) -> None:
        """Record into a new file, one below the home when none is named, or end that."""
        self.say(*self.recording.toggle(name))
        self.look_at(self._watch)

    def action_paper_arm(self) -> None:
        """Arm the paper account, after its name is typed."""
        if self.is_allowed("paper.arm"):
            self.account = PAPER
            self.look_at(self._watch)
            self.kill.arm()

    @work
    async def action_cycle_start(self) -> None:
        """Ask for a cycle, after a yes to what will run."""
        await self._requests.start_cycle()

    @work
    async def action_cycle_pause(self) -> None:
        """Pause the running cycle, or resume the paused one, after a yes."""
        await self._requests.pause_or_resume_cycle()

    @work
    async def action_cycle_cancel(self) -> None:
        """Cancel the running cycle, after a yes."""
        await self._requests.cancel_cycle()

    @work
    async def _start_runtime(self) -> None:
        self.say("starting the runtime…")
        try:
            await asyncio.to_thread(self._starter.start)
        except PaddockError as exc:
            self.say(str(exc), "error")
        self._refresh(everything=True)

    def is_allowed(self, entry_id: str) -> bool:
        """Return whether an entry can be used now; say why when it cannot."""
        reason = with_keys(self, why_disabled(entry_id, self.snapshot))
        if reason:
            title = next(entry.title for entry in ENTRIES if entry.id == entry_id)
            self.say(f"{title}: {reason}", "warn")
            if self._refusal != (entry_id, reason):
                self._refusal = (entry_id, reason)
                self.run_worker(self.record(entry_id, "refused", f"{title}: {reason}"))
        return not reason

    async def record(self, name: str, result: str, words: str) -> None:
        """Record what an operator wanted and did not get, or did not want after all."""
        # Late: the store's libraries are not needed to draw the first picture.
        from engine.store.events import Event

        before = "" if self.snapshot is None else str(self.snapshot.latch.state)
        fields = {"who": operator(), "what": name, "before": before, "result": result}
        told = f"{result} to {operator()}: {words}"
        await self.tell(
            Event(self.clock.now_at(), "info", f"operator.{result}", told, "", fields=fields)
        )

    def apply_poll(self, poll_s: float) -> None:
        """Look every `poll_s` seconds from now on."""
        self._poller.poll_s = min(MAX_POLL_S, max(MIN_POLL_S, poll_s))
        self._poller.poke()

    def _set_poll(self, poll_s: float) -> None:
        self.apply_poll(poll_s)
        self.say(f"looking every {self._poller.poll_s:g} s")

    def delay_update(self, delay: float = FRAME_S) -> None:
        """Hold pictures back for a moment; never longer than a frame.

        Textual takes 50 ms, with each change of the screen too, which a hand on the keys notices.
        """
        super().delay_update(min(delay, FRAME_S))

    def _beat(self) -> None:
        now_s = self.clock.monotonic_s()
        self._lag_ms = max(0.0, (now_s - self._due_s) * 1000)
        self._due_s = now_s + _BEAT_S
        self._refresh(everything=self.is_stale(self.clock.now_at()))
        self._garbage.look()
        if (size := missed_size(self)) is not None:
            self.post_message(events.Resize(size, size))

    async def on_event(self, event: events.Event) -> None:
        """Take note of keys on their way to where they are handled."""
        if isinstance(event, events.Key):
            self._garbage.key_pressed()
        await self._typed_ahead.pass_on(event, super().on_event)

    def refresh_shown(self) -> None:
        """Bring the visible screen up to date with what is known."""
        self._refresh(everything=True)

    def _refresh(self, *, everything: bool) -> None:
        frame = self.frame
        if frame is None:
            return
        with self.batch_update():
            if everything:
                frame.refresh_all()
            else:
                frame.refresh_frame()

    def _from_thread(self, message: Message) -> None:
        if self.is_running:
            self.post_message(message)

    def _terminated(self, number: int) -> None:
        # Leaving the loop restores the terminal; dying in the handler would not.
        self.exit(return_code=128 + number)

    @property
    def error(self) -> Exception | None:
        """Return the unexpected error that ended the console, None when none did."""
        return self._exception

    def _fatal_error(self) -> None:
        # Who ran the app tells it in one line and keeps the traceback; values of variables, which
        # Textual would print after a while, are nobody's business.
        self._close_messages_no_wait()


def threading_is_main() -> bool:
    """Return whether this is the main thread, the only one that may handle signals."""
    import threading

    return threading.current_thread() is threading.main_thread()
