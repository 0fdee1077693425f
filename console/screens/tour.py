"""A walk through the screens, in place: each step says what is seen and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from console.key_words import with_keys

if TYPE_CHECKING:
    from console.app import PaddockApp


@dataclass(frozen=True, slots=True)
class Step:
    """One stop: the screen it stands on, a title, what is said there.

    `{name}` in the text is the key of the entry of that id.
    """

    mode: str
    title: str
    text: str


STEPS = (
    Step(
        "overview",
        "What this is",
        "Paddock breeds trading strategies and keeps you in charge of them. The first row says "
        "whether money is real (LIVE) or not (PAPER), whether trading is allowed, whether the "
        "runtime lives, and how old all of this is. It never disappears.",
    ),
    Step(
        "overview",
        "The key to remember",
        "{halt} or F9 halts all trading, at once, from everywhere, whatever else is broken. "
        "It asks nothing, and pressing it once too often costs nothing. Only re-arming asks.",
    ),
    Step(
        "overview",
        "Overview: what runs and what needs you",
        "A cycle makes candidates, tests them, learns, and promotes the best: {cycle.start} "
        "starts one. What needs you stands below it; {changes} tells what changed since "
        "yesterday.",
    ),
    Step(
        "strategies",
        "Strategies: what was found",
        "Best first, costs included. Enter opens one: what it does in words, its equity, and "
        "every gate's verdict, with the number that refused it. {filter} filters, {sort.next} "
        "sorts.",
    ),
    Step(
        "learners",
        "Backtests and learners",
        "Screen 3 lists what was computed and what failed; here, on 4, is what was learned.",
    ),
    Step(
        "orders",
        "Orders and positions",
        "What is held, ordered and filled. {order.cancel} cancels an order, {symbol.flatten} "
        "closes a symbol after you typed its name. Screen 6 has strategies that run as Workers.",
    ),
    Step(
        "risk",
        "Risk: how much, and the switches",
        "How much is at risk against each limit; {reduce} forbids new exposure, {rearm} ends a "
        "halt, {drill} rehearses it. Safer is one key; riskier is a name to type.",
    ),
    Step(
        "events",
        "Events: what happened",
        "Every step by whom and why; {errors.only} shows errors alone.",
    ),
    Step(
        "settings",
        "Settings, and what may be missing here",
        "The doctor's findings come first, each with what mends it. {keymap} lists all keys and "
        "how to change them. On every screen {help} explains what is there, {palette} finds "
        "anything by its name, {jump} jumps. That is all: enjoy.",
    ),
)


class TourScreen(ModalScreen[None]):
    """One step at a time over the screen it tells of; leaving stays there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space,right,n,j", "step(1)", "on", show=False),
        Binding("left,p,k,backspace", "step(-1)", "back", show=False),
        Binding("escape,q", "leave", "leave", show=False),
    ]
    DEFAULT_CSS = """
    TourScreen { align: center bottom; background: $background 0%; }
    TourScreen > Vertical {
        width: 78; max-width: 100%; height: auto; border: heavy $primary; background: $surface;
        padding: 0 2; margin-bottom: 2; border-title-style: bold;
    }
    TourScreen Static { height: auto; }
    """

    def __init__(self, at: int = 0) -> None:
        super().__init__()
        self._at = at

    def compose(self) -> ComposeResult:
        """Yield the box that the steps are told in."""
        with Vertical():
            yield Static("", markup=False)

    def on_mount(self) -> None:
        """Tell the first step."""
        self._tell()

    def action_step(self, by: int) -> None:
        """Go on or back; after the last step the tour is over."""
        at = self._at + by
        if at >= len(STEPS):
            self.dismiss(None)
            return
        at = max(0, at)
        console = cast("PaddockApp", self.app)
        if STEPS[at].mode == console.current_mode:
            self._at = at
            self._tell()
        else:
            # A screen has its own stack: the tour goes on over the next one.
            console.go(STEPS[at].mode)
            console.push_screen(TourScreen(at))

    def action_leave(self) -> None:
        """Stay on the screen that is below."""
        cast("PaddockApp", self.app).say("`:tour` begins it again, {help} explains each screen")
        self.dismiss(None)

    def _tell(self) -> None:
        step = STEPS[self._at]
        box = self.query_one(Vertical)
        box.border_title = f"{step.title} ({self._at + 1} of {len(STEPS)})"
        box.border_subtitle = "enter goes on, left back, esc leaves"
        self.query_one(Static).update(Content(with_keys(self, step.text)))
