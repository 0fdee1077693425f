"""The halt overlay: what is true now, and the two keys that flatten."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static

from console.bindings import Place, acts, bindings_of
from console.effects import order_words
from console.flatten_keys import FlattenKeys
from console.halting import HaltFacts
from console.key_words import content_with_keys
from console.screens.halt_text import OverlayFacts, halt_content, halt_title
from console.screens.typed import TypedQuestion

if TYPE_CHECKING:
    from console.app import PaddockApp

_BEAT_S = 0.5
_STOPS_WORD = "stops"
_FLATTEN_KEYS = ("F", "Y")


class HaltScreen(ModalScreen[None]):
    """Trading is halted: progress of the kill switch, what is held, what may be done next.

    Parameters
    ----------
    facts : what the key did
    """

    BINDINGS = bindings_of(Place.HALT, "screen")
    DEFAULT_CSS = """
    HaltScreen { align: center middle; background: $background 60%; }
    HaltScreen > VerticalScroll {
        width: 106; max-width: 98%; height: auto; max-height: 96%; border: heavy $halt;
        background: $surface; padding: 0 2; border-title-color: $error; border-title-style: bold;
        scrollbar-size-vertical: 1;
    }
    HaltScreen Static { height: auto; width: 100%; }
    """

    def __init__(self, facts: HaltFacts) -> None:
        super().__init__()
        self._facts = facts
        self._keys = FlattenKeys()

    @property
    def console(self) -> PaddockApp:
        """Return the app, by its own type."""
        return cast("PaddockApp", self.app)

    def compose(self) -> ComposeResult:
        """Yield the words."""
        with VerticalScroll(can_focus=False):
            yield Static("", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is bound: only halting is where one only looks."""
        return not (self.console.read_only and acts(action, Place.HALT))

    def on_mount(self) -> None:
        """Show, and keep showing how far it is."""
        self.show()
        self.set_interval(_BEAT_S, self.show)

    def renew(self, facts: HaltFacts) -> None:
        """Show a further press of the key: it halts again, which changes nothing."""
        self._facts = facts
        self._keys.forget()
        self.show()

    def show(self) -> None:
        """Bring the words up to date."""
        if not self.is_mounted:
            return
        box = self.query_one(VerticalScroll)
        box.border_title = halt_title(self._facts)
        content = self._content(max(40, (box.size.width or 100) - 1))
        self.query_one(Static).update(content_with_keys(self, content))

    def on_key(self, event: Key) -> None:
        """Forget an F when anything but Y follows it."""
        if event.key not in _FLATTEN_KEYS:
            self._keys.forget()

    def action_flatten_ask(self) -> None:
        """Take the F; Y within ten seconds flattens."""
        self._keys.ask(self.console.clock.monotonic_s())
        self.show()

    def action_flatten_now(self) -> None:
        """Flatten, when F was pressed just before."""
        if self._keys.confirm(self.console.clock.monotonic_s()):
            self.console.kill.flatten_all()
        self.show()

    async def action_stops_cancel(self) -> None:
        """Cancel protective stops too, after a typed word."""
        self._keys.forget()
        self.console.kill.cancel_stops(self._stops_question())

    def action_halt_risk(self) -> None:
        """Go to the risk screen; the halt stays."""
        self.dismiss(None)
        self.console.action_go_risk()

    def action_overlay_close(self) -> None:
        """Close the words; the halt stays."""
        self.dismiss(None)

    def _content(self, width: int) -> Content:
        console = self.console
        costs = console.session.config.backtest
        facts = OverlayFacts(
            halt=self._facts,
            snapshot=console.snapshot,
            runs=console.kill.runs.runs,
            armed_s=self._keys.left_s(console.clock.monotonic_s()),
            now_at=console.clock.now_at(),
            cost_frac=costs.commission_frac + costs.slippage_frac,
            read_only=console.read_only,
        )
        return halt_content(facts, width)

    def _stops_question(self) -> TypedQuestion:
        view = None if self.console.snapshot is None else self.console.snapshot.trading
        orders = () if view is None else view.every_order
        stops = [order for order in orders if order.request.purpose.is_protective]
        known = [Content(order_words(order)) for order in stops[:8]]
        if len(stops) > len(known):
            known.append(Content.styled(f"and {len(stops) - len(known)} more", "$muted"))
        if not known:
            known.append(Content("No protective order is known here; the exchange is asked."))
        warning = Content.styled("▲ Open positions are unprotected afterwards.", "$warning")
        return TypedQuestion(
            title="Cancel protective stops and targets too?",
            effects=[*known, warning],
            verb="Cancel stops",
            name=_STOPS_WORD,
        )
