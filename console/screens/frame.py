"""The frame that every screen has: three rows above its body, two below."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from console.bindings import Place, acts, all_words
from console.key_words import content_with_keys, with_keys
from console.poller import Watch
from console.screens.small import small_content
from console.snapshot import Snapshot
from console.states import HALTED, trading_style
from console.widgets.footer import KeyBar, PromptLine
from console.widgets.status_bar import Crumbs, NavBar, StatusBar

if TYPE_CHECKING:
    from console.app import PaddockApp

MIN_WIDTH, MIN_HEIGHT = 80, 24


class FrameScreen(Screen[None]):
    """A screen with status, navigation, crumbs, body, prompt and keys.

    Subclasses yield their body and show a snapshot; they are told when it is new.
    """

    PLACE: ClassVar[Place]
    NAME: ClassVar[str]

    DEFAULT_CSS = """
    FrameScreen { layout: vertical; background: $background; }
    FrameScreen > #body { height: 1fr; }
    FrameScreen > #small { display: none; height: 1fr; padding: 0 1; }
    FrameScreen.-small > #body, FrameScreen.-small > NavBar { display: none; }
    FrameScreen.-small > Crumbs { display: none; }
    FrameScreen.-small > #small { display: block; }
    FrameScreen .-zoomed {
        width: 100% !important; height: 1fr !important; max-height: 100% !important;
    }
    FrameScreen.-halted NavBar { background: $halt; color: #ffffff; text-style: bold; }
    FrameScreen.-halted Panel, FrameScreen.-halted LiveTable, FrameScreen.-halted #lineage,
    FrameScreen.-halted #plots {
        border: solid $halt !important; border-title-color: $error !important;
    }
    FrameScreen.-halted Panel:focus, FrameScreen.-halted LiveTable:focus {
        border: heavy $halt !important;
    }
    """

    # The two widgets between which it moves paint themselves; the whole screen need not.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self) -> None:
        super().__init__()
        # Snapshots, sizes and keys may arrive before the widgets they are shown in.
        self.is_ready = False
        self._zoomed: list[Widget] = []
        self._away: list[Widget] = []

    @property
    def console(self) -> PaddockApp:
        """Return the app, by its own type."""
        return cast("PaddockApp", self.app)

    def compose(self) -> ComposeResult:
        """Yield the frame around the body."""
        yield StatusBar()
        yield NavBar(self.NAME)
        yield Crumbs(with_keys(self, self.crumbs()))
        with Container(id="body"):
            yield from self.body()
        yield Static("", id="small", markup=False)
        yield PromptLine()
        yield KeyBar(self.PLACE)

    def body(self) -> ComposeResult:
        """Yield the widgets between the crumbs and the prompt."""
        yield from ()

    def crumbs(self) -> str:
        """Return where one is."""
        return self.NAME.lower()

    def watch_for(self) -> Watch:
        """Return what this screen needs read beside the rest."""
        return Watch()

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """Show what is known; called with each snapshot, and each second for the ages."""

    def refresh_frame(self) -> None:
        """Bring status, crumbs and keys up to date."""
        if not self._is_whole():
            return
        facts = self.console.status_facts()
        self.query_one(StatusBar).show(facts)
        self._redden(facts.snapshot)
        self.query_one(Crumbs).show(with_keys(self, self.crumbs()))
        self.query_one(KeyBar).show(self.console.snapshot, self.console.keymap.entries)

    def refresh_all(self) -> None:
        """Bring the whole screen up to date with the app's snapshot."""
        self.refresh_frame()
        snapshot = self.console.snapshot
        if not self._is_whole():
            return
        if self.has_class("-small"):
            size = (self.size.width, self.size.height)
            words = small_content(snapshot, size, (MIN_WIDTH, MIN_HEIGHT))
            self.query_one("#small", Static).update(content_with_keys(self, words))
        elif snapshot is not None:
            self.show(snapshot, self.console.clock.now_at())

    def _redden(self, snapshot: Snapshot | None) -> None:
        is_halted = snapshot is not None and trading_style(snapshot.latch) is HALTED
        if is_halted != self.has_class("-halted"):
            self.set_class(is_halted, "-halted")
            self.query_one(NavBar).draw()

    def _is_whole(self) -> bool:
        """Return whether the widgets stand: they come after the screen and go before it."""
        return self.is_ready and any(isinstance(one, StatusBar) for one in self.children)

    def on_mount(self) -> None:
        """Show what is known already."""
        self.is_ready = True
        self.refresh_all()

    def on_unmount(self) -> None:
        """Show nothing any more."""
        self.is_ready = False

    def on_screen_resume(self) -> None:
        """Ask for what this screen needs, and show what is known already."""
        self.console.look_at(self.watch_for())
        self.refresh_all()

    def on_resize(self, event: Resize) -> None:
        """Show no tables on a terminal that is too small for them."""
        if not self.is_ready:
            self.call_after_refresh(self.on_resize, event)
            return
        width, height = event.size.width, event.size.height
        is_small = width < MIN_WIDTH or height < MIN_HEIGHT
        self.set_class(is_small, "-small")
        self.call_after_refresh(self.refresh_all)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is bound: what changes something is not where one only looks."""
        return not (self.console.read_only and acts(action, self.PLACE))

    def action_command(self) -> None:
        """Type a command."""
        if not self.is_ready:
            return
        self.query_one(PromptLine).ask(":", words=all_words(self.PLACE))

    def on_prompt_line_typed(self, event: PromptLine.Typed) -> None:
        """Do what was typed."""
        event.stop()
        if event.is_final:
            self.focus_body()
        if event.mark == ":":
            self.console.run_typed(event.text, self.PLACE)
        else:
            self.filter_typed(event.text)

    def filter_typed(self, text: str) -> None:
        """Filter what the screen lists."""

    def focus_body(self) -> None:
        """Give the keys back to the body after a prompt."""
        self.set_focus(None)

    @property
    def is_zoomed(self) -> bool:
        """Return whether one pane is shown alone."""
        return bool(self._zoomed)

    def zoom(self, pane: Widget | None) -> None:
        """Show one pane of the body alone, under the same first rows; all again for None."""
        if pane is None and not self._zoomed:
            return
        for widget in self._zoomed:
            widget.remove_class("-zoomed")
        # Not by a class: what it hides would have its styles worked out anew, all the way down.
        for widget in self._away:
            widget.styles.clear_rule("display")
        self._zoomed, self._away = [], []
        while pane is not None and pane.id != "body":
            self._away += [one for one in pane.siblings if isinstance(one, Widget)]
            self._zoomed.append(pane)
            pane = pane.parent if isinstance(pane.parent, Widget) else None
        for widget in self._zoomed:
            widget.add_class("-zoomed")
        for widget in self._away:
            widget.styles.display = "none"
        self.refresh(layout=True)

    def go_back(self) -> bool:
        """Close a prompt or a zoomed pane; return False when there was nothing to close."""
        if not self.is_ready:
            return False
        if self.is_zoomed:
            self.zoom(None)
            return True
        prompt = self.query_one(PromptLine)
        if not prompt.is_typing:
            return False
        prompt.close()
        self.focus_body()
        return True
