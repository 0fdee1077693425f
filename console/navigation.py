"""The nine screens, and what opens over them: a strategy, an order, what an alert is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from console.screens.changes import ChangesScreen
from console.screens.frame import FrameScreen
from console.screens.help import HelpScreen
from console.screens.jump import JumpScreen
from console.screens.order_history import OrderScreen
from console.screens.tour import TourScreen

if TYPE_CHECKING:
    from console.app import PaddockApp


class Navigation:
    """Actions of the app that go to its screens."""

    def go(self, mode: str) -> None:
        """Go to a screen, closing what lies over it."""
        app = cast("PaddockApp", self)
        while len(app.screen_stack) > 1:
            app.pop_screen()
        if app.current_mode != mode:
            app.switch_mode(mode)

    def action_go_overview(self) -> None:
        """Go to screen 1."""
        self.go("overview")

    def action_go_strategies(self) -> None:
        """Go to screen 2."""
        self.go("strategies")

    def action_go_backtests(self) -> None:
        """Go to screen 3."""
        self.go("backtests")

    def action_go_learners(self) -> None:
        """Go to screen 4."""
        self.go("learners")

    def action_go_orders(self) -> None:
        """Go to screen 5."""
        self.go("orders")

    def action_go_deployments(self) -> None:
        """Go to screen 6."""
        self.go("deployments")

    def action_go_events(self) -> None:
        """Go to screen 8."""
        self.go("events")

    def action_go_settings(self) -> None:
        """Go to screen 9."""
        self.go("settings")

    def action_go_risk(self) -> None:
        """Go to screen 7."""
        self.go("risk")

    def open_strategy(self, strategy_id: str) -> None:
        """Show one strategy over the list."""
        app = cast("PaddockApp", self)
        if not strategy_id:
            app.say("name a strategy by the start of its id, as in `:strat 3f2a`", "warn")
            return
        # Late: its plots cost a third of a second to import.
        from console.screens.strategy import StrategyScreen

        app.push_screen(StrategyScreen(strategy_id))

    def open_order(self, client_id: str) -> None:
        """Show one order's history, in place of the one that is shown."""
        app = cast("PaddockApp", self)
        if isinstance(app.screen, OrderScreen):
            app.pop_screen()
        app.push_screen(OrderScreen(client_id))

    def open_object(self, screen: str, name: str) -> None:
        """Show what an alert is about: a strategy, an order, or a screen of an account."""
        app = cast("PaddockApp", self)
        if screen == "strategy":
            self.open_strategy(name)
        elif screen == "order":
            self.open_order(name)
        else:
            if name in app.session.accounts:
                app.account = name
            self.go(screen)

    def copy_id(self, strategy_id: str | None) -> None:
        """Copy an id to the terminal's clipboard."""
        app = cast("PaddockApp", self)
        if strategy_id:
            app.copy_to_clipboard(strategy_id)
            app.say(f"copied {strategy_id}")

    def action_help(self) -> None:
        """Show what this place shows, its keys and its words."""
        app = cast("PaddockApp", self)
        if not isinstance(app.screen, HelpScreen):
            app.push_screen(HelpScreen(app.place, app.snapshot, app.keymap))

    def action_changes(self) -> None:
        """Show what changed since yesterday."""
        app = cast("PaddockApp", self)
        if not isinstance(app.screen, ChangesScreen):
            app.push_screen(ChangesScreen())

    def action_jump(self) -> None:
        """Put a letter on every pane; typing one goes there."""
        app = cast("PaddockApp", self)
        if isinstance(app.screen, FrameScreen):
            app.push_screen(JumpScreen(app.screen))

    def action_tour(self) -> None:
        """Walk a newcomer through the screens; any time may be the last."""
        app = cast("PaddockApp", self)
        if not isinstance(app.screen, TourScreen):
            app.push_screen(TourScreen())
