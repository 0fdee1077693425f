"""Screen 7: whether trading is allowed, what would stop it, and how near that is."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal

from console.bindings import Place, bindings_of
from console.limit_desk import LimitDesk
from console.poller import Watch
from console.screens.frame import FrameScreen
from console.screens.risk_text import (
    audit_content,
    breakers_title,
    limits_content,
    state_content,
)
from console.screens.tables import account_age
from console.snapshot import Snapshot
from console.states import trading_words
from console.trading_view import TradingWatch
from console.widgets.panel import Panel

_SHOWN_MS = 60_000


class RiskScreen(FrameScreen):
    """The latch, the gateway's lease, the timers, the limits, and what was done about them."""

    PLACE = Place.RISK
    NAME = "Risk"
    AUTO_FOCUS = ""
    BINDINGS = bindings_of(Place.RISK, "screen")
    # Textual declares it so; it is never changed.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal")]  # noqa: RUF012

    DEFAULT_CSS = """
    RiskScreen #upper { height: 19; }
    RiskScreen #state { width: 51; height: 1fr; }
    RiskScreen #limits { width: 1fr; height: 1fr; }
    RiskScreen #audit { height: 1fr; }
    RiskScreen.-narrow #body { overflow-y: auto; scrollbar-size-vertical: 1; }
    RiskScreen.-narrow #upper { layout: vertical; height: auto; }
    RiskScreen.-narrow #state { width: 100%; height: auto; max-height: 15; }
    RiskScreen.-narrow #limits { width: 100%; height: auto; max-height: 12; }
    RiskScreen.-narrow #audit { height: 12; }
    """

    def body(self) -> ComposeResult:
        """Yield the state, the limits, and the audit."""
        with Horizontal(id="upper"):
            yield Panel("Trading state", "state", wraps=False)
            yield Panel("Limits (hard: breach stops · soft: alert)", "limits", wraps=False)
        yield Panel("Breakers and audit", "audit", wraps=False)

    def crumbs(self) -> str:
        """Return the account and its state."""
        snapshot = self.console.snapshot
        state = "" if snapshot is None else f"  state {trading_words(snapshot.latch)}"
        return f"risk{state}  account {self.console.account}"

    def watch_for(self) -> Watch:
        """Return the audit too."""
        return Watch(trading=TradingWatch(audit=True))

    def show(self, snapshot: Snapshot, now_at: int) -> None:
        """Show the account's state, limits and audit, under their age."""
        told, is_old = account_age(snapshot, now_at)
        stale = told if is_old else ""
        row = snapshot.account_row
        state = self.query_one("#state", Panel)
        latch_file = self.console.session.latch_of(snapshot.account).folder / "HALT"
        state.show(
            state_content(
                snapshot, now_at, self.console.session.shown(str(latch_file)), snapshot.drill
            ),
            title=f"Trading state of account {snapshot.account}",
        )
        limits = self.query_one("#limits", Panel)
        configured = self.console.session.config.limits
        limits.show(limits_content(row, limits.text_width, configured), stale=stale)
        audit = self.query_one("#audit", Panel)
        view = snapshot.trading
        steps = [
            step for run in self.console.kill.runs.newest(now_at, _SHOWN_MS) for step in run.steps
        ]
        audit.show(
            audit_content(row, () if view is None else view.audit, steps, audit.text_width),
            title=breakers_title(row),
        )

    def focus_body(self) -> None:
        """Leave no pane focused: the keys are the screen's."""
        self.set_focus(None)

    def action_reduce(self) -> None:
        """Allow no new exposure."""
        self.console.kill.reduce()

    def action_rearm(self) -> None:
        """Allow trading again, after checks, a typed name and a reason."""
        self.console.kill.rearm()

    def action_drill(self) -> None:
        """Halt the paper account end to end, and measure it."""
        self.console.kill.drill()

    def action_limit_edit(self) -> None:
        """Change a limit: more after its name is typed, less after a yes."""
        LimitDesk(self.console).edit()

    def action_audit(self) -> None:
        """Show the audit alone, or all again."""
        audit = self.query_one("#audit", Panel)
        self.zoom(None if self.is_zoomed else audit)
        self.set_focus(audit if self.is_zoomed else None)
