"""The nine screens: one action for each, which any screen stacked above gives way to."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

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
